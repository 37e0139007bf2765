//! Types as schemas of OpenAPI.

use std::collections::BTreeMap;

use manifest::Definition;
use schema::{Field, Holds, List, Type};

use serde_json::{Map, Value, json};

use super::Served;

/// The two versions of OpenAPI, which say the same with other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenApi {
    V2,
    V3,
}

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// The schemas of some types, and of all that they are made of.
#[derive(Debug)]
pub(super) struct Schemas {
    version: OpenApi,
    by_name: BTreeMap<String, String>,
}

// === impl OpenApi ===

impl OpenApi {
    /// Points to a schema.
    pub(super) fn reference(self, name: &str) -> Value {
        match self {
            Self::V2 => json!({"$ref": format!("#/definitions/{name}")}),
            Self::V3 => json!({"$ref": format!("#/components/schemas/{name}")}),
        }
    }
}

// === impl Schemas ===

impl Schemas {
    pub(super) fn new(version: OpenApi) -> Self {
        Self { version, by_name: BTreeMap::new() }
    }

    /// Adds a kind, and lists of it.
    pub(super) fn add_kind(&mut self, kind: &'static Type) {
        self.add(kind);
        if kind.field("metadata").is_none() {
            return;
        }
        let list = format!("{}List", kind.name);
        let words = format!("A list of objects of the kind {}.", kind.name);
        let schema = self.list(&words, &kind.full_name(), &group_version_kind(kind, &list));
        self.by_name.insert(format!("{}.{list}", kind.package.path), schema);
        if let Some(metadata) = schema::named(LIST_META) {
            self.add(metadata);
        }
    }

