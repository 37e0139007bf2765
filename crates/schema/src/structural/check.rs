//! What is wrong with a schema itself: it has to be structural, and say nothing that nobody checks.

use std::cell::Cell;

use serde_json::Value;

use super::validate::STEPS;
use super::{Checker, Problem, fill, is_on, items, pattern, preserves, prune};

/// How many problems are told.
const PROBLEMS: usize = 50;
/// How many levels a schema may have. Each is two of the object that it stands in.
const LEVELS: usize = 40;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// Words of JSON schemas that structural ones do not have.
const FORBIDDEN: [&str; 8] =
    ["$ref", "definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties", "xml"];
/// Words that say what is stored, which is said once, and not in alternatives.
const STRUCTURE: [&str; 6] = ["type", "additionalProperties", "default", "nullable", "description", "title"];
/// The same words of Kubernetes.
const EXTENSIONS: [&str; 6] = [
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
];

/// What stands behind a word.
type Form = (&'static str, &'static str, fn(&Value) -> bool);

/// What stands behind each word that is read.
const FORMS: &[Form] = &[
    ("properties", "a map", Value::is_object),
    ("items", "a schema", |it| it.is_object() || it.is_array()),
    ("additionalProperties", "a schema", |it| it.is_object() || it.is_boolean()),
    ("required", "a list of texts", |it| it.as_array().is_some_and(|all| all.iter().all(Value::is_string))),
    ("enum", "a list", Value::is_array),
    ("allOf", "a list", Value::is_array),
    ("anyOf", "a list", Value::is_array),
    ("oneOf", "a list", Value::is_array),
    ("type", "a text", Value::is_string),
    ("format", "a text", Value::is_string),
    ("pattern", "a text", Value::is_string),
    ("minimum", "a number", Value::is_number),
    ("maximum", "a number", Value::is_number),
    ("multipleOf", "a number above 0", |it| it.as_f64().is_some_and(|number| number > 0.0)),
    ("minLength", "a whole number from 0", Value::is_u64),
    ("maxLength", "a whole number from 0", Value::is_u64),
    ("minItems", "a whole number from 0", Value::is_u64),
    ("maxItems", "a whole number from 0", Value::is_u64),
    ("minProperties", "a whole number from 0", Value::is_u64),
    ("maxProperties", "a whole number from 0", Value::is_u64),
    ("nullable", "true or false", Value::is_boolean),
];

/// Where in a whole schema a part of it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Field,
    Item,
    Value,
    /// Within `allOf`, `anyOf`, `oneOf` or `not`.
    Alternative,
    /// The same, of what may be a whole number or a text.
    IntOrString,
}

/// What is wrong with a schema that stands at a path.
#[must_use]
pub fn check(schema: &Value, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    part(schema, path, Place::Root, LEVELS, &mut problems);
    if problems.is_empty() {
        defaults(schema, path, (&Checker::default(), &Cell::new(STEPS)), &mut problems);
    }
    problems.truncate(PROBLEMS);
    problems
}

