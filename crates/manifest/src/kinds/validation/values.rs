//! Values that no field of a kind takes, whatever stands in others: words that are none of its words, and parts that are
//! missing, as the tables of [`schema`] say.

use schema::{Field, Holds, Type};
use serde_json::Value;

use super::Violation;
use crate::Kind;

/// How many are named at most.
const FIELDS: usize = 20;

/// Texts that have to be there, and may be empty.
const MAY_BE_EMPTY: &[(&str, &str)] = &[("HTTPHeader", "name"), ("HTTPHeader", "value"), ("Sysctl", "value")];

/// Finds every such value of an object. What a server writes itself, and metadata, are left out.
pub(super) fn violations(kind: &Kind, object: &Value) -> Vec<Violation> {
    let Some(known) = schema::of(kind.group, kind.version, kind.kind) else { return Vec::new() };
    let mut search = Search { is_built_in: known.package.is_built_in(), found: Vec::new() };
    for field in known.fields().filter(|field| !["metadata", "status"].contains(&field.name)) {
        search.field(object, known, field, "");
    }
    search.found
}

struct Search {
    is_built_in: bool,
    found: Vec<Violation>,
}

// === impl Search ===

impl Search {
    /// Looks at a field of an object. This goes no deeper than types do.
    fn field(&mut self, object: &Value, of: &'static Type, field: &'static Field, above: &str) {
        if self.found.len() >= FIELDS {
            return;
        }
        let value = object.get(field.name).unwrap_or(&Value::Null);
        let is_missing = field.is_required && self.is_missing(value, of, field);
        if value.is_null() && !is_missing {
            return;
        }
        let path = if above.is_empty() { field.name.to_owned() } else { format!("{above}.{}", field.name) };
        if is_missing {
            self.found.push(Violation::required(path, ""));
        } else {
            self.value(value, &field.holds, field, path);
        }
    }

    /// Of custom kinds, every part that has to be there; of others, texts only. What else they need is not the same everywhere.
    fn is_missing(&self, value: &Value, of: &Type, field: &Field) -> bool {
        if !self.is_built_in {
            return value.is_null();
        }
        let is_empty = value.is_null() || value == "";
        // What is filled in when it is left out is not missing.
        let is_filled = field.default_value().is_some();
        is_empty && !is_filled && field.holds == Holds::Text && !MAY_BE_EMPTY.contains(&(of.name, field.name))
    }

    fn value(&mut self, value: &Value, holds: &'static Holds, field: &'static Field, path: String) {
        match (holds, value) {
            (Holds::Object(of), Value::Object(_)) => {
                let of = of.get();
                of.fields().for_each(|field| self.field(value, of, field, &path));
            }
            (Holds::List(item), Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    self.value(value, item, field, format!("{path}[{index}]"));
                }
            }
            (Holds::Map(holds), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.value(value, holds, field, format!("{path}.{key}"));
                }
            }
            (Holds::Text, Value::String(word)) if !word.is_empty() => {
                let words: Vec<&str> = field.words().collect();
                if !words.is_empty() && !words.contains(&word.as_str()) {
                    self.found.push(Violation::unsupported(path, word, &words));
                }
            }
            _ => {}
        }
    }
}
