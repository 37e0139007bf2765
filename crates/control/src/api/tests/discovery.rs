//! What there is, as clients ask for it before anything else.

use super::*;

#[test]
fn discovery_comes_in_the_form_that_is_asked_for() {
    let api = api();
    let kubectl = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    let aggregated = send(&api, "GET /apis?timeout=32s", &[("accept", kubectl)], "");
    assert_eq!(
        aggregated.headers()["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    let aggregated = value(aggregated);
    let groups: Vec<&str> = aggregated["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["metadata"]["name"].as_str().unwrap())
        .collect();
    assert!(groups.contains(&"serving.kserve.io") && groups.contains(&"apps"), "{groups:?}");
    let apps =
        aggregated["items"].as_array().unwrap().iter().find(|group| group["metadata"]["name"] == "apps");
    let resources = apps.unwrap()["versions"][0]["resources"].as_array().unwrap();
    let deployments = resources.iter().find(|kind| kind["resource"] == "deployments").unwrap();
    assert_eq!(
        (&deployments["resource"], &deployments["categories"]),
        (&json!("deployments"), &json!(["all"]))
    );
    let scale =
        deployments["subresources"].as_array().unwrap().iter().find(|sub| sub["subresource"] == "scale");
    assert_eq!(scale.unwrap()["responseKind"]["kind"], "Scale");
    let core = value(send(&api, "GET /api", &[("accept", kubectl)], ""));
    assert_eq!(core["items"][0]["metadata"], json!({}));

    assert_eq!(get(&api, "/api")["versions"], json!(["v1"]));
    let groups = get(&api, "/apis")["groups"].clone();
    let apps = groups.as_array().unwrap().iter().find(|group| group["name"] == "apps").unwrap();
    assert_eq!(apps["preferredVersion"]["groupVersion"], "apps/v1");
    assert_eq!(get(&api, "/apis/apps")["kind"], "APIGroup");
    let names: Vec<Value> = get(&api, "/apis/apps/v1")["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["name"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/status",
            "deployments/scale",
            "replicasets",
            "replicasets/status",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/status",
            "statefulsets/scale"
        ]
    );
}

#[test]
fn openapi_says_that_patches_are_validated_here() {
    let api = api();
    let index = get(&api, "/openapi/v3?timeout=32s");
    let url = index["paths"]["apis/serving.kserve.io/v1beta1"]["serverRelativeURL"].as_str().unwrap();
    let document = get(&api, url);
    let patch = &document["paths"]["/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"]
        ["patch"];
    let parameters: Vec<&Value> =
        patch["parameters"].as_array().unwrap().iter().map(|parameter| &parameter["name"]).collect();
    assert!(parameters.contains(&&json!("fieldValidation")));
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "InferenceService");
}

#[test]
fn version_and_health_and_paths_that_are_none() {
    let api = api();
    let version = get(&api, "/version?timeout=5s");
    assert!(version.as_object().unwrap().values().all(Value::is_string), "{version}");
    assert_eq!(text(send(&api, "GET /readyz", &[], "")), "ok");
    let nothing = send(&api, "GET /apis/nobody.example/v1/things", &[], "");
    assert_eq!((nothing.status(), text(nothing)), (StatusCode::NOT_FOUND, "404 page not found\n".to_owned()));
    let refused = write(&api, "PUT /api/v1/namespaces/default/services", JSON, &json!({}));
    assert_eq!(
        message(&refused),
        "405 MethodNotAllowed: the server does not allow this method on the requested resource"
    );
}
