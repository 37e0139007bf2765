//! An object beside its type.

use jiff::Timestamp;
use manifest::parse_quantity;
use schema::{Holds, Type};
use serde_json::{Map, Value, json};

use super::{FIELDS, Mistake, Odd};
use crate::store::Cause;

/// No field is near a name that is longer, in bytes.
const LONG: usize = 128;

const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// What was found on the way.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Fields that the type does not have.
    pub(super) unknown: Vec<Odd>,
    pub(super) mistakes: Vec<Mistake>,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// With the indices of items, as fields that are not known are named.
    path: &'a str,
    /// Without them, as Go's decoder names fields.
    field: &'a str,
    /// The innermost type.
    of: &'static Type,
    /// Whether the whole object is of a kind of Kubernetes itself.
    is_built_in: bool,
}

// === impl Walk ===

impl Walk {
    /// Walks through a whole object. It goes no deeper than its type does, which does not hold itself.
    pub(super) fn along(value: &mut Value, known: &'static Type) -> Self {
        let mut walk = Self::default();
        let Value::Object(fields) = value else { return walk };
        walk.object(
            fields,
            known,
            Place { path: "", field: "", of: known, is_built_in: known.package.is_built_in() },
        );
        walk
    }

    /// Walks through an object of a kind that a definition declares: its metadata are those of every object, and what its schema
    /// does not know is taken out.
    pub(super) fn along_schema(value: &mut Value, schema: &Value) -> Self {
        let mut walk = Self::default();
        if let Some(known) = schema::named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
            && let Some(Value::Object(fields)) = value.get_mut("metadata")
        {
            let place = Place { path: "metadata", field: "metadata", of: known, is_built_in: true };
            walk.object(fields, known, place);
        }
        let pruned = schema::structural::prune(schema, value);
        walk.unknown.extend(pruned.into_iter().map(|field| Odd::Unknown(field, None)));
        walk
    }

    fn object(&mut self, fields: &mut Map<String, Value>, known: &'static Type, place: Place<'_>) {
        let below = |above: &str, name: &str| {
            if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
        };
        fields.retain(|name, value| {
            let Some(field) = known.field(name) else {
                if self.unknown.len() < FIELDS {
                    let is_short = name.len() <= LONG;
                    let names = known.fields().map(|field| field.name).filter(|_| is_short);
                    let nearest = plan::suggest::nearest(name, names);
                    self.unknown.push(Odd::Unknown(below(place.path, name), nearest));
                }
                return false;
            };
            if value.is_null() {
                return false;
            }
            let (path, go_field) = (below(place.path, name), below(place.field, name));
            self.value(value, &field.holds, Place { path: &path, field: &go_field, of: known, ..place });
            true
        });
    }

    fn value(&mut self, value: &mut Value, holds: &'static Holds, place: Place<'_>) {
        match (holds, value) {
            (Holds::Object(reference), Value::Object(fields)) => self.object(fields, reference.get(), place),
            (Holds::List(item), Value::Array(items)) => {
                for (index, value) in items.iter_mut().enumerate() {
                    let path = format!("{}[{index}]", place.path);
                    if value.is_null() {
                        *value = nothing(item);
                    }
                    self.value(value, item, Place { path: &path, ..place });
                }
            }
            (Holds::Map(holds), Value::Object(entries)) => {
                for (key, value) in entries.iter_mut() {
                    let path = format!("{}.{key}", place.path);
                    if value.is_null() {
                        *value = nothing(holds);
                    }
                    self.value(value, holds, Place { path: &path, ..place });
                }
            }
            (holds, value) => {
                if self.mistakes.len() < FIELDS {
                    self.mistakes.extend(mistake(value, holds, place));
                }
            }
        }
    }
}

/// What null stands for as an item of a list or a value of a map.
fn nothing(holds: &Holds) -> Value {
    match holds {
        Holds::Text | Holds::Bytes => json!(""),
        Holds::Object(_) | Holds::Map(_) => json!({}),
        _ => Value::Null,
    }
}

