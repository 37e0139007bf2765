//! What becomes of objects whose owner goes.

use super::*;

/// ConfigMaps in which each owns the next.
fn with_chain(names: &[&str]) -> Api {
    let api = api();
    let mut owner: Option<Value> = None;
    for name in names {
        let mut object = config_map(name);
        if let Some(owner) = &owner {
            object["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap",
                "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true}]);
        }
        owner = Some(write(&api, &format!("POST {CONFIGMAPS}"), JSON, &object).1);
    }
    api
}

fn delete(api: &Api, name: &str, policy: &str) -> (u16, Value) {
    write(api, &format!("DELETE {CONFIGMAPS}/{name}"), JSON, &json!({"propagationPolicy": policy}))
}

fn is_there(api: &Api, name: &str) -> bool {
    send(api, &format!("GET {CONFIGMAPS}/{name}"), &[], "").status() == StatusCode::OK
}

#[test]
fn background() {
    let api = with_chain(&["a", "b"]);
    delete(&api, "a", "Background");
    assert!(!is_there(&api, "b"));
}

#[test]
fn chain_of_three() {
    let api = with_chain(&["a", "b", "c"]);
    write(&api, &format!("DELETE {CONFIGMAPS}/a"), JSON, &json!({}));
    assert!(!is_there(&api, "b") && !is_there(&api, "c"));
}

#[test]
fn a_long_chain() {
    let names: Vec<String> = (0..200).map(|n| format!("n{n}")).collect();
    let api = with_chain(&names.iter().map(String::as_str).collect::<Vec<_>>());
    delete(&api, "n0", "Background");
    assert!(!is_there(&api, "n199"));
}

#[test]
fn orphan() {
    let api = with_chain(&["a", "b"]);
    delete(&api, "a", "Orphan");
    let kept = get(&api, &format!("{CONFIGMAPS}/b"));
    assert_eq!((&kept["metadata"]["name"], kept["metadata"].get("ownerReferences")), (&json!("b"), None));
}

#[test]
fn foreground() {
    let api = with_chain(&["a", "b"]);
    let hold = json!({"metadata": {"finalizers": ["example.com/wait"]}});
    write(&api, &format!("PATCH {CONFIGMAPS}/b"), MERGE, &hold);
    delete(&api, "a", "Foreground");
    let owner = get(&api, &format!("{CONFIGMAPS}/a"));
    assert_eq!(owner["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert!(owner["metadata"]["deletionTimestamp"].is_string());
    write(&api, &format!("PATCH {CONFIGMAPS}/b"), MERGE, &json!({"metadata": {"finalizers": null}}));
    assert!(!is_there(&api, "b") && !is_there(&api, "a"));
}

#[test]
fn owner_never_there() {
    let api = api();
    let mut child = config_map("b");
    child["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "never"}]);
    write(&api, &format!("POST {CONFIGMAPS}"), JSON, &child);
    api.store.collect_garbage();
    assert!(!is_there(&api, "b"));
}

#[test]
fn policy_that_is_none() {
    let api = with_chain(&["a"]);
    assert_eq!(delete(&api, "a", "Later").0, 422);
}