fn part(schema: &Value, path: &str, place: Place, levels: usize, problems: &mut Vec<Problem>) {
    if problems.len() >= PROBLEMS {
        return;
    }
    let Some(words) = schema.as_object() else {
        return problems.push(Problem::invalid(path, schema, "must be a schema"));
    };
    if levels == 0 {
        let why = format!("must have at most {LEVELS} levels");
        return problems.push(Problem::new(path, "FieldValueInvalid", format!("Too deep: {why}")));
    }
    let at = |word: &str| format!("{path}.{word}");
    for (word, what, is_it) in FORMS {
        if let Some(value) = words.get(*word).filter(|value| !value.is_null() && !is_it(value)) {
            problems.push(Problem::invalid(at(word), value, &format!("must be {what}")));
        }
    }
    for word in FORBIDDEN.into_iter().filter(|word| words.contains_key(*word)) {
        problems.push(Problem::forbidden(at(word), &format!("{word} is not supported")));
    }
    if is_on(schema, "uniqueItems") {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        problems.push(Problem::forbidden(at("uniqueItems"), why));
    }
    if let Some(written) = schema["pattern"].as_str()
        && let Err(why) = pattern::read(written)
    {
        let why = format!("must be a valid regular expression, but isn't: {why}");
        problems.push(Problem::invalid(at("pattern"), &schema["pattern"], &why));
    }
    let is_alternative = matches!(place, Place::Alternative | Place::IntOrString);
    match place {
        Place::Alternative | Place::IntOrString => {
            for word in STRUCTURE.into_iter().filter(|word| says(&schema[*word])) {
                let is_one_of_both = word == "type" && place == Place::IntOrString;
                if !is_one_of_both {
                    problems.push(Problem::forbidden(at(word), "must be empty to be structural"));
                }
            }
            for word in EXTENSIONS.into_iter().filter(|word| says(&schema[*word])) {
                let why = "must be false to be structural";
                problems.push(Problem::forbidden(at(word), why));
            }
        }
        place => structure(schema, path, place, problems),
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, known) in properties {
            let place = if is_alternative { Place::Alternative } else { Place::Field };
            part(known, &format!("{path}.properties[{name}]"), place, levels - 1, problems);
        }
    }
    if schema["items"].is_array() {
        let why = "items must be a schema object and not an array";
        problems.push(Problem::forbidden(at("items"), why));
    } else if let Some(of_items) = words.get("items") {
        let place = if is_alternative { Place::Alternative } else { Place::Item };
        part(of_items, &at("items"), place, levels - 1, problems);
    }
    match words.get("additionalProperties") {
        Some(Value::Bool(false)) if !is_alternative => {
            let why = "additionalProperties cannot be set to false";
            problems.push(Problem::forbidden(at("additionalProperties"), why));
        }
        Some(values) if values.is_object() => {
            let place = if is_alternative { Place::Alternative } else { Place::Value };
            part(values, &at("additionalProperties"), place, levels - 1, problems);
        }
        _ => {}
    }
    let is_either = place == Place::IntOrString || is_on(schema, "x-kubernetes-int-or-string");
    let below = if is_either { Place::IntOrString } else { Place::Alternative };
    for word in ["allOf", "anyOf", "oneOf"] {
        for (nth, of) in items(schema, word).enumerate() {
            part(of, &format!("{path}.{word}[{nth}]"), below, levels - 1, problems);
        }
    }
    if let Some(not) = words.get("not") {
        part(not, &at("not"), Place::Alternative, levels - 1, problems);
    }
}

/// What a schema says of what is stored.
fn structure(schema: &Value, path: &str, place: Place, problems: &mut Vec<Problem>) {
    let at = |word: &str| format!("{path}.{word}");
    let kind = schema["type"].as_str().unwrap_or_default();
    let is_free = is_on(schema, "x-kubernetes-int-or-string") || preserves(schema);
    let missing = match place {
        Place::Root if kind.is_empty() => Some("must not be empty at the root"),
        _ if !kind.is_empty() || is_free => None,
        Place::Field => Some("must not be empty for specified object fields"),
        Place::Item => Some("must not be empty for specified array items"),
        _ => Some("must not be empty for specified values"),
    };
    if let Some(why) = missing {
        problems.push(Problem::required(at("type"), why));
    }
    if place == Place::Root && !kind.is_empty() && kind != "object" {
        problems.push(Problem::invalid(at("type"), &schema["type"], "must be object at the root"));
    }
    if !kind.is_empty() && !TYPES.contains(&kind) {
        let types: Vec<Value> = TYPES.map(Value::from).to_vec();
        problems.push(Problem::unsupported(at("type"), &schema["type"], types.iter()));
    }
    if is_on(schema, "x-kubernetes-int-or-string") && !kind.is_empty() {
        let why = "must be empty if x-kubernetes-int-or-string is true";
        problems.push(Problem::forbidden(at("type"), why));
    }
    if is_on(schema, "x-kubernetes-embedded-resource") {
        if kind != "object" {
            let why = "must be object if x-kubernetes-embedded-resource is true";
            problems.push(Problem::invalid(at("type"), &schema["type"], why));
        }
        if !preserves(schema) && schema["properties"].as_object().is_none_or(serde_json::Map::is_empty) {
            let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            problems.push(Problem::required(at("properties"), why));
        }
    }
    if schema.get("x-kubernetes-preserve-unknown-fields").is_some_and(|it| *it != true) {
        let why = "must be true or undefined";
        let word = "x-kubernetes-preserve-unknown-fields";
        problems.push(Problem::invalid(at(word), &schema[word], why));
    }
    if kind == "array" && schema.get("items").is_none() {
        problems.push(Problem::required(at("items"), "must be specified"));
    }
    if says(&schema["additionalProperties"]) && says(&schema["properties"]) {
        let why = "additionalProperties and properties are mutual exclusive";
        problems.push(Problem::forbidden(at("additionalProperties"), why));
    }
    list(schema, path, problems);
}

