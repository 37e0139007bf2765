//! What Kubernetes refuses of an object besides fields of the wrong type: numbers out of bounds, words and names that are
//! none, and parts that have to be there or make no sense together.
//!
//! An API server refuses the object in its own words ([`Violation::message`]); of a file it is a finding in ours. What a kind refuses
//! stands with the kind, as [`Rules`]: rows where a field is one line, a file here for each kind that has more to say.

mod addresses;
mod amounts;
pub(crate) mod batch;
pub(crate) mod ingress;
pub(crate) mod kept;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod pods;
pub(crate) mod secret;
pub(crate) mod service;
mod texts;
mod values;
pub(crate) mod words;

pub use names::{problem_of_label_key, problem_of_label_value};
use serde_json::{Value, json};
pub use texts::go_type;

use crate::compile::memo::Memo;
use crate::workload::relative_path;
use crate::{Finding, Object, Objects, Severity, codes};
use numbers::Number;
use words::Word;

/// Something in an object that an API server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// For example `spec.ports[0].port`.
    pub field: String,
    fault: Fault,
    /// Whether it means something here all the same.
    is_bearable: bool,
}

/// What is wrong. Values are as they are written in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// It cannot even be decoded, in the words of Go's decoder and in ours.
    Undecodable(String, String),
    /// It has to be there, perhaps for a reason.
    Required(String),
    /// It is there already.
    Duplicate(String),
    /// It is none of the words that are taken.
    Unsupported(String, Vec<&'static str>),
    /// It may not be there, for a reason.
    Forbidden(String),
    /// Nothing has this name.
    NotFound(String),
    /// It is wrong for a reason.
    Invalid(String, String),
    /// As a schema says: the reason of a `Status`, and the message.
    Told(&'static str, String),
}

/// What is refused of the objects of a kind, besides what is refused of every object and of every pod.
pub(crate) struct Rules {
    /// Fields that have to be there.
    pub(crate) required: &'static [&'static str],
    pub(crate) numbers: &'static [Number],
    /// Fields that take fewer words here than in other places.
    pub(crate) words: &'static [Word],
    /// Addresses that traffic is sent to.
    pub(crate) addresses: &'static [&'static str],
    /// Maps of texts.
    pub(crate) texts: &'static [&'static str],
    /// Maps of bytes, written in base64.
    pub(crate) bytes: &'static [&'static str],
    /// What else is wrong.
    pub(crate) check: Check,
    /// What else a cluster refuses, and a file may say here all the same.
    pub(crate) doubts: Check,
}

/// Finds what is wrong with an object.
pub(crate) type Check = fn(object: &Value, found: &mut Vec<Violation>);

/// Everything that an API server refuses of an object, of what is known here.
#[must_use]
pub fn violations(object: &Object) -> Vec<Violation> {
    let mut found = besides_paths(object);
    let paths = relative_path::without_a_start(object).into_iter();
    found.extend(paths.map(|(field, path)| {
        let why = format!("{}: use {}", relative_path::PROBLEM, relative_path::FIX);
        Violation::invalid(field, &json!(path), why)
    }));
    found
}

/// What is wrong with an object of a file, but for what was told already when it was read.
pub(crate) fn findings(object: &Object, told: &[Finding]) -> Vec<Finding> {
    let is_news = |violation: &Violation| {
        !violation.is_bearable && !told.iter().any(|finding| violation.is_in(finding))
    };
    let news = besides_paths(object).into_iter().filter(is_news);
    let mut found: Vec<Finding> = news.map(|violation| violation.finding(object)).collect();
    for (field, path) in relative_path::without_a_start(object) {
        let finding = Finding::new(&codes::PATH_RELATIVE, format!("`{path}` {}", relative_path::PROBLEM));
        found.push(finding.at(object, &field).suggest(relative_path::FIX));
    }
    found
}

