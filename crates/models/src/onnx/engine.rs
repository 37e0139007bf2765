//! What runs a graph: our own executor, or onnxruntime where that is built in and a graph needs more.

use super::file::File;
use super::graph::{self, Graph, Plan, RunError};
#[cfg(feature = "onnxruntime")]
use super::onnxruntime::Session;
use super::tensor::Tensor;
use crate::fault::Fault;

/// What runs a graph.
#[derive(Debug)]
pub(super) enum Engine {
    Own(Graph),
    #[cfg(feature = "onnxruntime")]
    Onnxruntime(Session),
}

// === impl Engine ===

impl Engine {
    /// Makes a graph ready. `data` is the file that it was read from.
    pub(super) fn new(file: &File, data: &[u8]) -> Result<Self, Fault> {
        match graph::compile(&file.graph, &file.opsets, &[]) {
            Ok(graph) => Ok(Self::Own(graph)),
            Err(Fault::Unsupported { what, help }) => Self::for_more(file, data, what, help),
            Err(fault) => Err(fault),
        }
    }

    /// The engine for a graph that is more than our own executor runs.
    #[cfg(feature = "onnxruntime")]
    fn for_more(file: &File, data: &[u8], what: String, help: Option<String>) -> Result<Self, Fault> {
        Session::new(file, data).map(Self::Onnxruntime).map_err(|problem| Fault::Unsupported {
            what,
            help: Some(help.map_or(problem.clone(), |help| problem.clone() + "; " + &help)),
        })
    }

    /// The engine for a graph that is more than our own executor runs: none, in this build.
    #[cfg(not(feature = "onnxruntime"))]
    fn for_more(_: &File, _: &[u8], what: String, help: Option<String>) -> Result<Self, Fault> {
        const OTHER: &str = "a build with the feature `onnxruntime` gives it to onnxruntime";
        Err(Fault::Unsupported {
            what,
            help: Some(help.map_or(OTHER.to_owned(), |help| help + "; " + OTHER)),
        })
    }

    /// What some of the outputs need.
    pub(super) fn plan(&self, outputs: &[usize]) -> Plan {
        match self {
            Self::Own(graph) => graph.plan(outputs),
            #[cfg(feature = "onnxruntime")]
            Self::Onnxruntime(_) => Plan::of_outputs(outputs),
        }
    }

    /// The outputs of a plan, in its order.
    pub(super) fn run(&self, plan: &Plan, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
        match self {
            Self::Own(graph) => graph.run(plan, inputs),
            #[cfg(feature = "onnxruntime")]
            Self::Onnxruntime(session) => session.run(plan.outputs(), inputs),
        }
    }
}
