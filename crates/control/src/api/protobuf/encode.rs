//! From JSON to protobuf. What an object has and its type does not have, or has otherwise, is left out.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use schema::{Holds, Type};
use serde_json::Value;

use super::wire::{put_bytes, put_double, put_number};

/// An object as a message of its type.
pub(super) fn message(object: &Value, of: &Type) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in of.own_fields().iter().filter(|field| field.number != 0) {
        match (object.get(field.name), &field.holds) {
            (None | Some(Value::Null), _) => {}
            (Some(Value::Array(items)), Holds::List(item)) => {
                for value in items {
                    put(&mut bytes, field.number, value, item);
                }
            }
            (Some(Value::Object(map)), Holds::Map(holds)) => {
                for (key, value) in map {
                    let mut entry = Vec::new();
                    put_bytes(&mut entry, 1, key.as_bytes());
                    put(&mut entry, 2, value, holds);
                    put_bytes(&mut bytes, field.number, &entry);
                }
            }
            (Some(value), holds) => put(&mut bytes, field.number, value, holds),
        }
    }
    for include in of.includes().iter().filter(|include| include.number != 0) {
        put_bytes(&mut bytes, include.number, &message(object, &include.included));
    }
    bytes
}

fn put(to: &mut Vec<u8>, number: u32, value: &Value, holds: &Holds) {
    match (holds, value) {
        (Holds::Text, Value::String(text)) => put_bytes(to, number, text.as_bytes()),
        (Holds::Bool, Value::Bool(is_on)) => put_number(to, number, u64::from(*is_on)),
        (Holds::Int32 | Holds::Int64, Value::Number(value)) => {
            if let Some(value) = value.as_i64() {
                put_number(to, number, value.cast_unsigned());
            }
        }
        (Holds::Double, Value::Number(value)) => {
            put_double(to, number, value.as_f64().unwrap_or_default().to_bits());
        }
        (Holds::Bytes, Value::String(text)) => {
            put_bytes(to, number, &BASE64_STANDARD.decode(text).unwrap_or_default());
        }
        (Holds::Quantity, Value::String(text)) => {
            put_message(to, number, |it| put_bytes(it, 1, text.as_bytes()));
        }
        (Holds::Quantity, Value::Number(value)) => {
            put_message(to, number, |it| put_bytes(it, 1, value.to_string().as_bytes()));
        }
        (Holds::IntOrString, Value::String(text)) => put_message(to, number, |it| {
            put_number(it, 1, 1);
            put_bytes(it, 3, text.as_bytes());
        }),
        (Holds::IntOrString, Value::Number(value)) => put_message(to, number, |it| {
            put_number(it, 1, 0);
            put_number(it, 2, value.as_i64().unwrap_or_default().cast_unsigned());
        }),
        (Holds::Time | Holds::MicroTime, Value::String(text)) => {
            if let Ok(time) = text.parse::<Timestamp>() {
                put_message(to, number, |it| {
                    put_number(it, 1, time.as_second().cast_unsigned());
                    put_number(it, 2, u64::from(time.subsec_nanosecond().unsigned_abs()));
                });
            }
        }
        (Holds::Json, value) => put_message(to, number, |it| put_bytes(it, 1, value.to_string().as_bytes())),
        (Holds::Object(reference), Value::Object(_)) => put_bytes(to, number, &message(value, reference)),
        (Holds::List(item), Value::Array(items)) => put_message(to, number, |it| {
            for value in items {
                put(it, 1, value, item);
            }
        }),
        _ => {}
    }
}

fn put_message(to: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut message = Vec::new();
    write(&mut message);
    put_bytes(to, number, &message);
}
