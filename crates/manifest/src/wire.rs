//! Values to wire types, noting on the way what the type does not know and what has no effect.
//!
//! This is a serde deserializer over a JSON value. What it adds to serde_json's own: the path of what is wrong, the fields
//! that no type knows, with the nearest one that it does know, and Kubernetes' rule that null is the same as nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{self, Display};

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Expected, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::finding::nearest;
use crate::read::key_path;

/// A field that is known and has no effect here yet; it is noted unless it is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NoEffect;

/// A field that is known and of no interest.
pub(crate) type Kept = IgnoredAny;

/// A number, or a name or percentage: `IntOrString` of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IntOrString {
    Int(i64),
    String(String),
}

/// An amount such as `250m`, `512Mi` or `1`, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantity(pub(crate) String);

/// How field names are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// As Kubernetes does.
    Exact,
    /// As Go's JSON decoder does.
    Any,
}

/// Something worth a finding that does not stop the reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// No such field; the name that is nearest to it.
    Unknown { path: String, nearest: Option<&'static str> },
    /// A field without effect.
    NoEffect { path: String },
}

/// A value that is not of the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WireError {
    /// Where it stands; empty for the value as a whole.
    pub(crate) path: String,
    /// `is the text `x`, not a boolean`, to be put behind the path.
    pub(crate) problem: String,
    /// The field that is missing there, when that is what is wrong.
    pub(crate) missing: Option<&'static str>,
}

/// What reading a value gave.
pub(crate) struct Reading<T> {
    /// It, without the fields that are wrong; nothing when it is wrong as a whole, or lacks what it needs.
    pub(crate) value: Option<T>,
    pub(crate) errors: Vec<WireError>,
    pub(crate) notes: Vec<Note>,
}

/// The most errors that are looked for in one value.
const MAX_ERRORS: usize = 50;

/// Reads a value and goes on behind what is wrong, so that all of it is known.
pub(crate) fn read_all<'de, T: Deserialize<'de>>(value: &'de Value, path: &str, case: Case) -> Reading<T> {
    let (mut errors, mut notes): (Vec<WireError>, Vec<Note>) = (Vec::new(), Vec::new());
    let mut skipped = BTreeSet::new();
    loop {
        let (result, noted, still_skipped) = attempt::<T>(value, path, case, skipped);
        skipped = still_skipped;
        for note in noted {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        let error = match result {
            Ok(value) => return Reading { value: Some(value), errors, notes },
            Err(error) => error,
        };
        let is_whole = error.path == path;
        let is_new = skipped.insert(error.path.clone());
        // A part that is missing because it was wrong has been told.
        let follows = error.missing.is_some_and(|field| skipped.contains(&key_path(&error.path, field)));
        if !follows {
            errors.push(error);
        }
        if is_whole || !is_new || errors.len() == MAX_ERRORS {
            return Reading { value: None, errors, notes };
        }
    }
}

/// Reads a value. Notes are made also when the value turns out wrong.
pub(crate) fn from_value<'de, T: Deserialize<'de>>(
    value: &'de Value,
    path: &str,
    case: Case,
) -> (Result<T, WireError>, Vec<Note>) {
    let (result, notes, _) = attempt(value, path, case, BTreeSet::new());
    (result, notes)
}

/// Reads a value without the parts at some paths.
fn attempt<'de, T: Deserialize<'de>>(
    value: &'de Value,
    path: &str,
    case: Case,
    skipped: BTreeSet<String>,
) -> (Result<T, WireError>, Vec<Note>, BTreeSet<String>) {
    let state = State { path: RefCell::new(path.to_owned()), notes: RefCell::default(), case, skipped };
    let result = T::deserialize(Reader { value, state: &state });
    let path = state.path.into_inner();
    let result = result.map_err(|Problem { words, missing }| WireError { path, problem: words, missing });
    (result, state.notes.into_inner(), state.skipped)
}

/// What readers of one value share. The path grows on the way in and shrinks on the way out, so that after an error it is
/// the path of what is wrong.
struct State {
    path: RefCell<String>,
    notes: RefCell<Vec<Note>>,
    case: Case,
    /// Paths of parts that are passed over.
    skipped: BTreeSet<String>,
}

#[derive(Clone, Copy)]
struct Reader<'de, 's> {
    value: &'de Value,
    state: &'s State,
}

/// What every Kubernetes object has besides the fields of its kind.
const COMMON_FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
/// The most notes that are made of one value; whoever has more has a file of another kind.
const MAX_NOTES: usize = 200;
const NO_EFFECT: &str = "forebay::NoEffect";

// === impl State ===

impl State {
    /// Does something at the path of a part.
    fn at<T>(&self, path: String, act: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
        let above = self.path.replace(path);
        let result = act()?;
        self.path.replace(above);
        Ok(result)
    }

    fn key(&self, key: &str) -> String {
        key_path(&self.path.borrow(), key)
    }

    fn is_skipped(&self, path: &str) -> bool {
        !self.skipped.is_empty() && self.skipped.contains(path)
    }

    fn note(&self, note: impl FnOnce() -> Note) {
        if self.notes.borrow().len() < MAX_NOTES {
            self.notes.borrow_mut().push(note());
        }
    }
}

// === impl Reader ===

impl<'de> de::Deserializer<'de> for Reader<'de, '_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (_, Some(value)) => visitor.visit_i64(value),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::Array(items) => {
                visitor.visit_seq(Items { items: items.iter().enumerate(), state: self.state })
            }
            Value::Object(map) => visitor.visit_map(Entries {
                entries: map.iter(),
                current: None,
                fields: None,
                state: self.state,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// A null text is an empty one, as in Go.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.value.is_null() { visitor.visit_borrowed_str("") } else { self.deserialize_any(visitor) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if name != NO_EFFECT {
            return visitor.visit_newtype_struct(self);
        }
        let is_empty = match self.value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !is_empty {
            self.state.note(|| Note::NoEffect { path: self.state.path.borrow().clone() });
        }
        visitor.visit_unit()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.value {
            Value::Object(map) => {
                let entries = map.iter();
                visitor.visit_map(Entries { entries, current: None, fields: Some(fields), state: self.state })
            }
            other => Err(de::Error::invalid_type(unexpected(other), &"a map")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.value {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            other => Err(de::Error::invalid_type(unexpected(other), &"a text")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => Unexpected::Unsigned(value),
            (_, Some(value)) => Unexpected::Signed(value),
            _ => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(value) => Unexpected::Str(value),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Items<'de, 's> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
    state: &'s State,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let path = |index: usize| format!("{}[{index}]", self.state.path.borrow());
        let Some((index, value)) = self.items.find(|(index, _)| !self.state.is_skipped(&path(*index))) else {
            return Ok(None);
        };
        let path = path(index);
        let reader = Reader { value, state: self.state };
        self.state.at(path, || seed.deserialize(reader)).map(Some)
    }
}

struct Entries<'de, 's> {
    entries: serde_json::map::Iter<'de>,
    current: Option<(&'de str, &'de Value)>,
    /// The fields of a struct, when it is one; then entries of other names are noted, and null ones passed over.
    fields: Option<&'static [&'static str]>,
    state: &'s State,
}

impl Entries<'_, '_> {
    /// Whether this is the top of an object and the field one that every object has.
    fn is_common(&self, key: &str) -> bool {
        self.state.path.borrow().is_empty() && COMMON_FIELDS.contains(&key)
    }
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        while let Some((key, value)) = self.entries.next() {
            if self.state.is_skipped(&self.state.key(key)) {
                continue;
            }
            self.current = Some((key, value));
            let Some(fields) = self.fields else {
                return seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some);
            };
            let is_meant = |field: &&&str| match self.state.case {
                Case::Exact => **field == key,
                Case::Any => field.eq_ignore_ascii_case(key),
            };
            match fields.iter().find(is_meant) {
                Some(_) if value.is_null() => {}
                Some(field) => return seed.deserialize(StrDeserializer::new(field)).map(Some),
                None if self.is_common(key) => {}
                None => {
                    let nearest = || nearest(key, fields.iter().copied());
                    self.state.note(|| Note::Unknown { path: self.state.key(key), nearest: nearest() });
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (key, value) = self.current.take().ok_or_else(|| Problem::new("is a value without a key"))?;
        let reader = Reader { value, state: self.state };
        self.state.at(self.state.key(key), || seed.deserialize(reader))
    }
}

// === impl NoEffect ===

impl<'de> Deserialize<'de> for NoEffect {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NO_EFFECT, IgnoredAny).map(|_| Self)
    }
}

// === impl IntOrString ===

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntOrStringVisitor;
        impl Visitor<'_> for IntOrStringVisitor {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a text")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<IntOrString, E> {
                i64::try_from(value).map(IntOrString::Int).map_err(|_| E::custom("is too large a number"))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<IntOrString, E> {
                Ok(IntOrString::Int(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::String(value.to_owned()))
            }
        }
        deserializer.deserialize_any(IntOrStringVisitor)
    }
}

