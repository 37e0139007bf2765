//! The Open Inference Protocol over REST, which KServe calls version 2: `POST /v2/models/iris/infer`.
//!
//! The protocol leaves open what outputs are called and how a flat answer is shaped; [`crate::Style`] chooses whose way.

mod config;
mod index;
mod infer;
mod request;
mod response;
mod statistics;

use models::{DataType, Field, Inputs, NamedInput};
use net::StatusCode;

use super::{Protocol, kserve_v1};
use crate::call::{Call, Predict};
use crate::decode::datatype_name;
use crate::example;
use crate::fault::{Cause, Fault, list, quoted};
use crate::json::write::{Dialect, Writer};
use crate::model_set::{Entry, OutputKind, Ready};
use crate::reply::Reply;
use crate::repository::Change;
use crate::route::{Answer, Route, Verb};

pub(crate) use config::{ModelConfig, config, triton_type};
pub(crate) use index::{Indexed, index, read_index_request};
pub(crate) use infer::{Answered, answers, asked, bytes_of};
pub(crate) use request::{
    LONGEST_ID, MOST_DIMENSIONS, MOST_OUTPUTS, Request, more_dimensions, more_outputs, no_length, wrong_id,
};
pub(crate) use statistics::{ModelStatistics, Timed, statistics};

const INFER: Predict = Predict { ask: infer::ask, tell: infer::tell, example };

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "open_inference",
    title: "Open Inference Protocol V2",
    doc: "What KServe, MLServer and Triton speak.",
    routes: &[
        Route {
            verb: Verb::Post,
            pattern: "/v2/models/{model}/infer",
            doc: "Predicts tensors.",
            answer: Answer::Predict(INFER),
        },
        Route {
            verb: Verb::Post,
            pattern: "/v2/models/{model}/versions/{version}/infer",
            doc: "Predicts tensors, if the model has this version.",
            answer: Answer::Predict(INFER),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2",
            doc: "Name and version of this server.",
            answer: Answer::Page(server),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/health/live",
            doc: "Says that the server runs.",
            answer: Answer::Page(live),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/health/ready",
            doc: "Says whether all models are there: 200, or 503.",
            answer: Answer::Page(ready),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models",
            doc: "The names of the models.",
            answer: Answer::Page(models),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/stats",
            doc: "Counts and times of all models, as Triton tells them.",
            answer: Answer::Page(statistics::page),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/{model}/stats",
            doc: "Counts and times of a model, as Triton tells them.",
            answer: Answer::Page(statistics::page),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/{model}/versions/{version}/stats",
            doc: "Counts and times of a version of a model, as Triton tells them.",
            answer: Answer::Page(statistics::page),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/{model}/config",
            doc: "What a model takes and gives, in the words of Triton's configuration.",
            answer: Answer::Page(config::page),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/{model}/versions/{version}/config",
            doc: "What a version of a model takes and gives, in the words of Triton's configuration.",
            answer: Answer::Page(config::page),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/{model}",
            doc: "What a model takes and gives.",
            answer: Answer::Page(model),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/{model}/versions/{version}",
            doc: "What a model takes and gives, if it has this version.",
            answer: Answer::Page(model),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/{model}/ready",
            doc: "Says whether a model is there: 200, or 503.",
            answer: Answer::Page(model_ready),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v2/models/{model}/versions/{version}/ready",
            doc: "Says whether a model of this version is there: 200, or 503.",
            answer: Answer::Page(model_ready),
        },
        Route {
            verb: Verb::Post,
            pattern: "/v2/repository/index",
            doc: "The models and their states, as MLServer and Triton list them; of `{\"ready\": true}` those that answer.",
            answer: Answer::Read(index::page),
        },
        Route {
            verb: Verb::Post,
            pattern: "/v2/repository/models/{model}/load",
            doc: "Reads a model of the repository, once more if it is there; on the admin address only.",
            answer: Answer::Change(Change::Load),
        },
        Route {
            verb: Verb::Post,
            pattern: "/v2/repository/models/{model}/unload",
            doc: "Ends serving a model of the repository; on the admin address only.",
            answer: Answer::Change(Change::Unload),
        },
    ],
    refuse: kserve_v1::refuse,
};

