//! Who is let in.

use super::*;

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
fn whoever_asks_as_somebody_whose_name_cannot_be_read_is_not_taken_for_himself() {
    let api = api();
    let whoami = |fields: &[(&str, &str)]| {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let fields = [&[("content-type", JSON)], fields].concat();
        let path = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
        value(send(&api, path, &fields, review.to_string()))
    };
    let as_somebody = whoami(&[("impersonate-user", "jürgen")]);
    assert_eq!(as_somebody["status"]["userInfo"]["username"], "jürgen", "{as_somebody}");
    assert_eq!(whoami(&[("impersonate-group", "gü")])["status"], "Failure");
    let many = vec![("impersonate-group", "g"); 101];
    assert_eq!(whoami(&[&[("impersonate-user", "a")], &many[..]].concat())["code"], 400);
}

#[test]
fn a_selector_that_leaves_a_requirement_out_selects_nothing() {
    let api = api();
    for selector in ["%2C", "a%3Db%2C", "%2Ca"] {
        let path = format!("GET /api/v1/namespaces/default/configmaps?labelSelector={selector}");
        assert_eq!(send(&api, &path, &[], "").status(), 400, "{selector}");
    }
}

#[test]
fn a_binding_keeps_its_role_and_has_one() {
    let api = api();
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    let mut binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b"}});
    assert_eq!(write(&api, &format!("POST {bindings}"), JSON, &binding).0, 422);
    binding["roleRef"] = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"});
    assert_eq!(write(&api, &format!("POST {bindings}"), JSON, &binding).0, 201);
    binding.as_object_mut().unwrap().remove("roleRef");
    assert_eq!(write(&api, &format!("PUT {bindings}/b"), JSON, &binding).0, 422);
}

#[test]
fn a_list_without_end_is_not_merged_item_by_item() {
    let api = api();
    let path = "/api/v1/namespaces/default/configmaps";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    assert_eq!(write(&api, &format!("POST {path}"), JSON, &map).0, 201);
    let finalizers: Vec<String> = (0..5000).map(|index| format!("a/{index}")).collect();
    let patch = json!({"metadata": {"$setElementOrder/finalizers": finalizers, "finalizers": finalizers}});
    let refused = write(&api, &format!("PATCH {path}/c?dryRun=All"), STRATEGIC, &patch);
    assert_eq!(refused.0, 400, "{}", message(&refused));
}
