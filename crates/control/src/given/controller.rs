//! What stands for the control loop where people look for it: the Deployment and the Pod of the AWS Load Balancer
//! Controller. It runs in the process of the platform, not in a pod; its log is read as that of this one.

use jiff::Timestamp;
use manifest::{OF_PLATFORM, Object};
use serde_json::{Value, json};

use crate::conditions::{self, Condition};
use crate::store::metadata;

pub(crate) const NAMESPACE: &str = "kube-system";
pub(crate) const NAME: &str = "aws-load-balancer-controller";
/// The pod, whose name is the same on every machine.
pub(crate) const POD: &str = "aws-load-balancer-controller-forebay";
/// Its only container.
pub(crate) const CONTAINER: &str = "aws-load-balancer-controller";

/// Why nobody changes them.
pub(crate) const WHY: &str = "it stands for the control loop of this platform, which runs in the process of forebay and is not changed by it: \
    give forebay up other options, or write other annotations";

fn metadata_of(name: &str) -> Value {
    json!({
        "name": name,
        "namespace": NAMESPACE,
        "labels": labels(),
        "annotations": {OF_PLATFORM: "control loop"},
    })
}

fn labels() -> Value {
    json!({"app.kubernetes.io/instance": NAME, "app.kubernetes.io/name": NAME})
}

fn image() -> String {
    format!("forebay:{}", env!("CARGO_PKG_VERSION"))
}

fn spec() -> Value {
    let container = json!({"name": CONTAINER, "image": image(), "imagePullPolicy": "IfNotPresent"});
    json!({"containers": [container]})
}

pub(super) fn deployment(now: Timestamp) -> Value {
    let now = metadata::time(now);
    let conditions = [
        Condition::new("Available", true)
            .because("MinimumReplicasAvailable", "Deployment has minimum availability."),
        Condition::new("Progressing", true)
            .because("NewReplicaSetAvailable", "the control loop runs with the platform"),
    ];
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata_of(NAME),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels()},
            "template": {"metadata": {"labels": labels()}, "spec": spec()},
        },
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "updatedReplicas": 1,
            "readyReplicas": 1,
            "availableReplicas": 1,
            "conditions": conditions::list(&conditions, &Value::Null, &now),
        },
    })
}

/// The pod, on a node of which it is a part, as pods that a node has by itself are (`kubectl drain` leaves them alone).
pub(super) fn pod(node: &Object, now: Timestamp) -> Value {
    let now = metadata::time(now);
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
    let conditions = conditions.map(|kind| Condition::new(kind, true));
    let mut pod_metadata = metadata_of(POD);
    pod_metadata["annotations"]["kubernetes.io/config.mirror"] = json!("forebay");
    pod_metadata["ownerReferences"] = json!([{
        "apiVersion": "v1",
        "kind": "Node",
        "name": node.name,
        "uid": metadata::text(node, "uid").unwrap_or_default(),
        "controller": true,
    }]);
    let mut spec = spec();
    spec["nodeName"] = json!(node.name);
    let address = super::MACHINE_ADDRESS;
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": pod_metadata,
        "spec": spec,
        "status": {
            "phase": "Running",
            "qosClass": "BestEffort",
            "conditions": conditions::list(&conditions, &Value::Null, &now),
            "hostIP": address,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now,
            "containerStatuses": [{
                "name": CONTAINER,
                "image": image(),
                "imageID": "",
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
                "lastState": {},
            }],
        },
    })
}
