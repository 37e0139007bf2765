//! What an attack on the API tried, and what it meets.

use super::*;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// Somebody who may list and watch the ConfigMaps of these names, or all.
fn with_reader(names: &[&str]) -> Api {
    let api = api();
    let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"], "resourceNames": names});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"}, "rules": [rule]});
    let subject = json!({"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}, "subjects": [subject]});
    for (plural, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
        let path = format!("POST /apis/rbac.authorization.k8s.io/v1/{plural}");
        assert_eq!(write(&api, &path, JSON, &object).0, 201);
    }
    api
}

#[test]
fn nobody_but_the_owner_takes_all_watches() {
    let api = with_reader(&[]);
    let watch = |fields: &[(&str, &str)]| send(&api, &format!("GET {MAPS}?watch=true"), fields, "");
    let as_eve = || watch(&[("impersonate-user", "eve")]);
    let _going: Vec<_> = (0..SHARE).map(|_| as_eve()).collect();
    assert_eq!(as_eve().status(), StatusCode::TOO_MANY_REQUESTS);
    let owners: Vec<_> = (0..STREAMS - SHARE).map(|_| watch(&[])).collect();
    assert!(owners.iter().all(|answer| answer.status() == StatusCode::OK));
}

#[test]
fn some_places_are_kept_for_the_owner() {
    let api = with_reader(&[]);
    let watch = |fields: &[(&str, &str)]| send(&api, &format!("GET {MAPS}?watch=true"), fields, "");
    let _owners: Vec<_> = (0..STREAMS - RESERVED).map(|_| watch(&[])).collect();
    assert_eq!(watch(&[("impersonate-user", "eve")]).status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(watch(&[]).status(), StatusCode::OK);
}

#[test]
fn who_may_see_one_object_lists_it_by_its_name() {
    let api = with_reader(&["a"]);
    let list =
        |query: &str| send(&api, &format!("GET {MAPS}{query}"), &[("impersonate-user", "eve")], "").status();
    assert_eq!(list("?fieldSelector=metadata.name%3Da"), 200);
    assert_eq!(list("?fieldSelector=metadata.name%3Da&watch=true"), 200);
    assert_eq!(list("?fieldSelector=metadata.name%3Db"), 403);
    assert_eq!(list("?fieldSelector=metadata.name!%3Da"), 403);
    assert_eq!(list(""), 403);
}

#[test]
fn a_secret_for_a_token_gets_one() {
    let api = api();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    write(&api, &format!("POST {ACCOUNTS}"), JSON, &account);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "robot", "annotations": {"kubernetes.io/service-account.name": "robot"}}});
    let path = "/api/v1/namespaces/default/secrets";
    assert_eq!(write(&api, &format!("POST {path}"), JSON, &secret).0, 201);
    let found = get(&api, &format!("{path}/robot"));
    let decoded = |key: &str| {
        use base64::Engine as _;
        let bytes = base64::prelude::BASE64_STANDARD.decode(found["data"][key].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(decoded("namespace"), "default");
    let ask = || {
        let request = Request::get("/api/v1/namespaces/default/pods").header("host", "127.0.0.1:7443");
        let request = request.header("authorization", format!("Bearer {}", decoded("token")));
        api.handle(&request.body(Bytes::new()).unwrap()).status()
    };
    assert_eq!(ask(), 403, "it is known, and may not");
    write(&api, &format!("DELETE {path}/robot"), JSON, &json!({}));
    assert_eq!(ask(), 401);
}

#[test]
fn an_object_has_one_controller() {
    let mut body = config_map("a");
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "controller": true});
    body["metadata"]["ownerReferences"] = json!([owner("x"), owner("y")]);
    let refused = message(&write(&api(), &format!("POST {MAPS}"), JSON, &body));
    assert!(refused.starts_with("422 Invalid"), "{refused}");
    assert!(
        refused.ends_with(
            "Only one reference can have Controller set to true. Found \"true\" in references for x and y"
        ),
        "{refused}"
    );
}

#[test]
fn what_is_new_has_no_revision_and_no_uid() {
    let api = api();
    let mut body = config_map("a");
    body["metadata"]["resourceVersion"] = json!("7");
    let refused = write(&api, &format!("POST {MAPS}"), JSON, &body);
    assert_eq!(
        message(&refused),
        "400 BadRequest: resourceVersion should not be set on objects to be created"
    );
    let apply = |body: &Value| write(&api, &format!("PATCH {MAPS}/a?fieldManager=m"), APPLY, body);
    assert_eq!(apply(&body).0, 409);
    body["metadata"] = json!({"name": "a", "uid": "u"});
    assert_eq!(
        message(&apply(&body)),
        "409 Conflict: Operation cannot be fulfilled on configmaps \"a\": uid mismatch: the provided object specified uid u, and no existing object was found"
    );
}

#[test]
fn a_list_does_not_go_on_from_the_future() {
    use base64::Engine as _;
    let token = json!({"v": "meta.k8s.io/v1", "rv": i64::MAX, "start": "default/a"}).to_string();
    let token = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(token);
    let refused = get(&api(), &format!("{MAPS}?continue={token}"));
    assert_eq!((&refused["code"], &refused["reason"]), (&json!(400), &json!("BadRequest")));
}

#[test]
fn a_list_that_is_too_long_is_not_merged_item_by_item() {
    let ports: Vec<Value> =
        (0..5000).map(|n| json!({"port": n % 60_000 + 1, "name": format!("p{n}")})).collect();
    let mut body = service("a");
    body["spec"]["ports"] = json!(ports);
    let refused = write(&api(), &format!("PATCH {SERVICES}/a?fieldManager=m"), APPLY, &body);
    let message = message(&refused);
    assert!(message.ends_with(".spec.ports: a list of more than 4000 items is not merged"), "{message}");
}

#[test]
fn an_owner_that_is_not_there_takes_along_what_a_patch_gives_it() {
    let api = api();
    write(&api, &format!("POST {MAPS}"), JSON, &config_map("a"));
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "u"});
    write(&api, &format!("PATCH {MAPS}/a"), MERGE, &json!({"metadata": {"ownerReferences": [owner]}}));
    let _ = api.store.collect_garbage();
    assert_eq!(get(&api, &format!("{MAPS}/a"))["code"], 404);
}

#[test]
fn a_name_that_is_no_account_is_a_user() {
    let api = api();
    for name in ["system:serviceaccount:n1", "system:serviceaccount:a:b:c", "system:serviceaccount::x"] {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let fields = [("content-type", JSON), ("impersonate-user", name)];
        let path = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
        let told = value(send(&api, path, &fields, review.to_string()));
        assert_eq!(told["status"]["userInfo"]["groups"], json!(["system:authenticated"]), "{told}");
    }
}
