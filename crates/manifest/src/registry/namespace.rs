//! Namespaces are active, and can be selected by name.

use serde_json::json;

use super::columns::{AGE, Column, NAME, column, text_or};
use super::fill::{fields, set_missing};
use super::{CORE, Kind, cluster};
use crate::{Object, Objects};

pub(super) static NAMESPACE: Kind = Kind {
    short_names: &["ns"],
    verbs: &["create", "delete", "get", "list", "patch", "update", "watch"],
    subresources: &["status", "finalize"],
    columns: COLUMNS,
    fields: &["status.phase"],
    fill,
    ..cluster(CORE, "v1", "Namespace", "namespaces")
};

const COLUMNS: &[Column] =
    &[NAME, column("Status", |namespace, _| json!(text_or(&namespace.value["status"]["phase"], ""))), AGE];

fn fill(object: &mut Object, old: Option<&Object>, _all: &Objects) {
    let name = json!(object.name);
    let Some(namespace) = object.value.as_object_mut() else { return };
    if let Some(labels) = fields(namespace, "metadata").and_then(|metadata| fields(metadata, "labels")) {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
    if old.is_none()
        && let Some(spec) = fields(namespace, "spec")
    {
        set_missing(spec, [("finalizers", json!(["kubernetes"]))]);
    }
    if let Some(status) = fields(namespace, "status") {
        set_missing(status, [("phase", json!("Active"))]);
    }
}
