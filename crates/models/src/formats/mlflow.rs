//! MLflow model folders: `MLmodel` says what is in them.
//!
//! The native flavour is read and the Python function around it is not, so no code of the folder is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;

use crate::example;
use crate::load::{MAX_SETTINGS_BYTES, inside, read_within};
use crate::{Batch, DataType, Field, Inputs, LoadError, Method, Scalar, Signature};

/// The file that makes a folder one of MLflow's.
pub(crate) const MLMODEL: &str = "MLmodel";

/// A library whose models MLflow saves, and where it says their file is.
struct Flavor {
    name: &'static str,
    file: fn(&FlavorSettings) -> Option<&String>,
}

/// The flavours that are read. A further one is a row.
const FLAVORS: &[Flavor] = &[
    Flavor { name: "sklearn", file: |settings| settings.pickled_model.as_ref() },
    Flavor { name: "catboost", file: |settings| settings.data.as_ref() },
    Flavor { name: "lightgbm", file: |settings| settings.data.as_ref() },
    Flavor { name: "onnx", file: |settings| settings.data.as_ref() },
    Flavor { name: "xgboost", file: |settings| settings.data.as_ref() },
];

/// What a folder says about its model.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) file: PathBuf,
    pub(crate) flavor: &'static str,
    /// The Python class that was saved, where the folder says it.
    pub(crate) class: Option<String>,
    pub(crate) signature: Option<Signature>,
    pub(crate) example: Option<Batch>,
    /// What the Python function of the model calls.
    pub(crate) method: Option<Method>,
    /// Names and versions of libraries.
    pub(crate) libraries: Vec<(String, String)>,
}

/// What an `MLmodel` file says, as far as it is read.
#[derive(Debug, Deserialize)]
pub(crate) struct MlModel {
    flavors: BTreeMap<String, FlavorSettings>,
    #[serde(default)]
    signature: Option<SignatureSettings>,
    #[serde(default)]
    saved_input_example_info: Option<ExampleSettings>,
    #[serde(default)]
    mlflow_version: Option<String>,
}

/// All that is read of any flavour.
#[derive(Debug, Default, Deserialize)]
struct FlavorSettings {
    #[serde(default)]
    pickled_model: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    model_class: Option<String>,
    #[serde(default)]
    catboost_version: Option<String>,
    #[serde(default)]
    lgb_version: Option<String>,
    #[serde(default)]
    onnx_version: Option<String>,
    #[serde(default)]
    xgb_version: Option<String>,
    #[serde(default)]
    sklearn_version: Option<String>,
    #[serde(default)]
    loader_module: Option<String>,
    #[serde(default)]
    predict_fn: Option<String>,
    #[serde(default)]
    python_version: Option<String>,
}

/// Lists of columns, each as JSON in a text.
#[derive(Debug, Deserialize)]
struct SignatureSettings {
    #[serde(default)]
    inputs: Option<String>,
    #[serde(default)]
    outputs: Option<String>,
    #[serde(default)]
    params: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ExampleSettings {
    artifact_path: String,
}

/// A column, a tensor or a parameter of a signature.
#[derive(Debug, Deserialize)]
struct Spec {
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Json,
    #[serde(default)]
    required: Option<bool>,
    #[serde(default)]
    default: Json,
    #[serde(default, rename = "tensor-spec")]
    tensor: Option<TensorSpec>,
}

#[derive(Debug, Deserialize)]
struct TensorSpec {
    dtype: String,
    shape: Vec<i64>,
}

/// Reads what a folder says; `None` if it is none of MLflow's.
pub(crate) fn read(folder: &Path) -> Result<Option<Folder>, LoadError> {
    let path = folder.join(MLMODEL);
    if !path.is_file() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&read_within(folder, &path, MAX_SETTINGS_BYTES)?).into_owned();
    let problem = |problem: String| LoadError::Settings { path: path.clone(), problem };
    let settings = parse(&text).map_err(problem)?;

    let function = settings.flavors.get("python_function");
    let found = FLAVORS.iter().find_map(|flavor| Some((flavor, settings.flavors.get(flavor.name)?)));
    let Some((flavor, native)) = found else { return Err(unknown_flavor(&settings)) };
    let file = (flavor.file)(native);
    let file = file.ok_or_else(|| problem(format!("flavor `{}` does not name its file", flavor.name)))?;

