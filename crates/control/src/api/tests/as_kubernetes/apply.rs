//! Server-side apply, and who owns which fields.

use super::*;

/// Applies a ConfigMap with this data. Gives the code and the answer.
fn apply(api: &Api, manager: &str, data: &Value) -> (u16, Value) {
    let mut map = config_map("c");
    map["data"] = data.clone();
    write(api, &format!("PATCH {CONFIGMAPS}/c?fieldManager={manager}"), APPLY, &map)
}

fn live(api: &Api) -> Value {
    get(api, &format!("{CONFIGMAPS}/c"))
}

/// The managers of an object with what they did.
fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let told = entries.iter().map(|entry| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        format!("{} {} {} {}", text("manager"), text("operation"), text("subresource"), entry["fieldsV1"])
    });
    told.collect()
}

#[test]
fn no_manager() {
    let api = api();
    let refused = write(&api, &format!("PATCH {CONFIGMAPS}/c"), APPLY, &config_map("c"));
    expect![[r#"422 Invalid: PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#]]
    .assert_eq(&message(&refused));
}

#[test]
fn conflict() {
    let api = api();
    assert_eq!(apply(&api, "m1", &json!({"a": "1"})).0, 201);
    let refused = apply(&api, "m2", &json!({"a": "2"}));
    expect![[r#"409 Conflict: Apply failed with 1 conflict: conflict with "m1": .data.a"#]]
        .assert_eq(&message(&refused));
    let cause =
        json!({"reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".data.a"});
    assert_eq!(refused.1["details"]["causes"], json!([cause]));
    assert_eq!(live(&api)["data"], json!({"a": "1"}), "the value stays");
}

#[test]
fn conflict_with_update() {
    let api = api();
    apply(&api, "m1", &json!({"a": "1"}));
    let line = format!("PATCH {CONFIGMAPS}/c?fieldManager=editor");
    write(&api, &line, MERGE, &json!({"data": {"a": "2"}}));
    let refused = apply(&api, "m1", &json!({"a": "1"}));
    expect![[r#"409 Conflict: Apply failed with 1 conflict: conflict with "editor" using v1: .data.a"#]]
        .assert_eq(&message(&refused));
}

#[test]
fn removal_shared() {
    let api = api();
    apply(&api, "m1", &json!({"a": "1", "b": "2"}));
    apply(&api, "m2", &json!({"a": "1"}));
    apply(&api, "m1", &json!({"b": "2"}));
    assert_eq!(live(&api)["data"], json!({"a": "1", "b": "2"}));
    apply(&api, "m2", &json!({}));
    assert_eq!(live(&api)["data"], json!({"b": "2"}));
}

#[test]
fn give_up_by_force_then_apply() {
    let api = api();
    apply(&api, "m1", &json!({"a": "1"}));
    assert_eq!(apply(&api, "m2&force=true", &json!({"a": "2"})).0, 200);
    assert_eq!(apply(&api, "m1", &json!({"a": "1"})).0, 409);
}

#[test]
fn list_by_key() {
    let api = api();
    let path = format!("{DEPLOYMENTS}/web");
    assert_eq!(write(&api, &format!("PATCH {path}?fieldManager=m1"), APPLY, &deployment()).0, 201);
    let side = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "forebay:1"}]}}}});
    let (code, both) = write(&api, &format!("PATCH {path}?fieldManager=m2"), APPLY, &side);
    let containers = both["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    let names: Vec<&Value> = containers.iter().map(|container| &container["name"]).collect();
    assert_eq!((code, names), (200, vec![&json!("api"), &json!("side")]));
}

#[test]
fn ten_managers() {
    let api = api();
    for n in 0..12 {
        let code = apply(&api, &format!("m{n}"), &json!({format!("k{n}"): "v"})).0;
        assert_eq!(code, if n == 0 { 201 } else { 200 });
    }
    assert_eq!(managers(&live(&api)).len(), 12);
}

#[test]
fn more_managers_than_anybody_needs() {
    let api = api();
    let codes: Vec<u16> =
        (0..101).map(|n| apply(&api, &format!("m{n}"), &json!({format!("k{n}"): "v"})).0).collect();
    assert_eq!((codes[99], codes[100]), (200, 413));
}

#[test]
fn with_managed_fields() {
    let api = api();
    let mut map = config_map("c");
    map["metadata"]["managedFields"] = json!([]);
    let refused = write(&api, &format!("PATCH {CONFIGMAPS}/c?fieldManager=m"), APPLY, &map);
    assert_eq!(message(&refused), "400 BadRequest: metadata.managedFields must be nil");
}

#[test]
fn force_without_apply() {
    let api = with_config_maps(&["c"]);
    let refused = write(&api, &format!("PATCH {CONFIGMAPS}/c?force=true"), MERGE, &json!({}));
    expect![[r#"422 Invalid: PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#]]
    .assert_eq(&message(&refused));
}

#[test]
fn no_trace_in_annotations() {
    let api = api();
    let (_, applied) = apply(&api, "m1", &json!({"a": "1"}));
    assert_eq!(applied["metadata"].get("annotations"), None);
    assert_eq!(managers(&applied), [r#"m1 Apply  {"f:data":{"f:a":{}}}"#]);
}

#[test]
fn applying_again_changes_nothing() {
    let api = api();
    let (_, first) = apply(&api, "m1", &json!({"a": "1"}));
    let (_, again) = apply(&api, "m1", &json!({"a": "1"}));
    assert_eq!(first, again);
}

#[test]
fn every_part_of_an_object_has_its_own_managers() {
    let api = api();
    write(&api, &format!("POST {DEPLOYMENTS}?fieldManager=maker"), JSON, &deployment());
    let path = format!("{DEPLOYMENTS}/web");
    write(&api, &format!("PATCH {path}/scale?fieldManager=scaler"), MERGE, &json!({"spec": {"replicas": 5}}));
    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 1}});
    write(&api, &format!("PATCH {path}/status?fieldManager=teller"), APPLY, &status);
    let told = managers(&get(&api, &path));
    assert_eq!(told[0], r#"teller Apply status {"f:status":{"f:replicas":{}}}"#);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.contains(&r#"scaler Update scale {"f:spec":{"f:replicas":{}}}"#.to_owned()), "{told:?}");
    assert!(
        told.iter().any(|line| line.starts_with("maker Update ") && !line.contains("f:replicas")),
        "{told:?}"
    );
}

/// What `kubectl apply --server-side` sends for an object that was applied from the side of the client.
#[test]
fn kubectl_goes_over_to_server_side_apply() {
    let api = api();
    let mut map = config_map("c");
    let remembered = format!("{}\n", config_map("c"));
    map["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": remembered});
    write(&api, &format!("POST {CONFIGMAPS}?fieldManager=kubectl-client-side-apply"), JSON, &map);
    assert_eq!(
        apply(&api, "kubectl", &json!({"k": "w"})).0,
        200,
        "what kubectl applied itself is no conflict"
    );
    let object = live(&api);
    let mut entries = object["metadata"]["managedFields"].clone();
    for entry in entries.as_array_mut().unwrap() {
        if entry["operation"] == "Update" {
            entry["manager"] = json!("kubectl-last-applied");
            entry["operation"] = json!("Apply");
        }
    }
    let patch = json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": object["metadata"]["resourceVersion"]},
    ]);
    let (code, patched) =
        write(&api, &format!("PATCH {CONFIGMAPS}/c"), "application/json-patch+json", &patch);
    assert_eq!(code, 200);
    assert!(managers(&patched).iter().all(|line| line.contains(" Apply ")), "{:?}", managers(&patched));
}
