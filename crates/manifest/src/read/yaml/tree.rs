//! The events of a YAML document to a value. What is open stands on a stack of its own, so that nesting costs memory and
//! no stack of the thread.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, ScalarStyle, Tag};

use super::places::{Place, Places, push_key};
use super::{MAX_DEPTH, Problem, YamlError, scalar, too_deep};

/// The most scalars, keys, maps and lists in one document, aliases expanded. Copies for aliases have as many again.
const MAX_NODES: usize = 200_000;
/// The most text in the scalars of one document, aliases expanded, in bytes. Copies for aliases have as much again.
const MAX_TEXT: usize = 32 << 20;

/// The most keys that are told to stand twice in one document.
const MAX_DUPLICATES: usize = 50;

/// A document that is being read.
#[derive(Default)]
pub(super) struct Tree {
    open: Vec<Open>,
    root: Option<Value>,
    n_documents: usize,
    /// The path of the node that comes next, or of the innermost that is open.
    path: String,
    places: Places,
    /// Keys that a map has already.
    pub(super) duplicates: Vec<YamlError>,
    anchors: HashMap<usize, Anchored>,
    size: Size,
    copied: Size,
}

/// A list or map whose end has not come yet.
struct Open {
    content: Content,
    anchor: usize,
    /// How long its own path is.
    path_length: usize,
    /// The size of all that came before it.
    before: Size,
    /// How many levels are in it so far, itself included.
    height: usize,
}

enum Content {
    List(Vec<Value>),
    Map { entries: Map<String, Value>, key: Option<Key>, merged: Vec<(Map<String, Value>, Place)> },
}

/// A key that waits for its value.
enum Key {
    Name(String),
    /// `<<`: the entries of the value become entries of the map, unless it has them itself.
    Merge(Place),
}

/// What an alias stands for.
struct Anchored {
    value: Value,
    size: Size,
    height: usize,
}

#[derive(Clone, Copy, Default)]
struct Size {
    n_nodes: usize,
    n_bytes: usize,
}

// === impl Tree ===

