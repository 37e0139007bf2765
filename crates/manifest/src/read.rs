//! Text to objects: YAML of several documents, and JSON.
//!
//! Documents are read one by one, so that a broken one costs only itself. This is *not* the place that knows what the
//! fields of a kind mean: an object is checked for what every object has, and kept whole.

mod check;
mod json;
mod text;
mod yaml;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use yaml::{Document, Places, Problem, YamlError};

use crate::finding::beginning;
use crate::{Finding, Kinds, Location, Object, Source, codes};

pub use check::MAX_ANNOTATIONS;
pub(crate) use check::{check, check_as, first_of};
pub use text::{NoText, text_of};
pub(crate) use yaml::key_path;

/// The longest text that is read, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// The most findings about one file, besides one that says that there are more.
const MAX_FINDINGS: usize = 10_000;

/// What a file contains.
#[derive(Debug, Default)]
pub struct Read {
    /// The objects, in the order of the file.
    pub objects: Vec<Object>,
    /// What could not be read, and what is of no use here.
    pub findings: Vec<Finding>,
    /// What was said about kinds, which is not said again for each object.
    said: HashSet<String>,
    kinds: Kinds,
}

/// Reads YAML documents, or JSON values one after the other; a `List` stands for its items.
///
/// `file` is what findings call the text: a path, or `-` for standard input.
#[must_use]
pub fn read(file: &str, text: &str) -> Read {
    read_with(file, text, Kinds::default())
}

/// The same with kinds that definitions declare.
#[must_use]
pub fn read_with(file: &str, text: &str, kinds: Kinds) -> Read {
    let mut read = Read { kinds, ..Read::default() };
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes are more than the {MAX_BYTES} that are read", text.len());
        read.fail(at(file, 1, 1, ""), message);
        return read;
    }
    let text = without_marks(text);
    for document in yaml::documents(&text) {
        if !read.add_json(file, &document) {
            read.add_yaml(file, &document);
        }
    }
    read
}

/// The texts of the documents in a file, but for those in which nothing stands.
pub fn documents(text: &str) -> impl Iterator<Item = &str> {
    yaml::documents(text).map(|document| document.text)
}

/// The text without byte order marks at its beginning, and where another file with one was put behind it.
fn without_marks(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains("\n\u{feff}") {
        return Cow::from(text.replace("\n\u{feff}", "\n"));
    }
    Cow::from(text)
}

/// One YAML value, without places.
pub(crate) fn parse_yaml(text: &str) -> Result<Value, String> {
    yaml::parse(text).map(|(value, _)| value).map_err(|errors| {
        let first = errors.into_iter().next();
        first.map(|error| error.message).unwrap_or_default()
    })
}

fn at(file: &str, line: u32, column: u32, text: &str) -> Location {
    Location { file: file.to_owned(), line, column, text: beginning(text).to_owned() }
}

/// Where the fields of a document stand in its file.
fn source(file: &str, document: &Document<'_>, places: Places) -> Source {
    Source {
        file: file.to_owned(),
        places: places.shifted(document.first_line - 1),
        text: document.text.into(),
        first_line: document.first_line,
    }
}

// === impl Read ===