impl Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::String(text) => f.write_str(text),
        }
    }
}

// === impl Quantity ===

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantityVisitor;
        impl Visitor<'_> for QuantityVisitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Quantity, E> {
                Ok(Quantity(value.to_owned()))
            }
        }
        deserializer.deserialize_any(QuantityVisitor)
    }
}

// === impl WireError ===

impl Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = if self.path.is_empty() { "it" } else { &self.path };
        write!(f, "{subject} {}", self.problem)
    }
}

/// What is wrong with a value, without saying where.
#[derive(Debug)]
struct Problem {
    words: String,
    missing: Option<&'static str>,
}

impl Problem {
    fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), missing: None }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = match expected.to_string().as_str() {
            "u16" => "a number from 0 to 65535".to_owned(),
            "u32" | "u64" => "a whole number from 0".to_owned(),
            "i32" | "i64" => "a whole number".to_owned(),
            "a string" => "a text".to_owned(),
            "a boolean" => "`true` or `false`".to_owned(),
            "a sequence" => "a list".to_owned(),
            other => other.to_owned(),
        };
        Self::new(format!("is {}, not {expected}", in_words(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self { words: format!("has no `{field}`"), missing: Some(field) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("is `{variant}`, not one of `{}`", expected.join("`, `")))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("has `{field}` twice"))
    }
}

fn in_words(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Unit => "nothing".to_owned(),
        Unexpected::Bool(value) => format!("the boolean `{value}`"),
        Unexpected::Unsigned(value) => format!("the number `{value}`"),
        Unexpected::Signed(value) => format!("the number `{value}`"),
        Unexpected::Float(value) => format!("the number `{value}`"),
        Unexpected::Str(value) => match value.char_indices().nth(60) {
            Some((end, _)) => format!("the text `{}…`", &value[..end]),
            None => format!("the text `{value}`"),
        },
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
