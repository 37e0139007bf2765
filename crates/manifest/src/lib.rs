//! Kubernetes YAML to a plan.
//!
//! Everything here is a pure function of text and objects: no file is opened, no clock read, no cluster asked.

mod annotations;
mod compile;
mod defaults;
mod finding;
#[doc(hidden)]
pub mod fuzzing;
mod kinds;
mod lints;
mod object;

mod plan_json;
mod read;
mod wire;
mod workload;

pub use annotations::{Annotation, On, annotations};
pub use compile::{Compiled, Route, compile};
pub use defaults::{Defaults, KnownCertificate, Named, ServiceSelection};
pub use finding::{CODES, Code, Finding, Location, Severity, codes, render, sort};
pub use kinds::{KINDS, Kind, kind_named};
pub use object::{Object, Objects, Source};

pub use plan_json::{findings_json, plan_json};
pub use read::{Read, read};
pub use workload::{
    Container, ContainerPort, PodField, Probe, ProbeHandler, Program, Rollout, Workload, workloads,
};
