//! Whom an object waits for before it goes.

use super::*;

fn held(name: &str, finalizer: &str) -> Value {
    let mut held = config_map(name);
    held["metadata"]["finalizers"] = json!([finalizer]);
    held
}

#[test]
fn no_new_ones_while_deleting() {
    let api = api();
    write(&api, &format!("POST {CONFIGMAPS}"), JSON, &held("a", "example.com/a"));
    let path = format!("{CONFIGMAPS}/a");
    write(&api, &format!("DELETE {path}"), JSON, &json!({}));
    let more = json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}});
    let (code, refused) = write(&api, &format!("PATCH {path}"), MERGE, &more);
    assert_eq!((code, &refused["details"]["causes"][0]["field"]), (422, &json!("metadata.finalizers")));
    let (code, _) = write(&api, &format!("PATCH {path}"), MERGE, &json!({"metadata": {"finalizers": null}}));
    assert_eq!((code, send(&api, &format!("GET {path}"), &[], "").status().as_u16()), (200, 404));
}

#[test]
fn unqualified() {
    let (code, refused) = write(&api(), &format!("POST {CONFIGMAPS}"), JSON, &held("a", "f"));
    assert_eq!((code, &refused["reason"]), (422, &json!("Invalid")));
}
