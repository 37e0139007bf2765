//! The API as clients meet it: requests in the shapes that kubectl sends, and what comes back.

use std::rc::Rc;

use bytes::Bytes;
use expect_test::expect;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::*;

mod refusals;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const TOKEN: &str = "secret";

fn api() -> Api {
    Api::new(Rc::new(Store::in_memory()), None, Settings { token: TOKEN.to_owned(), ..Settings::default() })
}

/// One request as `METHOD path`, with fields and a body.
fn send(api: &Api, line: &str, fields: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Body> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7443");
    request = request.header("authorization", format!("Bearer {TOKEN}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    api.handle(&request.body(body.into()).unwrap())
}

fn text(response: Response<Body>) -> String {
    match response.into_body() {
        Body::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Body::Stream(_) | Body::Upgrade(_) => panic!("an answer that goes on"),
    }
}

fn value(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response)).unwrap()
}

/// Sends a body of a type; gives the status code and the answer.
fn write(api: &Api, line: &str, media_type: &str, body: &Value) -> (u16, Value) {
    let response = send(api, line, &[("content-type", media_type)], body.to_string());
    (response.status().as_u16(), value(response))
}

fn get(api: &Api, path: &str) -> Value {
    value(send(api, &format!("GET {path}"), &[("accept", "application/json")], ""))
}

fn message(answer: &(u16, Value)) -> String {
    format!(
        "{} {}: {}",
        answer.0,
        answer.1["reason"].as_str().unwrap_or("-"),
        answer.1["message"].as_str().unwrap_or("-")
    )
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}})
}

fn deployment() -> Value {
    let pod = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "api", "image": "forebay:1"}]}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": pod}})
}

// === who is let in ===

#[test]
fn nobody_is_let_in_without_the_token_or_under_another_name() {
    let api = api();
    let ask = |path: &str, host: &str, token: &str| {
        let request = Request::get(path).header("host", host).header("authorization", token);
        api.handle(&request.body(Bytes::new()).unwrap()).status().as_u16()
    };
    assert_eq!(ask("/api/v1/namespaces", "localhost:7443", "Bearer secret"), 200);
    assert_eq!(ask("/api/v1/namespaces", "localhost:7443", "Bearer guess"), 401);
    assert_eq!(ask("/api/v1/namespaces", "evil.example", "Bearer secret"), 403);
    assert_eq!(ask("/nowhere", "localhost", "Bearer guess"), 401, "nobody learns which paths there are");
    assert_eq!(ask("/readyz", "localhost", ""), 200);
    assert_eq!(ask("/readyz", "evil.example", ""), 403);
}

#[test]
fn the_kubeconfig_keeps_the_token_where_kubectl_shows_no_secret() {
    let (token, address) = (new_token(), "127.0.0.1:7443".parse().unwrap());
    let config = kubeconfig(address, "-----BEGIN CERTIFICATE-----", &token);
    assert!(config.contains("server: https://127.0.0.1:7443\n"), "{config}");
    assert!(
        config.contains("certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t\n"),
        "{config}"
    );
    assert!(config.ends_with(&format!("  user:\n    token: {token}\n")), "{config}");
    assert_eq!(config.matches(&token).count(), 1);
}

#[test]
fn a_stranger_is_told_so_by_the_head_alone() {
    let api = api();
    let head = |authorization: &str, host: &str| {
        let head = Request::post(SERVICES).header("host", host).header("authorization", authorization);
        api.refuse(&head.body(Bytes::new()).unwrap()).map(|refusal| refusal.status().as_u16())
    };
    assert_eq!(head(&format!("Bearer {TOKEN}"), "localhost"), None);
    assert_eq!(head("Bearer x", "localhost"), Some(401));
    assert_eq!(head(&format!("Bearer {TOKEN}"), "evil.example"), Some(403));
}

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
    let deployments = &aggregated["items"][0]["versions"][0]["resources"][0];
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
    assert_eq!(get(&api, "/apis")["groups"][0]["preferredVersion"]["groupVersion"], "apps/v1");
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
            "deployments",
            "deployments/status",
            "deployments/scale",
            "replicasets",
            "replicasets/status",
            "replicasets/scale"
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
    let refused = write(&api, "DELETE /api/v1/namespaces/default/services", JSON, &json!({}));
    assert_eq!(
        message(&refused),
        "405 MethodNotAllowed: the server does not allow this method on the requested resource"
    );
}

