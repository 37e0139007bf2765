//! The methods that may be called, and what answers them.

use std::time::Instant;

use net::{Bytes, StatusCode};
use prost::Message;

use super::infer::INFER;
use super::messages::{
    Health, HealthRequest, Index, IndexRequest, IndexedModel, ModelMetadata, ModelName, RepositoryModel,
    ServerMetadata, TensorMetadata, Truth,
};
use super::triton;
use crate::call::find_model;
use crate::content::Content;
use crate::decode::datatype_name;
use crate::fault::{Cause, Fault, quoted};
use crate::handler::ServerHandler;
use crate::metrics::{Metrics, Outcome};
use crate::model_set::{Entry, ModelSet};
use crate::prediction::Inquiry;
use crate::protocols::GRPC;
use crate::protocols::open_inference::{
    Described, EXTENSIONS, Indexed, SERVER_NAME, index, inputs_of, outputs_of,
};
use crate::reply::{BYTES, Reply};
use crate::repository::{Change, check_parameter};

/// A method that may be called.
pub(super) struct Method {
    pub(super) path: &'static str,
    /// Whether messages come one after another, each with an answer of its own.
    pub(super) is_stream: bool,
    answer: Answer,
}

/// What answers a method.
enum Answer {
    /// What the server knows, at once.
    Page(fn(&ModelSet, &[u8]) -> Written),
    /// What was counted.
    Counts(fn(&ModelSet, &Metrics, &[u8]) -> Written),
    /// A model.
    Infer,
    /// A change of the models.
    Change(Change),
}

/// A message that answers.
pub(super) type Written = Result<Vec<u8>, Fault>;

const SERVICE: &str = "inference.GRPCInferenceService";

pub(super) static METHODS: &[Method] = &[
    method("/inference.GRPCInferenceService/ModelInfer", Answer::Infer),
    Method {
        path: "/inference.GRPCInferenceService/ModelStreamInfer",
        is_stream: true,
        answer: Answer::Infer,
    },
    method("/inference.GRPCInferenceService/ServerLive", Answer::Page(server_live)),
    method("/inference.GRPCInferenceService/ServerReady", Answer::Page(server_ready)),
    method("/inference.GRPCInferenceService/ModelReady", Answer::Page(model_ready)),
    method("/inference.GRPCInferenceService/ServerMetadata", Answer::Page(server_metadata)),
    method("/inference.GRPCInferenceService/ModelMetadata", Answer::Page(model_metadata)),
    method("/inference.GRPCInferenceService/ModelConfig", Answer::Page(triton::model_config)),
    method("/inference.GRPCInferenceService/ModelStatistics", Answer::Counts(triton::model_statistics)),
    method("/inference.GRPCInferenceService/RepositoryIndex", Answer::Page(repository_index)),
    method("/inference.GRPCInferenceService/RepositoryModelLoad", Answer::Change(Change::Load)),
    method("/inference.GRPCInferenceService/RepositoryModelUnload", Answer::Change(Change::Unload)),
    method("/grpc.health.v1.Health/Check", Answer::Page(health)),
];

const fn method(path: &'static str, answer: Answer) -> Method {
    Method { path, is_stream: false, answer }
}

