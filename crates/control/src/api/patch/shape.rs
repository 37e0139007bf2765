//! Which lists are merged by a key, as the tables of [`schema`] have it. All other lists are replaced whole.

use manifest::Kind;
use schema::{Field, Holds, List, Type};
use serde_json::Value;

/// How a value is merged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Maps field by field, lists as a whole.
    Plain,
    /// An object of a type.
    Object(&'static Type),
    /// An object of a kind that has no published merge keys, but for those of its metadata.
    Custom(&'static Type),
    /// A list of objects that are told apart by a key.
    Items(Items),
    /// A list of texts of which each is there once.
    Set,
}

/// A list of objects that are told apart by a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items {
    /// The field that tells them apart in a strategic merge patch.
    pub(super) key: &'static str,
    /// The fields that do in server-side apply, if there are more.
    keys: List,
    item: &'static Type,
}

/// The shape of objects of a kind.
pub(super) fn of(kind: &Kind) -> Shape {
    match schema::of(kind.group, kind.version, kind.kind) {
        Some(known) if known.package.is_built_in() => Shape::Object(known),
        Some(known) => Shape::Custom(known),
        None => Shape::Plain,
    }
}

// === impl Shape ===

impl Shape {
    /// The shape of a field of an object.
    pub(super) fn field(self, name: &str) -> Self {
        let known = match self {
            Self::Object(known) => known,
            Self::Custom(known) if name == "metadata" => known,
            _ => return Self::Plain,
        };
        let Some(field) = known.field(name) else { return Self::Plain };
        match (&field.holds, field.merge_key, field.holds.object()) {
            (Holds::Object(of), ..) => Self::Object(of.get()),
            (Holds::List(_), Some(""), _) => Self::Set,
            (Holds::List(_), Some(key), Some(item)) => Self::Items(Items { key, keys: field.list, item }),
            _ => Self::Plain,
        }
    }
}

// === impl Items ===

impl Items {
    /// Whether two items are one for server-side apply.
    pub(super) fn are_same(self, a: &Value, b: &Value) -> bool {
        let said = |of: &Value, key: &str| {
            of.get(key).cloned().or_else(|| self.item.field(key).and_then(Field::default_value))
        };
        let is_same = |key: &str| said(a, key) == said(b, key);
        match self.keys {
            List::By(_) => self.keys.keys().all(is_same),
            List::Atomic | List::Set => is_same(self.key),
        }
    }

    /// The shape of the items themselves.
    pub(super) fn item(self) -> Shape {
        Shape::Object(self.item)
    }
}
