//! `/openapi/v2` in protobuf (`openapi.v2` of gnostic), which kubectl up to 1.28 reads before it writes anything.
//!
//! It is made from the pieces of the document in JSON; of a path there is what clients look for: which kind a patch is of, and which
//! parameters it takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Source;
use crate::api::protobuf::wire::put_bytes;

/// The document in protobuf.
pub(super) fn document(source: &Source) -> Vec<u8> {
    let info = super::info();
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, 1, b"2.0");
    put_message(&mut bytes, 2, |to| {
        put_text(to, 1, &info["title"]);
        put_text(to, 2, &info["version"]);
    });
    put_message(&mut bytes, 8, |paths| {
        for (path, item) in values(&source.paths) {
            put_message(paths, 2, |named| {
                put_bytes(named, 1, path.as_bytes());
                put_message(named, 2, |to| path_item(to, &item));
            });
        }
    });
    put_message(&mut bytes, 9, |definitions| {
        for (name, schema) in values(&source.schemas) {
            put_named_schema(definitions, 1, name, &schema);
        }
    });
    bytes
}

/// Entries that are in JSON, one after another.
fn values(texts: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, Value)> {
    texts.iter().filter_map(|(name, text)| Some((name, serde_json::from_str(text).ok()?)))
}

/// The verbs with their numbers.
const VERBS: &[(&str, u32)] = &[("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)];

fn path_item(to: &mut Vec<u8>, item: &Value) {
    for (verb, number) in VERBS {
        if let Some(operation) = item.get(verb) {
            put_message(to, *number, |to| put_operation(to, operation));
        }
    }
}

fn put_operation(to: &mut Vec<u8>, operation: &Value) {
    put_text(to, 3, &operation["description"]);
    put_text(to, 5, &operation["operationId"]);
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        // One that is no reference, not in the body, and in the query.
        put_within(to, &[8, 1, 2, 3], |query| {
            put_text(query, 2, &parameter["in"]);
            put_text(query, 3, &parameter["description"]);
            put_text(query, 4, &parameter["name"]);
            put_text(query, 6, &parameter["type"]);
        });
    }
    for (code, response) in entries(&operation["responses"]) {
        put_within(to, &[9, 1], |named| {
            put_bytes(named, 1, code.as_bytes());
            put_within(named, &[2, 1], |it| {
                put_text(it, 1, &response["description"]);
                put_within(it, &[2, 1], |to| put_schema(to, &response["schema"]));
            });
        });
    }
    put_extensions(to, 13, operation);
}

fn put_named_schema(to: &mut Vec<u8>, number: u32, name: &str, schema: &Value) {
    put_message(to, number, |named| {
        put_bytes(named, 1, name.as_bytes());
        put_message(named, 2, |to| put_schema(to, schema));
    });
}

/// Schemas stand inside of one another only as deep as lists and maps of our types do.
fn put_schema(to: &mut Vec<u8>, schema: &Value) {
    put_text(to, 1, &schema["$ref"]);
    put_text(to, 2, &schema["format"]);
    put_text(to, 4, &schema["description"]);
    for required in schema["required"].as_array().into_iter().flatten() {
        put_text(to, 19, required);
    }
    for word in schema["enum"].as_array().into_iter().flatten() {
        put_message(to, 20, |any| put_yaml(any, word));
    }
    if schema["additionalProperties"].is_object() {
        put_within(to, &[21, 1], |to| put_schema(to, &schema["additionalProperties"]));
    }
    if schema["type"].is_string() {
        put_message(to, 22, |item| put_text(item, 1, &schema["type"]));
    }
    if schema["items"].is_object() {
        put_within(to, &[23, 1], |to| put_schema(to, &schema["items"]));
    }
    if schema["properties"].is_object() {
        put_message(to, 25, |properties| {
            for (name, schema) in entries(&schema["properties"]) {
                put_named_schema(properties, 1, name, schema);
            }
        });
    }
    put_extensions(to, 31, schema);
}

fn put_extensions(to: &mut Vec<u8>, number: u32, of: &Value) {
    for (name, value) in entries(of).filter(|(name, _)| name.starts_with("x-")) {
        put_message(to, number, |named| {
            put_bytes(named, 1, name.as_bytes());
            put_message(named, 2, |any| put_yaml(any, value));
        });
    }
}

/// Any value: JSON is YAML, too.
fn put_yaml(any: &mut Vec<u8>, value: &Value) {
    put_bytes(any, 2, format!("{value}\n").as_bytes());
}

fn put_text(to: &mut Vec<u8>, number: u32, value: &Value) {
    if let Some(text) = value.as_str() {
        put_bytes(to, number, text.as_bytes());
    }
}

fn put_message(to: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_within(to, &[number], write);
}

/// Writes a message that is the only field of another one, and that of another one.
fn put_within(to: &mut Vec<u8>, numbers: &[u32], write: impl FnOnce(&mut Vec<u8>)) {
    let mut message = Vec::new();
    write(&mut message);
    for number in numbers.iter().rev() {
        let mut outer = Vec::with_capacity(message.len() + 8);
        put_bytes(&mut outer, *number, &message);
        message = outer;
    }
    to.extend(message);
}

fn entries(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of.as_object().into_iter().flat_map(Map::iter)
}