    let signature = settings.signature.as_ref().map(signature).transpose().map_err(problem)?.flatten();
    let example = settings.saved_input_example_info.as_ref().and_then(|info| {
        let bytes = read_within(folder, &inside(folder, &info.artifact_path)?, MAX_SETTINGS_BYTES).ok()?;
        example::parse(&bytes, signature.as_ref())
    });
    let predict_fn = function.and_then(|function| function.predict_fn.as_deref());
    let method = predict_fn.map(str::parse).transpose().map_err(|_| LoadError::Unsupported {
        what: format!("an MLflow model with `predict_fn: {}`", predict_fn.unwrap_or_default()),
        help: Some(format!("it is one of {}", Method::ALL.map(Method::as_str).join(", "))),
    })?;
    let versions = [
        ("scikit-learn", &native.sklearn_version),
        ("catboost", &native.catboost_version),
        ("lightgbm", &native.lgb_version),
        ("onnx", &native.onnx_version),
        ("xgboost", &native.xgb_version),
        ("mlflow", &settings.mlflow_version),
        ("python", &function.and_then(|function| function.python_version.clone())),
    ];
    let libraries =
        versions.into_iter().filter_map(|(name, version)| Some((name.to_owned(), version.clone()?)));
    Ok(Some(Folder {
        file: inside(folder, file).ok_or_else(|| problem(format!("`{file}` is not inside of the folder")))?,
        flavor: flavor.name,
        class: native.model_class.clone(),
        signature,
        example,
        method,
        libraries: libraries.collect(),
    }))
}

/// Reads the text of an `MLmodel` file.
pub(crate) fn parse(text: &str) -> Result<MlModel, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

fn unknown_flavor(settings: &MlModel) -> LoadError {
    let known = FLAVORS.iter().map(|flavor| flavor.name).collect::<Vec<_>>().join(", ");
    let names: Vec<&str> = settings.flavors.keys().map(String::as_str).collect();
    let loader =
        settings.flavors.get("python_function").and_then(|function| function.loader_module.as_deref());
    let what = match loader {
        Some(loader) if names == ["python_function"] => {
            format!("an MLflow model that is Python code (loaded by `{loader}`)")
        }
        _ => format!("an MLflow model of flavor {}", names.join(", ")),
    };
    LoadError::Unsupported { what, help: Some(format!("this build reads the flavors {known}")) }
}

fn signature(settings: &SignatureSettings) -> Result<Option<Signature>, String> {
    let specs = |text: &Option<String>| match text.as_deref() {
        None => Ok(Vec::new()),
        Some(text) => {
            let specs: Option<Vec<Spec>> =
                serde_json::from_str(text).map_err(|error| format!("signature: {error}"))?;
            Ok::<_, String>(specs.unwrap_or_default())
        }
    };
    let inputs = specs(&settings.inputs)?;
    if inputs.is_empty() {
        return Ok(None);
    }
    let inputs = match &inputs[..] {
        [Spec { name: None, tensor: Some(tensor), .. }] => Inputs::Matrix {
            datatype: datatype_of_numpy(&tensor.dtype),
            n_columns: tensor.shape.get(1).and_then(|n| usize::try_from(*n).ok()),
        },
        specs => Inputs::Columns(specs.iter().enumerate().map(field).collect()),
    };
    Ok(Some(Signature {
        inputs,
        outputs: specs(&settings.outputs)?.iter().enumerate().map(field).collect(),
        params: specs(&settings.params)?.iter().enumerate().map(field).collect(),
        is_declared: true,
    }))
}

fn field((index, spec): (usize, &Spec)) -> Field {
    let datatype = match &spec.tensor {
        Some(tensor) => datatype_of_numpy(&tensor.dtype),
        None => spec.kind.as_str().and_then(|name| name.parse().ok()).unwrap_or(DataType::Any),
    };
    let default = match &spec.default {
        Json::Bool(flag) => Some(Scalar::Boolean(*flag)),
        Json::Number(number) => number.as_i64().map(Scalar::Long).or(number.as_f64().map(Scalar::Double)),
        Json::String(text) => Some(Scalar::Text(text.clone())),
        _ => None,
    };
    let name = spec.name.clone().unwrap_or_else(|| format!("output-{index}"));
    let required = spec.required.unwrap_or(default.is_none());
    Field { name, datatype, required, default, takes_missing: !required }
}

/// The name of a numpy type.
fn datatype_of_numpy(dtype: &str) -> DataType {
    match dtype {
        "bool" => DataType::Boolean,
        "int8" | "int16" | "int32" | "uint8" | "uint16" => DataType::Integer,
        "int64" | "uint32" => DataType::Long,
        "float16" | "float32" => DataType::Float,
        "float64" => DataType::Double,
        name if name.starts_with("str") || name.starts_with("<U") => DataType::String,
        _ => DataType::Any,
    }
}
