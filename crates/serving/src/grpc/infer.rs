//! `ModelInfer`: the messages around what the REST protocol does too.

use models::{Data, Prediction};
use net::{Bytes, StatusCode};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

use super::messages::{Contents, InferRequest, InferResponse, InputTensor, OutputTensor, Parameter, Value};
use crate::call::{Asked, Beside, Predict, Question};
use crate::decode::{self, Datatype, Elements, Lists, Tensor};
use crate::fault::{Cause, Fault, quoted};
use crate::id::new_id;
use crate::json::Scalar;
use crate::model_set::Entry;
use crate::protocols::open_inference::{
    Answered, ContentType, LONGEST_ID, MOST_DIMENSIONS, MOST_OUTPUTS, Request, Wanted, answers, asked,
    bytes_of, more_dimensions, more_outputs, no_length, wrong_id,
};
use crate::reply::{BYTES, Reply};

/// How many tensors and parameters a request may have. An empty one takes two bytes, and much more when it is read.
const MOST_PARTS: usize = 1 << 14;

/// Asks a model by message. There is no example, for nobody writes one by hand.
pub(crate) const INFER: Predict = Predict { ask, tell, example: |_| String::new() };

fn ask(question: &Question<'_>) -> Result<Asked, Fault> {
    let message = message(question.body)?;
    asked(request(&message)?, question)
}

/// Reads the message, if it has not too many parts.
fn message(body: &[u8]) -> Result<InferRequest, Fault> {
    let broken =
        |error: prost::DecodeError| Fault::new(Cause::Format, format!("cannot read the message: {error}"));
    let mut rest = body;
    let mut n_parts = 0;
    while !rest.is_empty() {
        let (tag, wire_type) = decode_key(&mut rest).map_err(broken)?;
        skip_field(wire_type, tag, &mut rest, DecodeContext::default()).map_err(broken)?;
        n_parts += usize::from(matches!(tag, 4..=7) && wire_type == WireType::LengthDelimited);
        if n_parts > MOST_PARTS {
            let problem = format!("expected at most {MOST_PARTS} tensors and parameters, got more");
            return Err(Fault::new(Cause::Format, problem));
        }
    }
    // The bytes of the message are shared with what is read from them, so that they are copied once and not twice.
    InferRequest::decode(Bytes::copy_from_slice(body)).map_err(broken)
}

fn request(message: &InferRequest) -> Result<Request<'_>, Fault> {
    if message.id.len() > LONGEST_ID {
        return Err(wrong_id());
    }
    if message.outputs.len() > MOST_OUTPUTS {
        return Err(more_outputs());
    }
    let raw = &message.raw_input_contents;
    if !raw.is_empty() && raw.len() != message.inputs.len() {
        let problem = format!("expected as many as inputs, {}, got {}", message.inputs.len(), raw.len());
        return Err(Fault::new(Cause::Format, problem).at("$.raw_input_contents"));
    }
    let tensors =
        message.inputs.iter().enumerate().map(|(index, input)| tensor(input, raw.get(index), index));
    let wanted = message.outputs.iter().map(|output| Wanted { name: output.name.clone(), is_binary: None });
    Ok(Request {
        id: Some(message.id.clone()).filter(|id| !id.is_empty()),
        content_type: content_type(message.parameters.get("content_type"), "$.parameters")?,
        tensors: tensors.collect::<Result<_, _>>()?,
        outputs: wanted.collect(),
        // Whoever sends bytes reads them too.
        is_binary: !raw.is_empty(),
        beside: beside(message)?,
    })
}

/// What the parameters of a request say beside the type of its content: the method, as over REST.
fn beside(message: &InferRequest) -> Result<Beside, Fault> {
    let mut beside = Beside::default();
    let mut keys: Vec<&String> = message.parameters.keys().filter(|key| *key != "content_type").collect();
    keys.sort();
    for key in keys {
        match (key.as_str(), &message.parameters[key].value) {
            ("method", Some(Value::Text(name))) => beside.choose(name, "$.parameters.method")?,
            ("method", _) => {
                return Err(Fault::new(Cause::Format, "expected a text").at("$.parameters.method"));
            }
            (key, _) => beside.note(&format!("parameters.{key}")),
        }
    }
    Ok(beside)
}

