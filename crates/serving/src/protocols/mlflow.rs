//! MLflow's scoring protocol, version 2: `POST /invocations`.
//!
//! Answers are those of `mlflow models serve`, byte by byte. Errors have its shape and our text, without the traceback.

use models::Prediction;

use super::Protocol;
use crate::call::{Asked, Beside, Call, Predict, Question, bytes_after_json};
use crate::content::Content;
use crate::decode::{self, Decoded, Positions};
use crate::example;
use crate::fault::{Cause, Fault};
use crate::json::write::{Dialect, Writer};
use crate::json::{Kind, Reader};
use crate::model_set::{Entry, Ready};
use crate::reply::{JSON, Reply};
use crate::route::{Answer, Route, Verb};
use net::StatusCode;

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "mlflow",
    title: "MLflow",
    doc: "What `mlflow models serve` answers.",
    routes: &[
        Route {
            verb: Verb::Post,
            pattern: "/invocations",
            doc: "Predicts rows as MLflow's clients send them.",
            answer: Answer::Predict(Predict { ask, tell, example }),
        },
        Route {
            verb: Verb::Get,
            pattern: "/ping",
            doc: "Says whether the model is there, as MLflow does: an empty line, or 503.",
            answer: Answer::Page(ping),
        },
        Route {
            verb: Verb::Get,
            pattern: "/version",
            doc: "The version of this server.",
            answer: Answer::Page(version),
        },
    ],
    refuse,
};

/// A way to write rows, by its key in the body.
struct InputForm {
    key: &'static str,
    read: fn(&mut Reader<'_>, &Question<'_>) -> Result<Decoded, Fault>,
}

const FORMS: &[InputForm] = &[
    InputForm {
        key: "dataframe_split",
        read: |reader, question| {
            decode::split(reader, question.schema, question.body.len(), "$.dataframe_split")
        },
    },
    InputForm {
        key: "dataframe_records",
        read: |reader, question| {
            decode::records(reader, question.schema, question.body.len(), "$.dataframe_records")
        },
    },
    InputForm {
        key: "instances",
        read: |reader, question| {
            decode::list(reader, question.schema, question.body.len(), "$.instances", Positions::Undeclared)
        },
    },
    InputForm { key: "inputs", read: inputs },
];

fn ask(question: &Question<'_>) -> Result<Asked, Fault> {
    let (decoded, beside) = match question.content {
        Content::Csv => (decode::csv(question.body, question.schema)?, Beside::default()),
        Content::Parquet => (decode::parquet(question.body, question.schema)?, Beside::default()),
        Content::Json => json(question)?,
        Content::JsonThenBytes { .. } | Content::Message => return Err(bytes_after_json()),
    };
    question.asked(decoded, beside)
}

fn json(question: &Question<'_>) -> Result<(Decoded, Beside), Fault> {
    let mut reader = Reader::new(question.body);
    let kind = reader.peek()?;
    if kind != Kind::Object {
        return Err(wrong_keys(&format!("got {kind}")));
    }
    let mut decoded = None;
    let mut beside = Beside::default();
    let mut members = reader.object()?;
    while let Some(key) = members.next(&mut reader)? {
        let Some(form) = FORMS.iter().find(|form| form.key == key) else {
            match key.as_ref() {
                "params" => read_params(&mut reader, &mut beside)?,
                // MLflow ignores any other key.
                key => beside.skip(&mut reader, key)?,
            }
            continue;
        };
        if let Some((first, _)) = decoded {
            return Err(wrong_keys(&format!("got `{first}` and `{key}`")));
        }
        decoded = Some((form.key, (form.read)(&mut reader, question)?));
    }
    reader.end()?;
    let (_, decoded) = decoded.ok_or_else(|| wrong_keys("got none of them"))?;
    Ok((decoded, beside))
}

/// The parameters of a request. One is read, which chooses the method as `predict_fn` does in an `MLmodel`; MLflow ignores
/// those that a model does not declare, and so are the others here, but not in silence.
fn read_params(reader: &mut Reader<'_>, beside: &mut Beside) -> Result<(), Fault> {
    match reader.peek()? {
        Kind::Null => return Ok(reader.skip()?),
        Kind::Object => {}
        kind => {
            return Err(Fault::new(Cause::Format, format!("expected an object, got {kind}")).at("$.params"));
        }
    }
    let mut params = reader.object()?;
    while let Some(name) = params.next(reader)? {
        match name.as_ref() {
            "predict_method" => beside.read_method(reader, "$.params.predict_method")?,
            name => beside.skip(reader, &format!("params.{name}"))?,
        }
    }
    Ok(())
}

fn wrong_keys(got: &str) -> Fault {
    let keys: Vec<String> = FORMS.iter().map(|form| format!("`{}`", form.key)).collect();
    Fault::new(Cause::Format, format!("expected an object with exactly one of {}, {got}", keys.join(", ")))
}

/// `inputs` holds columns, or rows.
fn inputs(reader: &mut Reader<'_>, question: &Question<'_>) -> Result<Decoded, Fault> {
    let path = "$.inputs";
    match reader.peek()? {
        Kind::Object => decode::columns(reader, question.schema, question.body.len(), path),
        _ => decode::list(reader, question.schema, question.body.len(), path, Positions::Undeclared),
    }
}

fn tell(_: &Entry, _: &Asked, predictions: &[Prediction]) -> Reply {
    let n_values: usize = predictions.iter().map(|prediction| prediction.data.len()).sum();
    let mut json = Writer::new(Dialect::Python, 32 + 20 * n_values);
    json.raw("{\"predictions\": ");
    for prediction in predictions {
        json.prediction(prediction);
    }
    json.raw("}");
    Reply::json(StatusCode::OK, json)
}

fn example(ready: &Ready) -> String {
    format!("{{{}}}", example::split_or_instances(ready))
}

/// MLflow's clients look at the status alone. `/health`, which MLflow answers in the same way, is told in
/// [`super::retail`], with a body that says more.
fn ping(call: &Call<'_>) -> Result<Reply, Fault> {
    let status = if call.models.is_any_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Reply::new(status, JSON, "\n"))
}

fn version(_: &Call<'_>) -> Result<Reply, Fault> {
    Ok(Reply::new(StatusCode::OK, JSON, env!("CARGO_PKG_VERSION")))
}

fn refuse(fault: &Fault) -> Reply {
    let code = match fault.cause {
        Cause::Format | Cause::Method | Cause::TooLarge | Cause::TooSlow | Cause::ContentType => {
            "BAD_REQUEST"
        }
        Cause::Input => "INVALID_PARAMETER_VALUE",
        Cause::Forbidden => "PERMISSION_DENIED",
        Cause::NotFound => "RESOURCE_DOES_NOT_EXIST",
        Cause::Internal => "INTERNAL_ERROR",
        Cause::NotSupported => "NOT_IMPLEMENTED",
        Cause::Loading | Cause::Unavailable => "TEMPORARILY_UNAVAILABLE",
    };
    let mut json = Writer::new(Dialect::Python, 256);
    json.raw("{\"error_code\": ").text(code).raw(", \"message\": ").text(&fault.to_string()).raw("}");
    Reply::json(fault.cause.status(), json)
}
