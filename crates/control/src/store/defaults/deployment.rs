//! Deployments roll by quarters, and pods are restarted and given half a minute to end.

use manifest::{Object, Objects};
use serde_json::{Map, Value, json};

use super::{fields, items, set_missing};

pub(super) fn fill(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let Some(spec) = object.value.as_object_mut().and_then(|deployment| fields(deployment, "spec")) else {
        return;
    };
    set_missing(
        spec,
        [
            ("replicas", json!(1)),
            ("revisionHistoryLimit", json!(10)),
            ("progressDeadlineSeconds", json!(600)),
        ],
    );
    if let Some(strategy) = fields(spec, "strategy") {
        fill_strategy(strategy);
    }
    if let Some(pod_spec) = fields(spec, "template").and_then(|template| fields(template, "spec")) {
        fill_pod_spec(pod_spec);
    }
}

pub(super) fn fill_pod(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    if let Some(spec) = object.value.as_object_mut().and_then(|pod| fields(pod, "spec")) {
        fill_pod_spec(spec);
    }
}

fn fill_strategy(strategy: &mut Map<String, Value>) {
    set_missing(strategy, [("type", json!("RollingUpdate"))]);
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling_update) = fields(strategy, "rollingUpdate")
    {
        set_missing(rolling_update, [("maxSurge", json!("25%")), ("maxUnavailable", json!("25%"))]);
    }
}

fn fill_pod_spec(spec: &mut Map<String, Value>) {
    set_missing(spec, [("restartPolicy", json!("Always")), ("terminationGracePeriodSeconds", json!(30))]);
    for list in ["initContainers", "containers"] {
        items(spec, list).for_each(fill_container);
    }
}

fn fill_container(container: &mut Map<String, Value>) {
    // Clients with types send it back: without it a template that `kubectl rollout undo` brings is another one.
    set_missing(container, [("resources", json!({}))]);
    for port in items(container, "ports") {
        set_missing(port, [("protocol", json!("TCP"))]);
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            fill_probe(probe);
        }
    }
}

fn fill_probe(probe: &mut Map<String, Value>) {
    set_missing(
        probe,
        [
            ("timeoutSeconds", json!(1)),
            ("periodSeconds", json!(10)),
            ("successThreshold", json!(1)),
            ("failureThreshold", json!(3)),
        ],
    );
    if let Some(http_get) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
        set_missing(http_get, [("path", json!("/")), ("scheme", json!("HTTP"))]);
    }
    if let Some(grpc) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
        // kubectl describe reads it without a look whether it is there.
        set_missing(grpc, [("service", json!(""))]);
    }
}
