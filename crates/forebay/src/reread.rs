//! Manifests that are read again: which documents are others, and what became of the objects, in words.

mod documents;

use std::sync::Arc;

use manifest::{Object, Objects};
use plan::ObjectRef;

pub(crate) use documents::{Changed, Documents};

/// How many objects a line names.
const NAMED: usize = 8;

/// What changed between two moments: which objects are new, other than before, or gone. What Forebay itself writes, such
/// as a status, is no change here.
pub(crate) fn changes(before: &Objects, after: &Objects) -> String {
    let find = |objects: &Objects, object: &Object| objects.find(&object.reference()).cloned();
    let is_told = |object: &&Arc<Object>| is_written(object);
    let references = |objects: Vec<&Arc<Object>>| -> Vec<ObjectRef> {
        objects.into_iter().map(|object| object.reference()).collect()
    };
    let is_other = |earlier: &Arc<Object>, object: &Arc<Object>| {
        !Arc::ptr_eq(earlier, object) && said(earlier) != said(object)
    };
    let new = after.iter().filter(is_told).filter(|object| find(before, object).is_none());
    let other = after
        .iter()
        .filter(is_told)
        .filter(|object| find(before, object).is_some_and(|earlier| is_other(&earlier, object)));
    let gone = before.iter().filter(is_told).filter(|object| find(after, object).is_none());
    let parts = [("changed", other.collect()), ("new", new.collect()), ("gone", gone.collect::<Vec<_>>())];
    let told = parts.into_iter().map(|(what, objects)| (what, references(objects)));
    let told: Vec<String> = told
        .filter(|(_, objects)| !objects.is_empty())
        .map(|(what, objects)| format!("{what}: {}", listed(&objects)))
        .collect();
    if told.is_empty() { "nothing is other than before".to_owned() } else { told.join("; ") }
}

/// Whether people write such objects: those of the platform come and go by themselves.
fn is_written(object: &Object) -> bool {
    !["Event", "Pod", "ReplicaSet", "EndpointSlice", "Endpoints", "Node"].contains(&object.kind.key)
}

/// What an object says, without what is kept about it.
fn said(object: &Object) -> serde_json::Value {
    let mut value = object.value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        for kept in ["resourceVersion", "generation", "managedFields"] {
            metadata.remove(kept);
        }
    }
    value
}

fn listed(objects: &[ObjectRef]) -> String {
    let named: Vec<String> = objects.iter().take(NAMED).map(ToString::to_string).collect();
    let n_more = objects.len().saturating_sub(NAMED);
    let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
    named.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects(of: &[(&str, &str)]) -> Objects {
        let object = |(name, value): &(&str, &str)| {
            let metadata = json!({"name": name, "resourceVersion": value.len()});
            let value =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}});
            Object::from_value(value).unwrap()
        };
        of.iter().map(object).collect()
    }

    #[test]
    fn what_is_other_than_before_is_told() {
        let before = objects(&[("a", "1"), ("b", "1"), ("c", "1")]);
        assert_eq!(changes(&before, &before), "nothing is other than before");
        assert_eq!(
            changes(&before, &objects(&[("a", "1"), ("b", "22"), ("d", "1")])),
            "changed: ConfigMap default/b; new: ConfigMap default/d; gone: ConfigMap default/c"
        );
        let many: Vec<String> = (0..10).map(|n| format!("n{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
        assert!(changes(&Objects::default(), &objects(&many)).ends_with("ConfigMap default/n7 and 2 more"));
    }
}
