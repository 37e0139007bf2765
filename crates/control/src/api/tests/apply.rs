//! What `kubectl apply` and `create` do.

use super::*;

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
    let line = "PATCH /api/v1/namespaces/default/configmaps/c?fieldManager=ci";
    let created = value(send(&api, line, &[("content-type", APPLY)], yaml));
    assert_eq!(created["metadata"]["namespace"], "default");
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
    assert_eq!(
        post(&json!({"metadata": {}})),
        "422 Invalid: Service \"\" is invalid: metadata.name: Required value: name or generateName is required"
    );
    assert!(post(&json!({"metadata": 1})).starts_with("400 BadRequest"));
    let odd = json!({"metadata": {"name": "api"}, "spec": "x"});
    assert_eq!(
        post(&odd),
        "400 BadRequest: Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal string into Go struct field Service.spec of type v1.ServiceSpec"
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
    assert_eq!(warning, r#"299 - "unknown field \"spec.prots\"""#);
    let fields = [("content-type", JSON), (FINDINGS_FIELD, "1")];
    wrong["metadata"]["name"] = json!("other");
    let warned = send(&api, &line("Warn"), &fields, wrong.to_string());
    let finding = warned.headers()[FINDING_FIELD].to_str().unwrap();
    assert!(finding.contains("field-unknown") && finding.contains("\"spec.prots\""), "{finding}");
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