/// What a cluster would refuse of objects of files and this build follows all the same; of kinds that are only kept,
/// everything. Objects that follow from others are not anybody's mistake.
pub(crate) fn doubts(objects: &Objects, memo: &Memo) -> Vec<Finding> {
    let is_owned = |object: &Object| object.value["metadata"]["ownerReferences"].is_array();
    let written = objects.iter().filter(|object| !is_owned(object));
    let doubts = written.flat_map(|object| memo.about(object, || Doubts(doubts_about(object))).0.clone());
    doubts.collect()
}

/// What a cluster would refuse of one object.
struct Doubts(Vec<Finding>);

fn doubts_about(object: &Object) -> Vec<Finding> {
    let violations = besides_paths(object).into_iter();
    let told_here = violations.filter(|violation| violation.is_bearable || !object.kind.has_effect());
    told_here.map(|violation| violation.finding(object)).collect()
}

fn besides_paths(object: &Object) -> Vec<Violation> {
    let (kind, value, rules) = (object.kind, &object.value, &object.kind.rules);
    let missing = rules.required.iter().filter(|path| at(value, path).is_none_or(is_nothing));
    let mut found: Vec<Violation> = missing.map(|path| Violation::required(*path, "")).collect();
    numbers::check(kind, value, &mut found);
    addresses::check(rules.addresses, value, &mut found);
    texts::check(kind, value, &mut found);
    let mut bearable = Vec::new();
    names::check(object, &mut bearable);
    let place = found.len() + bearable.len();
    words::check(kind, value, &mut bearable);
    (rules.doubts)(value, &mut bearable);
    found.extend(bearable.into_iter().map(Violation::bearable));
    (rules.check)(value, &mut found);
    if let Some(pod) = kind.pods.spec() {
        pods::check(value, pod, &mut found);
        amounts::check(value, pod, &mut found);
    }
    if let Some(definition) = kind.definition() {
        found.extend(definition.violations(value));
    }
    // What the rows above say of a field, they say better.
    let is_told = |field: &str| found.iter().any(|violation| violation.field == field);
    let mut general = values::violations(kind, value);
    general.retain(|violation| !is_told(&violation.field));
    found.splice(place..place, general.into_iter().map(Violation::bearable));
    found
}

// === impl Rules ===

impl Rules {
    /// Nothing is refused.
    pub(crate) const NONE: Self = Self {
        required: &[],
        numbers: &[],
        words: &[],
        addresses: &[],
        texts: &[],
        bytes: &[],
        check: |_, _| {},
        doubts: |_, _| {},
    };
}

// === impl Violation ===

impl Violation {
    fn new(field: impl Into<String>, fault: Fault) -> Self {
        Self { field: field.into(), fault, is_bearable: false }
    }

    /// The same, where a file that says so is followed all the same.
    fn bearable(self) -> Self {
        Self { is_bearable: true, ..self }
    }

