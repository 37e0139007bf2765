//! What pods run on.

use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, NONE, UNKNOWN, column, holds, items, joined, text_or, wide};
use super::{CORE, Kind, STATUS, cluster};
use crate::Object;

pub(super) static NODE: Kind = Kind {
    short_names: &["no"],
    subresources: STATUS,
    columns: COLUMNS,
    fields: &["spec.unschedulable"],
    ..cluster(CORE, "v1", "Node", "nodes")
};

const COLUMNS: &[Column] = &[
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

fn info(node: &Object) -> &Value {
    &node.value["status"]["nodeInfo"]
}

fn status(node: &Object) -> String {
    let is_ready = holds(&node.value["status"], "Ready");
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
