//! The protocols that are spoken, all but gRPC on one port. A protocol is a file here and a line in the table.

mod grpc;
mod kserve_v1;
mod mlflow;
pub(crate) mod open_inference;
mod platform;
mod retail;

pub(crate) use open_inference::datatype_of;

use crate::fault::Fault;
use crate::reply::Reply;
use crate::route::Route;

/// A protocol: paths, and how faults are told on them.
pub(crate) struct Protocol {
    /// What metrics call it.
    pub(crate) name: &'static str,
    /// What the reference calls it.
    pub(crate) title: &'static str,
    /// Who speaks it, in one sentence for the reference.
    pub(crate) doc: &'static str,
    /// Its paths. Of two patterns that stand for one path, the first counts.
    pub(crate) routes: &'static [Route],
    /// Tells a fault in its own way.
    pub(crate) refuse: fn(&Fault) -> Reply,
}

/// All protocols. The first is the one that most requests are in.
pub(crate) static PROTOCOLS: &[Protocol] = &[
    mlflow::PROTOCOL,
    kserve_v1::PROTOCOL,
    open_inference::PROTOCOL,
    retail::PROTOCOL,
    platform::PROTOCOL,
    grpc::PROTOCOL,
];

/// The protocol of paths that no protocol knows.
pub(crate) const FALLBACK: usize = 4;
/// The protocol that has a port of its own.
pub(crate) const GRPC: usize = 5;
