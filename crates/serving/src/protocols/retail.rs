//! The retail API: named features in, one number and the version of the model out.
//!
//! `POST /predict {"features": {"store_id": 1, "product_id": 123}}` → `{"prediction":150.75,"model_version":"v1.0"}`.
//! A feature that is left out, or null, has its declared default. Those that have none are named, if they are left out;
//! a null is a missing value to the model. A feature that the model does not know is refused: it may be another one
//! misspelt, whose default would then be taken silently. A model without names for its columns takes a list of values
//! instead of the object. Faults are told as FastAPI tells them.

use jiff::Timestamp;
use models::{Field, Inputs, Prediction, Scalar};
use net::StatusCode;

use super::Protocol;
use crate::call::{Asked, Beside, Call, Predict, Question};
use crate::decode::{self, Decoded, Form, Table};
use crate::example;
use crate::fault::{Cause, Fault, quoted};
use crate::json::write::{Dialect, Writer};
use crate::json::{Kind, Reader};
use crate::model_set::{Entry, Ready};
use crate::reply::Reply;
use crate::route::{Answer, Route, Verb};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "retail",
    title: "Named features",
    doc: "One row of named features in, one prediction out.",
    routes: &[
        Route {
            verb: Verb::Post,
            pattern: "/predict",
            doc: "Predicts one row of named features.",
            answer: Answer::Predict(Predict { ask: ask_one, tell: tell_one, example: example_of_one }),
        },
        Route {
            verb: Verb::Post,
            pattern: "/batch-predict",
            doc: "Predicts rows of named features, in their order.",
            answer: Answer::Predict(Predict { ask: ask_many, tell: tell_many, example: example_of_many }),
        },
        Route {
            verb: Verb::Get,
            pattern: "/healthz",
            doc: "Says whether a model is there: 200, or 503.",
            answer: Answer::Page(health),
        },
        Route {
            verb: Verb::Get,
            pattern: "/health",
            doc: "The same as /healthz.",
            answer: Answer::Page(health),
        },
        Route {
            verb: Verb::Get,
            pattern: "/model-info",
            doc: "What the model is, what it takes and gives, and which file it is from.",
            answer: Answer::Page(model_info),
        },
    ],
    refuse,
};

fn ask_one(question: &Question<'_>) -> Result<Asked, Fault> {
    question.require_json()?;
    let mut reader = Reader::new(question.body);
    let not_features = || Fault::new(Cause::Format, "expected an object with `features`");
    if reader.peek()? != Kind::Object {
        return Err(not_features());
    }
    let form = Form::Record("$.features");
    let mut decoded = None;
    let mut beside = Beside::default();
    let mut members = reader.object()?;
    while let Some(key) = members.next(&mut reader)? {
        match key.as_ref() {
            "features" if decoded.is_some() => {
                return Err(Fault::new(Cause::Format, "stands there twice").at("$.features"));
            }
            "features" => {
                let mut table = Table::new(question.schema, question.body.len()).needing_defaults();
                read_row(&mut reader, &mut table, form)?;
                decoded = Some(table.finish(form)?);
            }
            "method" => beside.read_method(&mut reader, "$.method")?,
            key => beside.skip(&mut reader, key)?,
        }
    }
    reader.end()?;
    question.asked(decoded.ok_or_else(not_features)?, beside)
}

fn ask_many(question: &Question<'_>) -> Result<Asked, Fault> {
    question.require_json()?;
    let mut reader = Reader::new(question.body);
    let not_instances =
        || Fault::new(Cause::Format, "expected a list of objects, or an object with `instances`");
    let mut beside = Beside::default();
    let decoded = match reader.peek()? {
        Kind::Array => Some(read_rows(&mut reader, question, "$")?),
        Kind::Object => {
            let mut decoded = None;
            let mut members = reader.object()?;
            while let Some(key) = members.next(&mut reader)? {
                match key.as_ref() {
                    "instances" if decoded.is_some() => {
                        return Err(Fault::new(Cause::Format, "stands there twice").at("$.instances"));
                    }
                    "instances" => decoded = Some(read_rows(&mut reader, question, "$.instances")?),
                    "method" => beside.read_method(&mut reader, "$.method")?,
                    key => beside.skip(&mut reader, key)?,
                }
            }
            decoded
        }
        _ => None,
    };
    let decoded = decoded.ok_or_else(not_instances)?;
    reader.end()?;
    question.asked(decoded, beside)
}

