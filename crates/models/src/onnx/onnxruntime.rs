//! Graphs with operators that we do not have, run by onnxruntime's own library, which is looked for and loaded when it is
//! first needed ([`super::library`]). Without one, this costs nothing.
//!
//! It is not our code that such a file reaches then. Who does not want that has no onnxruntime where Forebay runs, says
//! `ORT_DYLIB_PATH=`, or builds without the feature `onnxruntime`.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor as Value, TensorElementType, ValueType};

use super::file::File;
use super::graph::{self, RunError};
use super::library;
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
    /// Gives a file to onnxruntime. The error says why it does not take it, or how to have it.
    pub(super) fn new(file: &File, data: &[u8]) -> Result<Self, String> {
        let session = ort::session::Session::builder(environment()?)
            .and_then(|builder| Ok(builder.with_intra_threads(1)?))
            .and_then(|mut builder| builder.commit_from_memory(data))
            .map_err(|error| format!("onnxruntime, which might, does not run it: {error}"))?;
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
    ENVIRONMENT.get_or_init(load).as_ref().map_err(Clone::clone)
}

/// Loads the first library that can be used.
fn load() -> Result<Environment, String> {
    if cfg!(target_feature = "crt-static") {
        return Err("a build that is linked dynamically gives it to onnxruntime, this one cannot".to_owned());
    }
    let variables = |name: &str| std::env::var_os(name);
    let paths = library::find(&variables, Path::new("/"), ort::MINOR_VERSION);
    let mut problem = String::new();
    for path in paths.map_err(|error| error.to_string())? {
        match ort::init_from(&path) {
            Ok(builder) => return builder.with_telemetry(false).build().map_err(|error| error.to_string()),
            Err(error) => problem = problem_of(&path, &error),
        }
    }
    Err(problem)
}

fn problem_of(path: &Path, error: &ort::LoadDynamicError) -> String {
    let path = path.display();
    match error {
        ort::LoadDynamicError::BadVersion { version_str, .. } => format!(
            "onnxruntime, which may run it, is there in version {version_str} (`{path}`), and 1.{} or a later 1.x is needed: `pip install --upgrade onnxruntime`",
            ort::MINOR_VERSION
        ),
        error => format!(
            "onnxruntime, which may run it, cannot be loaded from `{path}` ({error}): `pip install onnxruntime`, or set ORT_DYLIB_PATH to its library"
        ),
    }
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