    pub(crate) fn undecodable(field: impl Into<String>, message: String, ours: String) -> Self {
        Self::new(field, Fault::Undecodable(message, ours))
    }

    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        Self::new(field, Fault::Required(why.to_owned()))
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(field, Fault::Duplicate(value.into()))
    }

    pub(crate) fn unsupported(field: impl Into<String>, word: &str, words: &[&'static str]) -> Self {
        Self::new(field, Fault::Unsupported(word.to_owned(), words.to_vec()))
    }

    pub(crate) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self::new(field, Fault::Forbidden(why.to_owned()))
    }

    pub(crate) fn not_found(field: impl Into<String>, name: &str) -> Self {
        Self::new(field, Fault::NotFound(name.to_owned()))
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: impl Into<String>) -> Self {
        Self::new(field, Fault::Invalid(value.to_string(), why.into()))
    }

    /// Whether it means something here all the same, so that a file that says so is followed.
    #[must_use]
    pub fn is_bearable(&self) -> bool {
        self.is_bearable
    }

    /// Whether the object cannot even be decoded; otherwise it is invalid.
    #[must_use]
    pub fn is_undecodable(&self) -> bool {
        matches!(self.fault, Fault::Undecodable(..))
    }

    /// The reason, as a `Status` names it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match &self.fault {
            Fault::Required(_) => "FieldValueRequired",
            Fault::Duplicate(_) => "FieldValueDuplicate",
            Fault::Unsupported(..) => "FieldValueNotSupported",
            Fault::Forbidden(_) => "FieldValueForbidden",
            Fault::NotFound(_) => "FieldValueNotFound",
            Fault::Undecodable(..) | Fault::Invalid(..) => "FieldValueInvalid",
            Fault::Told(reason, _) => reason,
        }
    }

    /// In Kubernetes' words, without the field: `Invalid value: -1: must be greater than or equal to 0`.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.fault {
            Fault::Undecodable(message, _) | Fault::Told(_, message) => message.clone(),
            Fault::Required(why) if why.is_empty() => "Required value".to_owned(),
            Fault::Required(why) => format!("Required value: {why}"),
            Fault::Duplicate(value) => format!("Duplicate value: {value}"),
            Fault::Unsupported(word, words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                format!("Unsupported value: {word:?}: supported values: {}", words.join(", "))
            }
            Fault::Forbidden(why) => format!("Forbidden: {why}"),
            Fault::NotFound(name) => format!("Not found: {name:?}"),
            Fault::Invalid(value, why) => format!("Invalid value: {value}: {why}"),
        }
    }

    fn finding(&self, object: &Object) -> Finding {
        let words = self.in_our_words();
        let finding = match self.is_bearable {
            true => Finding::new(&codes::FIELD_INVALID, format!("{words}; Kubernetes refuses it"))
                .with_severity(Severity::Warning),
            false => Finding::new(&codes::FIELD_INVALID, words),
        };
        finding.at(object, &self.field)
    }

    /// In our words, with the field.
    fn in_our_words(&self) -> String {
        let field = &self.field;
        match &self.fault {
            Fault::Undecodable(_, ours) => format!("`{field}` {ours}"),
            Fault::Told(_, message) => format!("`{field}`: {message}"),
            Fault::Required(why) if why.is_empty() => format!("`{field}` is missing"),
            Fault::Required(why) => format!("`{field}` is missing: {why}"),
            Fault::Duplicate(value) if value.starts_with('"') => {
                format!("`{field}` is `{}`, which stands there already", value.trim_matches('"'))
            }
            Fault::Duplicate(_) => format!("`{field}` stands there already"),
            Fault::Unsupported(word, words) => {
                format!("`{field}` is `{word}`, not one of `{}`", words.join("`, `"))
            }
            Fault::Forbidden(why) => format!("`{field}` {why}"),
            Fault::NotFound(name) => format!("`{field}` is `{name}`, and nothing has this name"),
            Fault::Invalid(value, why) => {
                let is_predicate = ["must ", "may ", "cannot "].iter().any(|verb| why.starts_with(verb));
                let it = if is_predicate { "it " } else { "" };
                format!("`{field}` is `{}`: {it}{why}", value.trim_matches('"'))
            }
        }
    }

    /// Whether a finding speaks of the same field, or of one that holds it.
    fn is_in(&self, finding: &Finding) -> bool {
        let Some(field) = finding.field.as_deref().filter(|_| finding.is_error()) else { return false };
        let rest = self.field.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// What a schema says is wrong.
impl From<schema::structural::Problem> for Violation {
    fn from(problem: schema::structural::Problem) -> Self {
        Self::new(problem.field, Fault::Told(problem.reason, problem.message))
    }
}

// --- places ---

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

fn items<'a>(value: &'a Value, list: &str) -> &'a [Value] {
    value.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A field that is text, and not empty.
fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Shows every value at a path. It goes no deeper than the path does.
fn each(value: &Value, above: &str, path: &str, show: &mut dyn FnMut(String, &Value)) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let key = first.trim_end_matches("[]");
    let Some(part) = value.get(key) else { return };
    let place = if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
    let mut go_on = |part: &Value, place: String| match rest {
        Some(rest) => each(part, &place, rest, show),
        None => show(place, part),
    };
    match part {
        Value::Array(items) if first.ends_with("[]") => {
            items.iter().enumerate().for_each(|(index, item)| go_on(item, format!("{place}[{index}]")));
        }
        part => go_on(part, place),
    }
}

#[cfg(test)]
mod tests;
