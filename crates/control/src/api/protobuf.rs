//! The protobuf bodies of ConfigMaps, Namespaces, Secrets and ServiceAccounts, which newer kubectl and controllers send in
//! no other form, and of the options of a deletion.
//!
//! A kind that can be read is a table of fields, with the numbers that Kubernetes publishes in its `.proto` files. A field
//! that is not in it is refused, never dropped.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::store::{Reason, Status};

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// A field of a message: its number, its name in JSON, and what it holds.
type Field = (u64, &'static str, Holds);

enum Holds {
    Text,
    Texts,
    Switch,
    Number,
    /// Text by text.
    TextMap,
    /// Bytes by text; in JSON they are in base64.
    BytesMap,
    Message(&'static [Field]),
    Messages(&'static [Field]),
    /// What the sender has no say in.
    Ignored,
}

const METADATA: &[Field] = &[
    (1, "name", Holds::Text),
    (2, "generateName", Holds::Text),
    (3, "namespace", Holds::Text),
    (4, "selfLink", Holds::Ignored),
    // Both say which version of an object a change was made from; a stale one is refused.
    (5, "uid", Holds::Text),
    (6, "resourceVersion", Holds::Text),
    (7, "generation", Holds::Ignored),
    (8, "creationTimestamp", Holds::Ignored),
    (9, "deletionTimestamp", Holds::Ignored),
    (10, "deletionGracePeriodSeconds", Holds::Ignored),
    (11, "labels", Holds::TextMap),
    (12, "annotations", Holds::TextMap),
    (13, "ownerReferences", Holds::Messages(OWNER)),
    (14, "finalizers", Holds::Texts),
    (17, "managedFields", Holds::Ignored),
];
const OWNER: &[Field] = &[
    (1, "kind", Holds::Text),
    (3, "name", Holds::Text),
    (4, "uid", Holds::Text),
    (5, "apiVersion", Holds::Text),
    (6, "controller", Holds::Switch),
    (7, "blockOwnerDeletion", Holds::Switch),
];
const PRECONDITIONS: &[Field] = &[(1, "uid", Holds::Text), (2, "resourceVersion", Holds::Text)];
const REFERENCE: &[Field] = &[(1, "name", Holds::Text)];

/// Every kind that can be read.
const KINDS: &[(&str, &[Field])] = &[
    (
        "ConfigMap",
        &[
            (1, "metadata", Holds::Message(METADATA)),
            (2, "data", Holds::TextMap),
            (3, "binaryData", Holds::BytesMap),
            (4, "immutable", Holds::Switch),
        ],
    ),
    (
        "DeleteOptions",
        &[
            (1, "gracePeriodSeconds", Holds::Number),
            (2, "preconditions", Holds::Message(PRECONDITIONS)),
            (3, "orphanDependents", Holds::Switch),
            (4, "propagationPolicy", Holds::Text),
            (5, "dryRun", Holds::Texts),
        ],
    ),
    (
        "Namespace",
        &[
            (1, "metadata", Holds::Message(METADATA)),
            (2, "spec", Holds::Message(&[(1, "finalizers", Holds::Texts)])),
            (3, "status", Holds::Ignored),
        ],
    ),
    (
        "Secret",
        &[
            (1, "metadata", Holds::Message(METADATA)),
            (2, "data", Holds::BytesMap),
            (3, "type", Holds::Text),
            (4, "stringData", Holds::TextMap),
            (5, "immutable", Holds::Switch),
        ],
    ),
    (
        "ServiceAccount",
        &[
            (1, "metadata", Holds::Message(METADATA)),
            (3, "imagePullSecrets", Holds::Messages(REFERENCE)),
            (4, "automountServiceAccountToken", Holds::Switch),
        ],
    ),
];

/// Reads the body of a request.
pub(super) fn decode(body: &[u8]) -> Result<Value, Status> {
    let broken = || Status::new(Reason::BadRequest, "the body is not Kubernetes' protobuf");
    let envelope = body.strip_prefix(MAGIC).ok_or_else(broken)?;
    let (mut about, mut raw) = ((String::new(), String::new()), &[][..]);
    for (number, value) in fields(envelope).ok_or_else(broken)? {
        match (number, value) {
            (1, Wire::Bytes(type_meta)) => {
                let texts = fields(type_meta).ok_or_else(broken)?;
                for (number, value) in texts {
                    match number {
                        1 => about.0 = text(value).ok_or_else(broken)?,
                        2 => about.1 = text(value).ok_or_else(broken)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (api_version, kind) = about;
    let known = KINDS.iter().find(|(known, _)| api_version == "v1" && *known == kind);
    let Some((_, known)) = known else { return Err(unsupported(&format!("a {kind} of {api_version}"))) };
    let mut value = message(raw, known).map_err(|problem| match problem {
        Problem::Broken => broken(),
        Problem::Unknown(number) => unsupported(&format!("field {number} of a {kind}")),
    })?;
    value.insert("apiVersion".to_owned(), json!(api_version));
    value.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(value))
}

fn unsupported(what: &str) -> Status {
    let message = format!(
        "{what} is not read in protobuf here; in YAML it is: add --dry-run=client -o yaml | kubectl apply -f -"
    );
    Status::new(Reason::UnsupportedMediaType, message)
}

enum Problem {
    Broken,
    Unknown(u64),
}

/// Reads a message. The tables are finite, so this does not go deeper than they do.
fn message(bytes: &[u8], known: &'static [Field]) -> Result<Map<String, Value>, Problem> {
    let mut value = Map::new();
    for (number, wire) in fields(bytes).ok_or(Problem::Broken)? {
        let is_empty = matches!(wire, Wire::Bytes([]));
        let Some((_, name, holds)) = known.iter().find(|(known, ..)| *known == number) else {
            if is_empty {
                continue;
            }
            return Err(Problem::Unknown(number));
        };
        let mut map_entry = |as_bytes: bool| {
            let (key, entry) = map_entry(wire, as_bytes)?;
            let map = value.entry(*name).or_insert_with(|| json!({}));
            map.as_object_mut().map(|map| map.insert(key, entry))
        };
        match holds {
            Holds::Ignored => {}
            Holds::Text if is_empty => {}
            Holds::Text => {
                let text = text(wire).ok_or(Problem::Broken)?;
                value.insert((*name).to_owned(), json!(text));
            }
            Holds::Switch => {
                let Wire::Number(number) = wire else { return Err(Problem::Broken) };
                value.insert((*name).to_owned(), json!(number != 0));
            }
            Holds::Number => {
                let Wire::Number(number) = wire else { return Err(Problem::Broken) };
                // Negative numbers are written as the two's complement of 64 bits.
                value.insert((*name).to_owned(), json!(number.cast_signed()));
            }
            Holds::TextMap => drop(map_entry(false).ok_or(Problem::Broken)?),
            Holds::BytesMap => drop(map_entry(true).ok_or(Problem::Broken)?),
            Holds::Message(fields) => {
                let Wire::Bytes(bytes) = wire else { return Err(Problem::Broken) };
                value.insert((*name).to_owned(), Value::Object(message(bytes, fields)?));
            }
            Holds::Texts => push(&mut value, name, json!(text(wire).ok_or(Problem::Broken)?)),
            Holds::Messages(fields) => {
                let Wire::Bytes(bytes) = wire else { return Err(Problem::Broken) };
                push(&mut value, name, Value::Object(message(bytes, fields)?));
            }
        }
    }
    Ok(value)
}

fn push(value: &mut Map<String, Value>, name: &str, item: Value) {
    if let Some(list) = value.entry(name).or_insert_with(|| json!([])).as_array_mut() {
        list.push(item);
    }
}

fn map_entry(wire: Wire<'_>, as_bytes: bool) -> Option<(String, Value)> {
    let Wire::Bytes(entry) = wire else { return None };
    let (mut key, mut value) = (String::new(), json!(""));
    for (number, wire) in fields(entry)? {
        match (number, wire) {
            (1, wire) => key = text(wire)?,
            (2, Wire::Bytes(bytes)) if as_bytes => value = json!(BASE64_STANDARD.encode(bytes)),
            (2, wire) => value = json!(text(wire)?),
            _ => return None,
        }
    }
    Some((key, value))
}

fn text(wire: Wire<'_>) -> Option<String> {
    let Wire::Bytes(bytes) = wire else { return None };
    Some(std::str::from_utf8(bytes).ok()?.to_owned())
}

// === the wire format of protobuf ===

/// A field's value on the wire, as far as these messages have it.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// All fields of a message, in order, with their numbers.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Number(number(&mut bytes)?),
            2 => {
                let length = usize::try_from(number(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Wire::Bytes(value)
            }
            _ => return None,
        };
        fields.push((key >> 3, value));
    }
    Some(fields)
}

/// A number in groups of seven bits, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// What kubectl 1.33 sends for `create namespace mlops`.
    const NAMESPACE: &str = "6b387300 0a0f 0a02 7631 1209 4e616d657370616365 1219 0a13 0a05 6d6c6f7073 1a00 2200 2a00 3200 3800 4200 1200 1a00";

    #[test]
    fn acc_s3_87_a_namespace_is_read() {
        let value = decode(&unhex(NAMESPACE)).unwrap();
        assert_eq!(
            value,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mlops"}, "spec": {}})
        );
    }

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &type_meta), field(2, raw)].concat()
    }

    #[test]
    fn a_secret_keeps_its_bytes() {
        let entry = [field(1, b"key"), field(2, &[0xff, 0])].concat();
        let labels = field(11, &[field(1, b"a"), field(2, b"b")].concat());
        let metadata = field(1, &[field(1, b"s"), labels, field(14, b"f/x")].concat());
        let raw = [metadata, field(2, &entry), field(3, b"Opaque"), vec![5 << 3, 1]].concat();
        let expected = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"key": "/wA="}, "immutable": true,
            "metadata": {"name": "s", "labels": {"a": "b"}, "finalizers": ["f/x"]}});
        assert_eq!(decode(&body("Secret", &raw)).unwrap(), expected);
    }

    #[test]
    fn the_version_that_a_change_was_made_from_is_read() {
        let owner =
            [field(1, b"Pod"), field(3, b"p"), field(4, b"u-2"), field(5, b"v1"), vec![6 << 3, 1]].concat();
        // The numbers of fields above 15 take two bytes.
        let managed = vec![0x8a, 0x01, 1, b'x'];
        let metadata =
            [field(1, b"c"), field(5, b"u-1"), field(6, b"12"), field(13, &owner), managed].concat();
        let value = decode(&body("ConfigMap", &field(1, &metadata))).unwrap();
        assert_eq!(
            value["metadata"],
            json!({"name": "c", "uid": "u-1", "resourceVersion": "12",
                "ownerReferences": [{"kind": "Pod", "name": "p", "uid": "u-2", "apiVersion": "v1", "controller": true}]})
        );
        let options = [vec![1 << 3, 5], field(2, &field(1, b"u-1"))].concat();
        let value = decode(&body("DeleteOptions", &options)).unwrap();
        assert_eq!(
            (&value["gracePeriodSeconds"], &value["preconditions"]),
            (&json!(5), &json!({"uid": "u-1"}))
        );
    }

    #[test]
    fn what_is_not_in_the_tables_is_refused() {
        for (body, reason) in [
            (body("Deployment", b""), Reason::UnsupportedMediaType),
            (body("ConfigMap", &field(9, b"x")), Reason::UnsupportedMediaType),
            (body("ConfigMap", &[0x0a, 0x7f]), Reason::BadRequest),
            (body("ConfigMap", &[0x0d, 0, 0, 0, 0]), Reason::BadRequest),
            (body("ConfigMap", &[0xff; 12]), Reason::BadRequest),
            (b"{}".to_vec(), Reason::BadRequest),
        ] {
            assert_eq!(decode(&body).unwrap_err().reason, reason, "{body:?}");
        }
    }
}
