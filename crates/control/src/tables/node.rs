//! What pods run on.

use manifest::Object;
use serde_json::{Value, json};

use super::{AGE, Column, NAME, NONE, UNKNOWN, column, items, joined, plain, text_or, wide};
use crate::conditions;
use crate::store::metadata;

pub(super) const NODE: &[Column] = &[
    NAME,
    column("Status", |node, _| json!(status(node))),
    column("Roles", |node, _| {
        let labels = node.labels();
        joined(labels.keys().filter_map(|label| label.strip_prefix("node-role.kubernetes.io/")))
    }),
    AGE,
    column("Version", |node, _| json!(text_or(&info(node)["kubeletVersion"], ""))),
    wide("Internal-IP", |node, _| json!(address(node, "InternalIP"))),
    wide("External-IP", |node, _| json!(address(node, "ExternalIP"))),
    wide("OS-Image", |node, _| json!(text_or(&info(node)["osImage"], UNKNOWN))),
    wide("Kernel-Version", |node, _| json!(text_or(&info(node)["kernelVersion"], UNKNOWN))),
    wide("Container-Runtime", |node, _| json!(text_or(&info(node)["containerRuntimeVersion"], UNKNOWN))),
];

pub(super) const PERSISTENT_VOLUME_CLAIM: &[Column] = &[
    NAME,
    column("Status", |claim, _| {
        let is_ending = metadata::deletion(claim).is_some();
        json!(if is_ending { "Terminating" } else { text_or(&claim.value["status"]["phase"], "") })
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

fn info(node: &Object) -> &Value {
    &node.value["status"]["nodeInfo"]
}

fn status(node: &Object) -> String {
    let is_ready = conditions::holds(&node.value["status"], "Ready");
    let ready = if is_ready { "Ready" } else { "NotReady" };
    let is_cordoned = node.value["spec"]["unschedulable"] == true;
    if is_cordoned { format!("{ready},SchedulingDisabled") } else { ready.to_owned() }
}

fn address<'a>(node: &'a Object, kind: &str) -> &'a str {
    let mut addresses = items(&node.value["status"]["addresses"]);
    addresses
        .find(|address| address["type"] == kind)
        .map_or(NONE, |address| text_or(&address["address"], NONE))
}

fn access_mode(mode: &Value) -> &str {
    match text_or(mode, "") {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    }
}
