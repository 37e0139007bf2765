//! The Open Inference Protocol over REST, which KServe calls version 2: `POST /v2/models/iris/infer`.
//!
//! The protocol leaves open what outputs are called and how a flat answer is shaped; [`crate::Style`] chooses whose way.

mod id;
mod infer;

use models::{DataType, Inputs};
use net::StatusCode;

use super::{Protocol, kserve_v1};
use crate::call::{Call, Predict};
use crate::example;
use crate::fault::Fault;
use crate::json::write::{Dialect, Writer};
use crate::model_set::Ready;
use crate::reply::Reply;
use crate::route::{Answer, Route, Verb};

const INFER: Predict = Predict { ask: infer::ask, tell: infer::tell, example };

pub(super) const PROTOCOL: Protocol = Protocol {
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
            doc: "The models and their states, as MLServer and Triton list them.",
            answer: Answer::Page(repository_index),
        },
    ],
    refuse: kserve_v1::refuse,
};

fn server(_: &Call<'_>) -> Result<Reply, Fault> {
    let mut json = Writer::new(Dialect::Compact, 64);
    json.raw("{\"name\":\"forebay\",\"version\":").text(env!("CARGO_PKG_VERSION")).raw(",\"extensions\":[]}");
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
    json.raw("{\"models\":").list(call.models.entries(), |json, entry| _ = json.text(&entry.name)).raw("}");
    Ok(Reply::json(StatusCode::OK, json))
}

fn model_ready(call: &Call<'_>) -> Result<Reply, Fault> {
    let entry = call.entry()?;
    let is_ready = entry.ready().is_some();
    let mut json = Writer::new(Dialect::Compact, 64);
    json.raw("{\"name\":").text(&entry.name).raw(",\"ready\":").boolean(is_ready).raw("}");
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Reply::json(status, json))
}

fn model(call: &Call<'_>) -> Result<Reply, Fault> {
    let entry = call.entry()?;
    let mut json = Writer::new(Dialect::Compact, 512);
    json.raw("{\"name\":").text(&entry.name);
    json.raw(",\"versions\":").list(&entry.version, |json, version| _ = json.text(version));
    json.raw(",\"platform\":\"\",\"inputs\":");
    let signature = entry.ready().map(|ready| ready.model.signature());
    match signature.map(|signature| &signature.inputs) {
        None => _ = json.raw("[]"),
        Some(Inputs::Columns(fields)) => {
            json.list(fields, |json, field| write_tensor(json, &field.name, field.datatype, &[-1, 1]));
        }
        Some(Inputs::Matrix { datatype, n_columns }) => {
            let n_columns = n_columns.map_or(-1, |n_columns| n_columns as i64);
            json.list([n_columns], |json, n_columns| {
                write_tensor(json, "input-0", *datatype, &[-1, n_columns]);
            });
        }
    }
    let outputs = signature.map(|signature| signature.outputs.as_slice()).unwrap_or_default();
    json.raw(",\"outputs\":");
    json.list(outputs, |json, output| write_tensor(json, &output.name, output.datatype, &[-1]));
    let is_table =
        entry.ready().is_some_and(|ready| ready.schema.is_declared() && ready.schema.matrix().is_none());
    json.raw(if is_table { ",\"parameters\":{\"content_type\":\"pd\"}}" } else { ",\"parameters\":{}}" });
    Ok(Reply::json(StatusCode::OK, json))
}

fn write_tensor(json: &mut Writer, name: &str, datatype: DataType, shape: &[i64]) {
    let content_type = match datatype {
        DataType::String | DataType::Binary => "str",
        DataType::Datetime => "datetime",
        _ => "np",
    };
    json.raw("{\"name\":").text(name).raw(",\"datatype\":").text(datatype_of(datatype)).raw(",\"shape\":");
    json.list(shape, |json, length| _ = json.long(*length));
    json.raw(",\"parameters\":{\"content_type\":").text(content_type).raw("}}");
}

/// The protocol's type of a column.
pub(crate) fn datatype_of(datatype: DataType) -> &'static str {
    match datatype {
        DataType::Boolean => "BOOL",
        DataType::Integer => "INT32",
        DataType::Long => "INT64",
        DataType::Float => "FP32",
        DataType::Double | DataType::Any => "FP64",
        DataType::String | DataType::Binary | DataType::Datetime => "BYTES",
    }
}

fn repository_index(call: &Call<'_>) -> Result<Reply, Fault> {
    let mut json = Writer::new(Dialect::Compact, 128);
    json.list(call.models.entries(), |json, entry| {
        let version = entry.version.as_deref().unwrap_or_default();
        let state = if entry.ready().is_some() { "READY" } else { "UNAVAILABLE" };
        json.raw("{\"name\":").text(&entry.name).raw(",\"version\":").text(version);
        json.raw(",\"state\":").text(state).raw(",\"reason\":\"\"}");
    });
    Ok(Reply::json(StatusCode::OK, json))
}

fn example(ready: &Ready) -> String {
    example::tensors(ready)
}
