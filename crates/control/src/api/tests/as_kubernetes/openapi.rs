//! What kinds look like, as `kubectl explain` and clients that check what they send read it.

use super::*;

#[test]
fn openapi_v3_has_schemas() {
    let api = api();
    let index = get(&api, "/openapi/v3");
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = get(&api, url);
    let schemas = &document["components"]["schemas"];
    let strategy = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"];
    assert_eq!(strategy["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy");
    let types = &schemas["io.k8s.api.apps.v1.DeploymentStrategy"]["properties"]["type"];
    assert_eq!(types["enum"], json!(["Recreate", "RollingUpdate"]));
    assert_eq!(types["default"], "RollingUpdate");
}

/// What no object is kept of is described, too.
#[test]
fn every_document_of_the_index_is_there() {
    let api = api();
    let index = get(&api, "/openapi/v3");
    let paths = index["paths"].as_object().unwrap();
    assert!(
        paths.contains_key("apis/authorization.k8s.io/v1")
            && paths.contains_key("apis/metrics.k8s.io/v1beta1")
    );
    for document in paths.values() {
        let url = document["serverRelativeURL"].as_str().unwrap();
        assert_eq!(get(&api, url)["openapi"], "3.0.0", "{url}");
    }
}

#[test]
fn openapi_v2_has_definitions() {
    let api = api();
    let document = get(&api, "/openapi/v2");
    let isvc = &document["definitions"]["io.kserve.serving.v1beta1.InferenceService"];
    assert_eq!(isvc["x-kubernetes-group-version-kind"][0]["kind"], "InferenceService");
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let response = send(&api, "GET /openapi/v2", &[("accept", accept)], "");
    assert_eq!(
        response.headers()["content-type"],
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
    let Body::Full(bytes) = response.into_body() else { panic!("an answer that goes on") };
    assert!(bytes.len() > 100_000 && bytes.starts_with(&[0x0a, 3, b'2', b'.', b'0']));
}

#[test]
fn a_document_that_one_has_is_not_sent_again() {
    let api = api();
    let path = "GET /openapi/v3/apis/apps/v1";
    let first = send(&api, path, &[], "");
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = send(&api, path, &[("if-none-match", &tag)], "");
    assert_eq!((again.status().as_u16(), text(again).as_str()), (304, ""));
    let compressed = send(&api, path, &[("accept-encoding", "gzip"), ("user-agent", "curl/8")], "");
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    let hash = tag.trim_matches('"');
    let forever = send(&api, &format!("{path}?hash={hash}"), &[], "");
    assert_eq!(forever.headers()["cache-control"], "public, immutable");
    let moved = send(&api, &format!("{path}?hash=OLD"), &[], "");
    assert_eq!(moved.status(), StatusCode::MOVED_PERMANENTLY);
    assert_eq!(moved.headers()["location"], format!("/openapi/v3/apis/apps/v1?hash={hash}"));
}
