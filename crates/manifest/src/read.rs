//! Text to objects: YAML of several documents, and JSON.
//!
//! Documents are read one by one, so that a broken one costs only itself. This is *not* the place that knows what the
//! fields of a kind mean: an object is checked for what every object has, and kept whole.

mod check;
mod json;
mod yaml;

use std::sync::Arc;

use serde_json::Value;

use yaml::{Document, Places, Problem, YamlError};

use crate::{Finding, Location, Object, Source, codes};

pub(crate) use check::check;
pub(crate) use yaml::key_path;

/// The longest text that is read, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// What a file contains.
#[derive(Debug, Default)]
pub struct Read {
    /// The objects, in the order of the file.
    pub objects: Vec<Object>,
    /// What could not be read, and what is of no use here.
    pub findings: Vec<Finding>,
}

/// Reads YAML documents, or JSON values one after the other; a `List` stands for its items.
///
/// `file` is what findings call the text: a path, or `-` for standard input.
#[must_use]
pub fn read(file: &str, text: &str) -> Read {
    let mut read = Read::default();
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes are more than the {MAX_BYTES} that are read", text.len());
        read.fail(at(file, 1, 1, ""), message);
        return read;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for document in yaml::documents(text) {
        if !read.add_json(file, &document) {
            read.add_yaml(file, &document);
        }
    }
    read
}

/// One YAML value, without places.
pub(crate) fn parse_yaml(text: &str) -> Result<Value, String> {
    yaml::parse(text).map(|(value, _)| value).map_err(|error| error.message)
}

fn at(file: &str, line: u32, column: u32, text: &str) -> Location {
    Location { file: file.to_owned(), line, column, text: text.to_owned() }
}

// === impl Read ===

impl Read {
    fn add_yaml(&mut self, file: &str, document: &Document<'_>) {
        match yaml::parse(document.text) {
            Ok((value, places)) => {
                let source = Source {
                    file: file.to_owned(),
                    places: places.shifted(document.first_line - 1),
                    text: document.text.into(),
                    first_line: document.first_line,
                };
                self.add(value, source);
            }
            Err(error) => self.fail_at(file, document, error),
        }
    }

    /// Adds the JSON values that a document consists of, if it does.
    ///
    /// Each is also read as YAML, for the places of its fields; where YAML disagrees (surrogate pairs, tabs) the object has
    /// no places.
    fn add_json(&mut self, file: &str, document: &Document<'_>) -> bool {
        let body = document.text.strip_prefix("---").unwrap_or(document.text);
        if !body.trim_start().starts_with('{') {
            return false;
        }
        let Some(written) = json::values(body) else { return false };
        let mut values = Vec::new();
        for written in written {
            let inside =
                Document { text: written.text, first_line: document.first_line + written.lines_before };
            let value = match (written.too_deep, serde_json::from_str(written.text)) {
                (Some(place), _) => Err(yaml::too_deep(place)),
                (None, Ok(value)) => Ok(value),
                (None, Err(_)) => return false,
            };
            values.push((inside, value));
        }
        for (inside, value) in values {
            let (value, places) = match (value, yaml::parse(inside.text)) {
                (Ok(_), Err(error)) if error.problem == Problem::Duplicate => (Err(error), Places::default()),
                (value, parsed) => (value, parsed.map(|(_, places)| places).unwrap_or_default()),
            };
            match value {
                Ok(value) => {
                    let source = Source {
                        file: file.to_owned(),
                        places: places.shifted(inside.first_line - 1),
                        text: inside.text.into(),
                        first_line: inside.first_line,
                    };
                    self.add(value, source);
                }
                Err(error) => self.fail_at(file, &inside, error),
            }
        }
        true
    }

    fn add(&mut self, value: Value, source: Source) {
        if value.is_null() {
            return;
        }
        let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        match value {
            Value::Object(mut list) if is_list && list.get("items").is_some_and(Value::is_array) => {
                let items = list.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
                for (index, item) in items.into_iter().flatten().enumerate() {
                    let places = Places::below(&source.places, &format!("items[{index}]"));
                    self.add_one(item, Source { places, ..source.clone() });
                }
            }
            value => self.add_one(value, source),
        }
    }

    fn add_one(&mut self, value: Value, source: Source) {
        match check(value, Some(Arc::new(source))) {
            Ok(object) => self.objects.push(object),
            Err(findings) => {
                for finding in findings {
                    let said = self.findings.iter().any(|other| {
                        other.code == codes::KIND_IGNORED.name && other.message == finding.message
                    });
                    if !said {
                        self.findings.push(finding);
                    }
                }
            }
        }
    }

    fn fail_at(&mut self, file: &str, document: &Document<'_>, error: YamlError) {
        let index = error.line.saturating_sub(1);
        let text = document.text.lines().nth(index as usize).unwrap_or_default();
        self.fail(at(file, document.first_line + index, error.column, text), error.message);
    }

    fn fail(&mut self, location: Location, message: String) {
        let finding = Finding::new(&codes::DOCUMENT_INVALID, message);
        self.findings.push(Finding { location: Some(location), ..finding });
    }
}

#[cfg(test)]
mod tests;
