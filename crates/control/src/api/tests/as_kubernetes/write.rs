//! Creating, replacing and deleting.

use super::*;

#[test]
fn delete_service_returns_object() {
    let api = api();
    write(&api, &format!("POST {SERVICES}"), JSON, &service("api"));
    let (code, answer) = write(&api, &format!("DELETE {SERVICES}/api"), JSON, &json!({}));
    assert_eq!((code, &answer["kind"], &answer["metadata"]["name"]), (200, &json!("Service"), &json!("api")));
}

#[test]
fn delete_precondition_rv() {
    let api = with_config_maps(&["c"]);
    let path = format!("{CONFIGMAPS}/c");
    let before = get(&api, &path)["metadata"]["resourceVersion"].clone();
    write(&api, &format!("PATCH {path}"), MERGE, &json!({"data": {"k": "w"}}));
    let options = json!({"preconditions": {"resourceVersion": before}});
    let (code, answer) = write(&api, &format!("DELETE {path}"), JSON, &options);
    assert_eq!((code, &answer["reason"]), (409, &json!("Conflict")));
    assert_eq!(get(&api, &path)["data"]["k"], "w");
}

#[test]
fn status_field_order() {
    let api = api();
    let refused = text(send(&api, &format!("GET {CONFIGMAPS}/nobody"), &[], ""));
    assert!(
        refused
            .starts_with(r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"#),
        "{refused}"
    );
    assert!(refused.ends_with(",\"code\":404}\n"), "{refused}");

    // The Python client shows it as it is, and its own tests compare it.
    let api = with_config_maps(&["c"]);
    let create = |path: &str, object: &Value| {
        text(send(&api, &format!("POST {path}"), &[("content-type", JSON)], object.to_string()))
    };
    let again = create(CONFIGMAPS, &config_map("c"));
    let details = r#""reason":"AlreadyExists","details":{"name":"c","kind":"configmaps"},"code":409}"#;
    assert!(again.ends_with(&format!("{details}\n")), "{again}");
    write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &deployment());
    let again = create(DEPLOYMENTS, &deployment());
    assert!(again.contains(r#""details":{"name":"web","group":"apps","kind":"deployments"},"#), "{again}");
    let invalid = create(CONFIGMAPS, &config_map("C"));
    assert!(
        invalid.contains(r#""kind":"ConfigMap","causes":[{"reason":"FieldValueInvalid","message":""#),
        "{invalid}"
    );
    let gone = text(send(&api, &format!("DELETE {DEPLOYMENTS}/web"), &[], ""));
    let details = r#""status":"Success","details":{"name":"web","group":"apps","kind":"deployments","uid":""#;
    assert!(gone.contains(details), "{gone}");
}

#[test]
fn create_managed_fields() {
    let api = api();
    let fields = [("content-type", JSON), ("user-agent", "kubectl/v1.33.1 (linux/amd64)")];
    let created = value(send(&api, &format!("POST {CONFIGMAPS}"), &fields, config_map("c").to_string()));
    let entry = &created["metadata"]["managedFields"][0];
    assert_eq!((&entry["manager"], &entry["operation"]), (&json!("kubectl"), &json!("Update")));
    assert_eq!((&entry["apiVersion"], &entry["fieldsType"]), (&json!("v1"), &json!("FieldsV1")));
    assert_eq!(entry["fieldsV1"], json!({"f:data": {".": {}, "f:k": {}}}));
    assert_eq!(entry["time"], created["metadata"]["creationTimestamp"]);
}

#[test]
fn no_name() {
    let api = api();
    let mut nameless = config_map("");
    nameless["metadata"] = json!({});
    expect![[r#"422 Invalid: ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required"#]]
    .assert_eq(&message(&write(&api, &format!("POST {CONFIGMAPS}"), JSON, &nameless)));
}

#[test]
fn body_too_large() {
    let api = api();
    let long = format!("\"{}\"", "x".repeat(BODY_LIMIT));
    let refused = send(&api, &format!("POST {CONFIGMAPS}"), &[("content-type", JSON)], long);
    let refused = (refused.status().as_u16(), value(refused));
    assert_eq!(message(&refused), "413 RequestEntityTooLarge: Request entity too large: limit is 3145728");
}

#[test]
fn deletecollection() {
    let api = with_config_maps(&["a", "b", "c"]);
    write(&api, &format!("PATCH {CONFIGMAPS}/b"), MERGE, &json!({"metadata": {"labels": {"keep": "me"}}}));
    let deleted = value(send(&api, &format!("DELETE {CONFIGMAPS}?labelSelector=%21keep"), &[], ""));
    assert_eq!((&deleted["kind"], deleted["items"].as_array().unwrap().len()), (&json!("ConfigMapList"), 2));
    assert_eq!(get(&api, CONFIGMAPS)["items"].as_array().unwrap().len(), 1);
    let tried = send(&api, &format!("DELETE {CONFIGMAPS}?dryRun=All"), &[], "");
    assert_eq!(tried.status(), StatusCode::OK);
    assert_eq!(get(&api, CONFIGMAPS)["items"].as_array().unwrap().len(), 1);
    assert_eq!(send(&api, "DELETE /api/v1/namespaces", &[], "").status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(send(&api, "DELETE /api/v1/configmaps", &[], "").status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn delete_pod_returns_object() {
    let api = api();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    for options in [json!({}), json!({"gracePeriodSeconds": 0})] {
        write(&api, "POST /api/v1/namespaces/default/pods", JSON, &pod);
        let (code, answer) = write(&api, "DELETE /api/v1/namespaces/default/pods/p", JSON, &options);
        assert_eq!((code, &answer["kind"]), (200, &json!("Pod")), "{options}");
        assert!(answer["metadata"]["deletionTimestamp"].is_string(), "{answer}");
    }
}

#[test]
fn delete_serviceaccount_returns_object() {
    let api = api();
    for (kind, plural) in [
        ("ServiceAccount", "serviceaccounts"),
        ("PersistentVolumeClaim", "persistentvolumeclaims"),
        ("ResourceQuota", "resourcequotas"),
    ] {
        let spec = match kind {
            "PersistentVolumeClaim" => {
                json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})
            }
            _ => json!({"hard": {"pods": "1"}}),
        };
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec});
        if kind == "ServiceAccount" {
            object.as_object_mut().unwrap().remove("spec");
        }
        let path = format!("/api/v1/namespaces/default/{plural}");
        assert_eq!(write(&api, &format!("POST {path}"), JSON, &object).0, 201, "{kind}");
        let (code, answer) = write(&api, &format!("DELETE {path}/a"), JSON, &json!({}));
        assert_eq!((code, &answer["kind"]), (200, &json!(kind)));
    }
}

/// How controllers add the first finalizer (kube-rs): only where there is none.
#[test]
fn patch_json_test_null_absent() {
    let api = with_config_maps(&["c"]);
    let patch =
        |patch: Value| write(&api, &format!("PATCH {CONFIGMAPS}/c"), "application/json-patch+json", &patch);
    let first = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/one"]},
    ]);
    let (code, patched) = patch(first.clone());
    assert_eq!((code, &patched["metadata"]["finalizers"]), (200, &json!(["example.com/one"])), "{patched}");
    assert_eq!(patch(first).0, 422);
    assert_eq!(patch(json!([{"op": "test", "path": "/metadata/nothing", "value": "x"}])).0, 422);
}
