//! The paths of a kind, with what can be done there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Served;
use super::schemas::OpenApi;
use crate::api::patch::media_types;

/// The parameters of a write.
const WRITE: &[(&str, &str)] = &[
    ("dryRun", "All: nothing is written, only tried."),
    ("fieldManager", "Who writes."),
    ("fieldValidation", "What becomes of unknown fields: Ignore, Warn or Strict."),
];
const FORCE: (&str, &str) = ("force", "Whether fields are taken from others.");
const LIST: &[(&str, &str)] = &[
    ("continue", "What an earlier list was continued with."),
    ("fieldSelector", "Only objects with these fields."),
    ("labelSelector", "Only objects with these labels."),
    ("limit", "How many objects at most."),
    ("resourceVersion", "As of which version."),
    ("resourceVersionMatch", "What the version means."),
    ("timeoutSeconds", "How long a watch goes on."),
    ("watch", "Whether to go on with what changes."),
];
const DELETE: &[(&str, &str)] = &[
    ("dryRun", "All: nothing is deleted, only tried."),
    ("gracePeriodSeconds", "Seconds that it gets to end."),
    ("propagationPolicy", "What becomes of objects that belong to it."),
];

/// Adds the paths of a kind. Those of the second version say no more than clients ask of it.
pub(super) fn add(paths: &mut BTreeMap<String, String>, kind: &Served, schema: &str, version: OpenApi) {
    let group = super::group_path(kind.group, kind.version);
    let namespace = if kind.is_namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("/{group}{namespace}/{}", kind.plural);
    let one = Operations { kind, schema: schema.to_owned(), version };
    let list = Operations { kind, schema: format!("{schema}List"), version };
    let force: Vec<_> = WRITE.iter().copied().chain([FORCE]).collect();
    let mut object = Map::new();
    let mut all = Map::new();
    for verb in kind.verbs {
        match *verb {
            "get" => object.insert("get".to_owned(), one.operation("get", "read", &[])),
            "update" => object.insert("put".to_owned(), one.operation("put", "replace", WRITE)),
            "patch" => object.insert("patch".to_owned(), one.operation("patch", "patch", &force)),
            "delete" => object.insert("delete".to_owned(), one.operation("delete", "delete", DELETE)),
            "list" => all.insert("get".to_owned(), list.operation("list", "list", LIST)),
            "create" => all.insert("post".to_owned(), one.operation("post", "create", WRITE)),
            _ => None,
        };
    }
    if !object.is_empty() {
        object.insert("parameters".to_owned(), named(kind, true, version));
        paths.insert(format!("{collection}/{{name}}"), Value::Object(object).to_string());
    }
    all.insert("parameters".to_owned(), named(kind, false, version));
    paths.insert(collection, Value::Object(all).to_string());
}

struct Operations<'a> {
    kind: &'a Served,
    schema: String,
    version: OpenApi,
}

// === impl Operations ===

impl Operations<'_> {
    fn operation(&self, action: &str, verb: &str, parameters: &[(&str, &str)]) -> Value {
        let Served { group, version, kind, .. } = self.kind;
        let parameters: Vec<Value> =
            parameters.iter().map(|(name, doc)| self.version.parameter("query", name, doc)).collect();
        let schema = self.version.reference(&self.schema);
        let mut operation = json!({
            "operationId": format!("{verb}{}{kind}", camel(&format!("{group}.{version}"))),
            "description": format!("{verb} {kind}"),
            "responses": {"200": self.version.content("OK", &schema)},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        let bodies = match verb {
            "create" | "replace" => vec!["*/*"],
            // kubectl looks here for how it may patch.
            "patch" => media_types(schema::of(group, version, kind)).collect(),
            _ => Vec::new(),
        };
        if !bodies.is_empty() && self.version == OpenApi::V3 {
            let body = |media_type: &str| (media_type.to_owned(), json!({"schema": schema}));
            let content: Map<String, Value> = bodies.into_iter().map(body).collect();
            operation["requestBody"] = json!({"content": content, "required": true});
        }
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        operation
    }
}

// === impl OpenApi ===

impl OpenApi {
    fn parameter(self, place: &str, name: &str, doc: &str) -> Value {
        let mut parameter = json!({"in": place, "name": name, "description": doc});
        match self {
            Self::V2 => parameter["type"] = json!("string"),
            Self::V3 => parameter["schema"] = json!({"type": "string"}),
        }
        if place == "path" {
            parameter["required"] = json!(true);
        }
        parameter
    }

    fn content(self, doc: &str, schema: &Value) -> Value {
        match self {
            Self::V2 => json!({"description": doc, "schema": schema}),
            Self::V3 => json!({"description": doc, "content": {"application/json": {"schema": schema}}}),
        }
    }
}

/// The parts of a path that stand for names.
fn named(kind: &Served, is_object: bool, version: OpenApi) -> Value {
    let mut parameters = Vec::new();
    if is_object {
        parameters.push(version.parameter("path", "name", "The name of the object."));
    }
    if kind.is_namespaced {
        parameters.push(version.parameter("path", "namespace", "The namespace of the object."));
    }
    json!(parameters)
}

/// `apps.v1` as `AppsV1`.
fn camel(name: &str) -> String {
    let words = name.split(['.', '-']).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}
