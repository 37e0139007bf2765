//! Inference: tensors in, tensors out. How they are written is the matter of others.

use models::{Data, Prediction};

use super::request::{self, Request};
use super::{ContentType, Wanted, response};
use crate::Style;
use crate::call::{Asked, Output, Question};
use crate::content::Content;
use crate::decode;
use crate::fault::{Cause, Fault, list, nearest, quoted};
use crate::model_set::Entry;
use crate::reply::Reply;

pub(super) fn ask(question: &Question<'_>) -> Result<Asked, Fault> {
    let (json, binary) = match question.content {
        Content::JsonThenBytes { json_length } => {
            let Some((json, binary)) = question.body.split_at_checked(json_length) else {
                let problem = format!(
                    "`inference-header-content-length`: expected at most {} bytes, which the body has, got {json_length}",
                    question.body.len()
                );
                return Err(Fault::new(Cause::Format, problem));
            };
            (json, Some(binary))
        }
        _ => {
            question.require_json()?;
            (question.body, None)
        }
    };
    asked(request::read(json, binary)?, question)
}

/// What a request asks of a model.
pub(crate) fn asked(mut request: Request<'_>, question: &Question<'_>) -> Result<Asked, Fault> {
    for tensor in &mut request.tensors {
        tensor.is_column |= request.content_type == ContentType::Table;
        tensor.elements.is_base64 |= request.content_type == ContentType::Base64;
    }
    let decoded = decode::tensors(&request.tensors, question.schema, question.body.len())?;
    let mut asked = question.asked(decoded);
    if !request.outputs.is_empty() {
        asked.outputs = wanted(request.outputs, question)?;
    }
    for output in &mut asked.outputs {
        output.is_binary.get_or_insert(request.is_binary);
    }
    Ok(Asked { id: request.id, ..asked })
}

/// What the model is asked for, by the names of the outputs.
fn wanted(outputs: Vec<Wanted>, question: &Question<'_>) -> Result<Vec<Output>, Fault> {
    let known = question.methods;
    let find = |(index, Wanted { name, is_binary }): (usize, Wanted)| {
        let by_name = known.iter().copied().find(|method| method.as_str() == name);
        let method = if name == question.default_output {
            Some(question.method.unwrap_or(question.default_method))
        } else {
            by_name
        };
        let Some(method) = method else {
            let known = || known.iter().map(|method| method.as_str());
            let problem = format!("expected one of {}, got {}", list(known()), quoted(&name));
            let fault = Fault::input(format!("$.outputs[{index}].name"), problem);
            return Err(match nearest(&name, known()) {
                Some(near) => fault.with_help(format!("did you mean {near}?")),
                None => fault,
            });
        };
        Ok(Output { method, name: Some(name), is_binary })
    };
    outputs.into_iter().enumerate().map(find).collect()
}

pub(super) fn tell(entry: &Entry, asked: &Asked, predictions: &[Prediction]) -> Reply {
    response::write(entry, asked, &answers(entry, asked, predictions))
}

/// An output as it is answered.
pub(crate) struct Answered<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: Vec<usize>,
    pub(crate) datatype: &'static str,
    pub(crate) data: &'a Data,
    pub(crate) is_binary: bool,
}

/// The outputs of a model in the style of its server.
pub(crate) fn answers<'a>(
    entry: &Entry,
    asked: &'a Asked,
    predictions: &'a [Prediction],
) -> Vec<Answered<'a>> {
    let answer = |(output, prediction): (&'a Output, &'a Prediction)| {
        let n_columns = match (prediction.shape.n_columns, entry.style) {
            (None, Style::MlServer) => Some(1),
            (n_columns, _) => n_columns,
        };
        Answered {
            name: output.name.as_deref().unwrap_or(entry.default_output()),
            shape: [Some(prediction.shape.n_rows), n_columns].into_iter().flatten().collect(),
            datatype: datatype(&prediction.data),
            data: &prediction.data,
            is_binary: output.is_binary == Some(true),
        }
    };
    asked.outputs.iter().zip(predictions).map(answer).collect()
}

fn datatype(data: &Data) -> &'static str {
    match data {
        Data::Double(_) => "FP64",
        Data::Float(_) => "FP32",
        Data::Long(_) => "INT64",
        Data::Integer(_) => "INT32",
        Data::Boolean(_) => "BOOL",
        Data::Text(_) => "BYTES",
    }
}

/// Values as the protocol writes them in bytes: little-endian, texts after their length.
pub(crate) fn bytes_of(data: &Data) -> Vec<u8> {
    match data {
        Data::Double(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Data::Float(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Data::Long(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Data::Integer(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Data::Boolean(values) => values.iter().map(|value| u8::from(*value)).collect(),
        Data::Text(values) => {
            let mut bytes = Vec::new();
            for text in values {
                let length = u32::try_from(text.len()).expect("no label has 4 GB");
                bytes.extend_from_slice(&length.to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            bytes
        }
    }
}
