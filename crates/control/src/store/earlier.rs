//! The version of an object from before a change that nobody has called good yet.
//!
//! It is written in the commit of the change itself, so that no crash comes between the two, and forgotten once somebody
//! who understands the object says that the change was good ([`Store::settle`]), or once the object goes. There is one
//! for an object at most: what was there before the first change of several.

use manifest::Object;
use plan::ObjectRef;
use serde_json::Value;

use super::disk::Batch;
use super::history::Change;
use super::{State, Store};

/// Before `Kind/namespace/name`: the note that keeps the earlier version of an object.
const NOTE: &str = "earlier/";

impl Store {
    /// The earlier versions of all objects that have one.
    #[must_use]
    pub fn earlier_versions(&self) -> Vec<Object> {
        let notes = self.notes_with_prefix(NOTE);
        let values = notes.iter().filter_map(|(_, note)| serde_json::from_str(note).ok());
        values.filter_map(|value| Object::from_value(value).ok()).collect()
    }

    /// Forgets the earlier version of every object that is good as it is, or whose earlier version is of no use. On the
    /// disk they go with the next write; one that comes back after a crash is forgotten again.
    pub(crate) fn settle(&self, is_settled: impl Fn(&ObjectRef) -> bool) {
        let mut state = self.state.borrow_mut();
        let notes = state.notes.range(NOTE.to_owned()..).map(|(key, _)| key);
        let notes = notes.take_while(|key| key.starts_with(NOTE));
        let settled: Vec<String> = notes.filter(|key| is_settled(&reference(key))).cloned().collect();
        for key in settled {
            state.notes.remove(&key);
            state.forgotten_notes.insert(key);
        }
    }
}

impl State {
    /// Adds to a batch what it makes of earlier versions.
    pub(super) fn keep_earlier(&self, change: &Change, batch: &mut Batch) {
        let Some(before) = change.before.as_ref().filter(|before| before.kind.has_effect()) else { return };
        let key = note_key(&before.reference());
        let is_kept = match batch.notes.iter().rev().find(|(known, _)| *known == key) {
            Some((_, note)) => note.is_some(),
            None => self.notes.contains_key(&key),
        };
        match &change.after {
            None if is_kept => batch.notes.push((key, None)),
            Some(after) if !is_kept && says_something_else(&before.value, &after.value) => {
                let mut value = before.value.clone();
                if let Some(fields) = value.as_object_mut() {
                    fields.remove("status");
                }
                batch.notes.push((key, Some(value.to_string())));
            }
            _ => {}
        }
    }
}

/// Whether anything differs that somebody wrote.
fn says_something_else(before: &Value, after: &Value) -> bool {
    let metadata = |value: &Value, field: &str| value["metadata"][field].clone();
    let labels_differ =
        ["labels", "annotations"].iter().any(|field| metadata(before, field) != metadata(after, field));
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return before != after };
    let is_written = |key: &&String| !["metadata", "status"].contains(&key.as_str());
    let keys = before.keys().chain(after.keys()).filter(is_written);
    labels_differ || keys.into_iter().any(|key| before.get(key) != after.get(key))
}

fn note_key(object: &ObjectRef) -> String {
    format!("{NOTE}{}/{}/{}", object.kind, object.namespace, object.name)
}

/// The object of a note. No part of its name holds a `/`.
fn reference(key: &str) -> ObjectRef {
    let mut parts = key[NOTE.len()..].splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default();
    ObjectRef::new(part(), part(), part())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DeleteOptions, Mode};
    use serde_json::json;

    fn service(port: u16) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "ml"},
            "spec": {"ports": [{"port": port}]}});
        Object::from_value(value).unwrap()
    }

    fn ports(store: &Store) -> Vec<u64> {
        let port = |object: &Object| object.value["spec"]["ports"][0]["port"].as_u64().unwrap();
        store.earlier_versions().iter().map(port).collect()
    }

    #[test]
    fn the_version_before_the_first_change_that_is_not_settled_is_kept_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("objects.redb");
        let write = |store: &Store, port| drop(store.apply(vec![service(port)]).remove(0).unwrap());
        let store = Store::open(&file).unwrap();
        write(&store, 1);
        assert_eq!(ports(&store), [0; 0], "what is new has no earlier version");
        write(&store, 2);
        write(&store, 2);
        write(&store, 3);
        assert_eq!(ports(&store), [1]);
        drop(store);
        let store = Store::open(&file).unwrap();
        assert_eq!(ports(&store), [1]);
        store.settle(|object| object.name == "b");
        assert_eq!(ports(&store), [1]);
        store.settle(|object| *object == ObjectRef::new("Service", "ml", "a"));
        assert_eq!(ports(&store), [0; 0]);
        write(&store, 4);
        assert_eq!(ports(&store), [3]);
        drop(store);
        let store = Store::open(&file).unwrap();
        assert_eq!(ports(&store), [3]);
        let key = (manifest::kind_named("svc").unwrap(), "ml", "a");
        store.delete(key, &DeleteOptions::default(), Mode::Commit).unwrap();
        assert_eq!(ports(&store), [0; 0], "an object that goes is forgotten");
        drop(store);
        assert_eq!(ports(&Store::open(&file).unwrap()), [0; 0]);
    }
}
