//! Namespaces are active, and can be selected by name.

use manifest::{Object, Objects};
use serde_json::json;

use super::{fields, set_missing};

pub(super) fn fill(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let name = json!(object.name);
    let Some(namespace) = object.value.as_object_mut() else { return };
    if let Some(labels) = fields(namespace, "metadata").and_then(|metadata| fields(metadata, "labels")) {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
    if let Some(status) = fields(namespace, "status") {
        set_missing(status, [("phase", json!("Active"))]);
    }
}
