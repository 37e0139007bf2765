//! A value beside its schema.

use std::cell::Cell;
use std::collections::HashSet;

use serde_json::Value;

use super::pattern::Patterns;
use super::{Problem, below, fields, formats, is_object, is_on, items, values};

/// How many comparisons of a value with a schema one check may take.
pub(super) const STEPS: u32 = 5_000_000;
/// How many problems one check finds at most.
const PROBLEMS: usize = 50;

/// Checks values, and keeps ready what that takes.
#[derive(Debug, Default)]
pub struct Checker {
    patterns: Patterns,
}

/// One check.
struct Check<'a> {
    patterns: &'a Patterns,
    steps: &'a Cell<u32>,
    problems: Vec<Problem>,
}

// === impl Checker ===

impl Checker {
    /// What is wrong with a whole object; of metadata nothing is said.
    #[must_use]
    pub fn problems(&self, schema: &Value, object: &Value) -> Vec<Problem> {
        self.problems_within(schema, object, &Cell::new(STEPS))
    }

    /// The same, with the comparisons that are left of those that several checks may take.
    pub(super) fn problems_within(&self, schema: &Value, object: &Value, steps: &Cell<u32>) -> Vec<Problem> {
        let mut check = Check { patterns: &self.patterns, steps, problems: Vec::new() };
        check.value(schema, object, "");
        if steps.get() == 0 {
            let why = "it takes too long to be compared with its schema";
            check.problems.insert(0, Problem::new("", "FieldValueInvalid", why.to_owned()));
        }
        check.problems
    }
}

