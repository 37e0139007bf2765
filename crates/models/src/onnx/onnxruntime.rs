//! Graphs with operators that we do not have, run by onnxruntime's own library, which is loaded when it is first needed.
//!
//! Only with the feature `onnxruntime`. The library is the one that `ORT_DYLIB_PATH` names, or `libonnxruntime.so` where the
//! system looks for libraries. It is not our code that such a file reaches then; that is why it is off by default.

use std::borrow::Cow;
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor as Value, TensorElementType, ValueType};

use super::file::File;
use super::graph::{self, RunError};
use super::problem::Problem;
use super::tensor::{Shape, Tensor};
use crate::Data;

/// A graph in onnxruntime.
#[derive(Debug)]
pub(super) struct Session {
    // A run changes a session, though none of its answers.
    session: Mutex<ort::session::Session>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

// === impl Session ===

impl Session {
    /// Gives a file to onnxruntime. The error says why it does not take it.
    pub(super) fn new(file: &File, data: &[u8]) -> Result<Self, String> {
        let session = ort::session::Session::builder(environment()?)
            .and_then(|builder| Ok(builder.with_intra_threads(1)?))
            .and_then(|mut builder| builder.commit_from_memory(data))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            session: Mutex::new(session),
            inputs: graph::input_names(&file.graph).map(str::to_owned).collect(),
            outputs: file.graph.outputs.iter().map(|port| port.name.clone()).collect(),
        })
    }

    /// Some outputs for inputs, by their numbers.
    pub(super) fn run(&self, outputs: &[usize], inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        let failed =
            |text: String| RunError { node: "onnxruntime".to_owned(), problem: Problem::of_values(text) };
        let told = |error: ort::Error| failed(error.to_string());
        let mut values: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for (name, tensor) in self.inputs.iter().zip(inputs) {
            values.push((name.into(), value(tensor).map_err(told)?.into()));
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = session.run(values).map_err(told)?;
        let tensor = |output: &usize| {
            let name = &self.outputs[*output];
            let answer = answers.get(name).ok_or_else(|| failed(format!("there is no output `{name}`")))?;
            let tensor = tensor(answer).map_err(told)?;
            tensor.ok_or_else(|| failed(format!("the output `{name}` is of a type that is not known here")))
        };
        outputs.iter().map(tensor).collect()
    }
}

/// The library, loaded once.
fn environment() -> Result<&'static Environment, String> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let load = || {
        let path = std::env::var_os("ORT_DYLIB_PATH").unwrap_or_else(|| "libonnxruntime.so".into());
        let builder = ort::init_from(&path).map_err(|error| {
            format!("`{}` cannot be loaded ({error}); set ORT_DYLIB_PATH", path.display())
        })?;
        builder.with_telemetry(false).build().map_err(|error| error.to_string())
    };
    ENVIRONMENT.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn value(tensor: Tensor) -> Result<DynValue, ort::Error> {
    let lengths = tensor.lengths().to_vec();
    Ok(match tensor.into_data() {
        Data::Float(values) => Value::from_array((lengths, values))?.into_dyn(),
        Data::Double(values) => Value::from_array((lengths, values))?.into_dyn(),
        Data::Integer(values) => Value::from_array((lengths, values))?.into_dyn(),
        Data::Long(values) => Value::from_array((lengths, values))?.into_dyn(),
        Data::Boolean(values) => Value::from_array((lengths, values))?.into_dyn(),
        Data::Text(texts) => Value::from_string_array((lengths, &*texts))?.into_dyn(),
    })
}

/// An answer as our own executor would give it; `None` for sequences, maps and types that we have not.
fn tensor(value: &DynValue) -> Result<Option<Tensor>, ort::Error> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else { return Ok(None) };
    let lengths: Vec<usize> = shape.iter().map(|length| usize::try_from(*length).unwrap_or(0)).collect();
    let data = match ty {
        TensorElementType::Float32 => Data::Float(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::Float64 => Data::Double(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::Int32 => Data::Integer(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::Int64 => Data::Long(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::Bool => Data::Boolean(value.try_extract_tensor()?.1.to_vec()),
        TensorElementType::String => Data::Text(value.try_extract_strings()?.1),
        _ => return Ok(None),
    };
    Ok(Shape::new(&lengths).ok().map(|shape| Tensor::new(shape, data)))
}