/// What the data of a tensor, or of all, stands for beyond its numbers and texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ContentType {
    /// Just that.
    #[default]
    Plain,
    /// A column of a table.
    Table,
    /// Texts that are written in base64.
    Base64,
}

/// The content types that MLServer's clients name, and what they mean here.
const CONTENT_TYPES: &[(&str, ContentType)] = &[
    ("pd", ContentType::Table),
    ("dict", ContentType::Table),
    ("np", ContentType::Plain),
    ("str", ContentType::Plain),
    ("datetime", ContentType::Plain),
    ("base64", ContentType::Base64),
];

/// An output that a request wants.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// Whether it is wanted as bytes, if that is said.
    pub(crate) is_binary: Option<bool>,
}

/// What this server calls itself.
pub(crate) const SERVER_NAME: &str = "forebay";

/// The extensions of the protocol that this server has.
pub(crate) const EXTENSIONS: &[&str] =
    &["binary_tensor_data", "model_configuration", "model_repository", "statistics"];

// === impl ContentType ===

impl ContentType {
    pub(crate) fn parse(name: &str, path: &str) -> Result<Self, Fault> {
        let found = CONTENT_TYPES.iter().find(|(known, _)| *known == name);
        found.map(|(_, content_type)| *content_type).ok_or_else(|| {
            let names = list(CONTENT_TYPES.iter().map(|(name, _)| *name));
            let problem = format!("expected one of {names}, got {}", quoted(name));
            Fault::new(Cause::Format, problem).at(format!("{path}.content_type"))
        })
    }
}

// === pages ===

fn server(_: &Call<'_>) -> Result<Reply, Fault> {
    let mut json = Writer::new(Dialect::Compact, 64);
    json.raw("{\"name\":")
        .text(SERVER_NAME)
        .raw(",\"version\":")
        .text(env!("CARGO_PKG_VERSION"))
        .raw(",\"extensions\":");
    json.list(EXTENSIONS, |json, extension| _ = json.text(extension)).raw("}");
    Ok(Reply::json(StatusCode::OK, json))
}

fn live(_: &Call<'_>) -> Result<Reply, Fault> {
    Ok(state("{\"live\":true}", StatusCode::OK))
}

fn ready(call: &Call<'_>) -> Result<Reply, Fault> {
    Ok(if call.models.is_ready() {
        state("{\"ready\":true}", StatusCode::OK)
    } else {
        state("{\"ready\":false}", StatusCode::SERVICE_UNAVAILABLE)
    })
}

fn state(json: &'static str, status: StatusCode) -> Reply {
    Reply::new(status, crate::reply::JSON, json)
}

fn models(call: &Call<'_>) -> Result<Reply, Fault> {
    let mut json = Writer::new(Dialect::Compact, 64);
    json.raw("{\"models\":").list(call.models.own_names(), |json, name| _ = json.text(name)).raw("}");
    Ok(Reply::json(StatusCode::OK, json))
}

fn model_ready(call: &Call<'_>) -> Result<Reply, Fault> {
    let entry = call.entry()?;
    let is_ready = entry.ready().is_some();
    let mut json = Writer::new(Dialect::Compact, 64);
    json.raw("{\"name\":").text(&call.name_of(entry)).raw(",\"ready\":").boolean(is_ready).raw("}");
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Reply::json(status, json))
}

