//! A request as it stands in JSON, with the bytes of tensors after it when a header field says where they begin.

use super::{ContentType, Wanted};
use crate::call::Beside;
use crate::decode::{Data, Datatype, Elements, Json, Tensor, describe};
use crate::fault::{Cause, Fault, quoted};
use crate::id::new_id;
use crate::json::{Kind, Reader, Scalar};

/// How long the name of a request may be.
pub(crate) const LONGEST_ID: usize = 256;
/// How many outputs a request may want.
pub(crate) const MOST_OUTPUTS: usize = 64;
/// How many dimensions a tensor may have.
pub(crate) const MOST_DIMENSIONS: usize = 8;

/// A request, but for the data of its tensors.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) id: Option<String>,
    pub(crate) content_type: ContentType,
    pub(crate) tensors: Vec<Tensor<'a>>,
    pub(crate) outputs: Vec<Wanted>,
    /// Whether outputs are sent as bytes that do not say.
    pub(crate) is_binary: bool,
    /// What else it says.
    pub(crate) beside: Beside,
}

/// What parameters say, as far as it is read.
#[derive(Debug, Default)]
struct Parameters {
    content_type: ContentType,
    binary_data_size: Option<usize>,
    /// `binary_data_output` of a request, or `binary_data` of an output.
    is_binary: Option<bool>,
}

/// A tensor, and how many of the bytes after the JSON are its data.
struct Input<'a> {
    tensor: Tensor<'a>,
    n_bytes: Option<usize>,
}

/// Reads a request. `binary` is what stands after the JSON, if a header field says where that ends.
pub(super) fn read<'a>(json: &'a [u8], binary: Option<&'a [u8]>) -> Result<Request<'a>, Fault> {
    let expected = || Fault::new(Cause::Format, "expected an object with `inputs`");
    let reader = &mut Reader::new(json);
    if reader.peek()? != Kind::Object {
        return Err(expected());
    }
    let (mut id, mut parameters, mut inputs, mut outputs) = (None, None, None, None);
    let mut beside = Beside::default();
    let mut members = reader.object()?;
    while let Some(key) = members.next(reader)? {
        match key.as_ref() {
            "id" => once(&mut id, read_id(reader)?, "$.id")?,
            "parameters" => {
                let read = read_parameters(reader, REQUEST_PARAMETERS, &mut beside)?;
                once(&mut parameters, read, REQUEST_PARAMETERS)?;
            }
            "inputs" => once(&mut inputs, read_inputs(reader, &mut beside)?, "$.inputs")?,
            "outputs" => once(&mut outputs, read_outputs(reader, &mut beside)?, "$.outputs")?,
            key => beside.skip(reader, key)?,
        }
    }
    reader.end()?;
    let parameters = parameters.unwrap_or_default();
    Ok(Request {
        id,
        content_type: parameters.content_type,
        tensors: with_bytes(inputs.ok_or_else(expected)?, binary)?,
        outputs: outputs.unwrap_or_default(),
        is_binary: parameters.is_binary.unwrap_or(false),
        beside,
    })
}

fn once<T>(place: &mut Option<T>, value: T, path: &str) -> Result<(), Fault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::new(Cause::Format, "stands there twice").at(path)),
    }
}

fn read_id(reader: &mut Reader<'_>) -> Result<String, Fault> {
    match reader.scalar()? {
        Scalar::Null => Ok(new_id()),
        Scalar::Text(id) if id.len() <= LONGEST_ID => Ok(id.into_owned()),
        _ => Err(wrong_id()),
    }
}

/// The fault of a name that no request may have.
pub(crate) fn wrong_id() -> Fault {
    Fault::new(Cause::Format, format!("expected a text of at most {LONGEST_ID} bytes")).at("$.id")
}

/// Where the parameters of a request stand, of which one chooses the method.
const REQUEST_PARAMETERS: &str = "$.parameters";

fn read_parameters(reader: &mut Reader<'_>, path: &str, beside: &mut Beside) -> Result<Parameters, Fault> {
    let mut parameters = Parameters::default();
    if reader.peek()? == Kind::Null {
        reader.skip()?;
        return Ok(parameters);
    }
    let mut members = reader.object()?;
    while let Some(key) = members.next(reader)? {
        match key.as_ref() {
            "content_type" => parameters.content_type = ContentType::parse(&reader.text()?, path)?,
            "binary_data_size" => match reader.scalar()? {
                Scalar::Long(n_bytes) if n_bytes >= 0 => {
                    parameters.binary_data_size = usize::try_from(n_bytes).ok();
                }
                _ => return Err(expected("a number of bytes", path, &key)),
            },
            "binary_data" | "binary_data_output" => match reader.scalar()? {
                Scalar::Boolean(is_binary) => parameters.is_binary = Some(is_binary),
                _ => return Err(expected("true or false", path, &key)),
            },
            "method" if path == REQUEST_PARAMETERS => beside.read_method(reader, "$.parameters.method")?,
            key => beside.skip(reader, &format!("{}.{key}", path.trim_start_matches("$.")))?,
        }
    }
    Ok(parameters)
}

fn expected(what: &str, path: &str, key: &str) -> Fault {
    Fault::new(Cause::Format, format!("expected {what}")).at(format!("{path}.{key}"))
}

fn read_inputs<'a>(reader: &mut Reader<'a>, beside: &mut Beside) -> Result<Vec<Input<'a>>, Fault> {
    let mut inputs = Vec::new();
    let mut items = reader.array()?;
    while items.next(reader)? {
        inputs.push(read_input(reader, inputs.len(), beside)?);
    }
    Ok(inputs)
}

