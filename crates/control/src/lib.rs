//! Keeps the world as the objects say.

mod cluster;
mod conditions;
mod events;
pub mod fuzzing;
pub mod local;
pub mod store;

pub use cluster::Cluster;
pub use events::{Event, EventSeverity};