fn read_rows(reader: &mut Reader<'_>, question: &Question<'_>, path: &'static str) -> Result<Decoded, Fault> {
    let form = Form::Records(path);
    let mut table = Table::new(question.schema, question.body.len()).needing_defaults();
    let mut items = decode::begin_rows(reader, form)?;
    while items.next(reader)? {
        read_row(reader, &mut table, form)?;
    }
    table.finish(form)
}

fn read_row(reader: &mut Reader<'_>, table: &mut Table<'_>, form: Form) -> Result<(), Fault> {
    if !table.schema().has_names() && reader.peek()? == Kind::Array {
        return decode::read_values(reader, table, form);
    }
    let row = table.n_rows();
    match decode::read_object(reader, table, form)? {
        1 => Ok(()),
        n_rows => {
            let problem = format!("expected one value for each feature, got {n_rows}");
            Err(Fault::input(form.place(Some(row), None), problem))
        }
    }
}

fn tell_one(entry: &Entry, _: &Asked, predictions: &[Prediction]) -> Reply {
    let mut json = Writer::new(Dialect::Compact, 96);
    json.raw("{\"prediction\":");
    for prediction in predictions {
        json.first_row(prediction);
    }
    write_version(&mut json, entry);
    Reply::json(StatusCode::OK, json)
}

fn tell_many(entry: &Entry, _: &Asked, predictions: &[Prediction]) -> Reply {
    let n_values: usize = predictions.iter().map(|prediction| prediction.data.len()).sum();
    let mut json = Writer::new(Dialect::Compact, 96 + 20 * n_values);
    json.raw("{\"predictions\":");
    for prediction in predictions {
        json.prediction(prediction);
    }
    write_version(&mut json, entry);
    Reply::json(StatusCode::OK, json)
}

fn write_version(json: &mut Writer, entry: &Entry) {
    json.raw(",\"model_version\":");
    write_text_or_null(json, entry.version.as_deref());
    json.raw("}");
}

fn write_text_or_null(json: &mut Writer, text: Option<&str>) {
    match text {
        Some(text) => json.text(text),
        None => json.raw("null"),
    };
}

fn example_of_one(ready: &Ready) -> String {
    format!("{{\"features\": {}}}", example::features(ready))
}

fn example_of_many(ready: &Ready) -> String {
    format!("{{\"instances\": [{}]}}", example::features(ready))
}

/// The body that the platform's probes know; for MLflow's clients, which read the status alone, it will do as well.
fn health(call: &Call<'_>) -> Result<Reply, Fault> {
    let (word, status) = if call.models.is_any_ready() {
        ("healthy", StatusCode::OK)
    } else {
        ("unhealthy", StatusCode::SERVICE_UNAVAILABLE)
    };
    let now = Timestamp::now();
    let mut json = Writer::new(Dialect::Compact, 64);
    json.raw("{\"status\":").text(word).raw(",\"timestamp\":").text(&seconds_of(now)).raw("}");
    Ok(Reply::json(status, json))
}

/// A time as RFC 3339 writes it, to the second before.
fn seconds_of(time: Timestamp) -> String {
    let seconds = Timestamp::from_second(time.as_second()).unwrap_or(time);
    seconds.to_string()
}

