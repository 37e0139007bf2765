//! Pods are restarted, and given half a minute to end.

use serde_json::{Map, Value, json};

use super::fill::{items, set_missing};

/// Fills in what the specification of a pod leaves open.
pub(super) fn fill_pod_spec(spec: &mut Map<String, Value>) {
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
