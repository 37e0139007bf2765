//! The reference of a server as OpenAPI 3.1, written from the tables of routes and the signatures of the models.

use std::collections::BTreeSet;
use std::sync::Arc;

use models::{DataType, Field, Method, Scalar};
use serde_json::{Map, Value, json};

use crate::model_set::{Entry, Ready};
use crate::protocols::{PROTOCOLS, Protocol};
use crate::route::{Answer, Route, Verb};

/// The document for these models.
pub(crate) fn document(entries: &[Arc<Entry>]) -> String {
    let mut paths = Map::new();
    for protocol in PROTOCOLS {
        for route in protocol.routes.iter().filter(|route| !route.doc.is_empty()) {
            let methods = paths.entry(route.pattern).or_insert_with(|| json!({}));
            let verb = match route.verb {
                Verb::Get => "get",
                Verb::Post => "post",
            };
            methods[verb] = operation(protocol, route, entries);
        }
    }
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.dedup();
    let version = entries.first().and_then(|entry| entry.version.as_deref()).filter(|_| names.len() == 1);
    let tag = |protocol: &Protocol| json!({ "name": protocol.title, "description": protocol.doc });
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": names.join(", "),
            "version": version.unwrap_or(env!("CARGO_PKG_VERSION")),
            "description": concat!("Served by Forebay ", env!("CARGO_PKG_VERSION"), "."),
        },
        "tags": PROTOCOLS.iter().copied().map(tag).collect::<Vec<_>>(),
        // Wherever the document is read from, the server is beside it.
        "servers": [{ "url": "." }],
        "paths": paths,
        "components": { "schemas": schemas(entries) },
    });
    document.to_string()
}

fn operation(protocol: &Protocol, route: &Route, entries: &[Arc<Entry>]) -> Value {
    let mut operation = json!({
        "tags": [protocol.title],
        "summary": route.doc,
        "parameters": parameters(route, entries),
        "responses": {
            "200": { "description": "The answer." },
            "default": { "description": "What is wrong, and where." },
        },
    });
    if let Answer::Predict(predict) = &route.answer {
        let is_asked_by_name = route.pattern.contains("{model}");
        let is_asked_by_version = route.pattern.contains("{version}");
        let asked = entries.iter().take(if is_asked_by_name { entries.len() } else { 1 });
        let asked = asked.filter(|entry| entry.version.is_some() || !is_asked_by_version);
        let example = |entry: &Arc<Entry>| {
            let body = (predict.example)(entry.ready()?);
            let value: Value = serde_json::from_str(&body).ok()?;
            Some((entry.name.clone(), json!({ "value": value })))
        };
        let examples: Map<String, Value> = asked.filter_map(example).collect();
        let body = json!({ "schema": body_schema(route, entries), "examples": examples });
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": body } });
    }
    operation
}

fn parameters(route: &Route, entries: &[Arc<Entry>]) -> Vec<Value> {
    let parameter = |name: &str, values: Vec<&str>| {
        let schema = if values.is_empty() { json!({ "type": "string" }) } else { json!({ "enum": values }) };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.dedup();
    let versions: BTreeSet<&str> = entries.iter().filter_map(|entry| entry.version.as_deref()).collect();
    let mut parameters = Vec::new();
    if route.pattern.contains("{model}") {
        parameters.push(parameter("model", names));
    }
    if route.pattern.contains("{version}") {
        parameters.push(parameter("version", versions.into_iter().collect()));
    }
    if let Answer::Predict(_) = route.answer {
        parameters.extend(method_parameter(route, entries));
    }
    parameters
}

/// How the query chooses a method of the models that a path may ask.
fn method_parameter(route: &Route, entries: &[Arc<Entry>]) -> Option<Value> {
    let n_asked = if route.pattern.contains("{model}") { entries.len() } else { 1 };
    let ready: Vec<&Ready> = entries.iter().take(n_asked).filter_map(|entry| entry.ready()).collect();
    let is_there = |method: &Method| ready.iter().any(|ready| ready.model.methods().contains(method));
    let methods: Vec<&str> =
        Method::ALL.iter().filter(|method| is_there(method)).map(|method| method.as_str()).collect();
    let mut schema = json!({ "enum": methods });
    if let [ready] = ready[..] {
        schema["default"] = json!(ready.method.as_str());
    }
    let description = "What the model is asked for.";
    let parameter = json!({ "name": "method", "in": "query", "schema": schema, "description": description });
    (!ready.is_empty()).then_some(parameter)
}

/// The schema of a body: for named features what the first model takes, else any object.
fn body_schema(route: &Route, entries: &[Arc<Entry>]) -> Value {
    let features = entries
        .first()
        .filter(|entry| entry.ready().is_some())
        .map(|entry| json!({ "$ref": format!("#/components/schemas/{}", schema_name(&entry.name)) }));
    match (route.pattern, features) {
        ("/predict", Some(features)) => {
            json!({ "type": "object", "required": ["features"], "properties": { "features": features } })
        }
        ("/batch-predict", Some(features)) => {
            let instances = json!({ "type": "array", "items": features });
            json!({ "type": "object", "required": ["instances"], "properties": { "instances": instances } })
        }
        _ => json!({ "type": "object" }),
    }
}

/// What each model takes, as the properties of an object.
fn schemas(entries: &[Arc<Entry>]) -> Map<String, Value> {
    let ready = entries.iter().filter_map(|entry| Some((schema_name(&entry.name), entry.ready()?)));
    ready.map(|(name, ready)| (name, features_schema(ready))).collect()
}

/// The name of a model as a component may have it.
fn schema_name(model: &str) -> String {
    let plain =
        |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
    format!("{}-features", model.chars().map(plain).collect::<String>())
}

fn features_schema(ready: &Ready) -> Value {
    let fields = ready.schema.fields();
    if !ready.schema.has_names() {
        let items = fields.first().map_or_else(|| json!({ "type": "number" }), field_schema);
        let mut values = json!({ "type": "array", "items": items });
        if let Some(n_columns) = ready.schema.n_columns() {
            values["minItems"] = json!(n_columns);
            values["maxItems"] = json!(n_columns);
        }
        return values;
    }
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.clone(), field_schema(field))).collect();
    let required = fields.iter().filter(|field| field.required && field.default.is_none());
    let required: Vec<&str> = required.map(|field| field.name.as_str()).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn field_schema(field: &Field) -> Value {
    let mut schema = match field.datatype {
        DataType::Boolean => json!({ "type": "boolean" }),
        DataType::Integer => json!({ "type": "integer", "format": "int32" }),
        DataType::Long => json!({ "type": "integer", "format": "int64" }),
        DataType::Float => json!({ "type": "number", "format": "float" }),
        DataType::Double => json!({ "type": "number", "format": "double" }),
        DataType::String => json!({ "type": "string" }),
        DataType::Binary => json!({ "type": "string", "contentEncoding": "base64" }),
        DataType::Datetime => json!({ "type": "string", "format": "date-time" }),
        DataType::Any => json!({}),
    };
    match &field.default {
        None => {}
        Some(Scalar::Double(value)) => schema["default"] = json!(value),
        Some(Scalar::Long(value)) => schema["default"] = json!(value),
        Some(Scalar::Boolean(value)) => schema["default"] = json!(value),
        Some(Scalar::Text(text)) => schema["default"] = json!(text),
    }
    schema
}
