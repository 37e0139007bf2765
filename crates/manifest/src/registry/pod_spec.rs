//! Pods are restarted, and given half a minute to end.

use serde_json::{Map, Value, json};

use super::fill::{items, set_missing};

/// Fills in what the specification of a pod leaves open.
pub(super) fn fill_pod_spec(spec: &mut Map<String, Value>) {
    set_missing(
        spec,
        [
            ("restartPolicy", json!("Always")),
            ("terminationGracePeriodSeconds", json!(30)),
            ("dnsPolicy", json!("ClusterFirst")),
            ("securityContext", json!({})),
            ("schedulerName", json!("default-scheduler")),
        ],
    );
    for list in ["initContainers", "containers"] {
        items(spec, list).for_each(fill_container);
    }
}

fn fill_container(container: &mut Map<String, Value>) {
    // Clients with types send it back: without it a template that `kubectl rollout undo` brings is another one.
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let pull_policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    set_missing(
        container,
        [
            ("resources", json!({})),
            ("imagePullPolicy", json!(pull_policy)),
            ("terminationMessagePath", json!("/dev/termination-log")),
            ("terminationMessagePolicy", json!("File")),
        ],
    );
    for port in items(container, "ports") {
        set_missing(port, [("protocol", json!("TCP"))]);
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            fill_probe(probe);
        }
    }
}

/// Whether an image is the latest of its name: it has no tag and no digest, or that tag.
fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
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
