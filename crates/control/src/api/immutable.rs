//! What may not change once an object is there, in the words of a Kubernetes API server.

use std::collections::BTreeMap;

use base64::Engine as _;
use manifest::Object;
use serde_json::{Value, json};

use crate::store::{Cause, Status};

/// A field that keeps what it was first given. One that is left out keeps it, too.
struct Fixed {
    kinds: &'static [&'static str],
    /// Where it stands, as a JSON pointer.
    pointer: &'static str,
    /// What it is called in a refusal.
    field: &'static str,
    why: &'static str,
}

const FIXED: &[Fixed] = &[
    fixed(&["Deployment"], "/spec/selector", "spec.selector", "field is immutable"),
    fixed(&["Secret"], "/type", "type", "field is immutable"),
    fixed(&["Service"], "/spec/clusterIP", "spec.clusterIPs[0]", "may not change once set"),
    fixed(&["ClusterRoleBinding", "RoleBinding"], "/roleRef", "roleRef", "cannot change roleRef"),
];

const fn fixed(
    kinds: &'static [&'static str],
    pointer: &'static str,
    field: &'static str,
    why: &'static str,
) -> Fixed {
    Fixed { kinds, pointer, field, why }
}

/// What a ConfigMap or Secret holds, which does not change once it says that it is immutable.
const CONTENTS: &[&str] = &["data", "binaryData", "immutable"];

/// Refuses to change what does not change.
///
/// # Errors
/// [`Reason::Invalid`](crate::store::Reason::Invalid).
pub(super) fn check(object: &Object, old: &Value) -> Result<(), Status> {
    let kind = object.kind.kind;
    let new = &object.value;
    let rows = FIXED.iter().filter(|row| row.kinds.contains(&kind));
    let mut causes: Vec<Cause> = rows.filter_map(|row| row.problem(new, old)).collect();
    if old["immutable"] == true && ["ConfigMap", "Secret"].contains(&kind) {
        let changed = CONTENTS.iter().filter(|field| content(new, field) != content(old, field));
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

// === impl Fixed ===

impl Fixed {
    fn problem(&self, new: &Value, old: &Value) -> Option<Cause> {
        let said = |object: &'_ Value| object.pointer(self.pointer).filter(|it| !is_nothing(it)).cloned();
        let (new, old) = (said(new)?, said(old)?);
        (new != old).then(|| Cause::invalid(self.field, &new, self.why))
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value == ""
}
