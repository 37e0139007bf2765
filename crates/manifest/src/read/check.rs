//! What every object has: a kind that is known, a name, and labels and annotations that are text.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::finding::nearest;
use crate::kinds;
use crate::read::key_path;
use crate::registry::{KINDS, Kind, kind_of};
use crate::{Finding, Location, Object, Source, codes};

/// The longest name of an object (DNS subdomain, RFC 1123).
const MAX_NAME: usize = 253;
/// The most text in the annotations of one object, in bytes (`TotalAnnotationSizeLimitB` of Kubernetes).
pub const MAX_ANNOTATIONS: usize = 256 << 10;
/// The longest name of a namespace (DNS label, RFC 1123).
const MAX_LABEL: usize = 63;

/// Makes an object of a value, or says why it is none. An object of an unknown kind is an info, or an error if the kind
/// looks mistyped.
pub(crate) fn check(value: Value, source: Option<Arc<Source>>) -> Result<Object, Vec<Finding>> {
    check_as(None, value, source)
}

/// The first thing that is wrong.
pub(crate) fn first_of(checked: Result<Object, Vec<Finding>>) -> Result<Object, Box<Finding>> {
    checked.map_err(|findings| {
        let first = findings.into_iter().next();
        Box::new(first.unwrap_or_else(|| Finding::new(&codes::DOCUMENT_INVALID, "this is no object")))
    })
}

/// The same of a kind that is known already.
pub(crate) fn check_as(
    kind_given: Option<&'static Kind>,
    value: Value,
    source: Option<Arc<Source>>,
) -> Result<Object, Vec<Finding>> {
    let place = |path: &str| source.as_ref().and_then(|source| source.locate(path));
    let finding =
        |code, path: &str, message: String| Finding { location: place(path), ..Finding::new(code, message) };
    let Value::Object(mut fields) = value else {
        let message = format!("this is {}, not an object with `apiVersion` and `kind`", describe(&value));
        return Err(vec![finding(&codes::DOCUMENT_INVALID, "", message)]);
    };
    if kind_given.is_none() {
        kinds::autoscaler_v1::upgrade(&mut fields);
        kinds::ingress_class_params_v1::adapt(&mut fields);
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        let missing = if text("kind").is_none() { "kind" } else { "apiVersion" };
        let message = format!("`{missing}` is missing: every object says what it is");
        return Err(vec![finding(&codes::DOCUMENT_INVALID, "", message)]);
    };
    let known = match kind_given {
        Some(known) => Ok(known),
        None => known_kind(api_version, kind, &fields),
    };
    let kind = known.map_err(|finding| {
        let location =
            place(if finding.code == codes::API_VERSION_UNSUPPORTED.name { "apiVersion" } else { "kind" });
        vec![Finding { location, ..*finding }]
    })?;

    let mut findings = Vec::new();
    let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    let Some(metadata) = metadata.as_object_mut() else {
        let message = format!("`metadata` is {}, not a map", describe(metadata));
        return Err(vec![finding(&codes::DOCUMENT_INVALID, "metadata", message)]);
    };
    let written = |metadata: &Map<String, Value>, name: &str| {
        metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let name = written(metadata, "name");
    let namespace = match (kind.is_namespaced, written(metadata, "namespace")) {
        (false, _) => String::new(),
        (true, namespace) if namespace.is_empty() => "default".to_owned(),
        (true, namespace) => namespace,
    };
    let no_texts = ["name", "namespace"]
        .into_iter()
        .filter(|field| metadata.get(*field).is_some_and(|value| !value.is_null() && !value.is_string()));
    let no_texts: Vec<(String, String)> =
        no_texts.map(|field| (format!("metadata.{field}"), describe(&metadata[field]))).collect();
    for (path, what) in &no_texts {
        let message = format!("{path} is {what}, not a text");
        findings.push(finding(&codes::FIELD_INVALID, path, message).suggest("put it in quotes"));
    }
    let is_no_text = |field: &str| no_texts.iter().any(|(path, _)| path.ends_with(field));
    if name.is_empty() && !is_no_text(".name") {
        let fragment = fragment(kind);
        findings.push(Finding { location: place("metadata.name").or(place("")), ..fragment });
    } else if !name.is_empty()
        && let Err(problem) = check_name(kind, &name)
    {
        let message = format!("metadata.name `{name}` {problem}");
        findings.push(finding(&codes::FIELD_INVALID, "metadata.name", message));
    }
    if kind.is_namespaced && !is_label(&namespace) && !is_no_text(".namespace") {
        let message = format!(
            "metadata.namespace `{namespace}` is not a name of lower-case letters, digits and `-` with at most {MAX_LABEL} characters"
        );
        findings.push(finding(&codes::FIELD_INVALID, "metadata.namespace", message));
    }
    for field in ["annotations", "labels"] {
        let wrong = make_texts(metadata.get_mut(field), field);
        findings.extend(wrong.into_iter().map(|(path, message, suggestion)| {
            Finding { field: Some(path.clone()), ..finding(&codes::FIELD_INVALID, &path, message) }
                .maybe_suggest(suggestion)
        }));
    }
    if kind.is_namespaced {
        metadata.insert("namespace".to_owned(), Value::from(namespace.clone()));
    }
    let object = Object { kind, namespace, name, value: Value::Object(fields), source };
    if findings.is_empty() {
        return Ok(object);
    }
    let named = (!object.name.is_empty()).then(|| object.reference());
    Err(findings.into_iter().map(|finding| Finding { object: named.clone(), ..finding }).collect())
}

fn known_kind(
    api_version: &str,
    kind: &str,
    fields: &Map<String, Value>,
) -> Result<&'static Kind, Box<Finding>> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    if kind == "Ingress" && (group == "extensions" || (group == "networking.k8s.io" && version == "v1beta1"))
    {
        let message = format!("Ingress in {api_version} is not served since Kubernetes 1.22");
        let rewritten = kinds::ingress_v1beta1::rewrite(fields);
        return Err(Finding::new(&codes::API_VERSION_UNSUPPORTED, message).suggest(rewritten).into());
    }
    match kind_of(group, kind) {
        Some(known) if known.version == version => Ok(known),
        Some(known) => {
            // What is only kept is told of as if it were not known, whatever the version.
            let shown = || shown(kind, api_version, fields);
            let of_kept = || kinds::elsewhere::missing(group, kind, &shown());
            let told = Some(()).filter(|()| !known.has_effect()).and_then(|()| of_kept());
            Err(told.unwrap_or_else(|| elsewhere_served(api_version, known)).into())
        }
        None => Err(unknown_kind(api_version, group, kind, fields).into()),
    }
}

