//! What may not change once an object is there, in the words of a Kubernetes API server.

use std::collections::BTreeMap;

use base64::Engine as _;
use manifest::{Fixed, Object};
use serde_json::{Value, json};

use super::validation::cause;
use crate::store::{Cause, Status};

/// Refuses to change what does not change.
///
/// # Errors
/// [`Reason::Invalid`](crate::store::Reason::Invalid).
pub(super) fn check(object: &Object, old: &Value) -> Result<(), Status> {
    let (kind, new) = (object.kind, &object.value);
    let mut causes: Vec<Cause> = kind.fixed.iter().filter_map(|row| problem(row, new, old)).collect();
    let mut found = Vec::new();
    (kind.change)(new, old, &mut found);
    causes.extend(found.into_iter().map(cause));
    if old["immutable"] == true {
        let changed = kind.sealed.iter().filter(|field| content(new, field) != content(old, field));
        causes.extend(changed.map(|field| Cause {
            reason: "FieldValueForbidden",
            message: "Forbidden: field is immutable when `immutable` is set".to_owned(),
            field: (*field).to_owned(),
        }));
    }
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(object.kind, &object.name, causes)) }
}

/// A field of what an object holds; of a Secret with what is still to be encoded in it.
fn content(object: &Value, field: &str) -> BTreeMap<String, Value> {
    if field == "immutable" {
        return BTreeMap::from([(field.to_owned(), json!(object[field] == true))]);
    }
    let entries = |map: &str| object[map].as_object().cloned().into_iter().flatten();
    let mut all: BTreeMap<String, Value> = entries(field).collect();
    if field == "data" {
        let encoded = |text: &str| json!(base64::prelude::BASE64_STANDARD.encode(text));
        all.extend(entries("stringData").filter_map(|(key, text)| Some((key, encoded(text.as_str()?)))));
    }
    all
}

fn problem(row: &Fixed, new: &Value, old: &Value) -> Option<Cause> {
    let said = |object: &'_ Value| object.pointer(row.pointer).filter(|it| !is_nothing(it)).cloned();
    let (new, old) = (said(new)?, said(old)?);
    (new != old).then(|| Cause::invalid(row.field, &new, row.why))
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value == ""
}
