//! Bodies in protobuf, as kubectl from 1.32 on and controllers send them.

use super::*;
use crate::api::protobuf::{decode, encode};

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

/// Asks as clients do that read nothing else.
fn ask(api: &Api, line: &str, accept: &str) -> (u16, String, Value) {
    let response = send(api, line, &[("accept", accept)], "");
    let status = response.status().as_u16();
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let Body::Full(bytes) = response.into_body() else { panic!("an answer that goes on") };
    let value = decode(&bytes).unwrap_or_else(|_| serde_json::from_slice(&bytes).unwrap_or_default());
    (status, media_type, value)
}

#[test]
fn objects_and_failures_are_answered_in_protobuf() {
    let api = with_config_maps(&["c"]);
    let accept = PROTOBUF;
    let (status, media_type, object) = ask(&api, &format!("GET {CONFIGMAPS}/c"), accept);
    assert_eq!((status, media_type.as_str()), (200, PROTOBUF));
    assert_eq!(object, get(&api, &format!("{CONFIGMAPS}/c")));
    let (status, media_type, failure) = ask(&api, &format!("GET {CONFIGMAPS}/nobody"), accept);
    assert_eq!((status, media_type.as_str(), &failure["reason"]), (404, PROTOBUF, &json!("NotFound")));
    let (status, media_type, list) = ask(&api, &format!("GET {CONFIGMAPS}"), accept);
    assert_eq!((status, media_type.as_str(), &list["items"][0]["data"]["k"]), (200, PROTOBUF, &json!("v")));
    let (status, ..) = ask(&api, "GET /apis/serving.kserve.io/v1beta1/inferenceservices", accept);
    assert_eq!(status, 406, "custom kinds have no protobuf");
}
