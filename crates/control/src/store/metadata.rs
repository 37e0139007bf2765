//! What the store itself writes into an object's `metadata`, and which parts of an object a write may change.

use std::sync::Arc;

use jiff::Timestamp;
use manifest::{Kind, Object, Objects};
use schema::{Field, Holds};
use serde_json::{Map, Value, json};

use super::merge;
use super::record::crc64;

/// Which part of an object a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but `status`.
    Object,
    /// `status` only.
    Status,
}

/// Fields of `metadata` that only the store sets.
const OURS: &[&str] =
    &["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"];
/// Fields of `metadata` that are dropped: nothing here needs them.
const DROPPED: &[&str] = &["selfLink", "managedFields", "resourceVersion"];

/// A second-precise time as Kubernetes writes it: `2026-11-21T12:00:00Z`.
#[must_use]
pub(crate) fn time(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// A field of `metadata` that is text.
#[must_use]
pub(crate) fn text<'a>(object: &'a Object, field: &str) -> Option<&'a str> {
    object.value.get("metadata")?.get(field)?.as_str()
}

/// When the object was deleted, if it ends gracefully.
#[must_use]
pub(crate) fn deletion(object: &Object) -> Option<&str> {
    text(object, "deletionTimestamp")
}

/// The object at another revision.
pub(super) fn at_revision(object: &Object, revision: u64) -> Arc<Object> {
    let mut object = object.clone();
    object.value["metadata"]["resourceVersion"] = json!(revision.to_string());
    Arc::new(object)
}

/// Whether anything but the revision differs.
pub(super) fn differ(a: &Value, b: &Value) -> bool {
    let without_revision = |value: &Value| {
        let fields = value["metadata"].as_object().into_iter().flatten();
        fields
            .filter(|(key, _)| *key != "resourceVersion")
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect::<Map<_, _>>()
    };
    let (Value::Object(a_fields), Value::Object(b_fields)) = (a, b) else { return a != b };
    let others_differ = a_fields.len() != b_fields.len()
        || a_fields.iter().any(|(key, value)| key != "metadata" && b_fields.get(key) != Some(value));
    others_differ || without_revision(a) != without_revision(b)
}

/// What an object says of the owners of its fields, which is taken out of it.
pub(super) fn take_managers(object: &mut Object) -> Option<Value> {
    metadata_of(object).remove("managedFields").filter(|managers| !managers.is_null())
}

/// Makes a new object what it must be before it is stored for the first time.
pub(super) fn prepare_new(object: &mut Object, all: &Objects, now: Timestamp) {
    let is_declared = object.kind.is_declared();
    if has_status(object) {
        set_or_remove(&mut object.value, "status", None);
    }
    if !is_declared {
        merge::drop_nulls(&mut object.value);
    }
    let metadata = metadata_of(object);
    for field in OURS.iter().chain(DROPPED) {
        metadata.remove(*field);
    }
    metadata.insert("uid".to_owned(), json!(new_uid()));
    metadata.insert("creationTimestamp".to_owned(), json!(time(now)));
    if is_declared || object.value.get("spec").is_some() {
        metadata_of(object).insert("generation".to_owned(), json!(1));
    }
    (object.kind.fill)(object, None, all);
    if let Some(status) = first_status(object.kind).filter(|_| object.value.get("status").is_none()) {
        set_or_remove(&mut object.value, "status", Some(status));
    }
}

/// The status of what has just been made of a kind that Kubernetes itself declares: there from the start, as typed clients read
/// its fields, and with nothing but those that have to be there.
fn first_status(kind: &Kind) -> Option<Value> {
    let fields = schema::of(kind.group, kind.version, kind.kind).filter(|it| it.package.is_built_in())?;
    let status = fields.field("status").filter(|_| kind.subresources.contains(&"status"))?.holds.object()?;
    let nothing = |field: &Field| match field.holds {
        Holds::Int32 | Holds::Int64 => Some(json!(0)),
        Holds::Bool => Some(json!(false)),
        _ => None,
    };
    let required = status.fields().filter(|field| field.is_required);
    Some(required.filter_map(|field| Some((field.name.to_owned(), nothing(field)?))).collect())
}

