//! YAML documents with the place of every field.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;
use serde_saphyr::options::AliasLimits;

/// The deepest nesting that is read: each level costs some 35 KB of stack in a debug build, and threads have 2 MB.
const MAX_DEPTH: usize = 32;
/// The most scalars, maps and lists in one document, aliases expanded.
const MAX_NODES: usize = 200_000;
/// The most text in the scalars of one document, aliases expanded, in bytes.
const MAX_SCALAR_BYTES: usize = 32 << 20;
/// The most text in the paths that are remembered; fields beyond it are located by what is around them.
const MAX_PATH_BYTES: usize = 16 << 20;

/// One document of a file.
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// From 1.
    pub(super) first_line: u32,
}

/// Why a document could not be read. The place is relative to the document, from 1.
pub(super) struct YamlError {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
    pub(super) is_duplicate: bool,
}

/// Line and column of fields by their path.
#[derive(Default)]
pub(crate) struct Places {
    by_path: BTreeMap<String, (u32, u32)>,
    path_bytes: usize,
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

/// Parses one document.
pub(super) fn parse(text: &str) -> Result<(Value, Places), YamlError> {
    let root: Spanned<Node> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| YamlError::new(&error))?;
    let mut places = Places::default();
    let mut path = String::new();
    places.note("", &root);
    let value = place(root.value, &mut path, &mut places);
    Ok((value, places))
}

fn options() -> serde_saphyr::Options {
    let mut alias_limits = AliasLimits::default();
    alias_limits.max_total_replayed_events = MAX_NODES;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_total_scalar_bytes: MAX_SCALAR_BYTES,
        },
        alias_limits: alias_limits,
        // kubectl reads YAML 1.1, where `0644` is octal.
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

/// A YAML node whose children know their places.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

/// Turns a node into a value and remembers where its children stand. Recursion is bounded by [`MAX_DEPTH`].
fn place(node: Node, path: &mut String, places: &mut Places) -> Value {
    let above = path.len();
    match node {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                places.note(path, &item);
                list.push(place(item.value, path, places));
                path.truncate(above);
            }
            Value::Array(list)
        }
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                push_key(path, &key.value);
                places.note(path, &key);
                let value = place(value.value, path, places);
                map.insert(key.value, value);
                path.truncate(above);
            }
            Value::Object(map)
        }
    }
}

/// The path of a key of the map at another path.
pub(crate) fn key_path(map: &str, key: &str) -> String {
    let mut path = map.to_owned();
    push_key(&mut path, key);
    path
}

/// Appends a map key to a path: `.key`, or `["key"]` when it has other characters than letters, digits, `-` and `_`.
fn push_key(path: &mut String, key: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if key.is_empty() || !key.bytes().all(is_plain) {
        path.push_str("[\"");
        path.push_str(key);
        path.push_str("\"]");
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

// === impl Places ===

impl Places {
    fn note<T>(&mut self, path: &str, node: &Spanned<T>) {
        self.path_bytes += path.len();
        let (line, column) = (node.referenced.line(), node.referenced.column());
        if let (Ok(line @ 1..), Ok(column @ 1..)) = (u32::try_from(line), u32::try_from(column))
            && self.path_bytes <= MAX_PATH_BYTES
        {
            self.by_path.insert(path.to_owned(), (line, column));
        }
    }

    /// The places with this many lines before them.
    pub(super) fn shifted(mut self, lines: u32) -> BTreeMap<String, (u32, u32)> {
        self.by_path.values_mut().for_each(|(line, _)| *line += lines);
        self.by_path
    }

    /// Those below a path, relative to it.
    pub(super) fn below(places: &BTreeMap<String, (u32, u32)>, path: &str) -> BTreeMap<String, (u32, u32)> {
        let inside = places.range(path.to_owned()..).take_while(|(key, _)| key.starts_with(path));
        let relative = inside.filter_map(|(key, place)| {
            let rest = &key[path.len()..];
            let is_below = rest.is_empty() || rest.starts_with(['.', '[']);
            is_below.then(|| (rest.strip_prefix('.').unwrap_or(rest).to_owned(), *place))
        });
        relative.collect()
    }
}

// === impl YamlError ===

impl YamlError {
    fn new(error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let place = error.location().map(|location| (location.line(), location.column()));
        let (line, column) = place.unwrap_or((1, 1));
        let rendered = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        // The library puts the place behind the message; findings show it in front.
        let message = rendered.split(" at line ").next().unwrap_or(&rendered);
        let message = message.lines().next().unwrap_or_default();
        let clamp = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).max(1);
        Self {
            line: clamp(line),
            column: clamp(column),
            message: format!("not YAML: {message}"),
            is_duplicate: matches!(error, serde_saphyr::Error::DuplicateMappingKey { .. }),
        }
    }
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("the number is not finite"))?;
        Ok(Node::Scalar(Value::Number(number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
