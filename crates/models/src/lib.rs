//! Model files to predictions.
//!
//! What was saved from Python is read as data, never executed, and evaluated natively. This crate knows no HTTP, no
//! async and no Kubernetes.

mod batch;
mod error;
mod prediction;
mod signature;

pub use batch::{Batch, Column, Columns, Texts, Values};
pub use error::{InputError, InputProblem, LoadError, PredictError};
pub use prediction::{Data, Method, Prediction, Shape};
pub use signature::{DataType, Field, Inputs, Scalar, Signature};
