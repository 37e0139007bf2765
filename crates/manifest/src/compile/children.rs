//! The objects that KServe would make of an InferenceService: a Deployment and two Services.

use serde_json::{Map, Value, json};

use crate::Object;
use crate::annotations::BASE_DIRECTORY;
use crate::kinds::inference_service::Predictor;
use crate::registry::kind_of;

/// Label of everything that belongs to an InferenceService.
const INFERENCE_SERVICE: &str = "serving.kserve.io/inferenceservice";

/// Name of the Deployment, and of the Service in front of it.
pub(super) fn predictor_name(name: &str) -> String {
    format!("{name}-predictor-default")
}

/// The Deployment, its Service, and the Service under the newer name.
pub(super) fn of(owner: &Object, predictor: &Predictor, containers: &[Value], port: u16) -> Vec<Object> {
    vec![
        deployment(owner, predictor, containers),
        service(owner, &predictor_name(&owner.name), port),
        service(owner, &format!("{}-predictor", owner.name), port),
    ]
}

/// A probe that asks for a path.
pub(super) fn probe(port: u16, path: &str) -> Value {
    json!({ "httpGet": { "path": path, "port": port } })
}

/// The label by which Services find the pods.
fn app(owner: &Object) -> String {
    format!("isvc.{}-predictor", owner.name)
}

fn deployment(owner: &Object, predictor: &Predictor, containers: &[Value]) -> Object {
    let mut labels: Map<String, Value> =
        predictor.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    labels.insert("app".to_owned(), json!(app(owner)));
    labels.insert("component".to_owned(), json!("predictor"));
    labels.insert(INFERENCE_SERVICE.to_owned(), json!(owner.name));
    let annotations: Map<String, Value> =
        predictor.annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let mut pod = json!({ "containers": containers });
    if let Some(seconds) = predictor.termination_grace_period_seconds {
        pod["terminationGracePeriodSeconds"] = json!(seconds);
    }
    let mut spec = json!({
        "replicas": predictor.min_replicas.unwrap_or(1).max(1),
        "selector": { "matchLabels": { "app": app(owner) } },
        "template": { "metadata": { "labels": labels, "annotations": annotations }, "spec": pod },
    });
    if let Some(strategy) = &predictor.deployment_strategy {
        spec["strategy"] = strategy.clone();
    }
    let mut deployment = child(owner, "apps", "Deployment", &predictor_name(&owner.name), &spec);
    if let Some(folder) = owner.annotation(BASE_DIRECTORY) {
        deployment.value["metadata"]["annotations"] = json!({ BASE_DIRECTORY: folder });
    }
    deployment
}

fn service(owner: &Object, name: &str, port: u16) -> Object {
    let spec = json!({
        "type": "ClusterIP",
        "selector": { "app": app(owner) },
        "ports": [{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": port }],
    });
    child(owner, "", "Service", name, &spec)
}

fn child(owner: &Object, group: &str, kind: &str, name: &str, spec: &Value) -> Object {
    let kind = kind_of(group, kind).expect("kinds of children are known");
    let mut reference = json!({
        "apiVersion": owner.kind.api_version(),
        "kind": owner.kind.kind,
        "name": owner.name,
        "controller": true,
        "blockOwnerDeletion": true,
    });
    if let Some(uid) = owner.value.pointer("/metadata/uid") {
        reference["uid"] = uid.clone();
    }
    let value = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": { "app": app(owner), INFERENCE_SERVICE: owner.name },
            "ownerReferences": [reference],
        },
        "spec": spec,
    });
    Object { kind, namespace: owner.namespace.clone(), name: name.to_owned(), value, source: None }
}
