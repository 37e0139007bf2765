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

fn furnished() -> Api {
    let api = api();
    api.store.furnish(crate::Given {
        machine: "vm".to_owned(),
        certificate: "PEM".to_owned(),
        api_port: 6443,
        service_network: None,
    });
    api
}

#[test]
fn well_known_namespaces() {
    let api = furnished();
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        assert_eq!(get(&api, &format!("/api/v1/namespaces/{name}"))["metadata"]["name"], name);
    }
}

#[test]
fn namespace_contents() {
    let api = furnished();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    write(&api, "POST /api/v1/namespaces", JSON, &namespace);
    assert_eq!(get(&api, "/api/v1/namespaces/a/serviceaccounts/default")["kind"], "ServiceAccount");
    assert_eq!(get(&api, "/api/v1/namespaces/a/configmaps/kube-root-ca.crt")["data"]["ca.crt"], "PEM");
    write(&api, "DELETE /api/v1/namespaces/a", JSON, &json!({}));
    assert_eq!(send(&api, "GET /api/v1/namespaces/a", &[], "").status(), StatusCode::NOT_FOUND);
}

#[test]
fn kubernetes_service() {
    let service = get(&furnished(), "/api/v1/namespaces/default/services/kubernetes");
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
}

#[test]
fn what_somebody_changed_of_what_is_given_is_kept() {
    let api = furnished();
    let cordon = json!({"spec": {"unschedulable": true}});
    assert_eq!(write(&api, "PATCH /api/v1/nodes/vm", MERGE, &cordon).0, 200);
    api.store.furnish_again();
    assert_eq!(get(&api, "/api/v1/nodes/vm")["spec"]["unschedulable"], true);
    assert_eq!(api.store.written().len(), 0, "nobody has written it");
}