/// A kind in a version, or in a group, that it does not have.
fn elsewhere_served(api_version: &str, known: &Kind) -> Finding {
    let message = format!("{} in {api_version} is not served here", known.kind);
    let right = format!("apiVersion: {}", known.api_version());
    Finding::new(&codes::API_VERSION_UNSUPPORTED, message).suggest(right)
}

/// What there is to say about a kind that is not known: most to those who expect something to run.
fn unknown_kind(api_version: &str, group: &str, kind: &str, fields: &Map<String, Value>) -> Finding {
    if let Some(finding) = kinds::elsewhere::missing(group, kind, &shown(kind, api_version, fields)) {
        return finding;
    }
    if let Some(known) = KINDS.iter().find(|known| known.kind == kind && is_meant(known, group)) {
        return elsewhere_served(api_version, known);
    }
    let same_group = KINDS.iter().filter(|known| known.group == group);
    match nearest(kind, same_group.map(|known| known.kind)) {
        Some(near) => {
            let message = format!("no kind `{kind}` in {api_version}: this object is left out");
            Finding::new(&codes::KIND_UNKNOWN, message).suggest(format!("kind: {near}"))
        }
        None => {
            let message =
                format!("kind `{kind}` of {api_version} is not known here: its objects are left out");
            Finding::new(&codes::KIND_IGNORED, message)
        }
    }
}

/// ``StatefulSet `db` of apps/v1``
fn shown(kind: &str, api_version: &str, fields: &Map<String, Value>) -> String {
    let name = fields.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    let name = name.filter(|name| name.len() <= MAX_NAME).map(|name| format!(" `{name}`"));
    format!("{kind}{} of {api_version}", name.unwrap_or_default())
}

