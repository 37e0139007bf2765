//! Subresources, and questions about who may what.

use super::*;

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";
const AUTHENTICATION: &str = "/apis/authentication.k8s.io/v1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A ServiceAccount `robot`, which may read pods in its namespace, and its token.
fn with_robot() -> (Api, String) {
    let api = api();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    assert_eq!(write(&api, &format!("POST {ACCOUNTS}"), JSON, &account).0, 201);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "readers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
    assert_eq!(write(&api, &format!("POST {RBAC}/namespaces/default/roles"), JSON, &role).0, 201);
    assert_eq!(write(&api, &format!("POST {RBAC}/namespaces/default/rolebindings"), JSON, &binding).0, 201);
    let request = json!({"spec": {"expirationSeconds": 600}});
    let (code, answer) = write(&api, &format!("POST {ACCOUNTS}/robot/token"), JSON, &request);
    assert_eq!((code, &answer["kind"]), (201, &json!("TokenRequest")));
    let token = answer["status"]["token"].as_str().unwrap().to_owned();
    (api, token)
}

fn asked(api: &Api, line: &str, fields: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
    for (name, value) in [("content-type", JSON)].iter().chain(fields) {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = api.handle(&request.body(body.into()).unwrap());
    (answer.status().as_u16(), value(answer))
}

/// Asks as somebody with a token.
fn with(api: &Api, token: &str, line: &str, body: &Value) -> (u16, Value) {
    asked(api, line, &[("authorization", &format!("Bearer {token}"))], body)
}

/// Asks as the owner who wants to be taken for somebody else.
fn taken_for(api: &Api, user: &str, line: &str) -> (u16, Value) {
    asked(
        api,
        line,
        &[("authorization", &format!("Bearer {TOKEN}")), ("impersonate-user", user)],
        &Value::Null,
    )
}

#[test]
fn serviceaccounts_token() {
    let (api, token) = with_robot();
    assert_eq!(with(&api, &token, "GET /api/v1/namespaces/default/pods", &Value::Null).0, 200);
    let refused = with(&api, &token, "GET /api/v1/namespaces/default/secrets", &Value::Null);
    expect![[r#"403 Forbidden: secrets is forbidden: User "system:serviceaccount:default:robot" cannot list resource "secrets" in API group "" in the namespace "default""#]]
    .assert_eq(&message(&refused));
    let refused = with(&api, &token, "GET /api/v1/pods", &Value::Null);
    assert!(message(&refused).ends_with("in API group \"\" at the cluster scope"), "{}", message(&refused));
    let refused = with(&api, &token, "GET /api/v1/namespaces/default/pods/p/log", &Value::Null);
    expect![[r#"403 Forbidden: pods "p" is forbidden: User "system:serviceaccount:default:robot" cannot get resource "pods/log" in API group "" in the namespace "default""#]]
    .assert_eq(&message(&refused));
    let refused = with(&api, &token, "GET /metrics", &Value::Null);
    expect![[
        r#"403 Forbidden: forbidden: User "system:serviceaccount:default:robot" cannot get path "/metrics""#
    ]]
    .assert_eq(&message(&refused));
    assert_eq!(with(&api, &token, "GET /apis/apps/v1", &Value::Null).0, 200);
    let forged = format!("{}x", token.trim_end_matches(|last: char| last != '.'));
    assert_eq!(with(&api, &forged, "GET /api", &Value::Null).0, 401);
    send(&api, &format!("DELETE {ACCOUNTS}/robot"), &[], "");
    assert_eq!(with(&api, &token, "GET /api", &Value::Null).0, 401, "it ends with its account");
}

#[test]
fn tokens_end() {
    let (api, _) = with_robot();
    let short = write(
        &api,
        &format!("POST {ACCOUNTS}/robot/token"),
        JSON,
        &json!({"spec": {"expirationSeconds": 5}}),
    );
    assert!(
        message(&short).contains("may not specify a duration less than 10 minutes"),
        "{}",
        message(&short)
    );
    let (_, answer) = write(
        &api,
        &format!("POST {ACCOUNTS}/robot/token"),
        JSON,
        &json!({"spec": {"expirationSeconds": 600}}),
    );
    let token = answer["status"]["token"].as_str().unwrap();
    let is_good = |now: Timestamp| api.user_of(token, now).is_some();
    let now = Timestamp::now();
    assert!(is_good(now));
    assert!(!is_good(now.checked_add(std::time::Duration::from_secs(601)).unwrap()));
    let other = json!({"spec": {"audiences": ["vault"]}});
    let (_, answer) = write(&api, &format!("POST {ACCOUNTS}/robot/token"), JSON, &other);
    assert!(
        api.user_of(answer["status"]["token"].as_str().unwrap(), now).is_none(),
        "it is for somebody else"
    );
}

#[test]
fn selfsubjectaccessreviews() {
    let (api, token) = with_robot();
    let may = |verb: &str, resource: &str| {
        let spec =
            json!({"resourceAttributes": {"verb": verb, "resource": resource, "namespace": "default"}});
        let (code, answer) = with(
            &api,
            &token,
            &format!("POST {AUTHORIZATION}/selfsubjectaccessreviews"),
            &json!({"spec": spec}),
        );
        assert_eq!((code, &answer["kind"]), (201, &json!("SelfSubjectAccessReview")));
        answer["status"].clone()
    };
    assert_eq!(may("list", "pods")["allowed"], true);
    expect![[
        r#""RBAC: allowed by RoleBinding \"readers/default\" of Role \"reader\" to ServiceAccount \"robot\"""#
    ]]
    .assert_eq(&may("list", "pods")["reason"].to_string());
    assert_eq!(may("delete", "pods"), json!({"allowed": false}));
    let spec = json!({"resourceAttributes": {"verb": "*", "resource": "*"}});
    let (_, owner) =
        write(&api, &format!("POST {AUTHORIZATION}/selfsubjectaccessreviews"), JSON, &json!({"spec": spec}));
    assert_eq!(owner["status"]["allowed"], true);
    let nothing =
        write(&api, &format!("POST {AUTHORIZATION}/selfsubjectaccessreviews"), JSON, &json!({"spec": {}}));
    assert_eq!(nothing.0, 400);
}

#[test]
fn selfsubjectrulesreviews() {
    let (api, token) = with_robot();
    let (code, answer) = with(
        &api,
        &token,
        &format!("POST {AUTHORIZATION}/selfsubjectrulesreviews"),
        &json!({"spec": {"namespace": "default"}}),
    );
    assert_eq!((code, &answer["status"]["incomplete"]), (201, &json!(false)));
    let rules = answer["status"]["resourceRules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["resources"] == json!(["pods"])), "{rules:?}");
}

#[test]
fn selfsubjectreviews_whoami() {
    let (api, token) = with_robot();
    let (code, answer) = with(&api, &token, &format!("POST {AUTHENTICATION}/selfsubjectreviews"), &json!({}));
    let user = &answer["status"]["userInfo"];
    assert_eq!((code, &user["username"]), (201, &json!("system:serviceaccount:default:robot")));
    assert_eq!(
        user["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"])
    );
}

#[test]
fn subjectaccessreviews() {
    let (api, token) = with_robot();
    let review = json!({"spec": {"user": "system:serviceaccount:default:robot",
        "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}});
    let (_, answer) = write(&api, &format!("POST {AUTHORIZATION}/subjectaccessreviews"), JSON, &review);
    assert_eq!(answer["status"]["allowed"], true);
    let local = format!("POST {AUTHORIZATION}/namespaces/default/localsubjectaccessreviews");
    assert_eq!(write(&api, &local, JSON, &review).1["status"]["allowed"], true);
    assert_eq!(with(&api, &token, &format!("POST {AUTHORIZATION}/subjectaccessreviews"), &review).0, 403);
    let nobody = json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
    assert_eq!(write(&api, &format!("POST {AUTHORIZATION}/subjectaccessreviews"), JSON, &nobody).0, 422);
}

#[test]
fn tokenreviews() {
    let (api, token) = with_robot();
    let review = |token: &str| {
        let line = format!("POST {AUTHENTICATION}/tokenreviews");
        write(&api, &line, JSON, &json!({"spec": {"token": token}})).1["status"].clone()
    };
    let good = review(&token);
    assert_eq!(
        (&good["authenticated"], &good["user"]["username"]),
        (&json!(true), &json!("system:serviceaccount:default:robot"))
    );
    assert_eq!(review("nonsense").get("authenticated"), None);
}

#[test]
fn impersonation() {
    let (api, token) = with_robot();
    let refused = taken_for(&api, "bob", "GET /api/v1/namespaces/default/pods");
    expect![[r#"403 Forbidden: pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default""#]]
    .assert_eq(&message(&refused));
    let robot = "system:serviceaccount:default:robot";
    assert_eq!(taken_for(&api, robot, "GET /api/v1/namespaces/default/pods").0, 200);
    let fields = [("authorization", format!("Bearer {token}")), ("impersonate-user", "bob".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = asked(&api, "GET /api/v1/namespaces/default/pods", &fields, &Value::Null);
    expect![[r#"403 Forbidden: users "bob" is forbidden: User "system:serviceaccount:default:robot" cannot impersonate resource "users" in API group "" at the cluster scope"#]]
    .assert_eq(&message(&refused));
    let masters = [
        ("authorization", "Bearer secret"),
        ("impersonate-user", "bob"),
        ("impersonate-group", "system:masters"),
    ];
    assert_eq!(asked(&api, "GET /api/v1/secrets", &masters, &Value::Null).0, 200);
}

#[test]
fn nobody_gives_more_than_he_has() {
    let (api, token) = with_robot();
    let rbac = "rbac.authorization.k8s.io/v1";
    let role = json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": "maker"},
        "rules": [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["create"]}]});
    let mut binding = json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "makers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maker"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
    write(&api, &format!("POST {RBAC}/namespaces/default/roles"), JSON, &role);
    write(&api, &format!("POST {RBAC}/namespaces/default/rolebindings"), JSON, &binding);
    let mut more = role.clone();
    more["metadata"]["name"] = json!("more");
    more["rules"][0] = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]});
    let refused = with(&api, &token, &format!("POST {RBAC}/namespaces/default/roles"), &more);
    assert!(
        refused.0 == 403
            && message(&refused).contains("is attempting to grant RBAC permissions not currently held"),
        "{}",
        message(&refused)
    );
    let otherwise = "POST /apis/rbac%2Eauthorization.k8s.io/v1/namespaces/default/roles";
    assert_eq!(with(&api, &token, otherwise, &more).0, 403, "however the path is written");
    more["rules"][0] = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
    assert_eq!(with(&api, &token, &format!("POST {RBAC}/namespaces/default/roles"), &more).0, 201);
    binding["metadata"]["name"] = json!("admins");
    binding["roleRef"] =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    assert_eq!(with(&api, &token, &format!("POST {RBAC}/namespaces/default/rolebindings"), &binding).0, 403);
}

#[test]
fn pods_eviction() {
    let api = api();
    let pods = "/api/v1/namespaces/default/pods";
    for name in ["p1", "p2"] {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "a", "image": "forebay:1"}]}});
        write(&api, &format!("POST {pods}"), JSON, &pod);
        let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        api.store.set_status(&plan::ObjectRef::new("Pod", "default", name), status);
    }
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    write(&api, "POST /apis/policy/v1/namespaces/default/poddisruptionbudgets", JSON, &budget);
    let evict = |name: &str| {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}});
        write(&api, &format!("POST {pods}/{name}/eviction"), JSON, &eviction)
    };
    let first = evict("p1");
    assert_eq!((first.0, &first.1["status"]), (201, &json!("Success")));
    let second = evict("p2");
    assert_eq!(
        message(&second),
        "429 TooManyRequests: Cannot evict pod as it would violate the pod's disruption budget."
    );
    assert_eq!(
        second.1["details"]["causes"][0]["message"],
        "The disruption budget web needs 1 healthy pods and has 1 currently"
    );
    assert_eq!(evict("nobody").0, 404);
}

