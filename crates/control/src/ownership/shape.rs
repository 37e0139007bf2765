//! How the parts of an object are owned: a map field by field, a list item by item, or either as a whole.

use manifest::{Definition, Kind};
use schema::{Field, Holds, List, Type, structural};
use serde_json::{Map, Value};

/// How a value is owned, as its type says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'a> {
    /// Nobody knows its type: maps field by field, lists as a whole.
    Unknown,
    /// As a whole.
    Whole,
    /// Field by field.
    Object(&'static Type),
    /// Entry by entry.
    Map(&'static Holds),
    /// Item by item.
    Items(List, &'static Holds),
    /// As a schema says, which may describe an object of its own.
    Declared(&'a Value, bool),
}

/// How one value is owned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owned<'a> {
    /// As a whole.
    Whole,
    /// Field by field.
    Fields(&'a Map<String, Value>),
    /// Item by item.
    Items(&'a [Value]),
}

// === impl Shape ===

impl<'a> Shape<'a> {
    /// The shape of the objects of a kind.
    pub(crate) fn of(kind: &Kind, definition: Option<&'a Definition>) -> Self {
        if let Some(definition) = definition {
            return Self::Declared(definition.schema(), true);
        }
        schema::of(kind.group, kind.version, kind.kind).map_or(Self::Unknown, Self::Object)
    }

    /// The shape of a field.
    pub(super) fn field(self, name: &str) -> Self {
        match self {
            Self::Unknown | Self::Whole | Self::Items(..) => Self::Unknown,
            Self::Map(entry) => Self::of_value(entry, List::Atomic),
            Self::Object(object) => object.field(name).map_or(Self::Unknown, Self::of_field),
            Self::Declared(_, true) if name == "metadata" => {
                schema::named(METADATA).map_or(Self::Unknown, Self::Object)
            }
            Self::Declared(schema, _) => {
                let known = schema["properties"].get(name).or_else(|| structural::values(schema));
                known.map_or(Self::Unknown, Self::of_schema)
            }
        }
    }

    /// The shape of the items of a list.
    pub(super) fn item(self) -> Self {
        match self {
            Self::Items(_, item) => Self::of_value(item, List::Atomic),
            Self::Declared(schema, _) => Self::of_schema(&schema["items"]),
            _ => Self::Unknown,
        }
    }

    /// Whether a field holds an object that is always there, so that nobody is its owner for having made it.
    pub(super) fn is_always_there(self, name: &str) -> bool {
        let Self::Object(object) = self else { return false };
        object.field(name).is_some_and(|field| matches!(field.holds, Holds::Object(_)) && !field.tells_zero)
    }

    fn of_field(field: &'static Field) -> Self {
        if field.is_atomic { Self::Whole } else { Self::of_value(&field.holds, field.list) }
    }

    fn of_value(holds: &'static Holds, list: List) -> Self {
        match holds {
            Holds::Object(object) if object.is_atomic => Self::Whole,
            Holds::Object(object) => Self::Object(object.get()),
            Holds::Map(entry) => Self::Map(entry),
            Holds::List(item) if list != List::Atomic => Self::Items(list, item),
            Holds::Json => Self::Unknown,
            _ => Self::Whole,
        }
    }

    fn of_schema(schema: &'a Value) -> Self {
        let is_merged = matches!(schema["x-kubernetes-list-type"].as_str(), Some("set" | "map"));
        match schema["type"].as_str() {
            Some("object") if schema["x-kubernetes-map-type"] == "atomic" => Self::Whole,
            Some("object") => Self::Declared(schema, structural::is_object(schema)),
            Some("array") if is_merged => Self::Declared(schema, false),
            None if structural::preserves(schema) => Self::Unknown,
            _ => Self::Whole,
        }
    }

    /// Whether a list of this shape is merged item by item.
    pub(super) fn has_items(self) -> bool {
        matches!(self, Self::Items(..))
            || matches!(self, Self::Declared(schema, _) if schema["type"] == "array")
    }

    /// Whether it is a map, whose entries may be anybody's.
    pub(super) fn is_map(self) -> bool {
        matches!(self, Self::Map(_))
            || matches!(self, Self::Declared(schema, _) if structural::values(schema).is_some())
    }

    /// How a value is owned.
    pub(super) fn owned(self, value: &Value) -> Owned<'_> {
        match (value, self) {
            (_, Self::Whole) => Owned::Whole,
            (Value::Object(fields), _) => Owned::Fields(fields),
            (Value::Array(items), shape) if shape.has_items() => Owned::Items(items),
            _ => Owned::Whole,
        }
    }

    /// The field of its key that an item of a list does not have, and that nobody fills in.
    pub(super) fn missing_key(self, item: &Value) -> Option<&'a str> {
        if let Self::Declared(schema, _) = self {
            let is_filled = |key: &str| schema["items"]["properties"][key].get("default").is_some();
            return keys(schema).find(|key| item.get(*key).is_none_or(Value::is_null) && !is_filled(key));
        }
        let Self::Items(list, holds) = self else { return None };
        let is_filled = |key: &str| {
            holds.object().and_then(|item| item.field(key)).is_some_and(|key| key.default_value().is_some())
        };
        list.keys().find(|key| item.get(key).is_none_or(Value::is_null) && !is_filled(key))
    }

    /// The element of a path that an item of a list is.
    pub(super) fn element(self, item: &Value) -> String {
        if let Self::Declared(schema, _) = self
            && schema["x-kubernetes-list-type"] == "map"
        {
            let unsaid = |key: &str| schema["items"]["properties"][key].get("default");
            let said = |key: &str| item.get(key).filter(|value| !value.is_null());
            let keys = keys(schema)
                .filter_map(|key| Some((key.to_owned(), said(key).or_else(|| unsaid(key))?.clone())));
            return format!("k:{}", Value::Object(keys.collect()));
        }
        let Self::Items(list @ List::By(_), holds) = self else { return format!("v:{item}") };
        let unsaid =
            |key: &str| holds.object().and_then(|item| item.field(key)).and_then(Field::default_value);
        let keys = list.keys().filter_map(|key| {
            let value = item.get(key).filter(|value| !value.is_null()).cloned();
            Some((key.to_owned(), value.or_else(|| unsaid(key))?))
        });
        format!("k:{}", Value::Object(keys.collect()))
    }
}

/// The type of what every object has.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The fields that are the key of an item of a list.
fn keys(schema: &Value) -> impl Iterator<Item = &str> {
    schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str)
}
