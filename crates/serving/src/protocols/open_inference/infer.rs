//! Inference: tensors in, tensors out. How they are written is the matter of others.

use models::{Data, Method, Prediction, nearest};

use super::request::{self, Request};
use super::{ContentType, Wanted, response};
use crate::call::{Asked, Question};
use crate::content::Content;
use crate::decode;
use crate::fault::{Cause, Fault, list, quoted};
use crate::model_set::Entry;
use crate::output::{Ask, Output};
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
    let mut asked = question.asked(decoded, request.beside)?;
    let names_nothing = asked.outputs.iter().all(|output| output.name.is_none());
    if !request.outputs.is_empty() {
        asked.outputs = wanted(request.outputs, asked.chosen_method(), question)?;
    } else if names_nothing && !question.named_outputs.is_empty() {
        let all = (0..question.named_outputs.len()).map(Ask::Output);
        asked.outputs = all.map(|ask| Output { ask, name: None, is_binary: None }).collect();
    }
    for output in &mut asked.outputs {
        output.is_binary.get_or_insert(request.is_binary);
    }
    Ok(Asked { id: request.id, ..asked })
}

/// What the model is asked for, by the names of the outputs: those that its file names, the one that comes unasked, and the
/// methods. A method that is chosen beside them must be what each of them stands for.
fn wanted(
    outputs: Vec<Wanted>,
    chosen: Option<Method>,
    question: &Question<'_>,
) -> Result<Vec<Output>, Fault> {
    let find = |(index, Wanted { name, is_binary }): (usize, Wanted)| {
        let in_file = question.named_outputs.iter().position(|known| known.name == name).map(Ask::Output);
        let by_method = question.methods.iter().copied().find(|method| method.as_str() == name);
        let is_default = question.named_outputs.is_empty() && name == question.default_output;
        // A name that is no method's, as `output-0`, stands for whatever is chosen.
        let unasked = chosen.filter(|chosen| by_method.is_none_or(|method| method == *chosen));
        let unasked = is_default.then(|| Ask::Method(unasked.unwrap_or(question.default_method)));
        let ask = in_file.or(unasked).or(by_method.map(Ask::Method));
        let ask = ask.ok_or_else(|| no_such_output(&name, index, question))?;
        let method = match ask {
            Ask::Method(method) => method,
            Ask::Output(_) => question.default_method,
        };
        match chosen {
            Some(chosen) if chosen != method => Err(contradiction(&name, index, chosen)),
            _ => Ok(Output { ask, name: Some(name), is_binary }),
        }
    };
    outputs.into_iter().enumerate().map(find).collect()
}

fn contradiction(name: &str, index: usize, chosen: Method) -> Fault {
    let problem =
        format!("the request chooses the method `{chosen}`, and asks for the output {}", quoted(name));
    Fault::input(format!("$.outputs[{index}].name"), problem)
        .with_help("name the outputs, or choose a method, but not both")
}

fn no_such_output(name: &str, index: usize, question: &Question<'_>) -> Fault {
    let mut not_served = question.not_served.iter();
    if let Some(not_served) = not_served.find(|not_served| not_served.method.as_str() == name) {
        return Fault::input(format!("$.outputs[{index}].name"), not_served.to_string());
    }
    let in_file = question.named_outputs.iter().map(|output| output.name.as_str());
    let unasked = question.named_outputs.is_empty().then_some(question.default_output);
    let methods = question.methods.iter().map(|method| method.as_str());
    let methods = methods.filter(|method| Some(*method) != unasked);
    let known: Vec<&str> = in_file.chain(unasked).chain(methods).collect();
    let problem = format!("expected one of {}, got {}", list(known.iter().copied()), quoted(name));
    let fault = Fault::input(format!("$.outputs[{index}].name"), problem);
    match nearest(name, known.iter().copied()) {
        Some(near) => fault.with_help(format!("did you mean {near}?")),
        None => fault,
    }
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
    entry: &'a Entry,
    asked: &'a Asked,
    predictions: &'a [Prediction],
) -> Vec<Answered<'a>> {
    let answer = |(output, prediction): (&'a Output, &'a Prediction)| {
        let n_columns = entry.n_columns_of_output(output.ask, prediction.shape.n_columns);
        Answered {
            name: output.name.as_deref().unwrap_or_else(|| entry.name_of_output(output.ask)),
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