// === what kubectl apply does ===

#[test]
fn acc_s1_32_apply_creates_changes_and_leaves_alone() {
    let api = api();
    let path = format!("{SERVICES}/api");
    let missing = send(&api, &format!("GET {path}"), &[], "");
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(value(missing)["message"], "services \"api\" not found");

    let query = "fieldManager=kubectl-client-side-apply&fieldValidation=Strict";
    let (code, created) = write(&api, &format!("POST {SERVICES}?{query}"), JSON, &service("api"));
    assert_eq!((code, &created["spec"]["type"]), (201, &json!("ClusterIP")));

    let patch = json!({"spec": {"$setElementOrder/ports": [{"port": 80}], "ports": [{"port": 80, "targetPort": 8080}]}});
    let (code, changed) = write(&api, &format!("PATCH {path}?{query}"), STRATEGIC, &patch);
    assert_eq!((code, &changed["spec"]["ports"][0]["targetPort"]), (200, &json!(8080)));
    assert_ne!(changed["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    let (_, unchanged) = write(&api, &format!("PATCH {path}?{query}"), STRATEGIC, &patch);
    assert_eq!(unchanged["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]);
    let nulled =
        write(&api, &format!("PATCH {path}"), MERGE, &json!({"metadata": {"creationTimestamp": null}}));
    assert_eq!(nulled.1["metadata"], changed["metadata"], "what only the server sets stays");
}

#[test]
fn acc_s1_32_server_side_apply_creates_and_removes_what_left() {
    let api = api();
    let path = format!("{DEPLOYMENTS}/web?fieldManager=kubectl&fieldValidation=Strict&force=false");
    let mut wanted = deployment();
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    assert_eq!(write(&api, &format!("PATCH {path}"), APPLY, &wanted).0, 201);
    let (code, again) = write(&api, &format!("PATCH {path}"), APPLY, &wanted);
    assert_eq!((code, &again["metadata"]["generation"]), (200, &json!(1)));
    let (_, without) = write(&api, &format!("PATCH {path}"), APPLY, &deployment());
    assert_eq!(without["spec"]["template"]["spec"]["containers"][0].get("env"), None);
    assert_eq!(without["metadata"]["generation"], 2);

    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n";
    let line = "PATCH /api/v1/namespaces/mlops/configmaps/c?fieldManager=ci";
    let created = value(send(&api, line, &[("content-type", APPLY)], yaml));
    assert_eq!(created["metadata"]["namespace"], "mlops");
    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 1}});
    let (code, written) =
        write(&api, &format!("PATCH {DEPLOYMENTS}/web/status?fieldManager=x&force=true"), APPLY, &status);
    assert_eq!(
        (code, &written["status"]["replicas"], &written["spec"]["replicas"]),
        (200, &json!(1), &json!(2))
    );
}

#[test]
fn custom_kinds_take_merge_patches_only() {
    let api = api();
    let isvc = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "iris"},
        "spec": {"predictor": {"sklearn": {"storageUri": "gs://models/iris"}}}});
    let path = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices";
    assert_eq!(write(&api, &format!("POST {path}"), JSON, &isvc).0, 201);
    let patch = json!({"spec": {"predictor": {"minReplicas": 2}}});
    let (_, patched) = write(&api, &format!("PATCH {path}/iris"), MERGE, &patch);
    assert_eq!(patched["spec"]["predictor"]["minReplicas"], 2);
    let refused = write(&api, &format!("PATCH {path}/iris"), STRATEGIC, &patch);
    expect!["415 UnsupportedMediaType: the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"].assert_eq(&message(&refused));
}

