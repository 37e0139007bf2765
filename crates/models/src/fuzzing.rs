//! What fuzzers call: every parser of the crate, on any bytes. Nothing may panic, and nothing may take without bound.

use crate::fault::Fault;
use crate::formats::numpy::npy;
use crate::formats::{self, Content, document};
use crate::model::Assembly;
use crate::{Description, catboost, features, lightgbm, xgboost};

/// Reads bytes as a model file of any format, and asks the model if there is one.
pub fn model_file(data: &[u8]) {
    ask(formats::read(data, None, None));
}

/// Reads bytes as a pickle, and asks the model if there is one.
pub fn pickle(data: &[u8]) {
    ask(formats::load_pickle(data, None));
    ask(formats::load_pickle(data, Some("model.0")));
}

/// Reads bytes as a skops file, and asks the model if there is one.
pub fn skops(data: &[u8]) {
    ask(formats::skops::load(data));
}

/// Reads bytes as a JSON file of a boosting library, and asks the model if there is one.
pub fn json(data: &[u8]) {
    ask(document::json::read(data).and_then(|document| formats::load_document(&document, "JSON", None)));
}

/// Reads bytes as a UBJSON file of a boosting library, and asks the model if there is one.
pub fn ubjson(data: &[u8]) {
    ask(document::ubjson::read(data).and_then(|document| formats::load_document(&document, "UBJSON", None)));
}

/// Reads bytes as a binary file of XGBoost, and asks the model if there is one.
pub fn xgboost_binary(data: &[u8]) {
    ask(xgboost::load_binary(data, None));
}

/// Reads bytes as a text file of LightGBM, and asks the model if there is one.
pub fn lightgbm(data: &[u8]) {
    ask(lightgbm::load(data, None));
}

/// Reads bytes as a `cbm` file of CatBoost, and asks the model if there is one.
pub fn cbm(data: &[u8]) {
    ask(catboost::load_cbm(data));
}

/// Reads bytes as an ONNX file, and asks the model if there is one.
pub fn onnx(data: &[u8]) {
    ask(crate::onnx::load(data));
}

/// Reads bytes as a numpy file.
pub fn npy(data: &[u8]) {
    let _ = npy::read(data);
}

/// Reads bytes as the `MLmodel` file of a folder.
pub fn mlmodel(data: &[u8]) {
    let _ = formats::mlflow::parse(&String::from_utf8_lossy(data));
}

/// Reads bytes as a `forebay.yaml`.
pub fn features(data: &[u8]) {
    let _ = features::parse(&String::from_utf8_lossy(data));
}

/// Reads bytes as an expression of a feature, and computes it.
pub fn expression(data: &[u8]) {
    features::compute(&String::from_utf8_lossy(data));
}

fn ask(content: Result<Content, Fault>) {
    let Ok(content) = content else { return };
    let assembly = Assembly {
        step: content.step,
        names: content.names,
        features: None,
        signature: None,
        example: None,
        declared_example: None,
        method: None,
        threshold: None,
        description: Description::default(),
    };
    let Ok(model) = assembly.finish() else { return };
    for method in model.methods() {
        let _ = model.predict(*method, model.example());
    }
}

#[cfg(test)]
mod tests;
