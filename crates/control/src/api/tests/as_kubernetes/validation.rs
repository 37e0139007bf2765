//! Objects that no server takes: 422, or 400 where they cannot be decoded.

use super::*;

const PODS: &str = "/api/v1/namespaces/default/pods";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";

/// Why an object is refused, and with which code.
fn refused(path: &str, object: &Value) -> String {
    let (code, answer) = write(&api(), &format!("POST {path}"), JSON, object);
    let message = answer["message"].as_str().unwrap_or("taken");
    let why =
        message.split_once(" is invalid: ").or_else(|| message.split_once(" cannot be handled as a Pod: "));
    format!("{code} {}", why.map_or(message, |(_, why)| why))
}

fn config(metadata: &Value, data: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    object["metadata"]["name"] = json!("c");
    object
}

/// A Pod of one container, with more said of the container and of the pod.
fn pod(container: &Value, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    let mut containers = vec![json!({"name": "c", "image": "forebay:1"})];
    for (key, value) in container.as_object().unwrap() {
        containers[0][key] = value.clone();
    }
    containers.extend(spec["containers"].as_array().cloned().unwrap_or_default());
    object["spec"]["containers"] = json!(containers);
    object
}

fn service_of(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec})
}

#[track_caller]
fn check(path: &str, object: &Value, why: &str) {
    let told = refused(path, object);
    assert!(told.starts_with(why), "{told}");
}

#[test]
fn label_value() {
    let object = config(&json!({"labels": {"a": "a b"}}), &json!({}));
    check(
        CONFIGMAPS,
        &object,
        r#"422 metadata.labels.a: Invalid value: "a b": a valid label must be an empty string"#,
    );
}

#[test]
fn label_key() {
    let object = config(&json!({"labels": {"a b": "a"}}), &json!({}));
    check(
        CONFIGMAPS,
        &object,
        r#"422 metadata.labels["a b"]: Invalid value: "a b": name part must consist of"#,
    );
}

#[test]
fn annotation_key() {
    let object = config(&json!({"annotations": {"a b": "a"}}), &json!({}));
    check(
        CONFIGMAPS,
        &object,
        r#"422 metadata.annotations["a b"]: Invalid value: "a b": name part must consist of"#,
    );
}

#[test]
fn config_map_key() {
    let object = config(&json!({}), &json!({"a b": "c"}));
    check(
        CONFIGMAPS,
        &object,
        r#"422 data["a b"]: Invalid value: "a b": a valid config key must consist of"#,
    );
}

#[test]
fn deployment_whose_selector_does_not_match_its_template() {
    let mut object = deployment();
    object["spec"]["selector"]["matchLabels"] = json!({"app": "other"});
    check(DEPLOYMENTS, &object, "422 spec.template.metadata.labels: Invalid value:");
}

#[test]
fn pod_with_two_containers_of_one_name() {
    let object = pod(&json!({}), &json!({"containers": [{"name": "c", "image": "forebay:1"}]}));
    check(PODS, &object, r#"422 spec.containers[1].name: Duplicate value: "c""#);
}

#[test]
fn pod_with_volume_mount_of_no_volume() {
    let object = pod(&json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}), &json!({}));
    check(PODS, &object, r#"422 spec.containers[0].volumeMounts[0].name: Not found: "x""#);
}

#[test]
fn service_without_ports() {
    check(SERVICES, &service_of(&json!({})), "422 spec.ports: Required value");
}

#[test]
fn service_type_bogus() {
    let object = service_of(&json!({"type": "Bogus", "ports": [{"port": 80}]}));
    check(SERVICES, &object, r#"422 spec.type: Unsupported value: "Bogus": supported values: "ClusterIP", "#);
}

#[test]
fn service_with_two_unnamed_ports() {
    let object = service_of(&json!({"ports": [{"port": 80}, {"port": 81}]}));
    check(SERVICES, &object, "422 [spec.ports[0].name: Required value, spec.ports[1].name: Required value]");
}

#[test]
fn node_port_80() {
    let object = service_of(&json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}));
    check(
        SERVICES,
        &object,
        "422 spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range",
    );
}

#[test]
fn service_named_1abc() {
    let mut object = service_of(&json!({"ports": [{"port": 80}]}));
    object["metadata"]["name"] = json!("1abc");
    check(SERVICES, &object, r#"422 metadata.name: Invalid value: "1abc": a DNS-1035 label must consist of"#);
}

#[test]
fn resources_requests_cpu_lots() {
    let object = pod(&json!({"resources": {"requests": {"cpu": "lots"}}}), &json!({}));
    check(PODS, &object, "400 quantities must match the regular expression");
}

#[test]
fn limits_below_requests() {
    let object = pod(&json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}), &json!({}));
    check(
        PODS,
        &object,
        r#"422 spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit"#,
    );
}

#[test]
fn restart_policy_sometimes() {
    let object = pod(&json!({}), &json!({"restartPolicy": "Sometimes"}));
    check(
        PODS,
        &object,
        r#"422 spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "#,
    );
}

#[test]
fn hpa_with_min_replicas_above_max_replicas() {
    let object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"minReplicas": 5, "maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    let path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    check(
        path,
        &object,
        "422 spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`",
    );
}

#[test]
fn ingress_path_without_path_type() {
    let backend = json!({"service": {"name": "a", "port": {"number": 80}}});
    let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "backend": backend}]}}]}});
    check(
        INGRESSES,
        &object,
        "422 spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
    );
}

#[test]
fn pdb_with_min_available_and_max_unavailable() {
    let object = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "maxUnavailable": 1, "selector": {}}});
    check("/apis/policy/v1/namespaces/default/poddisruptionbudgets", &object, "422 spec: Invalid value:");
}
