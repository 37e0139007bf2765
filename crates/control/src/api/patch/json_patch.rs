//! JSON patches (RFC 6902): a list of operations on places in a value.

use serde_json::Value;

use crate::store::{DEPTH, Reason, Status, is_deeper_than};

/// The longest patch, in operations.
const OPERATIONS: usize = 1000;
/// How many bytes of JSON the `copy` operations of one patch may add.
const COPIED_BYTES: usize = 1 << 20;

/// Patches a value: all operations, or none.
pub(super) fn apply(live: &Value, patch: &Value) -> Result<Value, Status> {
    let operations = patch.as_array().ok_or_else(|| bad("a JSON patch is a list of operations"))?;
    if operations.len() > OPERATIONS {
        return Err(bad(format!("a JSON patch has at most {OPERATIONS} operations")));
    }
    let (mut value, mut copied) = (live.clone(), 0);
    for operation in operations {
        let text = |field: &str| {
            operation[field]
                .as_str()
                .ok_or_else(|| bad(format!("an operation of a JSON patch needs `{field}`")))
        };
        let path = text("path")?;
        let given = || operation.get("value").ok_or_else(|| bad(format!("`{path}`: there is no `value`")));
        match text("op")? {
            "add" => add(&mut value, path, given()?.clone())?,
            "remove" => drop(remove(&mut value, path)?),
            "replace" => {
                let (place, given) = (place(&mut value, path)?, given()?);
                check_depth(path, given)?;
                *place = given.clone();
            }
            "move" => {
                let moved = remove(&mut value, text("from")?)?;
                add(&mut value, path, moved)?;
            }
            "copy" => {
                let copy = place(&mut value, text("from")?)?.clone();
                copied += copy.to_string().len();
                if copied > COPIED_BYTES {
                    return Err(bad("a JSON patch copies too much"));
                }
                add(&mut value, path, copy)?;
            }
            // What is not there is null, as for API servers: whoever adds the first of a list asks so that there is none.
            "test" => {
                let (given, found) = (given()?, value.pointer(path));
                if found.is_none() && !given.is_null() {
                    return Err(missing(path));
                }
                if found.is_some_and(|found| found != given) {
                    return Err(Status::new(Reason::Invalid, format!("the test of `{path}` failed")));
                }
            }
            other => return Err(bad(format!("`{other}` is no operation of a JSON patch"))),
        }
    }
    Ok(value)
}

fn place<'a>(value: &'a mut Value, path: &str) -> Result<&'a mut Value, Status> {
    value.pointer_mut(path).ok_or_else(|| missing(path))
}

fn add(value: &mut Value, path: &str, new: Value) -> Result<(), Status> {
    check_depth(path, &new)?;
    if path.is_empty() {
        *value = new;
        return Ok(());
    }
    let (parent, key) = split(path)?;
    match place(value, parent)? {
        Value::Object(fields) => {
            fields.insert(key, new);
        }
        Value::Array(items) if key == "-" => items.push(new),
        Value::Array(items) => {
            let at = index(&key).filter(|at| *at <= items.len()).ok_or_else(|| missing(path))?;
            items.insert(at, new);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

/// Operations build upon each other: no step may be deeper than an object, or the next ones would not end.
fn check_depth(path: &str, new: &Value) -> Result<(), Status> {
    let above = path.bytes().filter(|byte| *byte == b'/').count();
    let room = DEPTH.checked_sub(above);
    if room.is_none_or(|room| is_deeper_than(new, room)) {
        let message = format!("the JSON patch makes an object of more than {DEPTH} levels");
        return Err(Status::new(Reason::Invalid, message));
    }
    Ok(())
}

fn remove(value: &mut Value, path: &str) -> Result<Value, Status> {
    let (parent, key) = split(path)?;
    let removed = match place(value, parent)? {
        Value::Object(fields) => fields.remove(&key),
        Value::Array(items) => index(&key).filter(|at| *at < items.len()).map(|at| items.remove(at)),
        _ => None,
    };
    removed.ok_or_else(|| missing(path))
}

/// The place around the last part of a JSON pointer (RFC 6901), and that part without its escapes.
fn split(path: &str) -> Result<(&str, String), Status> {
    let (parent, key) = path.rsplit_once('/').ok_or_else(|| bad(format!("`{path}` is no JSON pointer")))?;
    Ok((parent, key.replace("~1", "/").replace("~0", "~")))
}

/// The index of an item, which has no leading zeros.
fn index(key: &str) -> Option<usize> {
    let is_plain = key == "0" || (!key.starts_with('0') && key.bytes().all(|byte| byte.is_ascii_digit()));
    if is_plain { key.parse().ok() } else { None }
}

fn missing(path: &str) -> Status {
    Status::new(Reason::Invalid, format!("the JSON patch cannot be applied: there is no `{path}`"))
}

fn bad(why: impl Into<String>) -> Status {
    Status::new(Reason::BadRequest, why)
}
