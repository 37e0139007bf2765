//! Text to objects: YAML of several documents, and JSON.
//!
//! Documents are read one by one, so that a broken one costs only itself. This is *not* the place that knows what the
//! fields of a kind mean: an object is checked for what every object has, and kept whole.

mod check;
mod yaml;

use std::sync::Arc;

use serde_json::Value;

use yaml::Places;

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
    if text.trim_start().starts_with('{')
        && let Some(values) = json_stream(file, text)
    {
        values.into_iter().for_each(|(value, source)| read.add(value, source));
        return read;
    }
    for document in yaml::documents(text) {
        match yaml::parse(document.text) {
            Ok((value, places)) => {
                let source = Source {
                    file: file.to_owned(),
                    places: places.shifted(document.first_line - 1),
                    text: document.text.into(),
                    first_line: document.first_line,
                };
                read.add(value, source);
            }
            Err(error) => {
                let line_text = document.text.lines().nth(error.line.saturating_sub(1) as usize);
                let line = document.first_line + error.line.saturating_sub(1);
                read.fail(at(file, line, error.column, line_text.unwrap_or_default()), error.message);
            }
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

/// JSON values one after the other, when the text is that.
///
/// Every JSON text is also read as YAML, for the places of its fields; where YAML disagrees (surrogate pairs, tabs) the
/// objects have no places.
fn json_stream(file: &str, text: &str) -> Option<Vec<(Value, Source)>> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut values = Vec::new();
    let mut start = 0;
    while let Some(value) = stream.next() {
        let value = value.ok()?;
        let end = stream.byte_offset();
        let written = &text[start..end];
        let first_line = 1 + u32::try_from(text[..start].matches('\n').count()).ok()?;
        let (value, places) = match yaml::parse(written) {
            Ok(parsed) => parsed,
            Err(error) if error.is_duplicate => return None,
            Err(_) => (value, Places::default()),
        };
        let places = places.shifted(first_line - 1);
        values.push((value, Source { file: file.to_owned(), places, text: written.into(), first_line }));
        start = end;
    }
    Some(values)
}

// === impl Read ===

impl Read {
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

    fn fail(&mut self, location: Location, message: String) {
        let finding = Finding::new(&codes::DOCUMENT_INVALID, message);
        self.findings.push(Finding { location: Some(location), ..finding });
    }
}

#[cfg(test)]
mod tests;
