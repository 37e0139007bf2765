//! Kubernetes YAML to a plan.
//!
//! Everything here is a pure function of text and objects: no file is opened, no clock read, no cluster asked.

mod finding;
mod object;
mod workload;

pub use finding::{Finding, Location, Severity};
pub use object::{Kind, Object, Objects, Source};
pub use workload::{Container, ContainerPort, Probe, ProbeHandler, Program, Rollout, Workload};
