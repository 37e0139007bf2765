//! From protobuf to JSON.
//!
//! What a field holds is always written, also when it is empty, zero or false; it is left out of the JSON then, unless the tables say that
//! this would be something else.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use schema::{Field, Holds, Type};
use serde_json::{Map, Number, Value, json};

use super::LIST_META;
use super::wire::{Wire, fields};

/// Why a message cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is none.
    Broken,
    /// It has a field that its type does not have.
    Unknown(u64, &'static str),
}

/// Reads a message of a type into an object. Types hold no types without end, so neither does this.
pub(super) fn message(bytes: &[u8], of: &'static Type) -> Result<Map<String, Value>, Problem> {
    let mut object = Map::new();
    message_into(&mut object, bytes, of)?;
    Ok(object)
}

/// Reads a list of objects of a type.
pub(super) fn list(bytes: &[u8], of: &'static Type) -> Result<Map<String, Value>, Problem> {
    let (mut metadata, mut items) = (Map::new(), Vec::new());
    for field in fields(bytes) {
        match field.ok_or(Problem::Broken)? {
            (1, wire) => {
                let known = schema::named(LIST_META).ok_or(Problem::Broken)?;
                message_into(&mut metadata, bytes_of(wire)?, known)?;
            }
            (2, wire) => items.push(Value::Object(message(bytes_of(wire)?, of)?)),
            (number, _) => return Err(Problem::Unknown(number, of.name)),
        }
    }
    Ok(Map::from_iter([("metadata".to_owned(), metadata.into()), ("items".to_owned(), items.into())]))
}

fn message_into(object: &mut Map<String, Value>, bytes: &[u8], of: &'static Type) -> Result<(), Problem> {
    for field in fields(bytes) {
        let (number, wire) = field.ok_or(Problem::Broken)?;
        let is_it = |known: u32| known != 0 && u64::from(known) == number;
        if let Some(field) = of.own_fields().iter().find(|field| is_it(field.number)) {
            field_into(object, wire, field)?;
        } else if let Some(include) = of.includes().iter().find(|include| is_it(include.number)) {
            message_into(object, bytes_of(wire)?, include.included.get())?;
        } else if wire != Wire::Bytes(&[]) {
            return Err(Problem::Unknown(number, of.name));
        }
    }
    Ok(())
}

fn field_into(object: &mut Map<String, Value>, wire: Wire<'_>, field: &'static Field) -> Result<(), Problem> {
    match &field.holds {
        Holds::List(item) => {
            let value = value(wire, item)?;
            if let Some(list) = object.entry(field.name).or_insert_with(|| json!([])).as_array_mut() {
                list.push(value);
            }
        }
        Holds::Map(holds) => {
            let (key, value) = entry(wire, holds)?;
            if let Some(map) = object.entry(field.name).or_insert_with(|| json!({})).as_object_mut() {
                map.insert(key, value);
            }
        }
        holds => {
            let value = value(wire, holds)?;
            let says_something = field.tells_zero && !value.is_null() || !is_zero(&value, field.is_required);
            if says_something {
                object.insert(field.name.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// Whether a value says no more than its absence. A number that has to be there is there, whatever it is.
fn is_zero(value: &Value, is_required: bool) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_on) => !is_on,
        Value::Number(number) => !is_required && number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn value(wire: Wire<'_>, holds: &'static Holds) -> Result<Value, Problem> {
    Ok(match holds {
        Holds::Text => json!(text(wire)?),
        Holds::Bool => json!(number(wire)? != 0),
        // Negative numbers are written as the two's complement of 64 bits.
        Holds::Int32 | Holds::Int64 => json!(number(wire)?.cast_signed()),
        Holds::Double => {
            let Wire::Double(bits) = wire else { return Err(Problem::Broken) };
            Number::from_f64(f64::from_bits(bits)).map_or(Value::Null, Value::Number)
        }
        Holds::Bytes => json!(BASE64_STANDARD.encode(bytes_of(wire)?)),
        Holds::Quantity => json!(part(wire, 1)?.map(text).transpose()?.unwrap_or_default()),
        Holds::IntOrString => match part(wire, 1)?.map(number).transpose()? {
            Some(1) => json!(part(wire, 3)?.map(text).transpose()?.unwrap_or_default()),
            _ => json!(part(wire, 2)?.map(number).transpose()?.unwrap_or_default().cast_signed()),
        },
        Holds::Time => time(wire)?.map_or(Value::Null, |time| json!(format!("{time:.0}"))),
        Holds::MicroTime => time(wire)?.map_or(Value::Null, |time| json!(format!("{time:.6}"))),
        Holds::Json => match part(wire, 1)?.map(bytes_of).transpose()? {
            None | Some([]) => Value::Null,
            Some(raw) => serde_json::from_slice(raw).map_err(|_| Problem::Broken)?,
        },
        Holds::Object(reference) => Value::Object(message(bytes_of(wire)?, reference.get())?),
        // A list that is an item or a value itself is a message with a field of its items.
        Holds::List(item) => {
            let items = fields(bytes_of(wire)?).map(|field| match field {
                Some((1, wire)) => value(wire, item),
                _ => Err(Problem::Broken),
            });
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Holds::Map(_) => return Err(Problem::Broken),
    })
}

fn entry(wire: Wire<'_>, holds: &'static Holds) -> Result<(String, Value), Problem> {
    let key = part(wire, 1)?.map(text).transpose()?.unwrap_or_default();
    let value = match part(wire, 2)? {
        Some(wire) => value(wire, holds)?,
        None if matches!(holds, Holds::Text | Holds::Bytes) => json!(""),
        None => return Err(Problem::Broken),
    };
    Ok((key.to_owned(), value))
}

fn time(wire: Wire<'_>) -> Result<Option<Timestamp>, Problem> {
    let Some(seconds) = part(wire, 1)?.map(number).transpose()? else { return Ok(None) };
    let nanoseconds = part(wire, 2)?.map(number).transpose()?.unwrap_or_default();
    let nanoseconds = i32::try_from(nanoseconds).map_err(|_| Problem::Broken)?;
    Timestamp::new(seconds.cast_signed(), nanoseconds).map(Some).map_err(|_| Problem::Broken)
}

/// The last field with a number, of a message that has few.
fn part(wire: Wire<'_>, wanted: u64) -> Result<Option<Wire<'_>>, Problem> {
    let mut found = None;
    for field in fields(bytes_of(wire)?) {
        let (number, wire) = field.ok_or(Problem::Broken)?;
        if number == wanted {
            found = Some(wire);
        }
    }
    Ok(found)
}

pub(super) fn bytes_of(wire: Wire<'_>) -> Result<&[u8], Problem> {
    if let Wire::Bytes(bytes) = wire { Ok(bytes) } else { Err(Problem::Broken) }
}

pub(super) fn text(wire: Wire<'_>) -> Result<&str, Problem> {
    std::str::from_utf8(bytes_of(wire)?).map_err(|_| Problem::Broken)
}

fn number(wire: Wire<'_>) -> Result<u64, Problem> {
    if let Wire::Number(number) = wire { Ok(number) } else { Err(Problem::Broken) }
}
