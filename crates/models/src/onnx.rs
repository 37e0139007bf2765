//! ONNX models: graphs of operators, run as they are.
//!
//! A file is read ([`file`]), its graph is sorted and checked and what is constant in it computed ([`graph`]), and the
//! nodes that an answer needs are run one after another ([`operators`]). Numbers of 32 bits stay such, and are summed in
//! the order in which onnxruntime does it, so that the same numbers come out.
//!
//! What this is not: a runtime for any graph. The operators are those that scikit-learn, XGBoost and LightGBM models are
//! converted to; a graph with others, or with attributes that are not known, is given to onnxruntime's library where that is
//! installed ([`engine`]), and else refused by name when it is loaded.

mod engine;
mod file;
mod graph;
#[cfg(feature = "onnxruntime")]
mod library;
mod model;
mod node;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod operators;
mod problem;
mod protobuf;
mod tensor;

use crate::estimator::predictor;
use crate::fault::Fault;
use crate::formats::Content;
use crate::object::Outline;
use model::OnnxModel;
use protobuf::{Message, Wire};

/// Nodes that a model tells of.
const MAX_OUTLINE: usize = 64;

/// Whether bytes are fields of which two are a graph and the versions of its operators.
pub(crate) fn is_likely(data: &[u8]) -> bool {
    /// The version of the format, the graph, and the versions of operators.
    const NEEDED: [u64; 3] = [1, 7, 8];
    /// The greatest number of a field.
    const MAX_NUMBER: u64 = 64;

    let mut found = [false; NEEDED.len()];
    for field in Message::new(data).fields() {
        let Ok(field) = field else { return false };
        match (field.number, field.value) {
            (1, Wire::Varint(_)) | (7 | 8, Wire::Bytes(_)) => {}
            (1 | 7 | 8, _) | (MAX_NUMBER.., _) => return false,
            _ => {}
        }
        for (needed, found) in NEEDED.iter().zip(&mut found) {
            *found |= *needed == field.number;
        }
    }
    found == [true; NEEDED.len()]
}

/// Reads a model.
pub(crate) fn load(data: &[u8]) -> Result<Content, Fault> {
    let file = file::read(data)?;
    let part = |(index, node): (usize, &file::Node)| Outline {
        depth: usize::from(index > 0),
        name: Some(node.name.clone()).filter(|name| !name.is_empty()),
        class: format!("{}.{}", if node.domain.is_empty() { "ai.onnx" } else { &node.domain }, node.operator),
        version: None,
    };
    let outline = file.graph.nodes.iter().take(MAX_OUTLINE).enumerate().map(part).collect();
    let producer = [file.producer.as_str(), file.producer_version.as_str()].join(" ");
    let format = match producer.trim() {
        "" => "ONNX".to_owned(),
        producer => format!("ONNX, {producer}"),
    };
    let model = OnnxModel::new(&file, data)?;
    let names = model.column_names();
    Ok(Content { format, step: predictor(model), names, outline })
}