#[test]
fn a_dry_run_changes_nothing() {
    let api = api();
    assert_eq!(write(&api, &format!("POST {SERVICES}?dryRun=All"), JSON, &service("api")).0, 201);
    assert_eq!(get(&api, &format!("{SERVICES}/api"))["code"], 404);
    let (_, created) = write(&api, &format!("POST {SERVICES}"), JSON, &service("api"));
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    let (_, tried) = write(&api, &format!("PATCH {SERVICES}/api?dryRun=All"), MERGE, &patch);
    assert_eq!(tried["metadata"]["labels"], patch["metadata"]["labels"]);
    assert_eq!(tried["metadata"]["resourceVersion"], created["metadata"]["resourceVersion"]);
    let refused = write(&api, &format!("POST {SERVICES}?dryRun=Some"), JSON, &service("api"));
    expect![[r#"422 Invalid: dryRun: Unsupported value: "Some": supported values: "All""#]]
        .assert_eq(&message(&refused));
}

#[test]
fn a_body_must_agree_with_its_path() {
    let api = api();
    let post = |body: &Value| message(&write(&api, &format!("POST {SERVICES}"), JSON, body));
    let mut other_namespace = service("api");
    other_namespace["metadata"]["namespace"] = json!("mlops");
    assert_eq!(
        post(&other_namespace),
        "400 BadRequest: the namespace of the provided object does not match the namespace sent on the request"
    );
    assert_eq!(post(&deployment()), "400 BadRequest: a Deployment cannot be handled as a Service");
    assert_eq!(post(&json!([])), "400 BadRequest: the body is not an object");
    assert!(
        post(&json!({"metadata": {}})).starts_with("400 BadRequest: metadata.name is missing"),
        "{}",
        post(&json!({}))
    );
    assert!(post(&json!({"metadata": 1})).starts_with("400 BadRequest"));
    let odd = json!({"metadata": {"name": "api"}, "spec": "x"});
    assert_eq!(
        post(&odd),
        "422 Invalid: Service \"api\" is invalid: spec: Invalid value: \"x\": must be a map"
    );
    let put = write(&api, &format!("PUT {SERVICES}/web"), JSON, &service("api"));
    expect!["400 BadRequest: the name of the object (api) does not match the name on the URL (web)"]
        .assert_eq(&message(&put));
    let all = write(&api, "POST /api/v1/services", JSON, &service("api"));
    assert_eq!(message(&all), "400 BadRequest: an empty namespace may not be set during creation");
    let broken = send(&api, &format!("POST {SERVICES}"), &[("content-type", JSON)], "{");
    assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
    let unknown = send(&api, &format!("POST {SERVICES}"), &[("content-type", "text/html")], "{}");
    assert_eq!(unknown.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[test]
fn a_name_may_be_left_to_be_made_up() {
    let api = api();
    let mut body = service("");
    body["metadata"] = json!({"generateName": "api-"});
    let (code, created) = write(&api, &format!("POST {SERVICES}"), JSON, &body);
    let name = created["metadata"]["name"].as_str().unwrap();
    assert!(code == 201 && name.starts_with("api-") && name.len() == 9, "{name}");
}

#[test]
fn acc_s3_87_a_namespace_exists_once() {
    let api = api();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mlops"}});
    assert_eq!(write(&api, "POST /api/v1/namespaces?fieldManager=kubectl-create", JSON, &namespace).0, 201);
    let refused = write(&api, "POST /api/v1/namespaces?fieldManager=kubectl-create", JSON, &namespace);
    assert_eq!(message(&refused), "409 AlreadyExists: namespaces \"mlops\" already exists");
}

#[test]
fn a_replacement_must_know_what_it_replaces() {
    let api = api();
    let (_, created) = write(&api, &format!("POST {SERVICES}"), JSON, &service("api"));
    let path = format!("PUT {SERVICES}/api");
    let mut first = created.clone();
    first["spec"]["ports"][0]["port"] = json!(81);
    assert_eq!(write(&api, &path, JSON, &first).0, 200);
    let refused = write(&api, &path, JSON, &created);
    expect![[r#"409 Conflict: Operation cannot be fulfilled on services "api": the object has been modified; please apply your changes to the latest version and try again"#]]
    .assert_eq(&message(&refused));
}

#[test]
fn fields_that_nobody_knows_are_refused_only_when_wanted() {
    let api = api();
    let mut wrong = service("api");
    wrong["spec"]["prots"] = json!([]);
    let line = |validation: &str| format!("POST {SERVICES}?fieldValidation={validation}");
    let refused = write(&api, &line("Strict"), JSON, &wrong);
    expect![[r#"400 BadRequest: Service in version "v1" cannot be handled as a Service: strict decoding error: unknown field "spec.prots""#]]
    .assert_eq(&message(&refused));
    let warned = send(&api, &line("Warn"), &[("content-type", JSON)], wrong.to_string());
    let warning = warned.headers()["warning"].to_str().unwrap();
    assert!(warning.starts_with("299 - \"[field-unknown] spec.prots: "), "{warning}");
}

#[test]
fn acc_s3_88_what_is_odd_about_an_object_comes_back_as_a_warning() {
    let api = api();
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "web", "annotations": {"alb.ingress.kubernetes.io/shceme": "internal"}},
        "spec": {"ingressClassName": "alb", "defaultBackend": {"service": {"name": "api", "port": {"number": 80}}}}});
    let line = "POST /apis/networking.k8s.io/v1/namespaces/default/ingresses";
    let written = send(&api, line, &[("content-type", JSON)], ingress.to_string());
    let warnings: Vec<&str> =
        written.headers().get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(
        warnings.iter().any(|warning| warning.contains("annotation-unknown") && warning.contains("scheme")),
        "{warnings:?}"
    );
    let into_nowhere = send(
        &api,
        "POST /api/v1/namespaces/nowhere/services",
        &[("content-type", JSON)],
        service("api").to_string(),
    );
    let warning = into_nowhere.headers()["warning"].to_str().unwrap();
    assert_eq!(warning, "299 - \"namespace `nowhere` was not there and has been created\"");
}

// === get ===

#[test]
fn acc_s3_90_get_shows_a_table() {
    let api = api();
    for name in ["b", "a"] {
        write(&api, &format!("POST {SERVICES}"), JSON, &service(name));
    }
    let table = value(send(&api, &format!("GET {SERVICES}?limit=500"), &[("accept", TABLE)], ""));
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let names: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]);
    assert_eq!(table["columnDefinitions"][6]["priority"], 1);
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][1]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["rows"][1]["object"]["metadata"]["namespace"], "default");
    let one = value(send(&api, &format!("GET {SERVICES}/a?includeObject=Object"), &[("accept", TABLE)], ""));
    assert_eq!(one["rows"][0]["object"]["spec"]["type"], "ClusterIP");
    let list = get(&api, &format!("{SERVICES}?limit=500"));
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("ServiceList"), 2));
    assert!(list["metadata"]["resourceVersion"].is_string());
}

