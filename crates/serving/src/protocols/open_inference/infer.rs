//! Inference: tensors in, tensors out.

use models::{Data, Method, Prediction};
use net::StatusCode;

use super::id::new_id;
use crate::Style;
use crate::call::{Asked, Output, Question};
use crate::decode::{self, Datatype, Tensor};
use crate::fault::{Cause, Fault, list, nearest, quoted};
use crate::json::write::{Dialect, Writer};
use crate::json::{Kind, Reader, Scalar};
use crate::model_set::Entry;
use crate::reply::Reply;

/// How long the name of a request may be.
const LONGEST_ID: usize = 256;
/// How many dimensions a tensor may have.
const MOST_DIMENSIONS: usize = 8;

/// What is read of a request before its data.
#[derive(Default)]
struct Envelope<'a> {
    id: Option<String>,
    is_table: Option<bool>,
    tensors: Option<Vec<Tensor<'a>>>,
    outputs: Option<Vec<String>>,
}

pub(super) fn ask(question: &Question<'_>) -> Result<Asked, Fault> {
    question.require_json()?;
    let envelope = envelope(&mut Reader::new(question.body))?;
    let Some(mut tensors) = envelope.tensors else {
        return Err(Fault::new(Cause::Format, "expected an object with `inputs`"));
    };
    for tensor in &mut tensors {
        tensor.is_column |= envelope.is_table == Some(true);
    }
    let decoded = decode::tensors(&mut tensors, question.schema, question.body.len())?;
    let asked = question.asked(decoded);
    let outputs = match envelope.outputs {
        Some(names) if !names.is_empty() => wanted(names, question)?,
        _ => asked.outputs,
    };
    Ok(Asked { outputs, id: envelope.id, ..asked })
}

fn envelope<'a>(reader: &mut Reader<'a>) -> Result<Envelope<'a>, Fault> {
    let mut envelope = Envelope::default();
    if reader.peek()? != Kind::Object {
        return Err(Fault::new(Cause::Format, "expected an object with `inputs`"));
    }
    let mut members = reader.object()?;
    while let Some(key) = members.next(reader)? {
        match key.as_ref() {
            "id" => once(&mut envelope.id, request_id(reader)?, "$.id")?,
            "parameters" => once(&mut envelope.is_table, is_table(reader, "$.parameters")?, "$.parameters")?,
            "inputs" => once(&mut envelope.tensors, inputs(reader)?, "$.inputs")?,
            "outputs" => once(&mut envelope.outputs, outputs(reader)?, "$.outputs")?,
            _ => reader.skip()?,
        }
    }
    reader.end()?;
    Ok(envelope)
}

fn once<T>(place: &mut Option<T>, value: T, path: &str) -> Result<(), Fault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::new(Cause::Format, "stands there twice").at(path)),
    }
}

fn request_id(reader: &mut Reader<'_>) -> Result<String, Fault> {
    match reader.scalar()? {
        Scalar::Null => Ok(new_id()),
        Scalar::Text(id) if id.len() <= LONGEST_ID => Ok(id.into_owned()),
        _ => {
            let problem = format!("expected a text of at most {LONGEST_ID} bytes");
            Err(Fault::new(Cause::Format, problem).at("$.id"))
        }
    }
}

/// Reads parameters, and says whether they call what they belong to a table, or a column of one.
fn is_table(reader: &mut Reader<'_>, path: &str) -> Result<bool, Fault> {
    if reader.peek()? == Kind::Null {
        reader.skip()?;
        return Ok(false);
    }
    let mut is_table = false;
    let mut members = reader.object()?;
    while let Some(key) = members.next(reader)? {
        if key != "content_type" {
            reader.skip()?;
            continue;
        }
        let content_type = reader.text()?;
        is_table = match content_type.as_ref() {
            "pd" | "dict" => true,
            "np" | "str" | "datetime" => false,
            other => {
                let problem =
                    format!("expected `pd`, `dict`, `np`, `str` or `datetime`, got {}", quoted(other));
                return Err(Fault::new(Cause::Format, problem).at(format!("{path}.content_type")));
            }
        };
    }
    Ok(is_table)
}

fn inputs<'a>(reader: &mut Reader<'a>) -> Result<Vec<Tensor<'a>>, Fault> {
    let mut tensors = Vec::new();
    let mut items = reader.array()?;
    while items.next(reader)? {
        tensors.push(input(reader, tensors.len())?);
    }
    Ok(tensors)
}

