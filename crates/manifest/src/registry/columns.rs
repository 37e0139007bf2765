//! The tables that people see of objects: what a column is, and what several kinds show in theirs.
//!
//! A column is a name and a pure function of an object and the time.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::time::age;
use crate::Object;

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// For example `Cluster-IP`; kubectl prints it in capitals.
    pub name: &'static str,
    /// What kind of value its cells are: `string` or `integer`.
    pub cell_type: &'static str,
    /// Whether it is shown only when asked for (`-o wide`).
    pub is_wide: bool,
    /// What stands in it: text, a number, or nothing.
    pub cell: fn(&Object, Timestamp) -> Value,
}

pub(super) const NAME: Column = column("Name", |object, _| json!(object.name));
pub(super) const AGE: Column =
    column("Age", |object, now| json!(age(of_metadata(object, "creationTimestamp"), now)));
/// The columns of a kind that shows nothing of its own.
pub(super) const PLAIN: &[Column] = &[NAME, AGE];
/// The columns of a kind that shows when its objects were made.
pub(super) const CREATED: &[Column] = &[
    NAME,
    column("Created At", |object, _| json!(of_metadata(object, "creationTimestamp").unwrap_or_default())),
];

/// What stands where there is nothing.
pub(super) const NONE: &str = "<none>";
/// What stands where nothing was said.
pub(super) const UNSET: &str = "<unset>";
/// What stands where nobody knows.
pub(super) const UNKNOWN: &str = "<unknown>";

pub(super) const fn column(name: &'static str, cell: fn(&Object, Timestamp) -> Value) -> Column {
    Column { name, cell_type: "string", is_wide: false, cell }
}

pub(super) const fn wide(name: &'static str, cell: fn(&Object, Timestamp) -> Value) -> Column {
    Column { is_wide: true, ..column(name, cell) }
}

pub(super) const fn count(name: &'static str, cell: fn(&Object, Timestamp) -> Value) -> Column {
    Column { cell_type: "integer", ..column(name, cell) }
}

/// The names of the containers in the pods that an object describes.
pub(super) const CONTAINERS: Column =
    wide("Containers", |object, _| container_names(&object.value["spec"]["template"]["spec"]));
/// Their images.
pub(super) const IMAGES: Column =
    wide("Images", |object, _| container_images(&object.value["spec"]["template"]["spec"]));

// === what several families share ===

/// The items of a list; none when it is no list.
pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Text, or `or`.
pub(super) fn text_or<'a>(value: &'a Value, or: &'a str) -> &'a str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or(or)
}

/// A number, 0 when there is none.
pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// A number or text as it is written.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Texts with commas between them, or `<none>`.
pub(super) fn joined(texts: impl Iterator<Item = impl AsRef<str>>) -> Value {
    let texts: Vec<_> = texts.collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).filter(|text| !text.is_empty()).collect();
    json!(if texts.is_empty() { NONE.to_owned() } else { texts.join(",") })
}

/// A map of labels as a selector: `app=web,track=stable`.
pub(super) fn labels(map: &Value) -> Value {
    let pairs = map.as_object().into_iter().flatten();
    joined(pairs.map(|(key, value)| format!("{key}={}", plain(value))))
}

/// A selector with expressions, as kubectl writes it: `app=web,tier in (a,b),!old`; or `<none>`.
pub(super) fn selector(selector: &Value) -> Value {
    joined(requirements(selector))
}

/// The same; nothing for no requirement.
#[must_use]
pub fn selector_text(selector: &Value) -> String {
    requirements(selector).collect::<Vec<_>>().join(",")
}

fn requirements(selector: &Value) -> impl Iterator<Item = String> {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let equal = equal.map(|(key, value)| format!("{key}={}", plain(value)));
    let expressions = items(&selector["matchExpressions"]).map(|expression| {
        let key = text_or(&expression["key"], "");
        let values = items(&expression["values"]).map(plain).collect::<Vec<_>>().join(",");
        match text_or(&expression["operator"], "") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        }
    });
    equal.chain(expressions)
}

/// Names and images of the containers of a pod template.
pub(super) fn container_names(pod_spec: &Value) -> Value {
    joined(items(&pod_spec["containers"]).map(|container| text_or(&container["name"], "")))
}

pub(super) fn container_images(pod_spec: &Value) -> Value {
    joined(items(&pod_spec["containers"]).map(|container| text_or(&container["image"], "")))
}

/// A field of `metadata` that is text.
pub(super) fn of_metadata<'a>(object: &'a Object, field: &str) -> Option<&'a str> {
    object.value.get("metadata")?.get(field)?.as_str()
}

/// Whether an object is on its way out.
pub(super) fn is_ending(object: &Object) -> bool {
    of_metadata(object, "deletionTimestamp").is_some()
}

/// Whether a condition of a status holds.
pub(super) fn holds(status: &Value, condition: &str) -> bool {
    items(&status["conditions"]).any(|found| found["type"] == condition && found["status"] == "True")
}