impl Read {
    fn add_yaml(&mut self, file: &str, document: &Document<'_>) {
        match yaml::parse(document.text) {
            Ok((value, places)) => {
                self.add(value, source(file, document, places));
            }
            Err(errors) => self.fail_at(file, document, errors),
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
                (Some(place), _) => Err(vec![yaml::too_deep(place)]),
                (None, Ok(value)) => Ok(value),
                (None, Err(_)) => return false,
            };
            values.push((inside, value));
        }
        for (inside, value) in values {
            let (value, places) = match (value, yaml::parse(inside.text)) {
                (Ok(_), Err(errors)) if errors.iter().all(|error| error.problem == Problem::Duplicate) => {
                    (Err(errors), Places::default())
                }
                (value, parsed) => (value, parsed.map(|(_, places)| places).unwrap_or_default()),
            };
            match value {
                Ok(value) => self.add(value, source(file, &inside, places)),
                Err(errors) => self.fail_at(file, &inside, errors),
            }
        }
        true
    }

    /// Adds an object, or those of a list; lists in lists are as deep as values are.
    fn add(&mut self, value: Value, source: Source) {
        if value.is_null() {
            return;
        }
        let of_items = value.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix("List"));
        let Some(of_items) = of_items.map(str::to_owned) else { return self.add_one(value, source) };
        match value.get("items") {
            Some(Value::Array(_)) => self.add_items(value, &of_items, &source),
            // An empty list, as some programs write it.
            None | Some(Value::Null) if of_items.is_empty() => {}
            Some(other) if of_items.is_empty() => {
                let location = source.locate("items").unwrap_or_else(|| at(&source.file, 1, 1, ""));
                self.fail(location, format!("`items` is {}, not a list", check::describe(other)));
            }
            _ => self.add_one(value, source),
        }
    }

    /// Adds the items of a list. Those of a `ServiceList` need not say that they are Services.
    fn add_items(&mut self, mut list: Value, of_items: &str, source: &Source) {
        let items = list.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
        let lines: Vec<&str> = source.text.lines().collect();
        let line_of = |index: usize| source.places.get(&format!("items[{index}]")).map(|(line, _)| *line);
        for (index, mut item) in items.into_iter().flatten().enumerate() {
            if let Value::Object(fields) = &mut item
                && !of_items.is_empty()
                && !fields.contains_key("kind")
            {
                fields.insert("kind".to_owned(), Value::from(of_items));
                fields.entry("apiVersion").or_insert_with(|| list["apiVersion"].clone());
            }
            let first_line = line_of(index).unwrap_or(source.first_line);
            let first = (first_line - source.first_line) as usize;
            let last = line_of(index + 1).map_or(lines.len(), |next| (next - source.first_line) as usize + 1);
            // Without a place there is nothing to show.
            let last = if line_of(index).is_some() { last } else { 0 };
            let own: Vec<&str> = lines.iter().take(last).skip(first).map(|line| beginning(line)).collect();
            let inside = Source {
                file: source.file.clone(),
                places: Places::below(&source.places, &format!("items[{index}]")),
                text: own.join("\n").into(),
                first_line,
            };
            self.add(item, inside);
        }
    }

    fn add_one(&mut self, value: Value, source: Source) {
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        let declared = self.kinds.declared_of(text("apiVersion"), text("kind"));
        match check_as(declared, value, Some(Arc::new(source))) {
            Ok(object) => self.objects.push(object),
            Err(findings) => {
                let is_news = |finding: &Finding| {
                    finding.code != codes::KIND_IGNORED.name || self.said.insert(finding.message.clone())
                };
                let news: Vec<Finding> = findings.into_iter().filter(is_news).collect();
                news.into_iter().for_each(|finding| self.push(finding));
            }
        }
    }

    fn fail_at(&mut self, file: &str, document: &Document<'_>, errors: Vec<YamlError>) {
        for error in errors {
            let index = error.line.saturating_sub(1);
            let text = document.text.lines().nth(index as usize).unwrap_or_default();
            let is_template = error.problem == Problem::Yaml && text.contains("{{");
            let location = at(file, document.first_line + index, error.column, text);
            let finding = Finding::new(&codes::DOCUMENT_INVALID, error.message);
            let advice = is_template
                .then(|| "render the template first: helm template CHART | forebay check -".to_owned());
            self.push(Finding { location: Some(location), ..finding.maybe_suggest(advice) });
        }
    }

    fn fail(&mut self, location: Location, message: String) {
        let finding = Finding::new(&codes::DOCUMENT_INVALID, message);
        self.push(Finding { location: Some(location), ..finding });
    }

    fn push(&mut self, finding: Finding) {
        match self.findings.len().cmp(&MAX_FINDINGS) {
            Ordering::Less => self.findings.push(finding),
            Ordering::Equal => {
                let message =
                    format!("there is more wrong with the file than these {MAX_FINDINGS} findings say");
                self.findings.push(Finding::new(&codes::DOCUMENT_INVALID, message));
            }
            Ordering::Greater => {}
        }
    }
}

#[cfg(test)]
mod tests;
