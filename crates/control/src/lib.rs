//! Keeps the world as the objects say.
//!
//! [`store`] holds Kubernetes objects so that no acknowledged write is lost. [`local`] is one machine as a [`Cluster`]:
//! replicas are processes, load balancers have loopback addresses. [`Control`] is the loop that compiles objects to a
//! plan for the data plane, has replicas run, and writes statuses and Events.
//!
//! The data plane is met only through two channels of plain values: the plan goes down, what was observed comes up.
//! Nothing here knows a request, a model or a listener.

mod cluster;
mod conditions;
mod control;
mod events;
pub mod fuzzing;
pub mod local;
pub mod store;

pub use cluster::Cluster;
pub use control::{Binding, Control, Settings};
pub use events::{Event, EventSeverity};