    /// The schema of lists of what this name stands for.
    fn list(&self, words: &str, name: &str, kinds: &Value) -> String {
        let schema = json!({
            "description": words,
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"description": API_VERSION, "type": "string"},
                "kind": {"description": KIND, "type": "string"},
                "metadata": self.named(LIST_META, "What every list has."),
                "items": {"description": "The objects.", "type": "array", "items": self.version.reference(name)},
            },
            "x-kubernetes-group-version-kind": kinds,
        });
        schema.to_string()
    }

    /// Adds a kind that a definition declares, and lists of it; gives its name.
    pub(super) fn add_declared(&mut self, served: &Served, definition: &Definition) -> String {
        let Served { group, version, kind, .. } = *served;
        let reversed: Vec<&str> = group.split('.').rev().collect();
        let name = format!("{}.{version}.{kind}", reversed.join("."));
        let mut schema = definition.schema().clone();
        if self.version == OpenApi::V2 {
            simplify(&mut schema);
        }
        let of_kind = |kind: &str| json!([{"group": group, "version": version, "kind": kind}]);
        let metadata = self.named(OBJECT_META, "What every object has.");
        if let Some(words) = schema.as_object_mut() {
            let properties = words.entry("properties").or_insert_with(|| json!({}));
            properties["apiVersion"] = json!({"description": API_VERSION, "type": "string"});
            properties["kind"] = json!({"description": KIND, "type": "string"});
            properties["metadata"] = metadata;
            words.insert("x-kubernetes-group-version-kind".to_owned(), of_kind(kind));
        }
        let list_kind = definition.object().value["spec"]["names"]["listKind"].as_str().unwrap_or_default();
        let list = self.list(&format!("{list_kind} is a list of {kind}"), &name, &of_kind(list_kind));
        self.by_name.insert(name.clone(), schema.to_string());
        self.by_name.insert(format!("{name}List"), list);
        [OBJECT_META, LIST_META].into_iter().filter_map(schema::named).for_each(|known| self.add(known));
        name
    }

    /// Adds a type, and all that it is made of.
    pub(super) fn add(&mut self, known: &'static Type) {
        let mut left = vec![known];
        while let Some(known) = left.pop() {
            let name = known.full_name();
            if self.by_name.contains_key(&name) {
                continue;
            }
            let schema = self.schema_of(known);
            self.by_name.insert(name, schema.to_string());
            left.extend(known.fields().filter_map(|field| field.holds.object()));
        }
    }

    /// All of them by name, in JSON.
    pub(super) fn into_texts(self) -> BTreeMap<String, String> {
        self.by_name
    }

    fn schema_of(&mut self, known: &'static Type) -> Value {
        let mut fields: Vec<&'static Field> = known.fields().collect();
        fields.sort_by_key(|field| field.name);
        let required: Vec<&str> =
            fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
        let properties: Map<String, Value> =
            fields.iter().map(|field| (field.name.to_owned(), self.property(field))).collect();
        let mut schema = json!({"description": known.doc, "type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if known.is_atomic {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        if known.is_kind {
            schema["x-kubernetes-group-version-kind"] = group_version_kind(known, known.name);
        }
        schema
    }

    fn property(&mut self, field: &Field) -> Value {
        let mut schema = self.holds(&field.holds, described(field));
        let words: Vec<&str> = field.words().collect();
        if !words.is_empty() {
            let of = if matches!(field.holds, Holds::List(_)) { &mut schema["items"] } else { &mut schema };
            of["enum"] = json!(words);
        }
        if let Some(default) = field.default_value().filter(|_| self.version == OpenApi::V3) {
            schema["default"] = default;
        }
        if field.is_atomic {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        if matches!(field.holds, Holds::List(_)) {
            match field.list {
                // Some lists are merged by patches and replaced by those who apply, who are told nothing of it.
                List::Atomic if field.merge_key.is_some() => {}
                List::Atomic => schema["x-kubernetes-list-type"] = json!("atomic"),
                List::Set => schema["x-kubernetes-list-type"] = json!("set"),
                List::By(_) => {
                    schema["x-kubernetes-list-type"] = json!("map");
                    schema["x-kubernetes-list-map-keys"] = field.list.keys().collect();
                }
            }
        }
        if let Some(key) = field.merge_key.filter(|key| !key.is_empty()) {
            schema["x-kubernetes-patch-merge-key"] = json!(key);
        }
        let strategy = match (field.merge_key.is_some(), field.retains_keys) {
            (true, true) => "merge,retainKeys",
            (true, false) => "merge",
            (false, true) => "retainKeys",
            (false, false) => return schema,
        };
        schema["x-kubernetes-patch-strategy"] = json!(strategy);
        schema
    }

    fn holds(&mut self, holds: &Holds, doc: &str) -> Value {
        let mut schema = match holds {
            Holds::Text => json!({"type": "string"}),
            Holds::Bool => json!({"type": "boolean"}),
            Holds::Int32 => json!({"type": "integer", "format": "int32"}),
            Holds::Int64 => json!({"type": "integer", "format": "int64"}),
            Holds::Double => json!({"type": "number", "format": "double"}),
            Holds::Bytes => json!({"type": "string", "format": "byte"}),
            Holds::Json => json!({"x-kubernetes-preserve-unknown-fields": true}),
            Holds::Quantity => return self.scalar(QUANTITY, doc),
            Holds::IntOrString => return self.scalar(INT_OR_STRING, doc),
            Holds::Time => return self.scalar(TIME, doc),
            Holds::MicroTime => return self.scalar(MICRO_TIME, doc),
            Holds::Object(of) => return self.named(&of.full_name(), doc),
            Holds::List(item) => json!({"type": "array", "items": self.holds(item, "")}),
            Holds::Map(value) => json!({"type": "object", "additionalProperties": self.holds(value, "")}),
        };
        if !doc.is_empty() {
            schema["description"] = json!(doc);
        }
        schema
    }

    /// A value that has a schema of its own without being an object.
    fn scalar(&mut self, name: &'static str, doc: &str) -> Value {
        let mut schema = match (name, self.version) {
            (QUANTITY, OpenApi::V2) => json!({"type": "string"}),
            (QUANTITY, OpenApi::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            (INT_OR_STRING, OpenApi::V2) => json!({"type": "string", "format": "int-or-string"}),
            (INT_OR_STRING, OpenApi::V3) => {
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            _ => json!({"type": "string", "format": "date-time"}),
        };
        schema["description"] = json!(match name {
            QUANTITY => "An amount, such as 500m or 1Gi.",
            INT_OR_STRING => "A whole number, or a text such as a name or 25%.",
            _ => "A time, such as 2026-01-01T00:00:00Z.",
        });
        self.by_name.entry(name.to_owned()).or_insert_with(|| schema.to_string());
        self.named(name, doc)
    }

    /// A schema that stands elsewhere, with a description of its own.
    fn named(&self, name: &str, doc: &str) -> Value {
        let mut reference = self.version.reference(name);
        if doc.is_empty() {
            return reference;
        }
        // What stands beside a reference counts for nothing in the third version.
        if self.version == OpenApi::V3 {
            reference = json!({"allOf": [reference]});
        }
        reference["description"] = json!(doc);
        reference
    }
}

/// Leaves out of a schema what the second version has no words for.
fn simplify(schema: &mut Value) {
    let Value::Object(words) = schema else { return };
    let is_on = |word: &str| words.get(word) == Some(&json!(true));
    let is_open = ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string", "nullable"]
        .into_iter()
        .any(is_on);
    if is_open {
        for word in ["type", "properties", "items", "additionalProperties", "format"] {
            words.remove(word);
        }
    }
    for word in ["allOf", "anyOf", "oneOf", "not", "nullable", "default", "x-kubernetes-validations"] {
        words.remove(word);
    }
    // Names of fields are no words.
    if let Some(Value::Object(properties)) = words.get_mut("properties") {
        properties.values_mut().for_each(simplify);
    }
    for word in ["items", "additionalProperties"] {
        words.get_mut(word).into_iter().for_each(simplify);
    }
}

const API_VERSION: &str = "The group and version of the kind.";
const KIND: &str = "What kind of object this is.";

fn described(field: &Field) -> &'static str {
    match field.name {
        "apiVersion" if field.doc.is_empty() => API_VERSION,
        "kind" if field.doc.is_empty() => KIND,
        _ => field.doc,
    }
}

fn group_version_kind(known: &Type, kind: &str) -> Value {
    json!([{"group": known.package.group, "version": known.package.version, "kind": kind}])
}