fn model(call: &Call<'_>) -> Result<Reply, Fault> {
    let entry = call.entry()?;
    let mut json = Writer::new(Dialect::Compact, 512);
    json.raw("{\"name\":").text(&call.name_of(entry));
    json.raw(",\"versions\":")
        .list(call.models.versions(&entry.name), |json, version| _ = json.text(version));
    json.raw(",\"platform\":\"\",\"inputs\":");
    json.list(inputs_of(entry), |json, tensor| write_tensor(json, &tensor));
    json.raw(",\"outputs\":").list(outputs_of(entry), |json, tensor| write_tensor(json, &tensor));
    json.raw(",\"parameters\":");
    write_parameters(&mut json, entry.ready());
    json.raw("}");
    Ok(Reply::json(StatusCode::OK, json))
}

/// How the inputs are to be sent, when that matters, and what the model may be asked for.
fn write_parameters(json: &mut Writer, ready: Option<&Ready>) {
    let Some(ready) = ready else {
        json.raw("{}");
        return;
    };
    let is_table =
        ready.schema.is_declared() && ready.schema.matrix().is_none() && ready.model.inputs().is_empty();
    json.raw(if is_table { "{\"content_type\":\"pd\",\"methods\":" } else { "{\"methods\":" });
    json.list(ready.model.methods(), |json, method| _ = json.text(method.as_str()));
    json.raw(",\"default_method\":").text(ready.method.as_str()).raw("}");
}

/// A tensor as metadata describe it.
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) datatype: DataType,
    /// -1 where any length is taken.
    pub(crate) shape: Vec<i64>,
}

/// What a model takes; nothing as long as it is not there.
pub(crate) fn inputs_of(entry: &Entry) -> Vec<Described> {
    let Some(ready) = entry.ready() else { return Vec::new() };
    let inputs = ready.model.inputs();
    if !inputs.is_empty() {
        return inputs.iter().map(described_input).collect();
    }
    match &ready.model.signature().inputs {
        Inputs::Columns(fields) => {
            let column = |field: &Field| Described {
                name: field.name.clone(),
                datatype: example::type_of_field(field, ready),
                shape: vec![-1, 1],
            };
            fields.iter().map(column).collect()
        }
        Inputs::Matrix { datatype, n_columns } => {
            let shape = vec![-1, length_of(*n_columns)];
            vec![Described { name: "input-0".to_owned(), datatype: *datatype, shape }]
        }
    }
}

fn described_input(NamedInput { name, datatype, n_columns, is_list }: &NamedInput) -> Described {
    let shape = if *is_list { vec![-1] } else { vec![-1, length_of(*n_columns)] };
    Described { name: name.clone(), datatype: *datatype, shape }
}

/// A length as metadata have it: -1 when it is not known.
fn length_of(length: Option<usize>) -> i64 {
    length.map_or(-1, |length| length as i64)
}

/// What a model gives: the outputs that come unasked, then those that may be asked for by the names of its methods. Nothing as
/// long as it is not there.
pub(crate) fn outputs_of(entry: &Entry) -> Vec<Described> {
    let described = |OutputKind { ask, datatype, n_columns }: &OutputKind| {
        let n_columns = match *n_columns {
            Some(None) => Some(None),
            known => entry.n_columns_of_output(*ask, known.flatten()).map(Some),
        };
        let shape = [-1].into_iter().chain(n_columns.map(length_of)).collect();
        Described { name: entry.name_of_output(*ask).to_owned(), datatype: *datatype, shape }
    };
    entry.ready().map(|ready| ready.outputs().iter().map(described).collect()).unwrap_or_default()
}

fn write_tensor(json: &mut Writer, Described { name, datatype, shape }: &Described) {
    let content_type = match datatype {
        DataType::String | DataType::Binary => "str",
        DataType::Datetime => "datetime",
        _ => "np",
    };
    json.raw("{\"name\":").text(name).raw(",\"datatype\":").text(datatype_name(*datatype));
    json.raw(",\"shape\":").list(shape, |json, length| _ = json.long(*length));
    json.raw(",\"parameters\":{\"content_type\":").text(content_type).raw("}}");
}

fn example(ready: &Ready) -> String {
    example::tensors(ready)
}
