//! Sockets, HTTP connections, per-core runtimes and graceful drain.
//!
//! Whoever answers requests implements [`Handler`] and is run by [`serve`]. This crate knows nothing of load balancers,
//! models or Kubernetes, and nothing of what a handler does.
//!
//! Connections live on one thread from accept to close, so nothing here is `Send` and nothing is locked.

mod body;
mod drain;
mod fields;
mod handler;
mod hyper_driver;
mod listener;
mod message;
mod server;

pub use body::{Body, BodyError, BodyStream, CollectError};
pub use bytes::Bytes;
pub use drain::{Drain, DrainWatch};
pub use fields::Fields;
pub use handler::Handler;
pub use http::{Method, StatusCode, Version};
pub use listener::{BindError, bind, port_owner};
pub use message::{Connection, Request, Response, Target};
pub use server::{Limits, serve};