/// How a list is merged.
fn list(schema: &Value, path: &str, problems: &mut Vec<Problem>) {
    let at = |word: &str| format!("{path}.{word}");
    const TYPE: &str = "x-kubernetes-list-type";
    const KEYS: &str = "x-kubernetes-list-map-keys";
    let list_type = schema[TYPE].as_str();
    if !matches!(list_type, None | Some("atomic" | "set" | "map")) {
        let known = ["atomic", "set", "map"].map(Value::from);
        problems.push(Problem::unsupported(at(TYPE), &schema[TYPE], known.iter()));
    }
    if list_type.is_some() && schema["type"] != "array" {
        let why = "must be array if x-kubernetes-list-type is specified";
        problems.push(Problem::invalid(at("type"), &schema["type"], why));
    }
    let mut keys = items(schema, KEYS).peekable();
    if list_type == Some("map") && keys.peek().is_none() {
        let why = "must not be empty if x-kubernetes-list-type is map";
        problems.push(Problem::required(at(KEYS), why));
    }
    for (nth, key) in keys.enumerate() {
        let field = format!("{path}.{KEYS}[{nth}]");
        let known = key.as_str().and_then(|key| schema["items"]["properties"].get(key));
        let Some(known) = known.filter(|_| list_type == Some("map")) else {
            let why = "entries must all be names of item properties";
            problems.push(Problem::invalid(field, key, why));
            continue;
        };
        let is_required = items(&schema["items"], "required").any(|name| name == key);
        if !is_required && known.get("default").is_none() {
            let name = key.as_str().unwrap_or_default();
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            problems.push(Problem::required(format!("{path}.items.properties[{name}].default"), why));
        }
    }
}

/// Defaults have to be what their schema says.
fn defaults(schema: &Value, path: &str, checker: (&Checker, &Cell<u32>), problems: &mut Vec<Problem>) {
    if problems.len() >= PROBLEMS {
        return;
    }
    if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
        let field = format!("{path}.default");
        let mut filled = default.clone();
        if let Some(unknown) = prune(schema, &mut filled).first() {
            let why = format!("must not have unknown fields, but has {unknown}");
            problems.push(Problem::invalid(&field, default, &why));
        }
        if !fill(schema, &mut filled) {
            problems.push(Problem::invalid(&field, default, "must not be so long when it is filled in"));
        }
        for found in checker.0.problems_within(schema, &filled, checker.1) {
            let place =
                if found.field.is_empty() { field.clone() } else { format!("{field}.{}", found.field) };
            problems.push(Problem { field: place, ..found });
        }
    }
    for (name, known) in super::fields(schema, "properties") {
        defaults(known, &format!("{path}.properties[{name}]"), checker, problems);
    }
    for word in ["items", "additionalProperties"] {
        if let Some(below) = schema.get(word).filter(|below| below.is_object()) {
            defaults(below, &format!("{path}.{word}"), checker, problems);
        }
    }
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        _ => true,
    }
}
