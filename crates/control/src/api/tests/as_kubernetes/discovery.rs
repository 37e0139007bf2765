//! What there is, and how the API is.

use super::*;

#[test]
fn aggregated_v2beta1() {
    let api = api();
    let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    let old_client = format!("{v2beta1},application/json");
    let answer = send(&api, "GET /apis", &[("accept", &old_client)], "");
    assert_eq!(answer.headers()["content-type"], v2beta1);
    assert_eq!(value(answer)["apiVersion"], "apidiscovery.k8s.io/v2beta1");
    let answer = send(&api, "GET /apis", &[("accept", &format!("{v2},{v2beta1},application/json"))], "");
    assert_eq!(answer.headers()["content-type"], v2);
    let plain = value(send(&api, "GET /apis", &[("accept", &format!("application/json,{v2}"))], ""));
    assert_eq!(plain["kind"], "APIGroupList");
}

#[test]
fn subresources_listed() {
    let api = api();
    let list = get(&api, "/api/v1");
    let names: Vec<&str> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["name"].as_str().unwrap())
        .collect();
    for name in
        ["pods/log", "pods/exec", "pods/attach", "pods/portforward", "pods/eviction", "serviceaccounts/token"]
    {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    assert!(!names.contains(&"configmaps/status"));
}

#[test]
fn root() {
    let paths = get(&api(), "/")["paths"].clone();
    for path in
        ["/api/v1", "/apis/apps", "/apis/apps/v1", "/apis/authorization.k8s.io/v1", "/metrics", "/openapi/v3"]
    {
        assert!(paths.as_array().unwrap().contains(&json!(path)), "{path} of {paths}");
    }
}

#[test]
fn healthz() {
    let api = api();
    for path in ["healthz", "livez", "readyz"] {
        assert_eq!(text(send(&api, &format!("GET /{path}"), &[], "")), "ok");
        let verbose = text(send(&api, &format!("GET /{path}?verbose"), &[], ""));
        assert_eq!(verbose, format!("[+]ping ok\n[+]store ok\n{path} check passed\n"));
    }
}

#[test]
fn metrics() {
    let api = with_config_maps(&["a", "b"]);
    let metrics = text(send(&api, "GET /metrics", &[], ""));
    assert!(metrics.contains("\napiserver_storage_objects{resource=\"configmaps\"} 2\n"), "{metrics}");
    assert!(metrics.contains("apiserver_request_total{code=\"201\",verb=\"POST\"} 2\n"), "{metrics}");
    assert!(metrics.contains("\napiserver_longrunning_requests 0\n"), "{metrics}");
}

#[test]
fn audit_id() {
    let api = api();
    let id = |fields: &[(&str, &str)]| send(&api, "GET /api", fields, "").headers()["audit-id"].clone();
    assert_eq!(id(&[]).len(), 36);
    assert_ne!(id(&[]), id(&[]));
    assert_eq!(id(&[("audit-id", "mine")]), "mine");
}

#[test]
fn resource_verbs() {
    let list = get(&api(), "/api/v1");
    let maps = list["resources"].as_array().unwrap().iter().find(|resource| resource["name"] == "configmaps");
    assert_eq!(
        maps.unwrap()["verbs"],
        json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"])
    );
}

#[test]
fn customresourcedefinitions_apiextensions_k8s_io_v1() {
    let api = api();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let list = get(&api, path);
    assert_eq!(list["kind"], "CustomResourceDefinitionList");
    let one = get(&api, &format!("{path}/inferenceservices.serving.kserve.io"));
    assert_eq!(
        (&one["spec"]["names"]["kind"], &one["spec"]["scope"]),
        (&json!("InferenceService"), &json!("Namespaced"))
    );
    assert!(
        one["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|condition| condition["type"] == "Established")
    );
    assert!(list["items"].as_array().unwrap().contains(&one));
    let selected =
        get(&api, &format!("{path}?fieldSelector=metadata.name%3Dinferenceservices.serving.kserve.io"));
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
    assert_eq!(get(&api, &format!("{path}/things.example.com"))["code"], 404);
}
