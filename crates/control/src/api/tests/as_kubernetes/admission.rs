//! What every write passes: quotas, limits, security of pods, priorities and accounts.

use super::*;

mod limits;
mod pod_security;
mod quotas;

const PODS: &str = "/api/v1/namespaces/default/pods";
const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";

/// A pod of one container, which asks for this.
fn pod(name: &str, resources: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "forebay:1", "resources": resources}]}})
}

/// The same with more fields in its specification.
fn pod_with(more: &Value) -> Value {
    let mut pod = pod("p", &json!({}));
    for (field, value) in more.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    pod
}

/// Makes an object, which must be taken.
#[track_caller]
fn made(api: &Api, path: &str, object: &Value) -> Value {
    let (code, answer) = write(api, &format!("POST {path}"), JSON, object);
    assert_eq!(code, 201, "{answer}");
    answer
}

/// `403 Forbidden: pods "p" is forbidden: …`, or `taken`.
fn told(api: &Api, path: &str, object: &Value) -> String {
    let answer = write(api, &format!("POST {path}"), JSON, object);
    if answer.0 == 201 { "taken".to_owned() } else { message(&answer) }
}

#[test]
fn priority_class() {
    let api = api();
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"},
        "value": 1000, "preemptionPolicy": "Never"});
    made(&api, "/apis/scheduling.k8s.io/v1/priorityclasses", &class);
    let made = made(&api, PODS, &pod_with(&json!({"priorityClassName": "high"})));
    assert_eq!(
        (&made["spec"]["priority"], &made["spec"]["preemptionPolicy"]),
        (&json!(1000), &json!("Never"))
    );
    expect![[r#"403 Forbidden: pods "p" is forbidden: no PriorityClass with name low was found"#]]
        .assert_eq(&told(&api, PODS, &pod_with(&json!({"priorityClassName": "low"}))));
    expect![[r#"403 Forbidden: pods "p" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name"#]]
        .assert_eq(&told(&api, PODS, &pod_with(&json!({"priorityClassName": "high", "priority": 5}))));
}

#[test]
fn default_priority_class() {
    let api = api();
    let class = |name: &str| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": 7, "globalDefault": true})
    };
    made(&api, "/apis/scheduling.k8s.io/v1/priorityclasses", &class("usual"));
    let made = made(&api, PODS, &pod_with(&json!({})));
    assert_eq!(made["spec"]["priority"], 7);
    assert_eq!(made["spec"]["priorityClassName"], "usual");
    expect![[r#"403 Forbidden: priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as default. Only one default can exist"#]]
        .assert_eq(&told(&api, "/apis/scheduling.k8s.io/v1/priorityclasses", &class("other")));
}

#[test]
fn service_account() {
    let api = api();
    expect![[r#"403 Forbidden: pods "p" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found"#]]
        .assert_eq(&told(&api, PODS, &pod_with(&json!({"serviceAccountName": "robot"}))));
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    made(&api, "/api/v1/namespaces/default/serviceaccounts", &account);
    let made = made(&api, PODS, &pod_with(&json!({"serviceAccountName": "robot"})));
    assert_eq!(made["spec"]["serviceAccount"], "robot");
}

#[test]
fn runtime_class() {
    let api = api();
    expect![[r#"403 Forbidden: pods "p" is forbidden: pod rejected: RuntimeClass "gvisor" not found"#]]
        .assert_eq(&told(&api, PODS, &pod_with(&json!({"runtimeClassName": "gvisor"}))));
}

#[test]
fn tolerations() {
    let own = json!([{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]);
    let made = made(&api(), PODS, &pod_with(&json!({"tolerations": own})));
    let tolerations = &made["spec"]["tolerations"];
    assert_eq!((tolerations.as_array().unwrap().len(), &tolerations[0]), (2, &own[0]));
    assert_eq!(tolerations[1]["key"], "node.kubernetes.io/unreachable");
}

#[test]
fn namespace_that_ends() {
    let api = api();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    made(&api, "/api/v1/namespaces", &namespace);
    let mut held = config_map("held");
    held["metadata"]["finalizers"] = json!(["example.com/wait"]);
    made(&api, "/api/v1/namespaces/a/configmaps", &held);
    write(&api, "DELETE /api/v1/namespaces/a", JSON, &json!({}));
    let (code, refused) = write(&api, "POST /api/v1/namespaces/a/configmaps", JSON, &config_map("b"));
    assert_eq!((code, &refused["details"]["causes"][0]["reason"]), (403, &json!("NamespaceTerminating")));
    expect![[r#"configmaps "b" is forbidden: unable to create new content in namespace a because it is being terminated"#]]
        .assert_eq(refused["message"].as_str().unwrap());
}
