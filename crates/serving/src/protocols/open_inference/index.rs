//! The list of models (model repository extension of the protocol, §Index).

use std::sync::Arc;

use net::StatusCode;

use crate::call::Call;
use crate::fault::{Cause, Fault};
use crate::json::write::{Dialect, Writer};
use crate::json::{Kind, Reader, Scalar};
use crate::model_set::{Entry, ModelSet};
use crate::reply::Reply;

/// A model as the repository lists it.
pub(crate) struct Indexed {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) state: &'static str,
    pub(crate) reason: String,
}

/// The models and their states.
pub(crate) fn index(models: &ModelSet, is_ready_only: bool) -> Vec<Indexed> {
    let entries = models.entries().iter().filter(|entry| !is_ready_only || entry.ready().is_some());
    let indexed = |entry: &Arc<Entry>| Indexed {
        name: entry.name.clone(),
        version: entry.version.clone().unwrap_or_default(),
        state: if entry.ready().is_some() { "READY" } else { "UNAVAILABLE" },
        reason: String::new(),
    };
    let unloaded = models.unloaded().filter(|_| !is_ready_only).map(|name| Indexed {
        name: name.clone(),
        version: String::new(),
        state: "UNAVAILABLE",
        reason: "unloaded".to_owned(),
    });
    entries.map(indexed).chain(unloaded).collect()
}

/// Whether only models that answer are asked for: `{"ready": true}`. A body that is empty asks for all.
pub(crate) fn read_index_request(body: &[u8]) -> Result<bool, Fault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(false);
    }
    let mut reader = Reader::new(body);
    let kind = reader.peek()?;
    if kind != Kind::Object {
        return Err(Fault::new(Cause::Format, format!("expected an object, got {kind}")));
    }
    let mut is_ready_only = false;
    let mut members = reader.object()?;
    while let Some(key) = members.next(&mut reader)? {
        if key != "ready" {
            reader.skip()?;
            continue;
        }
        let kind = reader.peek()?;
        is_ready_only = match kind {
            Kind::Boolean | Kind::Null => reader.scalar()? == Scalar::Boolean(true),
            _ => {
                let problem = format!("expected `true` or `false`, got {kind}");
                return Err(Fault::new(Cause::Format, problem).at("$.ready"));
            }
        };
    }
    reader.end()?;
    Ok(is_ready_only)
}

pub(super) fn page(call: &Call<'_>, body: &[u8]) -> Result<Reply, Fault> {
    let is_ready_only = read_index_request(body)?;
    let mut json = Writer::new(Dialect::Compact, 128);
    json.list(index(call.models, is_ready_only), |json, Indexed { name, version, state, reason }| {
        json.raw("{\"name\":").text(&name).raw(",\"version\":").text(&version);
        json.raw(",\"state\":").text(state).raw(",\"reason\":").text(&reason).raw("}");
    });
    Ok(Reply::json(StatusCode::OK, json))
}
