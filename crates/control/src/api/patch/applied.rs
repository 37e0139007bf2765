//! The three-way merge of `kubectl apply`: an object becomes what somebody says of it, and loses what he said before and no
//! longer says.

use serde_json::{Map, Value};

use super::shape::{Items, Shape};
use super::strategic::reorder;

/// What `live` becomes when `wanted` takes the place of what was `applied` before.
///
/// Fields that left are removed, fields that others set are kept; lists are merged where Kubernetes merges them.
pub(super) fn merge_value(applied: Option<&Value>, wanted: &Value, live: &Value, shape: Shape) -> Value {
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

fn merge_item(applied: Option<&Value>, wanted: &Value, live: &Value, items: Items) -> Value {
    merge_value(applied, wanted, live, items.item())
}

fn merge_map(applied: Option<&Value>, wanted: &Map<String, Value>, live: &Value, shape: Shape) -> Value {
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