/// Makes a changed object what it must be before it takes the place of `old`.
pub(super) fn prepare_changed(object: &mut Object, old: &Object, part: Part, all: &Objects) {
    match part {
        Part::Status => {
            let status = object.value.get("status").cloned();
            object.value = old.value.clone();
            set_or_remove(&mut object.value, "status", status);
        }
        Part::Object => {
            let is_declared = object.kind.is_declared();
            if has_status(object) {
                set_or_remove(&mut object.value, "status", old.value.get("status").cloned());
            }
            if !is_declared {
                merge::drop_nulls(&mut object.value);
            }
            let metadata = metadata_of(object);
            for field in OURS {
                match old.value["metadata"].get(*field) {
                    Some(value) => metadata.insert((*field).to_owned(), value.clone()),
                    None => metadata.remove(*field),
                };
            }
            for field in DROPPED {
                metadata.remove(*field);
            }
            (object.kind.fill)(object, Some(old), all);
            if wants_otherwise(object, old) {
                let generation = old.value["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
                metadata_of(object).insert("generation".to_owned(), json!(generation));
            }
        }
    }
}

/// Whether the status is apart from what is wanted.
fn has_status(object: &Object) -> bool {
    !object.kind.is_declared() || object.kind.subresources.contains(&"status")
}

/// Whether something else is wanted than before: of kinds that definitions declare, all but metadata and status says so.
fn wants_otherwise(object: &Object, old: &Object) -> bool {
    if !object.kind.is_declared() {
        return object.value.get("spec") != old.value.get("spec");
    }
    let wanted = |object: &'_ Object| {
        let is_wanted = |field: &str| field != "metadata" && !(field == "status" && has_status(object));
        let fields = object.value.as_object().into_iter().flatten();
        let wanted = fields.filter(|(field, _)| is_wanted(field));
        wanted.map(|(field, value)| (field.clone(), value.clone())).collect::<Map<_, _>>()
    };
    wanted(object) != wanted(old)
}

fn metadata_of(object: &mut Object) -> &mut Map<String, Value> {
    object.value["metadata"].as_object_mut().expect("an object is only read with a map of metadata")
}

fn set_or_remove(object: &mut Value, field: &str, value: Option<Value>) {
    let Value::Object(fields) = object else { return };
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
}

/// A random UUID (RFC 9562, version 4).
pub(crate) fn new_uid() -> String {
    uuid(random::<16>(), 0x40)
}

fn uuid(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = bytes[6] & 0x0f | version;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The UUID of something that has a name of its own, the same at any time (RFC 9562, version 8).
pub(crate) fn uid_of(name: &str) -> String {
    let hashes = [0_u8, 1].map(|part| crc64([&[part], name.as_bytes()].concat().as_slice()).to_be_bytes());
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hashes[0]);
    bytes[8..].copy_from_slice(&hashes[1]);
    uuid(bytes, 0x80)
}

/// A name that is not taken, from a `generateName`: five characters are appended that neither spell words nor look like
/// each other.
#[must_use]
pub fn generated_name(prefix: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let suffix = random::<5>().map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    prefix.chars().chain(suffix).collect()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .expect("the kernel gives random bytes at any time after boot");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_random_uuids() {
        let (a, b) = (new_uid(), new_uid());
        assert_ne!(a, b);
        assert_eq!(a.len(), 36);
        assert_eq!(&a[14..15], "4");
    }

    #[test]
    fn objects_that_differ_only_in_the_revision_are_equal() {
        let object =
            |revision, name| json!({"metadata": {"resourceVersion": revision, "name": name}, "spec": {}});
        assert!(!differ(&object("1", "a"), &object("2", "a")));
        assert!(differ(&object("1", "a"), &object("1", "b")));
        assert!(differ(&object("1", "a"), &json!({"metadata": {"name": "a"}})));
    }
}