impl Tree {
    /// Takes the next event.
    pub(super) fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) => {
                self.n_documents += 1;
                match self.n_documents {
                    1 => Ok(()),
                    _ => Err(YamlError::no_yaml(place, "a second document begins where one is read")),
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                self.scalar(text, is_plain, anchor, tag.as_deref(), place)
            }
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::SequenceStart(_, anchor, _) => self.start(Content::List(Vec::new()), anchor, place),
            Event::MappingStart(_, anchor, _) => {
                let content = Content::Map { entries: Map::new(), key: None, merged: Vec::new() };
                self.start(content, anchor, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            _ => Ok(()),
        }
    }

    /// The value, and where its fields stand. Without a node it is nothing.
    pub(super) fn finish(self) -> Result<(Value, Places), Vec<YamlError>> {
        if self.duplicates.is_empty() {
            Ok((self.root.unwrap_or_default(), self.places))
        } else {
            Err(self.duplicates)
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        is_plain: bool,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<(), YamlError> {
        let size = Size { n_nodes: 1, n_bytes: text.len() };
        self.size.grow(size, place)?;
        let is_untagged = is_plain && tag.is_none();
        if self.wants_key() {
            if anchor != 0 {
                self.keep(anchor, Value::from(&*text), size, 0, place)?;
            }
            return match &*text {
                "<<" if is_untagged => self.key(Key::Merge(place), place),
                text if is_untagged && scalar::is_null(text) => {
                    Err(YamlError::no_yaml(place, "a key is missing here"))
                }
                text => self.key(Key::Name(text.to_owned()), place),
            };
        }
        let value =
            scalar::value(text, is_plain, tag).map_err(|problem| YamlError::no_yaml(place, &problem))?;
        self.begin(place);
        if anchor != 0 {
            self.keep(anchor, value.clone(), size, 0, place)?;
        }
        self.put(value, place)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), YamlError> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(YamlError::no_yaml(place, "the alias stands inside of what it stands for"));
        };
        let (value, size, height) = (anchored.value.clone(), anchored.size, anchored.height);
        self.size.grow(size, place)?;
        if self.open.len() + height > MAX_DEPTH {
            return Err(too_deep(place));
        }
        if self.wants_key() {
            return match value {
                Value::String(name) => self.key(Key::Name(name), place),
                Value::Number(number) => self.key(Key::Name(number.to_string()), place),
                Value::Bool(value) => self.key(Key::Name(value.to_string()), place),
                _ => Err(YamlError::no_yaml(place, "a key is no text")),
            };
        }
        self.begin(place);
        self.grow_parent(height);
        self.put(value, place)
    }

    fn start(&mut self, content: Content, anchor: usize, place: Place) -> Result<(), YamlError> {
        if self.wants_key() {
            return Err(YamlError::no_yaml(place, "a key is a list or map, not a text"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        let before = self.size;
        self.size.grow(Size { n_nodes: 1, n_bytes: 0 }, place)?;
        self.begin(place);
        self.open.push(Open { content, anchor, path_length: self.path.len(), before, height: 1 });
        Ok(())
    }

    fn end(&mut self, place: Place) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(items) => Value::Array(items),
            Content::Map { mut entries, merged, .. } => {
                for (map, place) in merged {
                    self.merge(&mut entries, map, place);
                }
                Value::Object(entries)
            }
        };
        if open.anchor != 0 {
            self.keep(open.anchor, value.clone(), self.size.since(open.before), open.height, place)?;
        }
        self.grow_parent(open.height);
        self.put(value, place)
    }

    /// Whether the next node is a key.
    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, name: Key, place: Place) -> Result<(), YamlError> {
        let Some(Open { content: Content::Map { entries, key, .. }, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        let text = match &name {
            Key::Name(text) => text.as_str(),
            Key::Merge(_) => "<<",
        };
        if matches!(name, Key::Name(_)) && entries.contains_key(text) {
            let shown: String = text.chars().take(60).collect();
            let message = format!("duplicate key: the map has `{shown}` already");
            let error = YamlError::new(place, Problem::Duplicate, message);
            if self.duplicates.len() == MAX_DUPLICATES {
                return Err(error);
            }
            self.duplicates.push(error);
        }
        push_key(&mut self.path, text);
        self.places.note(&self.path, place);
        *key = Some(name);
        Ok(())
    }

    /// Notes where a node begins; that of a map's value is where its key stands.
    fn begin(&mut self, place: Place) {
        match self.open.last() {
            None => self.places.note("", place),
            Some(Open { content: Content::List(items), .. }) => {
                self.path.push_str(&format!("[{}]", items.len()));
                self.places.note(&self.path, place);
            }
            Some(_) => {}
        }
    }

    /// Puts a node that is complete where it belongs.
    fn put(&mut self, value: Value, place: Place) -> Result<(), YamlError> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        self.path.truncate(open.path_length);
        match &mut open.content {
            Content::List(items) => items.push(value),
            Content::Map { entries, key, merged } => match (key.take(), value) {
                (Some(Key::Name(name)), value) => {
                    entries.insert(name, value);
                }
                (Some(Key::Merge(at)), Value::Object(map)) => merged.push((map, at)),
                (Some(Key::Merge(at)), Value::Array(maps)) if maps.iter().all(Value::is_object) => {
                    let maps = maps.into_iter().filter_map(|map| match map {
                        Value::Object(map) => Some((map, at)),
                        _ => None,
                    });
                    merged.extend(maps);
                }
                _ => return Err(YamlError::no_yaml(place, "`<<` takes a map, or a list of maps")),
            },
        }
        Ok(())
    }

    /// Adds the entries of another map that a map does not have itself.
    fn merge(&mut self, entries: &mut Map<String, Value>, other: Map<String, Value>, place: Place) {
        let length = self.path.len();
        for (key, value) in other {
            if entries.contains_key(&key) {
                continue;
            }
            push_key(&mut self.path, &key);
            self.places.note(&self.path, place);
            self.path.truncate(length);
            entries.insert(key, value);
        }
    }

    /// Keeps what an anchor names for its aliases.
    fn keep(
        &mut self,
        anchor: usize,
        value: Value,
        size: Size,
        height: usize,
        place: Place,
    ) -> Result<(), YamlError> {
        self.copied.grow(size, place)?;
        self.anchors.insert(anchor, Anchored { value, size, height });
        Ok(())
    }

    fn grow_parent(&mut self, height: usize) {
        if let Some(parent) = self.open.last_mut() {
            parent.height = parent.height.max(height + 1);
        }
    }
}

// === impl Size ===

impl Size {
    fn grow(&mut self, by: Self, place: Place) -> Result<(), YamlError> {
        self.n_nodes += by.n_nodes;
        self.n_bytes += by.n_bytes;
        if self.n_nodes > MAX_NODES {
            let message =
                format!("the document has more than {MAX_NODES} values: split it into several with `---`");
            return Err(YamlError::no_yaml(place, &message));
        }
        if self.n_bytes > MAX_TEXT {
            return Err(YamlError::no_yaml(
                place,
                &format!("the document has more than {MAX_TEXT} bytes of text"),
            ));
        }
        Ok(())
    }

    fn since(self, before: Self) -> Self {
        Self { n_nodes: self.n_nodes - before.n_nodes, n_bytes: self.n_bytes - before.n_bytes }
    }
}
