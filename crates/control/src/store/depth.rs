//! How deep an object may be: everybody who reads or compares one goes down as deep as it is.

use manifest::Object;
use serde_json::Value;

use super::{Cause, Status};

/// The most levels of maps and lists in an object, itself included. What is stored is read again at the next start, and
/// JSON is read to 128 levels.
pub const DEPTH: usize = 100;

/// Whether a value has more levels of maps and lists than this.
pub(crate) fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let is_deeper = |part: &Value| levels == 0 || is_deeper_than(part, levels - 1);
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(is_deeper),
        Value::Object(fields) => levels == 0 || fields.values().any(is_deeper),
        _ => false,
    }
}

/// Refuses an object that is too deep.
pub(super) fn check(object: &Object) -> Result<(), Status> {
    let Some(fields) = object.value.as_object() else { return Ok(()) };
    let deep = fields.iter().find(|(_, value)| is_deeper_than(value, DEPTH - 1));
    match deep {
        None => Ok(()),
        Some((field, _)) => {
            let reason = "FieldValueInvalid";
            let message = format!("Too deep: must have at most {DEPTH} levels");
            let cause = Cause { reason, message, field: field.clone() };
            Err(Status::invalid(object.kind, &object.name, vec![cause]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn levels_are_counted_with_the_outermost() {
        for (value, levels) in
            [(json!(1), 0), (json!([]), 1), (json!({"a": 1}), 1), (json!([1, {"a": [2]}]), 3)]
        {
            assert!(!is_deeper_than(&value, levels), "{value}");
            assert!(levels == 0 || is_deeper_than(&value, levels - 1), "{value}");
        }
    }
}
