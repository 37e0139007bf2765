//! Server-side apply: an object becomes what somebody says of it, and loses what he said before and no longer says.
//!
//! Kubernetes keeps an owner of every field and refuses when two disagree. Here the last one wins, and what each has
//! applied is remembered in an annotation of the object.

use serde_json::{Map, Value, json};

use super::shape::{Items, Shape};
use super::strategic::reorder;
use crate::store::{LAST_APPLIED, Reason, Status};

/// The annotation that keeps what each manager has applied.
const APPLIED: &str = "forebay.dev/applied";
/// How many managers are remembered of one object.
const MANAGERS: usize = 8;

/// What `live` becomes when `manager` applies `wanted`.
pub(super) fn merge(live: &Value, wanted: &Value, manager: &str, shape: &Shape) -> Result<Value, Status> {
    let mut managers = managers(live);
    let merged = merge_value(managers.get(manager), wanted, live, shape);
    managers.insert(manager.to_owned(), without_last_applied(wanted));
    if managers.len() > MANAGERS {
        let message =
            format!("{MANAGERS} field managers have applied this object already; one more is not remembered");
        return Err(Status::new(Reason::BadRequest, message));
    }
    Ok(with_managers(merged, managers))
}

/// A new object that remembers who applied it.
pub(super) fn begin(wanted: Value, manager: &str) -> Value {
    let remembered = without_last_applied(&wanted);
    with_managers(wanted, Map::from_iter([(manager.to_owned(), remembered)]))
}

/// What `live` becomes when `wanted` takes the place of what was `applied` before.
///
/// Fields that left are removed, fields that others set are kept; lists are merged where Kubernetes merges them.
pub(super) fn merge_value(applied: Option<&Value>, wanted: &Value, live: &Value, shape: &Shape) -> Value {
    match (wanted, shape) {
        (Value::Object(wanted), _) => merge_map(applied, wanted, live, shape),
        (Value::Array(wanted), Shape::Items(items)) => {
            let same = |a: &Value, b: &Value| items.are_same(a, b);
            merge_list(applied, wanted, live, same, |applied, wanted, live| {
                merge_item(applied, wanted, live, items)
            })
        }
        (Value::Array(wanted), Shape::Set) => {
            merge_list(applied, wanted, live, |a, b| a == b, |_, wanted, _| wanted.clone())
        }
        _ => wanted.clone(),
    }
}

fn merge_item(applied: Option<&Value>, wanted: &Value, live: &Value, items: &Items) -> Value {
    merge_value(applied, wanted, live, items.item)
}

fn merge_map(applied: Option<&Value>, wanted: &Map<String, Value>, live: &Value, shape: &Shape) -> Value {
    let was_applied = |key: &str| applied.is_some_and(|applied| applied.get(key).is_some());
    let mut merged = live.as_object().cloned().unwrap_or_default();
    merged.retain(|key, _| !was_applied(key) || wanted.contains_key(key));
    for (key, value) in wanted {
        let live = merged.remove(key).unwrap_or_default();
        if !value.is_null() {
            let applied = applied.and_then(|applied| applied.get(key));
            merged.insert(key.clone(), merge_value(applied, value, &live, shape.field(key)));
        }
    }
    Value::Object(merged)
}

fn merge_list(
    applied: Option<&Value>,
    wanted: &[Value],
    live: &Value,
    are_same: impl Fn(&Value, &Value) -> bool,
    merge_one: impl Fn(Option<&Value>, &Value, &Value) -> Value,
) -> Value {
    let find = |items: &[Value], item: &Value| items.iter().find(|other| are_same(other, item)).cloned();
    let live = live.as_array().map(Vec::as_slice).unwrap_or_default();
    let applied = applied.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_kept = |item: &&Value| find(wanted, item).is_none() && find(applied, item).is_none();
    let kept = live.iter().filter(is_kept).cloned();
    let merged = wanted
        .iter()
        .map(|item| merge_one(find(applied, item).as_ref(), item, &find(live, item).unwrap_or_default()));
    let items = merged.chain(kept).collect();
    let place = |item: &Value| wanted.iter().position(|other| are_same(other, item));
    Value::Array(reorder(items, live, place, &are_same))
}

fn managers(live: &Value) -> Map<String, Value> {
    let written = live["metadata"]["annotations"][APPLIED].as_str();
    written.and_then(|written| serde_json::from_str(written).ok()).unwrap_or_default()
}

fn with_managers(mut object: Value, managers: Map<String, Value>) -> Value {
    let metadata = &mut object["metadata"];
    if !metadata["annotations"].is_object() {
        metadata["annotations"] = json!({});
    }
    metadata["annotations"][APPLIED] = json!(Value::Object(managers).to_string());
    object
}

/// What is remembered of an applied object. What kubectl keeps for itself would be kept twice.
fn without_last_applied(wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    let annotations = wanted.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.remove(LAST_APPLIED);
    }
    wanted
}
