//! Bodies of requests: JSON, YAML or protobuf.

use manifest::{Kind, Kinds, Object};
use serde_json::{Map, Value, json};

use super::decoding::{self, Validation};
use super::route::ObjectRoute;
use super::{Call, protobuf};
use crate::store::{Cause, Reason, Status, generated_name};

/// The types of a body that says what an object is to be.
const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

impl Call<'_> {
    /// The body of a request, whatever its form.
    pub(super) fn value(&self) -> Result<Value, Status> {
        match self.media_type() {
            "application/yaml" | "application/apply-patch+yaml" => yaml(self.body, &self.kinds()),
            "application/vnd.kubernetes.protobuf" => protobuf::decode(self.body),
            "" => json(self.body),
            media_type if media_type == "application/json" || media_type.ends_with("+json") => {
                json(self.body)
            }
            _ => {
                let message = format!(
                    "the body of the request was in an unknown format - accepted media types include: {ACCEPTED}"
                );
                Err(Status::new(Reason::UnsupportedMediaType, message))
            }
        }
    }

    /// The object that a body describes, which must be the one that the path names.
    pub(super) fn object(&self, route: &ObjectRoute) -> Result<Object, Status> {
        let value = self.decoded(of_kind(self.value()?, route.kind)?, route.kind)?;
        object(value, route.kind, Some(&route.namespace), Some(&route.name))
    }

    /// The new object that a body describes. It may leave its name to be made up.
    pub(super) fn new_object(&self, kind: &'static Kind, namespace: Option<&str>) -> Result<Object, Status> {
        if kind.is_namespaced && namespace.is_none() {
            return Err(bad("an empty namespace may not be set during creation"));
        }
        let value = self.decoded(of_kind(self.value()?, kind)?, kind)?;
        object(value, kind, namespace, None)
    }

    /// A value as its kind can have it. What else it says is told with the answer, or refused if that is wanted.
    pub(super) fn decoded(&self, mut value: Value, kind: &'static Kind) -> Result<Value, Status> {
        let validation = Validation::of(&self.parameters)?;
        let is_json = validation != Validation::Ignore && self.body.first() == Some(&b'{');
        let doubled = if is_json { decoding::duplicates(self.body) } else { Vec::new() };
        let found = decoding::check(&mut value, kind, &doubled, validation)?;
        // An object that is applied is looked at by itself, and again as a part of what it becomes.
        let mut odd = self.odd.borrow_mut();
        for found in found {
            if !odd.contains(&found) {
                odd.push(found);
            }
        }
        Ok(value)
    }
}

fn json(body: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(body).map_err(|error| bad(format!("the body is not JSON: {error}")))
}

/// One object in YAML, which JSON is too.
fn yaml(body: &[u8], kinds: &Kinds) -> Result<Value, Status> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body).map_err(|_| bad("the body is not text"))?;
    let read = manifest::read_with("the body", text, kinds.clone());
    if let Some(finding) = read.findings.first() {
        return Err(Status::from(finding));
    }
    let [object] = <[Object; 1]>::try_from(read.objects).map_err(|_| bad("the body is not one object"))?;
    let mut value = object.value;
    // Reading fills in a namespace. Which one is meant is for the path to say.
    let is_written = object.source.is_some_and(|source| source.places.contains_key("metadata.namespace"));
    if let Some(metadata) = value["metadata"].as_object_mut().filter(|_| !is_written) {
        metadata.remove("namespace");
    }
    Ok(value)
}

/// A value that is of a kind, and says so.
fn of_kind(mut value: Value, kind: &'static Kind) -> Result<Value, Status> {
    let Value::Object(fields) = &mut value else { return Err(bad("the body is not an object")) };
    let api_version = kind.api_version();
    agree(fields, "kind", kind.kind, |said| format!("a {said} cannot be handled as a {}", kind.kind))?;
    agree(fields, "apiVersion", &api_version, |said| {
        format!(
            "the API version in the data ({said}) does not match the expected API version ({api_version})"
        )
    })?;
    Ok(value)
}

/// Makes an object of a value that agrees with its path; what it leaves out, the path says.
fn object(
    mut value: Value,
    kind: &'static Kind,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<Object, Status> {
    let Value::Object(fields) = &mut value else { return Err(bad("the body is not an object")) };
    let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        if !kind.is_namespaced {
            metadata.remove("namespace");
        } else if let Some(namespace) = namespace {
            agree(metadata, "namespace", namespace, |_| {
                "the namespace of the provided object does not match the namespace sent on the request"
                    .to_owned()
            })?;
        }
        if let Some(name) = name {
            agree(metadata, "name", name, |said| {
                format!("the name of the object ({said}) does not match the name on the URL ({name})")
            })?;
        } else if is_unset(metadata.get("name"))
            && let Some(prefix) = metadata.get("generateName").and_then(Value::as_str)
            && !prefix.is_empty()
        {
            metadata.insert("name".to_owned(), json!(generated_name(prefix)));
        }
        if is_unset(metadata.get("name")) {
            let message = "Required value: name or generateName is required".to_owned();
            let cause = Cause { message, ..Cause::required("metadata.name") };
            return Err(Status::invalid(kind, "", vec![cause]));
        }
    }
    Object::of_kind(kind, value).map_err(|finding| Status::from(&*finding))
}

/// Makes a field say what the path says, unless it says something else.
fn agree(
    fields: &mut Map<String, Value>,
    field: &str,
    path_says: &str,
    otherwise: impl FnOnce(&str) -> String,
) -> Result<(), Status> {
    match fields.get(field).and_then(Value::as_str) {
        Some(said) if !said.is_empty() && said != path_says => Err(bad(otherwise(said))),
        _ => {
            fields.insert(field.to_owned(), json!(path_says));
            Ok(())
        }
    }
}

fn is_unset(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value == "")
}

fn bad(why: impl Into<String>) -> Status {
    Status::new(Reason::BadRequest, why)
}