/// Whether a group that has no such kind was written by mistake: it is the group of other kinds that are known, or one of
/// before their time, or mistyped. Other groups have kinds of the same names.
fn is_meant(known: &Kind, group: &str) -> bool {
    let is_ours = group == "extensions" || KINDS.iter().any(|other| other.group == group);
    is_ours || nearest(group, std::iter::once(known.group)).is_some()
}

fn fragment(kind: &Kind) -> Finding {
    let message = format!("metadata.name is missing: this is a fragment of a {}, not an object", kind.kind);
    let suggestion = match kind.key {
        "ConfigMap" => {
            "metadata: {name: config-domain, namespace: knative-serving}   (did you mean the map of domains?)"
                .to_owned()
        }
        _ => format!(
            "add metadata.name, or apply it as a change: kubectl patch {} NAME --patch-file FILE",
            kind.singular()
        ),
    };
    Finding::new(&codes::FRAGMENT, message).suggest(suggestion)
}

/// Names become parts of paths, hosts and file names, so they are checked for every kind.
fn check_name(kind: &Kind, name: &str) -> Result<(), String> {
    let is_free = kind.group == "rbac.authorization.k8s.io";
    let is_good = match is_free {
        true => name != "." && name != ".." && !name.contains(['/', '%']) && !name.contains(char::is_control),
        false => name.split('.').all(|part| !part.is_empty() && is_dns(part)),
    };
    if name.len() > MAX_NAME {
        return Err(format!("has more than {MAX_NAME} characters"));
    }
    if kind.key == "Service" && !is_label(name) {
        return Err(
            "is not a name of lower-case letters, digits and `-` with at most 63 characters".to_owned()
        );
    }
    is_good.then_some(()).ok_or_else(|| "is not a name of lower-case letters, digits, `-` and `.`".to_owned())
}

fn is_label(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_LABEL && is_dns(name)
}

fn is_dns(part: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    part.bytes().all(|byte| is_letter(byte) || byte == b'-')
        && part.bytes().next().is_some_and(is_letter)
        && part.bytes().last().is_some_and(is_letter)
}

/// Checks that all values of a map are texts, where null is an empty one; gives path, message and suggestion of others.
fn make_texts(map: Option<&mut Value>, field: &str) -> Vec<(String, String, Option<String>)> {
    let one = field.trim_end_matches('s');
    match map {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(map)) => {
            let mut wrong = Vec::new();
            let n_bytes: usize =
                map.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
            if n_bytes > MAX_ANNOTATIONS {
                let message =
                    format!("{n_bytes} bytes of {field} are more than the {MAX_ANNOTATIONS} that are taken");
                return vec![(format!("metadata.{field}"), message, None)];
            }
            for (key, value) in map {
                if value.is_null() {
                    *value = Value::from("");
                } else if !value.is_string() {
                    let message =
                        format!("{one} `{key}` is {}: {field} are text, so quote it", describe(value));
                    let is_scalar = value.is_boolean() || value.is_number();
                    let suggestion = is_scalar.then(|| format!("{key}: \"{value}\""));
                    wrong.push((key_path(&format!("metadata.{field}"), key), message, suggestion));
                }
            }
            wrong
        }
        Some(other) => {
            vec![(format!("metadata.{field}"), format!("`{field}` is {}, not a map", describe(other)), None)]
        }
    }
}

/// What a value is, in words.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the boolean `{value}`"),
        Value::Number(value) => format!("the number `{value}`"),
        Value::String(value) => match value.char_indices().nth(60) {
            Some((end, _)) => format!("the text `{}…`", &value[..end]),
            None => format!("the text `{value}`"),
        },
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

impl Source {
    /// Where a field stands in the file, or the nearest field around it.
    pub(crate) fn locate(&self, path: &str) -> Option<Location> {
        let mut path = path;
        loop {
            if let Some((line, column)) = self.places.get(path) {
                return Some(self.location(*line, *column));
            }
            if path.is_empty() {
                return None;
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
    }
}
