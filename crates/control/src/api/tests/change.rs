//! What `kubectl scale` and `delete` do.

use super::*;

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
