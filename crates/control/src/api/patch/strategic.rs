//! Strategic merge patches: what `kubectl apply` and `kubectl patch` send for built-in kinds.
//!
//! Maps are merged, lists with a merge key item by item, other lists are replaced. Fields that begin with `$` are
//! directives about their neighbours, and vanish.

use serde_json::{Map, Value};

use super::shape::{Items, Shape};
use crate::store::{Reason, Status};

const SET_ORDER: &str = "$setElementOrder/";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";
const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";

/// Patches a value.
pub(super) fn merge(live: &Value, patch: &Value, shape: Shape) -> Result<Value, Status> {
    let Value::Object(patch) = patch else { return Err(bad("a strategic merge patch is a map")) };
    let mut fields = live.as_object().cloned().unwrap_or_default();
    merge_map(&mut fields, patch, shape)?;
    Ok(Value::Object(fields))
}

fn merge_map(live: &mut Map<String, Value>, patch: &Map<String, Value>, shape: Shape) -> Result<(), Status> {
    match directive(patch)? {
        Directive::Merge => {}
        Directive::Delete => {
            live.clear();
            return Ok(());
        }
        Directive::Replace => {
            live.clear();
            live.extend(plain_fields(patch).map(|(key, value)| (key.clone(), value.clone())));
            return Ok(());
        }
    }
    let orders: Vec<_> = about(patch, SET_ORDER).collect();
    let before: Vec<Vec<Value>> = orders.iter().map(|(list, _)| items_of(live, list)).collect();
    for (list, said) in orders.iter().copied().chain(about(patch, DELETE_PRIMITIVES)) {
        bounded(said)?;
        bounded(in_place(live, list))?;
        bounded(in_place(patch, list))?;
    }
    if let Some(kept) = patch.get(RETAIN_KEYS).and_then(Value::as_array) {
        live.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    for (list, deleted) in about(patch, DELETE_PRIMITIVES) {
        if let Some(items) = live.get_mut(list).and_then(Value::as_array_mut) {
            items.retain(|item| !deleted.contains(item));
        }
    }
    for (key, value) in plain_fields(patch) {
        let before = live.remove(key);
        let merged = match value {
            Value::Null => continue,
            Value::Object(patch) => {
                let mut fields = before.and_then(into_map).unwrap_or_default();
                merge_map(&mut fields, patch, shape.field(key))?;
                Value::Object(fields)
            }
            Value::Array(patch) => {
                let items = before.and_then(into_list).unwrap_or_default();
                Value::Array(merge_list(items, patch, shape.field(key))?)
            }
            plain => plain.clone(),
        };
        live.insert(key.clone(), merged);
    }
    for ((list, order), before) in orders.into_iter().zip(before) {
        let items = items_of(live, list);
        if !items.is_empty() {
            live.insert(list.to_owned(), Value::Array(in_order(items, &before, order, shape.field(list))));
        }
    }
    Ok(())
}

/// Items of a list that is merged: each of them is looked for among the others.
const MERGED_ITEMS: usize = 4000;

/// Refuses to look for each item of a list among the others where they are too many. A list that is replaced may be as long as
/// it likes.
fn bounded(list: &[Value]) -> Result<(), Status> {
    if list.len() > MERGED_ITEMS {
        return Err(bad(format!(
            "a list of more than {MERGED_ITEMS} items is not merged; replace the object, or patch it with JSON (--type=json)"
        )));
    }
    Ok(())
}

fn items_of(fields: &Map<String, Value>, list: &str) -> Vec<Value> {
    in_place(fields, list).to_vec()
}

fn in_place<'a>(fields: &'a Map<String, Value>, list: &str) -> &'a [Value] {
    fields.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A list in the order that the patch asks for.
fn in_order(items: Vec<Value>, before: &[Value], order: &[Value], shape: Shape) -> Vec<Value> {
    let are_same = |a: &Value, b: &Value| match shape {
        Shape::Items(items) => a.get(items.key) == b.get(items.key),
        _ => a == b,
    };
    reorder(items, before, |item| order.iter().position(|place| are_same(place, item)), are_same)
}