/// Answers a message, and counts it.
pub(super) async fn call(handler: &ServerHandler, method: &Method, message: Bytes) -> Result<Reply, Fault> {
    let start = Instant::now();
    let view = handler.view();
    let (model, reply) = match method.answer {
        Answer::Page(page) => {
            (None, page(view.models(), &message).map(|answer| Reply::new(StatusCode::OK, BYTES, answer)))
        }
        Answer::Counts(page) => {
            let answer = page(view.models(), handler.metrics(), &message);
            (None, answer.map(|answer| Reply::new(StatusCode::OK, BYTES, answer)))
        }
        Answer::Change(change) => (None, self::change(handler, change, &message).await),
        Answer::Infer => match asked_model(view.models(), &message) {
            Err(fault) => (None, Err(fault)),
            Ok(model) => {
                let alias = alias(&view.models().entries()[model], &message);
                let inquiry = Inquiry {
                    predict: INFER,
                    content: Content::Message,
                    method: None,
                    alias,
                    unused: Vec::new(),
                    body: message,
                    event_id: None,
                };
                (Some(model), handler.predict(&view, model, inquiry).await)
            }
        },
    };
    let status = reply.as_ref().map_or_else(|fault| fault.cause.status(), |reply| reply.status);
    let outcome = Outcome { protocol: GRPC.name, status, start, duration: start.elapsed() };
    view.counts_of(model).count_request(outcome);
    reply
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, Fault> {
    M::decode(bytes).map_err(|error| Fault::new(Cause::Format, format!("cannot read the message: {error}")))
}

/// Loads or unloads the model that a message names.
async fn change(handler: &ServerHandler, change: Change, message: &[u8]) -> Result<Reply, Fault> {
    let RepositoryModel { name, parameters } = read(message)?;
    parameters.keys().try_for_each(|name| check_parameter(name))?;
    handler.change(&name, change).await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// The position of the model that a message names.
pub(super) fn asked_model(models: &ModelSet, message: &[u8]) -> Result<usize, Fault> {
    let (name, version) = named(message)?;
    find_model(models, name.as_deref(), version.as_deref())
}

/// What a message calls a model, if that is not its own name.
pub(super) fn alias(entry: &Entry, message: &[u8]) -> Option<String> {
    named(message).ok()?.0.filter(|name| *name != entry.name)
}

/// The model and the version that a message names. What is empty is not named.
pub(super) fn named(message: &[u8]) -> Result<(Option<String>, Option<String>), Fault> {
    let ModelName { name, version } = read(message)?;
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok((given(name), given(version)))
}

fn server_live(_: &ModelSet, _: &[u8]) -> Written {
    Ok(Truth { truth: true }.encode_to_vec())
}

fn server_ready(models: &ModelSet, _: &[u8]) -> Written {
    Ok(Truth { truth: models.is_ready() }.encode_to_vec())
}

/// A model that was unloaded is not ready, as Triton has it; of one that was never here nothing can be said.
fn model_ready(models: &ModelSet, message: &[u8]) -> Written {
    let ModelName { name, .. } = read(message)?;
    if models.position(&name).is_none() && models.unloaded().any(|unloaded| *unloaded == name) {
        return Ok(Truth { truth: false }.encode_to_vec());
    }
    let entry = &models.entries()[asked_model(models, message)?];
    Ok(Truth { truth: entry.ready().is_some() }.encode_to_vec())
}

fn server_metadata(_: &ModelSet, _: &[u8]) -> Written {
    let extensions = EXTENSIONS.iter().map(|extension| (*extension).to_owned()).collect();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(ServerMetadata { name: SERVER_NAME.to_owned(), version, extensions }.encode_to_vec())
}

fn model_metadata(models: &ModelSet, message: &[u8]) -> Written {
    let entry = &models.entries()[asked_model(models, message)?];
    let tensors = |tensors: Vec<Described>| {
        let tensor = |Described { name, datatype, shape }: Described| TensorMetadata {
            name,
            datatype: datatype_name(datatype).to_owned(),
            shape,
        };
        tensors.into_iter().map(tensor).collect()
    };
    let metadata = ModelMetadata {
        name: alias(entry, message).unwrap_or_else(|| entry.name.clone()),
        versions: models.versions(&entry.name).map(str::to_owned).collect(),
        platform: String::new(),
        inputs: tensors(inputs_of(entry)),
        outputs: tensors(outputs_of(entry)),
    };
    Ok(metadata.encode_to_vec())
}

fn repository_index(models: &ModelSet, message: &[u8]) -> Written {
    let IndexRequest { ready } = read(message)?;
    let indexed = |Indexed { name, version, state, reason }: Indexed| IndexedModel {
        name,
        version,
        state: state.to_owned(),
        reason,
    };
    Ok(Index { models: index(models, ready).into_iter().map(indexed).collect() }.encode_to_vec())
}

/// `grpc.health.v1`: the server, or its one service.
fn health(models: &ModelSet, message: &[u8]) -> Written {
    let HealthRequest { service } = read(message)?;
    if !service.is_empty() && service != SERVICE {
        return Err(Fault::new(Cause::NotFound, format!("there is no service {}", quoted(&service))));
    }
    Ok(Health { status: if models.is_ready() { 1 } else { 2 } }.encode_to_vec())
}