fn read_input<'a>(reader: &mut Reader<'a>, index: usize, beside: &mut Beside) -> Result<Input<'a>, Fault> {
    let (mut name, mut shape, mut datatype, mut data, mut parameters) = (None, None, None, None, None);
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
                let read = read_parameters(reader, "$.inputs[*].parameters", beside)?;
                once(&mut parameters, read, "$.inputs[*].parameters")?;
            }
            "data" => once(&mut data, Json::take(reader)?, "$.inputs[*].data")?,
            _ => reader.skip()?,
        }
    }
    let missing = |key: &str| Fault::new(Cause::Format, "is missing").at(path(key));
    let Parameters { content_type, binary_data_size: n_bytes, .. } = parameters.unwrap_or_default();
    let shape = shape.ok_or_else(|| missing("shape"))?;
    let datatype = datatype.ok_or_else(|| missing("datatype"))?;
    let data = match (data, n_bytes) {
        (Some(data), None) => Data::Json(data),
        (None, Some(_)) => Data::Raw(&[]),
        (None, None) => return Err(missing("data")),
        (Some(_), Some(_)) => {
            let problem = "the data is here, and is said to be after the JSON: one of the two must go";
            return Err(Fault::new(Cause::Format, problem).at(path("data")));
        }
    };
    let tensor = Tensor {
        name: name.unwrap_or_default(),
        shape,
        elements: Elements { datatype, is_base64: content_type == ContentType::Base64 },
        is_column: content_type == ContentType::Table,
        data,
    };
    Ok(Input { tensor, n_bytes })
}

fn read_shape(reader: &mut Reader<'_>, index: usize) -> Result<Vec<usize>, Fault> {
    let mut shape = Vec::new();
    let mut items = reader.array()?;
    while items.next(reader)? {
        let length = reader.scalar()?;
        if shape.len() == MOST_DIMENSIONS {
            return Err(more_dimensions(index));
        }
        let whole = match length {
            Scalar::Long(length) => usize::try_from(length).ok(),
            _ => None,
        };
        shape.push(whole.ok_or_else(|| no_length(index, shape.len(), &length))?);
    }
    Ok(shape)
}

/// The fault of a shape that is too long.
pub(crate) fn more_dimensions(index: usize) -> Fault {
    let problem = format!("expected at most {MOST_DIMENSIONS} dimensions, got more");
    Fault::new(Cause::Format, problem).at(format!("$.inputs[{index}].shape"))
}

/// The fault of a dimension that is no length.
pub(crate) fn no_length(index: usize, dimension: usize, got: &Scalar<'_>) -> Fault {
    let problem = format!("expected a whole number of elements, got {}", describe(got));
    Fault::new(Cause::Format, problem).at(format!("$.inputs[{index}].shape[{dimension}]"))
}

/// Gives each tensor its bytes, one after another as the tensors stand.
fn with_bytes<'a>(inputs: Vec<Input<'a>>, binary: Option<&'a [u8]>) -> Result<Vec<Tensor<'a>>, Fault> {
    let mut rest = binary.unwrap_or_default();
    let mut tensors = Vec::with_capacity(inputs.len());
    for (index, Input { mut tensor, n_bytes }) in inputs.into_iter().enumerate() {
        if let Some(n_bytes) = n_bytes {
            let at = || format!("$.inputs[{index}].parameters.binary_data_size");
            if binary.is_none() {
                let fault =
                    Fault::new(Cause::Format, "the request does not say where its JSON ends").at(at());
                return Err(fault.with_help("send `inference-header-content-length`"));
            }
            let Some((bytes, after)) = rest.split_at_checked(n_bytes) else {
                let name = quoted(&tensor.name);
                let problem = format!("tensor {name}: expected {n_bytes} bytes, got {} left", rest.len());
                return Err(Fault::new(Cause::Format, problem).at(at()));
            };
            tensor.data = Data::Raw(bytes);
            rest = after;
        }
        tensors.push(tensor);
    }
    if rest.is_empty() {
        return Ok(tensors);
    }
    let problem = format!("{} bytes after the JSON belong to no tensor", rest.len());
    Err(Fault::new(Cause::Format, problem).with_help("say `binary_data_size` of each"))
}

/// Reads which outputs are wanted, and how.
fn read_outputs(reader: &mut Reader<'_>, beside: &mut Beside) -> Result<Vec<Wanted>, Fault> {
    let mut outputs = Vec::new();
    let mut items = reader.array()?;
    while items.next(reader)? {
        let (mut name, mut parameters) = (None, None);
        let mut members = reader.object()?;
        while let Some(key) = members.next(reader)? {
            match key.as_ref() {
                "name" => once(&mut name, reader.text()?.into_owned(), "$.outputs[*].name")?,
                "parameters" => {
                    let read = read_parameters(reader, "$.outputs[*].parameters", beside)?;
                    once(&mut parameters, read, "$.outputs[*].parameters")?;
                }
                _ => reader.skip()?,
            }
        }
        let Some(name) = name else {
            let fault = Fault::new(Cause::Format, "is missing");
            return Err(fault.at(format!("$.outputs[{}].name", outputs.len())));
        };
        if outputs.len() == MOST_OUTPUTS {
            return Err(more_outputs());
        }
        outputs.push(Wanted { name, is_binary: parameters.unwrap_or_default().is_binary });
    }
    Ok(outputs)
}

/// The fault of a request that wants one thing again and again.
pub(crate) fn more_outputs() -> Fault {
    Fault::new(Cause::Format, "more outputs than there are").at("$.outputs")
}
