//! What fuzzers call: every parser of the crate, on any bytes. Nothing may panic, and nothing may take without bound.

use crate::formats::numpy::npy;
use crate::{features, formats};

/// Reads bytes as a model file of any format.
pub fn model_file(data: &[u8]) {
    let _ = formats::read(data);
}

/// Reads bytes as a pickle, and makes a model of it.
pub fn pickle(data: &[u8]) {
    let _ = formats::load_pickle(data);
}

/// Reads bytes as a skops file.
pub fn skops(data: &[u8]) {
    let _ = formats::skops::load(data);
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