// === impl Check ===

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        if self.steps.get() == 0 || self.problems.len() >= PROBLEMS {
            return;
        }
        self.steps.set(self.steps.get() - 1);
        if value.is_null() && is_on(schema, "nullable") {
            return;
        }
        if !is_of_type(schema, value) {
            let (wanted, is) = (wanted_type(schema), type_of(value));
            let message = format!("Invalid value: {is:?}: {path} in body must be of type {wanted}: {is:?}");
            return self.problems.push(Problem::new(path, "FieldValueTypeInvalid", message));
        }
        self.alternatives(schema, value, path);
        match value {
            Value::String(text) => self.text(schema, text, path),
            Value::Number(_) => self.number(schema, value, path),
            Value::Array(all) => self.list(schema, all, path),
            Value::Object(_) => self.map(schema, value, path),
            Value::Null | Value::Bool(_) => {}
        }
        if let Some(all) = schema["enum"].as_array()
            && !all.iter().any(|known| is_same(known, value))
        {
            self.problems.push(Problem::unsupported(path, value, all.iter()));
        }
    }

    /// `allOf`, `anyOf`, `oneOf`, `not`
    fn alternatives(&mut self, schema: &Value, value: &Value, path: &str) {
        for part in items(schema, "allOf") {
            self.value(part, value, path);
        }
        let steps = self.steps;
        let n_valid = |word: &str| {
            let valid = items(schema, word).filter(|part| self.would_be_valid(part, value, path));
            (items(schema, word).next().is_some()).then(|| valid.count())
        };
        let (any, one) = (n_valid("anyOf"), n_valid("oneOf"));
        let not = schema.get("not").is_some_and(|part| self.would_be_valid(part, value, path));
        if steps.get() == 0 {
            return;
        }
        let mut say = |message: String| {
            let message = format!("Invalid value: {}: {path:?} {message}", shown(value));
            self.problems.push(Problem::new(path, "FieldValueInvalid", message));
        };
        if any == Some(0) {
            say("must validate at least one schema (anyOf)".to_owned());
        }
        match one {
            Some(0) => say("must validate one and only one schema (oneOf). Found none valid".to_owned()),
            Some(found @ 2..) => say(format!(
                "must validate one and only one schema (oneOf). Found {found} valid alternatives"
            )),
            _ => {}
        }
        if not {
            say("must not validate the schema (not)".to_owned());
        }
    }

    fn would_be_valid(&self, schema: &Value, value: &Value, path: &str) -> bool {
        let mut check = Check { patterns: self.patterns, steps: self.steps, problems: Vec::new() };
        check.value(schema, value, path);
        check.problems.is_empty()
    }

    fn invalid(&mut self, path: &str, value: &Value, should: &str) {
        let why = format!("{path} in body should {should}");
        self.problems.push(Problem::invalid(path, value, &why));
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        let value = Value::from(text);
        let n_letters = text.chars().count() as u64;
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| n_letters > *most) {
            let message = format!("Too long: may not be more than {most} bytes");
            self.problems.push(Problem::new(path, "FieldValueTooLong", message));
        }
        if let Some(least) = schema["minLength"].as_u64().filter(|least| n_letters < *least) {
            self.invalid(path, &value, &format!("be at least {least} chars long"));
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && self.patterns.get(pattern).is_some_and(|pattern| !pattern.is_match(text))
        {
            self.invalid(path, &value, &format!("match '{pattern}'"));
        }
        if let Some(format) = schema["format"].as_str().filter(|format| !formats::holds(format, text)) {
            let message = format!("Invalid value: {value}: {path} in body must be of type {format}: {value}");
            self.problems.push(Problem::new(path, "FieldValueTypeInvalid", message));
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(number) = value.as_f64() else { return };
        if let Some(least) = schema["minimum"].as_f64() {
            match is_on(schema, "exclusiveMinimum") {
                true if number <= least => self.invalid(path, value, &format!("be greater than {least}")),
                false if number < least => {
                    self.invalid(path, value, &format!("be greater than or equal to {least}"));
                }
                _ => {}
            }
        }
        if let Some(most) = schema["maximum"].as_f64() {
            match is_on(schema, "exclusiveMaximum") {
                true if number >= most => self.invalid(path, value, &format!("be less than {most}")),
                false if number > most => {
                    self.invalid(path, value, &format!("be less than or equal to {most}"));
                }
                _ => {}
            }
        }
        if let Some(step) = schema["multipleOf"].as_f64().filter(|step| *step > 0.0) {
            let times = number / step;
            if (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
                self.invalid(path, value, &format!("be a multiple of {step}"));
            }
        }
        if schema["format"] == "int32" && value.as_i64().is_some_and(|it| i32::try_from(it).is_err()) {
            let message = format!("Invalid value: {value}: {path} in body must be of type int32: \"int64\"");
            self.problems.push(Problem::new(path, "FieldValueTypeInvalid", message));
        }
    }

    fn list(&mut self, schema: &Value, all: &[Value], path: &str) {
        self.length(schema, all.len(), path, ["minItems", "maxItems", "items"]);
        for (nth, item) in all.iter().enumerate() {
            self.value(&schema["items"], item, &format!("{path}[{nth}]"));
        }
        let keys: Vec<&str> = items(schema, "x-kubernetes-list-map-keys").filter_map(Value::as_str).collect();
        let key_of = |item: &Value| match schema["x-kubernetes-list-type"].as_str()? {
            "set" => Some(item.clone()),
            "map" => {
                let unsaid = |key: &str| schema["items"]["properties"][key].get("default");
                let said =
                    |key: &&str| Some(((*key).to_owned(), item.get(*key).or_else(|| unsaid(key))?.clone()));
                Some(Value::Object(keys.iter().filter_map(said).collect()))
            }
            _ => None,
        };
        let mut seen = HashSet::new();
        for (nth, item) in all.iter().enumerate() {
            let Some(key) = key_of(item) else { continue };
            if !seen.insert(key.to_string()) && self.problems.len() < PROBLEMS {
                self.problems.push(Problem::duplicate(format!("{path}[{nth}]"), &key));
            }
        }
    }

    fn map(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(all) = value.as_object() else { return };
        self.length(schema, all.len(), path, ["minProperties", "maxProperties", "properties"]);
        for name in items(schema, "required").filter_map(Value::as_str) {
            if !all.contains_key(name) {
                self.problems.push(Problem::required(below(path, name), ""));
            }
        }
        if is_object(schema) {
            for name in ["apiVersion", "kind"].into_iter().filter(|name| !all.contains_key(*name)) {
                self.problems.push(Problem::required(below(path, name), "must not be empty"));
            }
        }
        for (name, known) in fields(schema, "properties") {
            // What every object has is not for the schema of a kind to say.
            let is_given = path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name.as_str());
            if let Some(value) = all.get(name).filter(|_| !is_given) {
                self.value(known, value, &below(path, name));
            }
        }
        if let Some(values) = values(schema) {
            let is_known = |name: &str| schema["properties"].get(name).is_some();
            for (name, value) in all.iter().filter(|(name, _)| !is_known(name)) {
                self.value(values, value, &below(path, name));
            }
        }
    }

    /// How many parts something has.
    fn length(&mut self, schema: &Value, length: usize, path: &str, [least, most, what]: [&str; 3]) {
        let n_parts = length as u64;
        if let Some(most) = schema[most].as_u64().filter(|most| n_parts > *most) {
            let message = format!("Too many: {n_parts}: must have at most {most} items");
            self.problems.push(Problem::new(path, "FieldValueTooMany", message));
        }
        if let Some(least) = schema[least].as_u64().filter(|least| n_parts < *least) {
            self.invalid(path, &Value::from(n_parts), &format!("have at least {least} {what}"));
        }
    }
}

fn is_of_type(schema: &Value, value: &Value) -> bool {
    if is_on(schema, "x-kubernetes-int-or-string") {
        return value.is_string() || is_whole(value);
    }
    match schema["type"].as_str() {
        None => true,
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => is_whole(value),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some(_) => false,
    }
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn wanted_type(schema: &Value) -> &str {
    if is_on(schema, "x-kubernetes-int-or-string") {
        return "integer,string";
    }
    schema["type"].as_str().unwrap_or_default()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Numbers are the same however they are written.
fn is_same(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().is_some_and(|number| other.as_f64() == Some(number))
}

/// What is shown of a value in a sentence about it.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => "\"\"".to_owned(),
        other => other.to_string(),
    }
}
