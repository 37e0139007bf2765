//! Where in an object something is asked for.

use serde_json::Value;

use crate::Object;
use crate::compile::MODEL_KEYS;
use crate::registry::Pods;

/// How objects ask for something.
pub(super) enum Place {
    /// By a field; `[]` behind a name stands for each item of a list.
    Field(&'static str, fn(&Value) -> bool),
    /// By a field of the pods that they stand for.
    PodField(&'static str, fn(&Value) -> bool),
    /// By a label.
    Label(&'static str, fn(&str) -> bool),
    /// By an annotation; a key that ends with `.` stands for all that begin so.
    Annotation(&'static str, fn(&Object, &str) -> bool),
}

/// One place at which an object asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Object,
    Field(String),
    Label(&'static str),
    Annotation(String),
}

const CONTAINERS: &str = "containers[]";

impl Place {
    /// Every place at which an object asks.
    pub(super) fn spots(&self, object: &Object) -> Vec<Spot> {
        match self {
            Self::Field(pattern, is_asked) => fields(object, pattern, *is_asked),
            Self::PodField(pattern, is_asked) => {
                let patterns = pod_patterns(object.kind.pods, pattern);
                patterns.iter().flat_map(|pattern| fields(object, pattern, *is_asked)).collect()
            }
            Self::Label(key, is_asked) => {
                let asked = object.labels().get(key).is_some_and(|value| is_asked(value));
                asked.then_some(Spot::Label(key)).into_iter().collect()
            }
            Self::Annotation(key, is_asked) => annotations(object, key, *is_asked),
        }
    }
}

fn pod_patterns(pods: Pods, pattern: &str) -> Vec<String> {
    let Some(base) = pods.place() else { return Vec::new() };
    let mut patterns = vec![format!("{base}.{pattern}")];
    if let Some(of_container) = pattern.strip_prefix(CONTAINERS).filter(|_| matches!(pods, Pods::Model(_))) {
        patterns.extend(MODEL_KEYS.iter().map(|key| format!("{base}.{key}{of_container}")));
    }
    patterns
}

fn fields(object: &Object, pattern: &str, is_asked: fn(&Value) -> bool) -> Vec<Spot> {
    let mut found = vec![(String::new(), &object.value)];
    for segment in pattern.split('.') {
        let (key, is_list) = segment.strip_suffix("[]").map_or((segment, false), |key| (key, true));
        let mut next = Vec::new();
        for (path, value) in found {
            let Some(value) = value.get(key) else { continue };
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            match value.as_array().filter(|_| is_list) {
                Some(items) => {
                    let items = items.iter().enumerate();
                    next.extend(items.map(|(index, item)| (format!("{path}[{index}]"), item)));
                }
                None if is_list => {}
                None => next.push((path, value)),
            }
        }
        found = next;
    }
    let asked = found.into_iter().filter(|(_, value)| is_asked(value));
    asked.map(|(path, _)| Spot::Field(path)).collect()
}

fn annotations(object: &Object, key: &str, is_asked: fn(&Object, &str) -> bool) -> Vec<Spot> {
    let annotations = object.value.pointer("/metadata/annotations").and_then(Value::as_object);
    let texts = annotations.into_iter().flatten().filter_map(|(key, text)| Some((key, text.as_str()?)));
    let is_meant = |written: &str| match key.ends_with('.') {
        true => written.starts_with(key),
        false => written == key,
    };
    let asked = texts.filter(|(written, text)| is_meant(written) && is_asked(object, text));
    asked.map(|(written, _)| Spot::Annotation(written.clone())).collect()
}

/// Whether a value says anything at all.
pub(super) fn is_said(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(is_said),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
