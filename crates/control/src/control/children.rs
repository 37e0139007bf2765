//! The objects that InferenceServices and Profiles stand for: which have to be made, and which to go. Pure.

use std::collections::BTreeSet;

use manifest::{Object, Objects};
use plan::ObjectRef;
use serde_json::json;

use crate::store::metadata;

/// On objects that stand for something that only a cluster has.
const SYNTHETIC: &str = "forebay.dev/synthetic";
/// The kinds of children.
const KINDS: &[&str] =
    &["Deployment", "Service", "Namespace", "ServiceAccount", "RoleBinding", "ResourceQuota"];
/// The kinds of objects that stand for others.
const OWNERS: [&str; 2] = ["InferenceService", "Profile"];

/// The children with their owners' uids, and the children of before that nothing stands for any more.
pub(super) fn diff(objects: &Objects, children: &[Object]) -> (Vec<Object>, Vec<ObjectRef>) {
    let wanted: Vec<Object> = children.iter().cloned().map(|child| adopted(child, objects)).collect();
    let references: BTreeSet<ObjectRef> = wanted.iter().map(Object::reference).collect();
    let ours = KINDS.iter().flat_map(|kind| objects.of_kind(kind)).filter(|object| is_child(object));
    let unwanted = ours.map(|object| object.reference()).filter(|child| !references.contains(child));
    (wanted, unwanted.collect())
}

fn is_child(object: &Object) -> bool {
    let owners = object.value["metadata"]["ownerReferences"].as_array();
    let mut owners = owners.into_iter().flatten();
    object.labels().get(SYNTHETIC) == Some(&"true")
        || owners.any(|owner| OWNERS.iter().any(|kind| owner["kind"] == *kind) && owner["controller"] == true)
}

/// The child with the uids of its owners, which only the cluster knows.
fn adopted(mut child: Object, objects: &Objects) -> Object {
    let namespace = child.namespace.clone();
    let owners = child.value["metadata"].get_mut("ownerReferences").and_then(|owners| owners.as_array_mut());
    for owner in owners.into_iter().flatten() {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let place = if text("kind") == "Profile" { "" } else { namespace.as_str() };
        let object = objects.get(text("kind"), place, text("name"));
        if let Some(uid) = object.and_then(|object| metadata::text(object, "uid")) {
            owner["uid"] = json!(uid);
        }
    }
    child
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn object(kind: &str, name: &str, metadata: &Value) -> Object {
        let kind = manifest::kind_named(kind).unwrap();
        let mut value = json!({"apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": {"name": name, "namespace": "ml"}});
        crate::store::merge_patch(&mut value["metadata"], metadata);
        Object::from_value(value).unwrap()
    }

    #[test]
    fn children_that_nothing_stands_for_go_and_others_stay() {
        let owner = |name: &str| json!({"ownerReferences": [{"kind": "InferenceService", "name": name, "controller": true}]});
        let objects: Objects = [
            object("InferenceService", "wine", &json!({"uid": "wine-uid"})),
            object("Deployment", "wine-predictor", &owner("wine")),
            object("Service", "iris-predictor", &owner("iris")),
            object("Service", "kourier", &json!({"labels": {SYNTHETIC: "true"}})),
            object("Service", "written-by-somebody", &json!({})),
        ]
        .into_iter()
        .collect();
        let wine = object("Deployment", "wine-predictor", &owner("wine"));
        let (wanted, unwanted) = diff(&objects, &[wine]);
        assert_eq!(wanted[0].value["metadata"]["ownerReferences"][0]["uid"], "wine-uid");
        let names: Vec<_> = unwanted.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(names, ["iris-predictor", "kourier"]);
    }
}
