//! Model files to predictions.
//!
//! What was saved from Python is read as data, never executed, and evaluated natively. This crate knows no HTTP, no
//! async and no Kubernetes.
//!
//! ```no_run
//! use models::{Batch, Method};
//!
//! let model = models::load("model.joblib".as_ref())?;
//! let rows = Batch::matrix(4, vec![6.8, 2.8, 4.8, 1.4, 6.0, 3.4, 4.5, 1.6]);
//! println!("{:?}", model.predict(Method::Predict, &rows)?.data);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The way of a file: [`load()`] finds it, a format reads it into inert records, an estimator is compiled from those.

mod batch;
mod catboost;
mod categories;
mod classifier;
mod error;
mod estimator;
mod example;
mod fault;
mod features;
mod formats;
#[doc(hidden)]
pub mod fuzzing;
mod lightgbm;
mod load;
mod model;
mod nearest;
mod numbered;
mod numeric;
mod object;
mod onnx;
mod prediction;
mod record;
mod rows;
mod signature;
mod sklearn;
mod trees;
mod xgboost;

pub use batch::{Batch, Column, Columns, Texts, Values};
pub use error::{InputError, InputProblem, LoadError, PredictError};
pub use formats::part::file_and_part;
pub use load::load;
pub use model::{Batching, Description, Model, NamedInput, NamedOutput, Part};
pub use nearest::{folded, nearest};
pub use numbered::position_in_name;
pub use prediction::{Data, Method, NotServed, Prediction, Shape};
pub use signature::{DataType, Field, Inputs, Scalar, Signature};