fn merge_list(live: Vec<Value>, patch: &[Value], shape: Shape) -> Result<Vec<Value>, Status> {
    if matches!(shape, Shape::Items(_) | Shape::Set) {
        bounded(&live)?;
        bounded(patch)?;
    }
    match shape {
        Shape::Items(items) => merge_items(live, patch, items),
        Shape::Set => {
            let new = patch.iter().filter(|item| !live.contains(item)).cloned().collect::<Vec<_>>();
            Ok(live.into_iter().chain(new).collect())
        }
        Shape::Plain | Shape::Object(_) | Shape::Custom(_) => Ok(patch.to_vec()),
    }
}

fn merge_items(mut live: Vec<Value>, patch: &[Value], items: Items) -> Result<Vec<Value>, Status> {
    let patch: Vec<&Map<String, Value>> = patch
        .iter()
        .map(|item| {
            item.as_object().ok_or_else(|| bad(format!("an item of the list by `{}` is no map", items.key)))
        })
        .collect::<Result<_, _>>()?;
    let replaces = patch.iter().any(|item| item.get(PATCH).is_some_and(|patch| patch == "replace"));
    if replaces {
        live.clear();
    }
    for item in patch {
        let Some(key) = item.get(items.key) else {
            if replaces {
                continue;
            }
            return Err(bad(format!("an item has no `{}`, by which its list is merged", items.key)));
        };
        let place = live.iter().position(|live| live.get(items.key) == Some(key));
        if item.get(PATCH).is_some_and(|patch| patch == "delete") {
            place.map(|place| live.remove(place));
            continue;
        }
        let before = place.and_then(|place| live[place].as_object().cloned());
        let mut fields = before.unwrap_or_default();
        merge_map(&mut fields, item, items.item())?;
        match place {
            Some(place) => live[place] = Value::Object(fields),
            None => live.push(Value::Object(fields)),
        }
    }
    Ok(live)
}

/// Puts a list into an order. Items that the order does not name keep their place among those they stood beside.
pub(super) fn reorder(
    list: Vec<Value>,
    before: &[Value],
    place_in_order: impl Fn(&Value) -> Option<usize>,
    are_same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let place_before = |item: &Value| before.iter().position(|other| are_same(other, item));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        list.into_iter().partition(|item| place_in_order(item).is_some());
    named.sort_by_key(|item| place_in_order(item));
    let mut ordered = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let place = place_before(&item);
        let stood_before =
            |other: &Value| matches!((place_before(other), place), (Some(a), Some(b)) if a < b);
        while let Some(other) = others.next_if(|other| stood_before(other)) {
            ordered.push(other);
        }
        ordered.push(item);
    }
    ordered.extend(others);
    ordered
}

/// What a map says about itself.
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> Result<Directive, Status> {
    match patch.get(PATCH).map(Value::as_str) {
        None | Some(Some("merge")) => Ok(Directive::Merge),
        Some(Some("replace")) => Ok(Directive::Replace),
        Some(Some("delete")) => Ok(Directive::Delete),
        Some(_) => Err(bad("`$patch` is one of merge, replace and delete")),
    }
}

/// The fields that are no directives.
fn plain_fields(patch: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    patch.iter().filter(|(key, _)| !key.starts_with('$'))
}

/// The directives with a prefix: each names a list, and has a list.
fn about<'a>(patch: &'a Map<String, Value>, prefix: &str) -> impl Iterator<Item = (&'a str, &'a [Value])> {
    patch
        .iter()
        .filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_array()?.as_slice())))
}

fn into_map(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(fields) = value { Some(fields) } else { None }
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(items) = value { Some(items) } else { None }
}

fn bad(why: impl Into<String>) -> Status {
    Status::new(Reason::BadRequest, why)
}
