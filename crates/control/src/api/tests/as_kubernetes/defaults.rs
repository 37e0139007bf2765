//! What is filled in when something is made.

use super::*;

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "main", "image": "busybox", "command": ["/bin/true"]}]}})
}

#[track_caller]
fn check_filled(filled: &Value, fields: &[&str]) {
    let missing: Vec<&&str> = fields.iter().filter(|field| filled.get(**field).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?} missing in {filled}");
}

#[test]
fn service_status() {
    let created = write(&api(), &format!("POST {SERVICES}"), JSON, &service("a"));
    assert_eq!(created.1["status"], json!({"loadBalancer": {}}));
}

#[test]
fn deployment() {
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": pod()["spec"]});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template}});
    let (_, created) = write(&api(), "POST /apis/apps/v1/namespaces/default/deployments", JSON, &deployment);
    let spec = &created["spec"];
    check_filled(spec, &["replicas", "strategy", "revisionHistoryLimit", "progressDeadlineSeconds"]);
    let pod = &spec["template"]["spec"];
    check_filled(pod, &["dnsPolicy", "securityContext", "schedulerName", "restartPolicy"]);
    let container = ["imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy", "resources"];
    check_filled(&pod["containers"][0], &container);
    assert_eq!(pod["containers"][0]["imagePullPolicy"], "Always");
}

#[test]
fn pod_status() {
    let created = write(&api(), &format!("POST {PODS}"), JSON, &pod());
    assert_eq!(created.1["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
}

#[test]
fn pod_spec() {
    let created = write(&api(), &format!("POST {PODS}"), JSON, &pod()).1;
    let fields = [
        "restartPolicy",
        "dnsPolicy",
        "serviceAccountName",
        "enableServiceLinks",
        "tolerations",
        "priority",
        "schedulerName",
    ];
    check_filled(&created["spec"], &fields);
}

#[test]
fn namespace() {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    let created = write(&api(), "POST /api/v1/namespaces", JSON, &namespace).1;
    assert_eq!(created["metadata"]["labels"]["kubernetes.io/metadata.name"], "a");
    assert_eq!(created["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(created["status"]["phase"], "Active");
}