fn mistake(value: &Value, holds: &'static Holds, place: Place<'_>) -> Option<Mistake> {
    let number = value.as_i64();
    let is_right = match holds {
        _ if value.is_null() => true,
        Holds::Text | Holds::Bytes => value.is_string(),
        Holds::Bool => value.is_boolean(),
        Holds::Int32 => number.is_some_and(|number| i32::try_from(number).is_ok()),
        Holds::Int64 => number.is_some(),
        Holds::Double => value.is_number(),
        Holds::Quantity => match value {
            Value::String(text) if place.is_built_in && parse_quantity(text).is_none() => {
                return Some(Mistake::Undecodable(NO_QUANTITY.to_owned()));
            }
            value => value.is_string() || value.is_number(),
        },
        Holds::IntOrString => value.is_string() || number.is_some_and(|number| i32::try_from(number).is_ok()),
        Holds::Time | Holds::MicroTime => match value {
            Value::String(text) if place.is_built_in && text.parse::<Timestamp>().is_err() => {
                let why = format!(
                    r#"parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006""#
                );
                return Some(Mistake::Undecodable(why));
            }
            value => value.is_string(),
        },
        Holds::Json => true,
        Holds::Object(_) | Holds::List(_) | Holds::Map(_) => false,
    };
    (!is_right).then(|| wrong_type(value, holds, place))
}

fn wrong_type(value: &Value, holds: &'static Holds, place: Place<'_>) -> Mistake {
    let is_number = value.is_number();
    if place.is_built_in {
        let shown = if is_number && is_a_number(holds) {
            format!("number {value}")
        } else {
            manifest::go_type(value).to_owned()
        };
        return Mistake::Undecodable(match holds {
            // They read themselves, and know nothing of their place.
            Holds::IntOrString => format!("json: cannot unmarshal {shown} into Go value of type int32"),
            Holds::Quantity => NO_QUANTITY.to_owned(),
            _ => {
                let (of, field) = (place.of.name, place.field);
                let go_type = go_type(holds);
                format!("json: cannot unmarshal {shown} into Go struct field {of}.{field} of type {go_type}")
            }
        });
    }
    let written = match value {
        Value::Number(number) if number.is_i64() => "integer",
        Value::Bool(_) => "boolean",
        other => manifest::go_type(other),
    };
    let (path, wanted) = (place.path, json_type(holds));
    let message =
        format!("Invalid value: \"{written}\": {path} in body must be of type {wanted}: \"{written}\"");
    Mistake::Invalid(Cause { reason: "FieldValueTypeInvalid", message, field: path.to_owned() })
}

fn is_a_number(holds: &Holds) -> bool {
    matches!(holds, Holds::Int32 | Holds::Int64 | Holds::IntOrString)
}

/// What Go's decoder calls a type.
fn go_type(holds: &Holds) -> String {
    match holds {
        Holds::Text => "string".to_owned(),
        Holds::Bool => "bool".to_owned(),
        Holds::Int32 => "int32".to_owned(),
        Holds::Int64 => "int64".to_owned(),
        Holds::Double => "float64".to_owned(),
        Holds::Bytes => "[]uint8".to_owned(),
        Holds::Quantity => "resource.Quantity".to_owned(),
        Holds::IntOrString => "intstr.IntOrString".to_owned(),
        Holds::Time => "v1.Time".to_owned(),
        Holds::MicroTime => "v1.MicroTime".to_owned(),
        Holds::Json => "runtime.RawExtension".to_owned(),
        Holds::Object(of) => format!("{}.{}", of.package.version, of.name),
        Holds::List(item) => format!("[]{}", go_type(item)),
        Holds::Map(value) if **value == Holds::Quantity => "v1.ResourceList".to_owned(),
        Holds::Map(value) => format!("map[string]{}", go_type(value)),
    }
}

/// What OpenAPI calls a type.
fn json_type(holds: &Holds) -> &'static str {
    match holds {
        Holds::Bool => "boolean",
        Holds::Int32 | Holds::Int64 => "integer",
        Holds::Double => "number",
        Holds::List(_) => "array",
        Holds::Object(_) | Holds::Map(_) | Holds::Json => "object",
        _ => "string",
    }
}