fn model_info(call: &Call<'_>) -> Result<Reply, Fault> {
    let entry = call.entry()?;
    let Some(ready) = entry.ready() else {
        return Err(Fault::new(Cause::Unavailable, format!("model {} is not loaded", quoted(&entry.name))));
    };
    let mut json = Writer::new(Dialect::Compact, 1024);
    json.raw("{\"name\":").text(&entry.name).raw(",\"version\":");
    write_text_or_null(&mut json, entry.version.as_deref());
    let description = ready.model.description();
    json.raw(",\"flavor\":").text(&description.format).raw(",\"class\":");
    write_text_or_null(&mut json, description.parts.first().map(|part| part.class.as_str()));
    json.raw(",\"parts\":").list(&description.parts, |json, part| _ = json.text(&part.class));
    json.raw(",\"libraries\":").list(&description.libraries, |json, (library, version)| {
        json.text(&format!("{library} {version}"));
    });
    json.raw(",\"methods\":").list(ready.model.methods(), |json, method| _ = json.text(method.as_str()));
    json.raw(",\"default_method\":").text(ready.method.as_str()).raw(",\"threshold\":");
    match ready.model.threshold() {
        Some(threshold) => json.double(threshold),
        None => json.raw("null"),
    };
    json.raw(",\"classes\":");
    match ready.model.classes() {
        Some(classes) => json.data(classes),
        None => json.raw("null"),
    };
    json.raw(",\"signature\":{\"declared\":").boolean(ready.schema.is_declared()).raw(",\"inputs\":");
    write_inputs(&mut json, &ready.model.signature().inputs);
    json.raw(",\"outputs\":").list(&ready.model.signature().outputs, write_field);
    json.raw("},\"sha256\":").text(&description.sha256);
    json.raw(",\"loaded_at\":").text(&seconds_of(ready.loaded_at)).raw("}");
    Ok(Reply::json(StatusCode::OK, json))
}

fn write_inputs(json: &mut Writer, inputs: &Inputs) {
    match inputs {
        Inputs::Columns(fields) => _ = json.list(fields, write_field),
        Inputs::Matrix { datatype, n_columns } => {
            json.raw("{\"type\":").text(datatype.as_str()).raw(",\"columns\":");
            match n_columns {
                Some(n_columns) => json.long(*n_columns as i64),
                None => json.raw("null"),
            };
            json.raw("}");
        }
    }
}

fn write_field(json: &mut Writer, field: &Field) {
    json.raw("{\"name\":").text(&field.name).raw(",\"type\":").text(field.datatype.as_str());
    json.raw(",\"required\":").boolean(field.required);
    if let Some(default) = &field.default {
        json.raw(",\"default\":");
        match default {
            Scalar::Double(value) => json.double(*value),
            Scalar::Long(value) => json.long(*value),
            Scalar::Boolean(value) => json.boolean(*value),
            Scalar::Text(text) => json.text(text),
        };
    }
    json.raw("}");
}

fn refuse(fault: &Fault) -> Reply {
    let mut json = Writer::new(Dialect::Compact, 256);
    json.raw("{\"detail\":");
    let status = match fault.cause {
        Cause::Format | Cause::Input => StatusCode::UNPROCESSABLE_ENTITY,
        other => other.status(),
    };
    if status == StatusCode::UNPROCESSABLE_ENTITY {
        let kind = if fault.missing.is_empty() { "value_error" } else { "missing" };
        let place = [fault.place.as_str()].into_iter().filter(|place| !place.is_empty());
        json.raw("[{\"type\":").text(kind);
        json.raw(",\"loc\":").list(["body"].into_iter().chain(place), |json, part| _ = json.text(part));
        json.raw(",\"msg\":").text(&fault.to_string());
        if !fault.missing.is_empty() {
            json.raw(",\"missing\":").list(&fault.missing, |json, name| _ = json.text(name));
        }
        json.raw("}]}");
    } else {
        json.text(&fault.to_string()).raw("}");
    }
    Reply::json(status, json)
}