fn input<'a>(reader: &mut Reader<'a>, index: usize) -> Result<Tensor<'a>, Fault> {
    let (mut name, mut shape, mut datatype, mut data, mut is_column) = (None, None, None, None, None);
    let path = |key: &str| format!("$.inputs[{index}].{key}");
    let mut members = reader.object()?;
    while let Some(key) = members.next(reader)? {
        match key.as_ref() {
            "name" => once(&mut name, reader.text()?.into_owned(), "$.inputs[*].name")?,
            "shape" => once(&mut shape, read_shape(reader, index)?, "$.inputs[*].shape")?,
            "datatype" => {
                once(&mut datatype, Datatype::parse(&reader.text()?, index)?, "$.inputs[*].datatype")?;
            }
            "parameters" => {
                let is_pd = is_table(reader, "$.inputs[*].parameters")?;
                once(&mut is_column, is_pd, "$.inputs[*].parameters")?;
            }
            "data" => {
                once(&mut data, reader.clone(), "$.inputs[*].data")?;
                reader.skip()?;
            }
            _ => reader.skip()?,
        }
    }
    let missing = |key: &str| Fault::new(Cause::Format, "is missing").at(path(key));
    Ok(Tensor {
        name: name.unwrap_or_default(),
        shape: shape.ok_or_else(|| missing("shape"))?,
        datatype: datatype.ok_or_else(|| missing("datatype"))?,
        is_column: is_column.unwrap_or(false),
        data: data.ok_or_else(|| missing("data"))?,
    })
}

fn read_shape(reader: &mut Reader<'_>, index: usize) -> Result<Vec<usize>, Fault> {
    let mut shape = Vec::new();
    let mut items = reader.array()?;
    while items.next(reader)? {
        let length = match reader.scalar()? {
            Scalar::Long(length) => usize::try_from(length).ok(),
            _ => None,
        };
        match length {
            Some(length) if shape.len() < MOST_DIMENSIONS => shape.push(length),
            _ => {
                let problem = format!("expected at most {MOST_DIMENSIONS} whole numbers");
                return Err(Fault::new(Cause::Format, problem).at(format!("$.inputs[{index}].shape")));
            }
        }
    }
    Ok(shape)
}

/// Reads the names of the outputs that are wanted.
fn outputs(reader: &mut Reader<'_>) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    let mut items = reader.array()?;
    while items.next(reader)? {
        let mut members = reader.object()?;
        let mut name = None;
        while let Some(key) = members.next(reader)? {
            match key.as_ref() {
                "name" => once(&mut name, reader.text()?.into_owned(), "$.outputs[*].name")?,
                _ => reader.skip()?,
            }
        }
        let Some(name) = name else {
            return Err(
                Fault::new(Cause::Format, "is missing").at(format!("$.outputs[{}].name", names.len()))
            );
        };
        if names.len() == Method::ALL.len() {
            return Err(Fault::new(Cause::Format, "more outputs than there are").at("$.outputs"));
        }
        names.push(name);
    }
    Ok(names)
}

/// What the model is asked for, by the names of the outputs.
fn wanted(names: Vec<String>, question: &Question<'_>) -> Result<Vec<Output>, Fault> {
    let default_name = question.default_output;
    let known = question.methods;
    let find = |(index, name): (usize, String)| {
        let by_name = known.iter().copied().find(|method| method.as_str() == name);
        let method = if name == default_name {
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
        Ok(Output { method, name: Some(name) })
    };
    names.into_iter().enumerate().map(find).collect()
}

pub(super) fn tell(entry: &Entry, asked: &Asked, predictions: &[Prediction]) -> Reply {
    let style = entry.style;
    let n_values: usize = predictions.iter().map(|prediction| prediction.data.len()).sum();
    let mut json = Writer::new(Dialect::Compact, 256 + 20 * n_values);
    json.raw("{\"model_name\":").text(&entry.name).raw(",\"model_version\":");
    match &entry.version {
        Some(version) => json.text(version),
        None => json.raw("null"),
    };
    json.raw(",\"id\":");
    match &asked.id {
        Some(id) => json.text(id),
        None => json.text(&new_id()),
    };
    json.raw(match style {
        Style::MlServer if entry.is_mlflow() => ",\"parameters\":{\"content_type\":\"np\"},\"outputs\":",
        Style::MlServer => ",\"parameters\":{},\"outputs\":",
        Style::KServe => ",\"parameters\":null,\"outputs\":",
    });
    json.list(asked.outputs.iter().zip(predictions), |json, (output, prediction)| {
        let name = output.name.as_deref().unwrap_or(entry.default_output());
        write_output(json, name, prediction, style);
    });
    json.raw("}");
    Reply::json(StatusCode::OK, json)
}

fn write_output(json: &mut Writer, name: &str, prediction: &Prediction, style: Style) {
    let n_columns = match (prediction.shape.n_columns, style) {
        (None, Style::MlServer) => Some(1),
        (n_columns, _) => n_columns,
    };
    json.raw("{\"name\":").text(name).raw(",\"shape\":");
    let shape = [Some(prediction.shape.n_rows), n_columns];
    json.list(shape.into_iter().flatten(), |json, length| _ = json.long(length as i64));
    json.raw(",\"datatype\":").raw(match prediction.data {
        Data::Double(_) => "\"FP64\"",
        Data::Float(_) => "\"FP32\"",
        Data::Long(_) => "\"INT64\"",
        Data::Integer(_) => "\"INT32\"",
        Data::Boolean(_) => "\"BOOL\"",
        Data::Text(_) => "\"BYTES\"",
    });
    json.raw(match style {
        Style::MlServer => ",\"parameters\":{\"content_type\":\"np\"},\"data\":",
        Style::KServe => ",\"parameters\":null,\"data\":",
    });
    json.data(&prediction.data).raw("}");
}
