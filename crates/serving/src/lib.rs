//! The model server: models over HTTP, in the protocols that clients of MLflow, KServe and MLServer speak.
//!
//! A [`Server`] is a [`net::Handler`] factory; connections and their limits are `net`'s, models are `models`'. What comes
//! in is read straight into typed columns, predicted, and written back in the protocol it came in.
//!
//! ```text
//! request → route → model → decode → models::Batch → predict → encode → response
//! ```
//!
//! This crate knows nothing of load balancers, Kubernetes, or where models are kept.

mod admin;
mod batching;
mod cache;
mod call;
mod compute;
mod content;
mod content_encoding;
mod decode;
mod docs;
mod example;
mod fault;
#[doc(hidden)]
pub mod fuzzing;
#[doc(hidden)]
pub mod grpc;
mod handler;
mod id;
mod json;
mod metrics;
mod model_set;
mod openapi;
mod output;
mod pattern;
mod prediction;
mod prediction_log;
mod protocols;
mod queue;
mod reply;
mod repository;
mod route;
mod row_file;
mod server;
mod settings;
mod shared;
mod spans;
mod told;
mod unrouted;
mod view;

pub use content_encoding::RATIO;
pub use handler::ServerHandler;
pub use metrics::ShownCertificate;
pub use model_set::{DuplicateName, LoadedModel, ModelState, ServedModel, Style};
pub use prediction_log::{LogMode, LogSettings, LogTarget, NotASink, PredictionLog, Sink};
pub use repository::{Repository, RepositoryError};
pub use row_file::{RowFormat, RowsError, read_rows};
pub use server::Server;
pub use settings::Settings;
