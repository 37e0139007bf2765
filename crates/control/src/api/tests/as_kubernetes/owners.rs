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

/// What an object says of its owner.
fn owned_by(owner: &Value) -> Value {
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true})
}

fn has_owners(api: &Api, name: &str, owners: &Value) {
    let owners = json!({"metadata": {"ownerReferences": owners}});
    assert_eq!(write(api, &format!("PATCH {CONFIGMAPS}/{name}"), MERGE, &owners).0, 200);
}

#[test]
fn foreground_with_another_owner() {
    let api = with_config_maps(&["one", "two", "child"]);
    let [one, two] = ["one", "two"].map(|name| owned_by(&get(&api, &format!("{CONFIGMAPS}/{name}"))));
    has_owners(&api, "child", &json!([one, two]));
    delete(&api, "one", "Foreground");
    assert!(!is_there(&api, "one"));
    let child = get(&api, &format!("{CONFIGMAPS}/child"));
    assert_eq!(child["metadata"]["ownerReferences"], json!([two]));
    delete(&api, "two", "Foreground");
    assert!(!is_there(&api, "two") && !is_there(&api, "child"));
}

#[test]
fn owner_of_a_foreign_kind() {
    for (version, kind) in [("serving.knative.dev/v1", "Service"), ("apps/v9", "Deployment")] {
        let api = api();
        let mut child = config_map("b");
        child["metadata"]["ownerReferences"] =
            json!([{"apiVersion": version, "kind": kind, "name": "foo", "uid": "never"}]);
        write(&api, &format!("POST {CONFIGMAPS}"), JSON, &child);
        api.store.collect_garbage();
        assert!(is_there(&api, "b"), "{version} {kind}");
    }
}

#[test]
fn owner_in_a_namespace_of_an_object_in_none() {
    for policy in ["Background", "Foreground"] {
        let api = with_config_maps(&["a"]);
        let owner = owned_by(&get(&api, &format!("{CONFIGMAPS}/a")));
        let child = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "r", "ownerReferences": [owner]}, "rules": []});
        let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
        write(&api, &format!("POST {roles}"), JSON, &child);
        api.store.collect_garbage();
        delete(&api, "a", policy);
        assert!(!is_there(&api, "a"));
        assert_eq!(get(&api, &format!("{roles}/r"))["metadata"]["ownerReferences"], json!([owner]));
    }
}

#[test]
fn finalizers_of_the_collector() {
    for finalizer in ["orphan", "foregroundDeletion"] {
        for policy in ["Background", "Foreground", "Orphan"] {
            let api = with_chain(&["a", "b"]);
            let hold = json!({"metadata": {"finalizers": [finalizer]}});
            write(&api, &format!("PATCH {CONFIGMAPS}/a"), MERGE, &hold);
            delete(&api, "a", policy);
            assert!(!is_there(&api, "a"), "{finalizer} {policy}");
            assert_eq!(is_there(&api, "b"), policy == "Orphan", "{finalizer} {policy}");
        }
    }
}

#[test]
fn finalizer_orphan_without_a_policy() {
    let api = with_chain(&["a", "b"]);
    let hold = json!({"metadata": {"finalizers": ["orphan"]}});
    write(&api, &format!("PATCH {CONFIGMAPS}/a"), MERGE, &hold);
    write(&api, &format!("DELETE {CONFIGMAPS}/a"), JSON, &json!({}));
    assert!(!is_there(&api, "a") && is_there(&api, "b"));
}

#[test]
fn owners_of_each_other() {
    for names in [&["a"][..], &["a", "b"], &["a", "b", "c"]] {
        let api = with_chain(names);
        let last = owned_by(&get(&api, &format!("{CONFIGMAPS}/{}", names[names.len() - 1])));
        has_owners(&api, "a", &json!([last]));
        delete(&api, "a", "Foreground");
        assert!(names.iter().all(|name| !is_there(&api, name)), "{names:?}");
    }
}
