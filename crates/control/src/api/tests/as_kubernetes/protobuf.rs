//! Bodies in protobuf, as kubectl from 1.32 on and controllers send them.

use super::*;
use crate::api::protobuf::encode;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn send_protobuf(api: &Api, line: &str, object: &Value) -> (u16, Value) {
    let response = send(api, line, &[("content-type", PROTOBUF)], encode(object).unwrap());
    (response.status().as_u16(), value(response))
}

#[test]
fn create_deployment_service_ingress_role() {
    let api = api();
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]});
    for (path, object, pointer) in [
        (DEPLOYMENTS, deployment(), "/spec/template/spec/containers/0/image"),
        (SERVICES, service("web"), "/spec/ports/0/port"),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
            ingress,
            "/spec/rules/0/http/paths/0/path",
        ),
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", role, "/rules/0/verbs"),
    ] {
        let created = send_protobuf(&api, &format!("POST {path}"), &object);
        assert_eq!(created.0, 201, "{}", message(&created));
        assert_eq!(created.1.pointer(pointer), object.pointer(pointer));
    }
}

#[test]
fn a_put_keeps_owners_and_finalizers() {
    let api = with_config_maps(&["c"]);
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"});
    let mut changed = get(&api, &format!("{CONFIGMAPS}/c"));
    changed["metadata"]["finalizers"] = json!(["a.b/c"]);
    changed["metadata"]["ownerReferences"] = json!([owner]);
    let put = send_protobuf(&api, &format!("PUT {CONFIGMAPS}/c"), &changed);
    assert_eq!(put.0, 200, "{}", message(&put));
    assert_eq!(put.1["metadata"]["finalizers"], json!(["a.b/c"]));
    assert_eq!(put.1["metadata"]["ownerReferences"][0]["uid"], "u");
    let stale = send_protobuf(&api, &format!("PUT {CONFIGMAPS}/c"), &changed);
    assert_eq!(stale.0, 409, "somebody has written since");
}

#[test]
fn delete_options() {
    let api = with_config_maps(&["c"]);
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "another"}});
    assert_eq!(send_protobuf(&api, &format!("DELETE {CONFIGMAPS}/c"), &options).0, 409);
    let options =
        json!({"apiVersion": "apps/v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
    assert_eq!(send_protobuf(&api, &format!("DELETE {CONFIGMAPS}/c"), &options).0, 200);
}