fn content_type(parameter: Option<&Parameter>, path: &str) -> Result<ContentType, Fault> {
    match parameter.and_then(|parameter| parameter.value.as_ref()) {
        None => Ok(ContentType::Plain),
        Some(Value::Text(name)) => ContentType::parse(name, path),
        Some(_) => Err(Fault::new(Cause::Format, "expected a text").at(format!("{path}.content_type"))),
    }
}

fn tensor<'a>(input: &'a InputTensor, raw: Option<&'a Bytes>, index: usize) -> Result<Tensor<'a>, Fault> {
    if input.shape.len() > MOST_DIMENSIONS {
        return Err(more_dimensions(index));
    }
    let length = |(dimension, length): (usize, &i64)| {
        usize::try_from(*length).map_err(|_| no_length(index, dimension, &Scalar::Long(*length)))
    };
    let content_type = content_type(input.parameters.get("content_type"), "$.inputs[*].parameters")?;
    let data = match (raw, &input.contents) {
        (Some(raw), None) => decode::Data::Raw(raw),
        (None, Some(contents)) => decode::Data::Lists(lists(contents)),
        (None, None) => decode::Data::Raw(&[]),
        (Some(_), Some(_)) => {
            let problem = format!("tensor {}: the data is here, and in bytes too", quoted(&input.name));
            return Err(Fault::new(Cause::Format, problem).at(format!("$.inputs[{index}].contents")));
        }
    };
    Ok(Tensor {
        name: input.name.clone(),
        shape: input.shape.iter().enumerate().map(length).collect::<Result<_, _>>()?,
        elements: Elements {
            datatype: Datatype::parse(&input.datatype, index)?,
            is_base64: content_type == ContentType::Base64,
        },
        is_column: content_type == ContentType::Table,
        data,
    })
}

fn lists(contents: &Contents) -> Lists<'_> {
    let Contents { bools, ints, longs, unsigned_ints, unsigned_longs, floats, doubles, texts } = contents;
    Lists { bools, ints, longs, unsigned_ints, unsigned_longs, floats, doubles, texts }
}

fn tell(entry: &Entry, asked: &Asked, predictions: &[Prediction]) -> Reply {
    let answers = answers(entry, asked, predictions);
    let is_binary = answers.iter().any(|answer| answer.is_binary);
    let raw = answers.iter().filter(|_| is_binary).map(|answer| bytes_of(answer.data).into());
    let response = InferResponse {
        model_name: asked.name_of(entry).to_owned(),
        model_version: entry.version.clone().unwrap_or_default(),
        id: asked.id.clone().unwrap_or_else(new_id),
        parameters: Default::default(),
        raw_output_contents: raw.collect(),
        outputs: answers.iter().map(|answer| output(answer, is_binary)).collect(),
    };
    Reply::new(StatusCode::OK, BYTES, response.encode_to_vec())
}

fn output(answer: &Answered<'_>, is_binary: bool) -> OutputTensor {
    OutputTensor {
        name: answer.name.to_owned(),
        datatype: answer.datatype.to_owned(),
        shape: answer.shape.iter().map(|&length| length as i64).collect(),
        parameters: Default::default(),
        contents: (!is_binary).then(|| contents(answer.data)),
    }
}

fn contents(data: &Data) -> Contents {
    let mut contents = Contents::default();
    match data {
        Data::Double(values) => contents.doubles.clone_from(values),
        Data::Float(values) => contents.floats.clone_from(values),
        Data::Long(values) => contents.longs.clone_from(values),
        Data::Integer(values) => contents.ints.clone_from(values),
        Data::Boolean(values) => contents.bools.clone_from(values),
        Data::Text(values) => {
            contents.texts = values.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
        }
    }
    contents
}
