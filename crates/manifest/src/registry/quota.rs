//! How much of something there may be.

use serde_json::{Map, Value, json};

use super::columns::{AGE, CREATED, Column, NAME, column, plain};
use super::fill::{fields, items};
use super::{CORE, Kind, STATUS, namespaced};
use crate::{Object, Objects};

pub(super) static RESOURCE_QUOTA: Kind = Kind {
    short_names: &["quota"],
    subresources: STATUS,
    columns: QUOTA_COLUMNS,
    ..namespaced(CORE, "v1", "ResourceQuota", "resourcequotas")
};

pub(super) static LIMIT_RANGE: Kind = Kind {
    short_names: &["limits"],
    columns: CREATED,
    fill: fill_limits,
    ..namespaced(CORE, "v1", "LimitRange", "limitranges")
};

const QUOTA_COLUMNS: &[Column] = &[
    NAME,
    column("Request", |quota, _| json!(usage(quota, |resource| !resource.starts_with("limits.")))),
    column("Limit", |quota, _| json!(usage(quota, |resource| resource.starts_with("limits.")))),
    AGE,
];

/// A container gets as its limit the most that it may have, and asks for its limit, or else for the least.
fn fill_limits(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let spec = object.value.as_object_mut().and_then(|range| fields(range, "spec"));
    let Some(spec) = spec else { return };
    for limit in items(spec, "limits").filter(|limit| limit.get("type") == Some(&json!("Container"))) {
        for (field, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
            let amounts: Map<String, Value> =
                limit.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
            if amounts.is_empty() {
                continue;
            }
            if let Some(known) = fields(limit, field) {
                for (resource, amount) in amounts {
                    known.entry(resource).or_insert(amount);
                }
            }
        }
    }
}

/// `pods: 2/10, requests.cpu: 0/4`
fn usage(quota: &Object, is_shown: impl Fn(&str) -> bool) -> String {
    let used = &quota.value["status"]["used"];
    let hard = quota.value["spec"]["hard"].as_object().into_iter().flatten();
    let shown = hard.filter(|(resource, _)| is_shown(resource)).map(|(resource, hard)| {
        let used = used.get(resource).map_or_else(|| "0".to_owned(), plain);
        format!("{resource}: {used}/{}", plain(hard))
    });
    shown.collect::<Vec<_>>().join(", ")
}
