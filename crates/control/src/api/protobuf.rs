//! Kubernetes' protobuf, which newer kubectl and controllers send in place of JSON, and like to be answered in.
//!
//! Every kind that Kubernetes has a `.proto` of can be read and written; its fields stand in the tables of [`schema`]. A field that is
//! not in them is refused, never dropped. A body is `k8s\0` and an `Unknown` message: apiVersion and kind, and the object
//! as bytes.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
pub(super) mod wire;

use schema::Type;
use serde_json::{Value, json};

use crate::store::{Reason, Status};
use decode::Problem;
use wire::{Wire, put_bytes};

/// The type of a list's metadata.
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Kinds that are part of every group and version, in which they are the same.
const EVERYWHERE: &[&str] = &["DeleteOptions", "PartialObjectMetadata", "Status"];

/// Reads a body: an object, or a list of objects.
///
/// # Errors
/// [`Reason::BadRequest`] when it is none, [`Reason::UnsupportedMediaType`] when it is of a kind or has a field that is not
/// in the tables.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Status> {
    let (api_version, kind, raw) = envelope(body).ok_or_else(broken)?;
    let item = kind.strip_suffix("List").and_then(|item| type_of(api_version, item));
    let read = match (type_of(api_version, kind), item) {
        (Some(known), _) => decode::message(raw, known),
        (None, Some(item)) => decode::list(raw, item),
        (None, None) => return Err(unsupported(&format!("a {kind} of {api_version}"))),
    };
    let mut value = read.map_err(|problem| match problem {
        Problem::Broken => broken(),
        Problem::Unknown(number, of) if of == kind => unsupported(&format!("field {number} of a {kind}")),
        Problem::Unknown(number, of) => unsupported(&format!("field {number} of the {of} of a {kind}")),
    })?;
    value.insert("apiVersion".to_owned(), json!(api_version));
    value.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(value))
}

/// An object, a list of objects or a `Status` as the body of an answer; `None` when its kind has no protobuf.
pub(crate) fn encode(value: &Value) -> Option<Vec<u8>> {
    let (api_version, kind) = (value["apiVersion"].as_str()?, value["kind"].as_str()?);
    let raw = match (type_of(api_version, kind), value["items"].as_array()) {
        (Some(known), _) => encode::message(value, known),
        (None, Some(items)) => {
            let known = type_of(api_version, kind.strip_suffix("List")?)?;
            let metadata = schema::named(LIST_META)?;
            let mut raw = Vec::new();
            put_bytes(&mut raw, 1, &encode::message(&value["metadata"], metadata));
            for item in items {
                put_bytes(&mut raw, 2, &encode::message(item, known));
            }
            raw
        }
        (None, None) => return None,
    };
    Some(seal(api_version, kind, &raw))
}

/// A message, with what it is.
pub(crate) fn seal(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut type_meta = Vec::new();
    put_bytes(&mut type_meta, 1, api_version.as_bytes());
    put_bytes(&mut type_meta, 2, kind.as_bytes());
    let mut body = MAGIC.to_vec();
    for (number, bytes) in [(1, type_meta.as_slice()), (2, raw), (3, b""), (4, b"")] {
        put_bytes(&mut body, number, bytes);
    }
    body
}

/// The apiVersion, the kind and the object.
fn envelope(body: &[u8]) -> Option<(&str, &str, &[u8])> {
    let (mut api_version, mut kind, mut raw) = ("", "", &[][..]);
    for field in wire::fields(body.strip_prefix(MAGIC)?) {
        match field? {
            (1, Wire::Bytes(type_meta)) => {
                for field in wire::fields(type_meta) {
                    let (number, wire) = field?;
                    let text = decode::text(wire).ok()?;
                    match number {
                        1 => api_version = text,
                        2 => kind = text,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    Some((api_version, kind, raw))
}

fn type_of(api_version: &str, kind: &str) -> Option<&'static Type> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let known = match EVERYWHERE.contains(&kind) {
        true => schema::of("", "v1", kind),
        false => schema::of(group, version, kind),
    };
    known.filter(|known| known.has_protobuf())
}

fn broken() -> Status {
    Status::new(Reason::BadRequest, "the body is not Kubernetes' protobuf")
}

fn unsupported(what: &str) -> Status {
    let message = format!(
        "{what} is not read in protobuf here; in YAML it is: add --dry-run=client -o yaml | kubectl apply -f -"
    );
    Status::new(Reason::UnsupportedMediaType, message)
}
