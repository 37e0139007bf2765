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
}