#[test]
fn metrics_k8s_io_kubectl_top() {
    let name = crate::local::ContainerName {
        namespace: "default".to_owned(),
        pod: "p".to_owned(),
        container: "main".to_owned(),
    };
    let (machine, _stay) = Machine::with_one(name, &[]);
    let settings = Settings { token: TOKEN.to_owned(), ..Settings::default() };
    let api = Api::new(Rc::new(Store::in_memory()), Some(machine), settings);
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    write(&api, "POST /api/v1/nodes", JSON, &node);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "web"}},
        "spec": {"nodeName": "n", "containers": [{"name": "main", "image": "forebay:1"}]}});
    write(&api, "POST /api/v1/namespaces/default/pods", JSON, &pod);
    let metrics = "/apis/metrics.k8s.io/v1beta1";
    let pods = get(&api, &format!("{metrics}/namespaces/default/pods?labelSelector=app%3Dweb"));
    assert_eq!((&pods["kind"], pods["items"].as_array().map(Vec::len)), (&json!("PodMetricsList"), Some(1)));
    let container = &pods["items"][0]["containers"][0];
    let memory = container["usage"]["memory"].as_str().unwrap();
    assert!(container["name"] == "main" && memory.ends_with("Ki") && memory != "0Ki", "{container}");
    assert!(container["usage"]["cpu"].as_str().unwrap().ends_with('n'));
    assert_eq!(
        get(&api, &format!("{metrics}/nodes/n"))["usage"]["memory"].as_str().unwrap().len(),
        memory.len()
    );
    assert_eq!(get(&api, &format!("{metrics}/pods"))["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(get(&api, &format!("{metrics}/namespaces/default/pods/p"))["kind"], "PodMetrics");
    let groups = get(&api, "/apis")["groups"].clone();
    assert!(groups.as_array().unwrap().iter().any(|group| group["name"] == "metrics.k8s.io"));
}

#[test]
fn pods_ephemeralcontainers_and_resize() {
    let api = api();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    write(&api, "POST /api/v1/namespaces/default/pods", JSON, &pod);
    for part in ["ephemeralcontainers", "resize"] {
        let path = format!("/api/v1/namespaces/default/pods/p/{part}");
        assert_eq!(get(&api, &path)["kind"], "Pod");
        let refused = write(&api, &format!("PATCH {path}"), STRATEGIC, &json!({"spec": {}}));
        assert!(
            message(&refused).starts_with("403 Forbidden: pods \"p\" is forbidden: "),
            "{}",
            message(&refused)
        );
    }
}

#[test]
fn roles_of_every_cluster() {
    let (api, _) = with_robot();
    let rbac = "rbac.authorization.k8s.io/v1";
    for role in ["view", "edit", "admin", "cluster-admin"] {
        let binding = json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": role}]});
        assert_eq!(
            write(&api, &format!("POST {RBAC}/namespaces/default/rolebindings"), JSON, &binding).0,
            201
        );
    }
    let may = |role: &str, path: &str| taken_for(&api, role, &format!("GET {path}")).0 == 200;
    let secrets = "/api/v1/namespaces/default/secrets";
    assert!(may("view", SERVICES) && !may("view", secrets) && !may("view", "/api/v1/services"));
    assert!(may("edit", secrets) && !may("edit", &format!("{RBAC}/namespaces/default/roles")));
    assert!(may("admin", &format!("{RBAC}/namespaces/default/roles")));
    assert!(may("cluster-admin", "/api/v1/namespaces/default/resourcequotas"));
    assert_eq!(taken_for(&api, "view", &format!("DELETE {SERVICES}/x")).0, 403);
    assert_eq!(taken_for(&api, "edit", &format!("DELETE {SERVICES}/x")).0, 404);
}

#[test]
fn who_may_patch_may_not_make_by_applying() {
    let (api, token) = with_robot();
    let patch = json!([{"op": "replace", "path": "/rules", "value": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch"]}]}]);
    let line = format!("PATCH {RBAC}/namespaces/default/roles/reader");
    assert_eq!(write(&api, &line, "application/json-patch+json", &patch).0, 200);
    let fields = [("authorization", format!("Bearer {token}"))];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let apply = || {
        let path = format!("{CONFIGMAPS}/c?fieldManager=m");
        let mut request = Request::builder().method("PATCH").uri(path).header("host", "127.0.0.1");
        for (name, value) in fields.iter().chain(&[("content-type", APPLY)]) {
            request = request.header(*name, *value);
        }
        api.handle(&request.body(config_map("c").to_string().into()).unwrap()).status().as_u16()
    };
    assert_eq!(apply(), 403);
    write(&api, &format!("POST {CONFIGMAPS}"), JSON, &config_map("c"));
    assert_eq!(apply(), 200);
}
