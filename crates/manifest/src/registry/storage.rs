//! Places to keep files.

use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, column, is_ending, items, plain, text_or};
use super::{CORE, Effect, Kind, STATUS, namespaced};

pub(super) static PERSISTENT_VOLUME_CLAIM: Kind = Kind {
    short_names: &["pvc"],
    subresources: STATUS,
    columns: CLAIM_COLUMNS,
    effect: Effect::Kept,
    ..namespaced(CORE, "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
};

const CLAIM_COLUMNS: &[Column] = &[
    NAME,
    column("Status", |claim, _| {
        json!(if is_ending(claim) { "Terminating" } else { text_or(&claim.value["status"]["phase"], "") })
    }),
    column("Volume", |claim, _| json!(text_or(&claim.value["spec"]["volumeName"], ""))),
    column("Capacity", |claim, _| match &claim.value["status"]["capacity"]["storage"] {
        Value::Null => json!(""),
        capacity => json!(plain(capacity)),
    }),
    column("Access Modes", |claim, _| {
        json!(items(&claim.value["status"]["accessModes"]).map(access_mode).collect::<Vec<_>>().join(","))
    }),
    column("StorageClass", |claim, _| json!(text_or(&claim.value["spec"]["storageClassName"], ""))),
    AGE,
];

fn access_mode(mode: &Value) -> &str {
    match text_or(mode, "") {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    }
}
