//! YAML documents with the place of every field.

mod places;
mod scalar;
mod tree;

use serde_json::Value;
use serde_saphyr::granit_parser::{self, ErrorKind, Marker, Parser, ScanError};

use places::Place;
use tree::Tree;

pub(super) use places::Places;
pub(crate) use places::key_path;

/// The deepest nesting that is read. Reading itself has no stack to run out of; what walks the values afterwards does.
pub(super) const MAX_DEPTH: usize = 100;

/// One document of a file.
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// From 1.
    pub(super) first_line: u32,
}

/// Why a document could not be read. The place is relative to the document, from 1.
#[derive(Debug)]
pub(super) struct YamlError {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
    pub(super) problem: Problem,
}

/// What kind of thing is wrong with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is no YAML, or more than is read.
    Yaml,
    /// A map has a key twice.
    Duplicate,
    /// It is nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

/// Splits at lines that begin with `---` or `...`, leaving out what has nothing but comments and directives.
///
/// Such lines cannot be part of a scalar (YAML 1.2.2 §9.1.2), so nothing is cut in two.
pub(super) fn documents(text: &str) -> impl Iterator<Item = Document<'_>> {
    let mut starts = vec![(0, 1)];
    let mut offset = 0;
    for (line_number, line) in (1..).zip(text.split_inclusive('\n')) {
        if is_marker(line, "---") {
            starts.push((offset, line_number));
        } else if is_marker(line, "...") {
            starts.push((offset + line.len(), line_number + 1));
        }
        offset += line.len();
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]).collect();
    let documents = starts.into_iter().zip(ends);
    documents
        .map(|((start, first_line), end)| Document { text: &text[start..end], first_line })
        .filter(|document| document.text.lines().any(has_content))
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn has_content(line: &str) -> bool {
    let is_marker = is_marker(line, "---") || is_marker(line, "...");
    let content = if is_marker { line[3..].trim_start() } else { line.trim_start() };
    !content.is_empty() && !content.starts_with('#') && !line.starts_with('%')
}

/// Parses one document. Whatever stands twice in it is told, and at most one error besides: there reading ends.
pub(super) fn parse(text: &str) -> Result<(Value, Places), Vec<YamlError>> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    options.set_emit_comments(false);
    let mut tree = Tree::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let taken = event
            .map_err(|error| YamlError::of_parser(&error))
            .and_then(|(event, span)| tree.take(event, place(&span.start)));
        if let Err(error) = taken {
            return Err(tree.duplicates.into_iter().chain([error]).collect());
        }
    }
    tree.finish()
}

/// What is nested deeper than [`MAX_DEPTH`].
pub(super) fn too_deep(place: Place) -> YamlError {
    let message = format!("maps and lists are nested more than {MAX_DEPTH} levels deep here");
    YamlError::new(place, Problem::TooDeep, message)
}

fn place(marker: &Marker) -> Place {
    let clamp = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
    (clamp(marker.line()), clamp(marker.col().saturating_add(1)))
}

// === impl YamlError ===

impl YamlError {
    fn new((line, column): Place, problem: Problem, message: String) -> Self {
        Self { line, column, message, problem }
    }

    fn no_yaml(place: Place, message: &str) -> Self {
        Self::new(place, Problem::Yaml, format!("not YAML: {message}"))
    }

    fn of_parser(error: &ScanError) -> Self {
        let place = place(error.marker());
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            return too_deep(place);
        }
        let message = error.info();
        Self::no_yaml(place, message.lines().next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