#[test]
fn lists_are_selected_by_labels_and_fields() {
    let api = api();
    for (name, tier) in [("a", "web"), ("b", "db"), ("c", "web")] {
        let mut body = service(name);
        body["metadata"]["labels"] = json!({"tier": tier});
        write(&api, &format!("POST {SERVICES}"), JSON, &body);
    }
    let names = |query: &str| -> Vec<Value> {
        let list = get(&api, &format!("{SERVICES}?{query}"));
        list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].clone()).collect()
    };
    assert_eq!(names("labelSelector=tier%3Dweb"), ["a", "c"]);
    assert_eq!(names("fieldSelector=metadata.name%3Db"), ["b"]);
    assert_eq!(
        names("labelSelector=tier+notin+%28web%29&fieldSelector=metadata.name%21%3Db"),
        Vec::<Value>::new()
    );
    assert_eq!(get(&api, &format!("{SERVICES}?labelSelector=a%20b"))["code"], 400);
}

// === watch ===

async fn lines(response: Response<Body>, n_lines: usize) -> Vec<Value> {
    let Body::Stream(mut stream) = response.into_body() else { panic!("no stream") };
    let mut lines = Vec::new();
    while lines.len() < n_lines
        && let Some(bytes) = stream.next().await
    {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn acc_s3_134_a_watch_goes_on_from_a_list() {
    let api = api();
    write(&api, &format!("POST {SERVICES}"), JSON, &service("a"));
    let revision = get(&api, SERVICES)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let line = format!("GET {SERVICES}?resourceVersion={revision}&watch=true");
    let watch = send(&api, &line, &[("accept", TABLE)], "");
    assert_eq!(watch.headers()["content-type"], "application/json");
    write(&api, &format!("POST {SERVICES}"), JSON, &service("b"));
    write(&api, &format!("PATCH {SERVICES}/b"), MERGE, &json!({"metadata": {"labels": {"x": "y"}}}));
    write(&api, &format!("DELETE {SERVICES}/b"), JSON, &json!({"propagationPolicy": "Background"}));
    let told = lines(watch, 3).await;
    let told: Vec<_> =
        told.iter().map(|line| (&line["type"], &line["object"]["rows"][0]["cells"][0])).collect();
    let b = json!("b");
    assert_eq!(told, [(&json!("ADDED"), &b), (&json!("MODIFIED"), &b), (&json!("DELETED"), &b)]);
}

#[tokio::test(start_paused = true)]
async fn acc_s3_134_a_watch_ends_in_time_and_says_how_far_it_came() {
    let api = api();
    write(&api, &format!("POST {SERVICES}"), JSON, &service("a"));
    let line = format!(
        "GET {SERVICES}?fieldSelector=metadata.name%3Da&resourceVersion=0&watch=true&timeoutSeconds=100&allowWatchBookmarks=true"
    );
    let told = lines(send(&api, &line, &[], ""), 100).await;
    let types: Vec<&Value> = told.iter().map(|line| &line["type"]).collect();
    assert_eq!(types, ["ADDED", "BOOKMARK"]);
    assert_eq!(told[1]["object"]["kind"], "Service");
    assert_eq!(
        told[1]["object"]["metadata"]["resourceVersion"],
        told[0]["object"]["metadata"]["resourceVersion"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_too_long_ago_is_told_so() {
    let api = api();
    let reference = plan::ObjectRef::new("Namespace", "", "default");
    for n in 0..=crate::store::HISTORY_LENGTH {
        api.store.set_status(&reference, json!({"n": n}));
    }
    let told = lines(send(&api, &format!("GET {SERVICES}?resourceVersion=1&watch=1"), &[], ""), 2).await;
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["type"], &told[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(told[0]["object"]["reason"], "Expired");
}

#[test]
fn only_so_many_watches_go_on_at_a_time() {
    let api = api();
    let open = || send(&api, &format!("GET {SERVICES}?watch=true"), &[], "");
    let mut going: Vec<_> = (0..STREAMS).map(|_| open()).collect();
    let refused = open();
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    going.pop();
    assert_eq!(open().status(), StatusCode::OK);
}

// === scale, delete, logs ===

#[test]
fn scale_speaks_of_a_scale() {
    let api = api();
    write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &deployment());
    let (code, scale) =
        write(&api, &format!("PATCH {DEPLOYMENTS}/web/scale"), MERGE, &json!({"spec": {"replicas": 3}}));
    assert_eq!((code, &scale["kind"], &scale["spec"]["replicas"]), (200, &json!("Scale"), &json!(3)));
    assert_eq!(scale["status"]["selector"], "app=web");
    assert_eq!(get(&api, &format!("{DEPLOYMENTS}/web"))["spec"]["replicas"], 3);
    let (_, put) =
        write(&api, &format!("PUT {DEPLOYMENTS}/web/scale"), JSON, &json!({"spec": {"replicas": 1}}));
    assert_eq!(put["spec"]["replicas"], 1);
    let old = json!({"spec": {"replicas": 5}, "metadata": {"resourceVersion": scale["metadata"]["resourceVersion"]}});
    assert_eq!(write(&api, &format!("PATCH {DEPLOYMENTS}/web/scale"), MERGE, &old).0, 409);
    let refused =
        write(&api, &format!("PATCH {DEPLOYMENTS}/web/scale"), MERGE, &json!({"spec": {"replicas": -1}}));
    expect![[r#"422 Invalid: Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"#]]
    .assert_eq(&message(&refused));
    assert_eq!(send(&api, &format!("GET {SERVICES}/web/scale"), &[], "").status(), StatusCode::NOT_FOUND);
}

#[test]
fn acc_s1_47_delete_says_what_is_gone() {
    let api = api();
    let (_, created) = write(&api, &format!("POST {SERVICES}"), JSON, &service("api"));
    let other = json!({"preconditions": {"uid": "another"}});
    assert_eq!(write(&api, &format!("DELETE {SERVICES}/api"), JSON, &other).0, 409);
    assert_eq!(write(&api, &format!("DELETE {SERVICES}/api?dryRun=All"), JSON, &json!({})).0, 200);
    let (code, deleted) =
        write(&api, &format!("DELETE {SERVICES}/api"), JSON, &json!({"propagationPolicy": "Background"}));
    assert_eq!(
        (code, &deleted["kind"], &deleted["metadata"]["uid"]),
        (200, &json!("Service"), &created["metadata"]["uid"])
    );
    let again = send(&api, &format!("DELETE {SERVICES}/api"), &[], "");
    assert_eq!(again.status(), StatusCode::NOT_FOUND);

    write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &deployment());
    assert_eq!(
        write(&api, &format!("DELETE {DEPLOYMENTS}/web?dryRun=All"), JSON, &json!({})).1["kind"],
        "Status"
    );
    let (_, deleted) = write(&api, &format!("DELETE {DEPLOYMENTS}/web"), JSON, &json!({}));
    let details = &deleted["details"];
    assert_eq!((&deleted["kind"], &deleted["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(
        (&details["name"], &details["group"], &details["kind"]),
        (&json!("web"), &json!("apps"), &json!("deployments"))
    );
}

#[test]
fn what_ends_gracefully_is_told_with_its_end() {
    let api = api();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    write(&api, "POST /api/v1/namespaces/default/pods", JSON, &pod);
    let path = "/api/v1/namespaces/default/pods/p";
    let (_, ending) = write(&api, &format!("DELETE {path}"), JSON, &json!({}));
    assert_eq!(
        (&ending["kind"], &ending["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("Pod"), &json!(30))
    );
    let (_, gone) = write(&api, &format!("DELETE {path}"), JSON, &json!({"gracePeriodSeconds": 0}));
    assert_eq!((&gone["kind"], &gone["metadata"]["name"]), (&json!("Pod"), &json!("p")));
    write(&api, "POST /api/v1/namespaces/default/pods", JSON, &pod);
    let (_, gone) = write(&api, &format!("DELETE {path}"), JSON, &json!({"gracePeriodSeconds": 0}));
    assert_eq!(gone["metadata"]["deletionGracePeriodSeconds"], 0);
    assert!(gone["metadata"]["deletionTimestamp"].is_string(), "{gone}");
    assert_eq!(get(&api, path)["code"], 404);
}

#[test]
fn logs_are_those_of_a_container() {
    let api = api();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]}});
    write(&api, "POST /api/v1/namespaces/default/pods", JSON, &pod);
    let log =
        |query: &str| get(&api, &format!("/api/v1/namespaces/default/pods/p/log?{query}"))["message"].clone();
    assert_eq!(log(""), "a container name must be specified for pod p, choose one of: [a b]");
    assert_eq!(log("container=c"), "container c is not valid for pod p");
    assert_eq!(log("container=a"), "there are no logs here: nothing runs on this machine");
    assert_eq!(log("container=a&tailLines=x"), "`tailLines` is `x`, not a whole number from 0");
    assert_eq!(get(&api, "/api/v1/namespaces/default/pods/q/log")["message"], "pods \"q\" not found");
}

#[test]
fn a_patch_that_says_nothing_of_the_folder_keeps_it() {
    let api = api();
    let folder = "/srv/models";
    let map = |annotations: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "f", "annotations": annotations}});
    let path = "/api/v1/namespaces/default/configmaps";
    write(&api, &format!("POST {path}"), JSON, &map(json!({(manifest::BASE_DIRECTORY): folder, "a": "1"})));
    let patch = |patch: &Value| {
        let (code, _) = write(&api, &format!("PATCH {path}/f"), "application/json-patch+json", patch);
        assert_eq!(code, 200);
        get(&api, &format!("{path}/f"))["metadata"]["annotations"].clone()
    };
    let undone = patch(&json!([{"op": "replace", "path": "/metadata/annotations", "value": {"a": "0"}}]));
    assert_eq!(undone, json!({(manifest::BASE_DIRECTORY): folder, "a": "0"}));
    let pointer = format!("/metadata/annotations/{}", manifest::BASE_DIRECTORY.replace('/', "~1"));
    assert_eq!(patch(&json!([{"op": "remove", "path": pointer}])), json!({"a": "0"}));
}
