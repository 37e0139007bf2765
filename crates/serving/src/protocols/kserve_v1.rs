//! KServe's protocol, version 1, which TensorFlow Serving had first: `POST /v1/models/iris:predict`.

use models::Prediction;
use net::StatusCode;

use super::Protocol;
use crate::call::{Asked, Beside, Call, Predict, Question};
use crate::decode::{self, Positions};
use crate::example;
use crate::fault::{Cause, Fault};
use crate::json::write::{Dialect, Writer};
use crate::json::{Kind, Reader};
use crate::model_set::{Entry, EntryState, Ready};
use crate::reply::Reply;
use crate::route::{Answer, Route, Verb};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "kserve_v1",
    title: "KServe V1",
    doc: "What KServe's and TensorFlow Serving's clients speak.",
    routes: &[
        Route {
            verb: Verb::Post,
            pattern: "/v1/models/{model}:predict",
            doc: "Predicts rows as KServe's clients send them.",
            answer: Answer::Predict(Predict { ask, tell, example }),
        },
        Route {
            verb: Verb::Post,
            pattern: "/v1/models/{model}:explain",
            doc: "",
            answer: Answer::Page(explain),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v1/models/{model}",
            doc: "Says whether a model is there.",
            answer: Answer::Page(model),
        },
        Route {
            verb: Verb::Get,
            pattern: "/v1/models",
            doc: "The names of the models.",
            answer: Answer::Page(models),
        },
        Route {
            verb: Verb::Get,
            pattern: "/",
            doc: "Says that the server runs.",
            answer: Answer::Page(alive),
        },
    ],
    refuse,
};

fn ask(question: &Question<'_>) -> Result<Asked, Fault> {
    question.require_json()?;
    let mut reader = Reader::new(question.body);
    let kind = reader.peek()?;
    if kind != Kind::Object {
        return Err(wrong_keys(&format!("got {kind}")));
    }
    let mut decoded = None;
    let mut beside = Beside::default();
    let mut members = reader.object()?;
    while let Some(key) = members.next(&mut reader)? {
        let path = match key.as_ref() {
            "instances" => "$.instances",
            "inputs" => "$.inputs",
            "method" => {
                beside.read_method(&mut reader, "$.method")?;
                continue;
            }
            key => {
                beside.skip(&mut reader, key)?;
                continue;
            }
        };
        if decoded.is_some() {
            return Err(wrong_keys("got two"));
        }
        let (schema, body_length) = (question.schema, question.body.len());
        decoded = Some(decode::list(&mut reader, schema, body_length, path, Positions::Always)?);
    }
    reader.end()?;
    question.asked(decoded.ok_or_else(|| wrong_keys("got none of them"))?, beside)
}

fn wrong_keys(got: &str) -> Fault {
    Fault::new(Cause::Format, format!("expected an object with `instances` or `inputs`, {got}"))
}

fn tell(_: &Entry, _: &Asked, predictions: &[Prediction]) -> Reply {
    let n_values: usize = predictions.iter().map(|prediction| prediction.data.len()).sum();
    let mut json = Writer::new(Dialect::Compact, 32 + 20 * n_values);
    json.raw("{\"predictions\":");
    for prediction in predictions {
        json.prediction(prediction);
    }
    json.raw("}");
    Reply::json(StatusCode::OK, json)
}

fn example(ready: &Ready) -> String {
    format!("{{\"instances\": {}}}", example::instances(ready))
}

fn explain(call: &Call<'_>) -> Result<Reply, Fault> {
    call.entry()?;
    Err(Fault::new(Cause::NotSupported, "predictions are not explained here"))
}

fn model(call: &Call<'_>) -> Result<Reply, Fault> {
    let entry = call.entry()?;
    let is_ready = entry.ready().is_some();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut json = Writer::new(Dialect::Compact, 64);
    json.raw("{\"name\":").text(&call.name_of(entry)).raw(",\"ready\":").boolean(is_ready).raw("}");
    Ok(Reply::json(status, json))
}

fn models(call: &Call<'_>) -> Result<Reply, Fault> {
    let mut json = Writer::new(Dialect::Compact, 64);
    json.raw("{\"models\":").list(call.models.own_names(), |json, name| _ = json.text(name)).raw("}");
    Ok(Reply::json(StatusCode::OK, json))
}

/// KServe's servers listen once their models are there, and load balancers look for `/`: as long as none is, it is not to be
/// taken for one that answers.
fn alive(call: &Call<'_>) -> Result<Reply, Fault> {
    let mut entries = call.models.entries().iter();
    let loading = entries.find(|entry| matches!(entry.state, EntryState::Loading));
    if let (false, Some(entry)) = (call.models.is_any_ready(), loading) {
        entry.require_ready()?;
    }
    let mut json = Writer::new(Dialect::Compact, 32);
    json.raw("{\"status\":\"alive\"}");
    Ok(Reply::json(StatusCode::OK, json))
}

pub(super) fn refuse(fault: &Fault) -> Reply {
    let mut json = Writer::new(Dialect::Compact, 256);
    json.raw("{\"error\":").text(&fault.to_string()).raw("}");
    Reply::json(fault.cause.status(), json)
}
