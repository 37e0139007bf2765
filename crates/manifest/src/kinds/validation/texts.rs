//! Maps of texts, and of bytes that are written in base64.

use base64::Engine;
use serde_json::Value;

use super::Violation;
use crate::Kind;
use crate::read::key_path;

pub(super) fn check(kind: &Kind, object: &Value, found: &mut Vec<Violation>) {
    for map in kind.rules.texts {
        check_texts(kind.kind, map, object, found);
    }
    for map in kind.rules.bytes {
        check_texts(kind.kind, map, object, found);
        check_bytes(map, object, found);
    }
}

fn check_texts(kind: &str, map: &str, object: &Value, found: &mut Vec<Violation>) {
    let entries = object[map].as_object().into_iter().flatten();
    let wrong = entries.filter(|(_, value)| !value.is_string() && !value.is_null());
    found.extend(wrong.map(|(key, value)| {
        let go_type = go_type(value);
        let message =
            format!("json: cannot unmarshal {go_type} into Go struct field {kind}.{map} of type string");
        // What a Secret holds is nobody's to read in a message.
        Violation::undecodable(key_path(map, key), message, "is not a text".to_owned())
    }));
}

/// What the bytes are is nobody's to read in a message.
fn check_bytes(map: &str, object: &Value, found: &mut Vec<Violation>) {
    for (key, value) in object[map].as_object().into_iter().flatten() {
        // Line breaks are legal, as `base64` without `-w0` makes them.
        let written: String = value.as_str().unwrap_or_default().split_ascii_whitespace().collect();
        let decoded = base64::engine::general_purpose::STANDARD.decode(&written);
        found.extend(decoded.err().map(|error| {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) => at,
                _ => written.len(),
            };
            let message = format!("illegal base64 data at input byte {at}");
            Violation::undecodable(key_path(map, key), message, "is not base64".to_owned())
        }));
    }
}

/// What Go's decoder calls a value, as a Kubernetes API server's refusals have it.
#[must_use]
pub fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
