//! Structural schemas, as CustomResourceDefinitions write them: what is wrong with one, what is wrong with a value beside one, and
//! what becomes of the value (unknown fields are taken out, defaults filled in).
//!
//! A schema is read where it stands, as JSON: nothing is made of it, so it costs nothing to keep. The words are those of a
//! Kubernetes API server. It is *not* a whole JSON Schema: what a structural schema may not have is refused by [`check`]
//! ("Extend the Kubernetes API with CustomResourceDefinitions", Kubernetes documentation).
//!
//! ```
//! use serde_json::json;
//! let schema = json!({"type": "object", "properties": {"size": {"type": "integer", "minimum": 1, "default": 3}}});
//! let mut value = json!({"colour": "red"});
//! assert_eq!(schema::structural::prune(&schema, &mut value), ["colour"]);
//! schema::structural::fill(&schema, &mut value);
//! assert_eq!(value, json!({"size": 3}));
//! value["size"] = json!(0);
//! let problems = schema::structural::Checker::default().problems(&schema, &value);
//! assert_eq!(problems[0].message, "Invalid value: 0: size in body should be greater than or equal to 1");
//! ```

mod check;
mod formats;
mod pattern;
#[cfg(test)]
mod tests;
mod validate;

use serde_json::{Map, Value};

pub use check::check;
pub use pattern::Patterns;
pub use validate::Checker;

/// Something that is wrong, in the words of a Kubernetes API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// For example `spec.replicas`; empty for the whole.
    pub field: String,
    /// For example `FieldValueInvalid`.
    pub reason: &'static str,
    /// What is wrong with it.
    pub message: String,
}

/// The fields that an object of its own has whatever its schema says.
const OF_OBJECTS: [&str; 3] = ["apiVersion", "kind", "metadata"];
/// How many bytes are filled in at most.
const FILLED: usize = 8 << 20;
/// How many unknown fields are named.
const UNKNOWN: usize = 20;

/// Whether a schema says `true` under a word.
#[must_use]
pub fn is_on(schema: &Value, word: &str) -> bool {
    schema[word] == true
}

/// Whether fields are kept that a schema does not know.
#[must_use]
pub fn preserves(schema: &Value) -> bool {
    is_on(schema, "x-kubernetes-preserve-unknown-fields")
}

/// Whether what a schema describes is an object of its own, with metadata.
#[must_use]
pub fn is_object(schema: &Value) -> bool {
    is_on(schema, "x-kubernetes-embedded-resource")
}

/// The schema of the values of a map, if it is one.
#[must_use]
pub fn values(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|values| values.is_object() || **values == true)
}

/// Takes out of an object what its schema does not know; names some of it. What every object has stays.
pub fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_below(schema, object, true, "", &mut unknown);
    unknown
}

fn prune_below(schema: &Value, value: &mut Value, is_whole: bool, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (nth, item) in items.iter_mut().enumerate() {
                let path = format!("{path}[{nth}]");
                prune_below(&schema["items"], item, is_object(&schema["items"]), &path, unknown);
            }
        }
        Value::Object(fields) => {
            if schema["additionalProperties"] == true {
                return;
            }
            if let Some(values) = values(schema) {
                for (name, value) in fields.iter_mut() {
                    prune_below(values, value, is_object(values), &below(path, name), unknown);
                }
                return;
            }
            let keeps_all = preserves(schema);
            fields.retain(|name, value| {
                if is_whole && OF_OBJECTS.contains(&name.as_str()) {
                    return true;
                }
                if let Some(known) = schema["properties"].get(name) {
                    prune_below(known, value, is_object(known), &below(path, name), unknown);
                    return true;
                }
                if !keeps_all && unknown.len() < UNKNOWN {
                    unknown.push(below(path, name));
                }
                keeps_all
            });
        }
        _ => {}
    }
}

/// Fills in what a value leaves open and its schema has a default for; takes out nulls that mean nothing. Says whether that is all:
/// what is filled in may not be longer than [`FILLED`].
pub fn fill(schema: &Value, value: &mut Value) -> bool {
    let mut left = FILLED;
    fill_within(schema, value, &mut left);
    left > 0
}

fn fill_within(schema: &Value, value: &mut Value, left: &mut usize) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fill_within(&schema["items"], item, left)),
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            for (name, known) in properties.into_iter().flatten() {
                let Some(default) = known.get("default") else { continue };
                if is_nothing(fields.get(name), known) && *left > 0 {
                    *left = left.saturating_sub(name.len() + length(default));
                    fields.insert(name.clone(), default.clone());
                }
            }
            let values = values(schema);
            fields.retain(|name, value| {
                let known = properties.and_then(|known| known.get(name)).or(values);
                let Some(known) = known else { return true };
                if value.is_null() && !is_on(known, "nullable") {
                    // A null that may be there is one that anything may be there in place of.
                    return known["type"].is_null() && preserves(known);
                }
                fill_within(known, value, left);
                true
            });
        }
        _ => {}
    }
}

/// About how many bytes a value takes.
fn length(value: &Value) -> usize {
    const EACH: usize = 32;
    match value {
        Value::String(text) => EACH + text.len(),
        Value::Array(items) => EACH + items.iter().map(length).sum::<usize>(),
        Value::Object(fields) => {
            EACH + fields.iter().map(|(name, value)| name.len() + length(value)).sum::<usize>()
        }
        _ => EACH,
    }
}

fn is_nothing(value: Option<&Value>, known: &Value) -> bool {
    value.is_none_or(|value| value.is_null() && !is_on(known, "nullable"))
}

/// `spec` and `replicas` as `spec.replicas`.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn fields<'a>(schema: &'a Value, word: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    schema.get(word).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn items<'a>(schema: &'a Value, word: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    schema.get(word).and_then(Value::as_array).into_iter().flatten()
}

// === impl Problem ===

impl Problem {
    fn new(field: impl Into<String>, reason: &'static str, message: String) -> Self {
        Self { field: field.into(), reason, message }
    }

    fn required(field: impl Into<String>, why: &str) -> Self {
        let colon = if why.is_empty() { "" } else { ": " };
        Self::new(field, "FieldValueRequired", format!("Required value{colon}{why}"))
    }

    fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self::new(field, "FieldValueForbidden", format!("Forbidden: {why}"))
    }

    fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self::new(field, "FieldValueInvalid", format!("Invalid value: {value}: {why}"))
    }

    fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new(field, "FieldValueDuplicate", format!("Duplicate value: {value}"))
    }

    fn unsupported<'a>(
        field: impl Into<String>,
        value: &Value,
        supported: impl Iterator<Item = &'a Value>,
    ) -> Self {
        let quoted = |value: &Value| match value {
            Value::String(text) => format!("{text:?}"),
            other => format!("{:?}", other.to_string()),
        };
        let supported: Vec<String> = supported.map(quoted).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Self::new(field, "FieldValueNotSupported", message)
    }
}
