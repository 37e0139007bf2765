//! ResourceQuotas.

use super::*;

fn quota(hard: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}})
}

fn with_quota(hard: &Value) -> Api {
    let api = api();
    made(&api, QUOTAS, &quota(hard));
    api
}

fn used(api: &Api) -> Value {
    get(api, &format!("{QUOTAS}/q"))["status"]["used"].clone()
}

#[test]
fn pods() {
    let api = with_quota(&json!({"pods": "1"}));
    assert_eq!(used(&api), json!({"pods": "0"}));
    made(&api, PODS, &pod("a", &json!({})));
    assert_eq!(used(&api), json!({"pods": "1"}));
    expect![[r#"403 Forbidden: pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"#]]
        .assert_eq(&told(&api, PODS, &pod("b", &json!({}))));
    write(&api, &format!("DELETE {PODS}/a?gracePeriodSeconds=0"), JSON, &json!({}));
    assert_eq!(used(&api), json!({"pods": "0"}));
    made(&api, PODS, &pod("b", &json!({})));
}

#[test]
fn compute_resources() {
    let api = with_quota(&json!({"requests.cpu": "1", "limits.memory": "1Gi", "pods": "10"}));
    expect![[r#"403 Forbidden: pods "a" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c"#]]
        .assert_eq(&told(&api, PODS, &pod("a", &json!({}))));
    made(&api, PODS, &pod("a", &json!({"requests": {"cpu": "600m"}, "limits": {"memory": "600Mi"}})));
    assert_eq!(used(&api), json!({"requests.cpu": "600m", "limits.memory": "600Mi", "pods": "1"}));
    expect![[r#"403 Forbidden: pods "b" is forbidden: exceeded quota: q, requested: limits.memory=600Mi,requests.cpu=600m, used: limits.memory=600Mi,requests.cpu=600m, limited: limits.memory=1Gi,requests.cpu=1"#]]
        .assert_eq(&told(&api, PODS, &pod("b", &json!({"requests": {"cpu": "600m"}, "limits": {"memory": "600Mi"}}))));
}

#[test]
fn counted_objects() {
    let api =
        with_quota(&json!({"count/deployments.apps": "1", "configmaps": "1", "services.nodeports": "1"}));
    made(&api, DEPLOYMENTS, &deployment());
    let mut second = deployment();
    second["metadata"]["name"] = json!("second");
    expect![[r#"403 Forbidden: deployments.apps "second" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1"#]]
        .assert_eq(&told(&api, DEPLOYMENTS, &second));
    made(&api, CONFIGMAPS, &config_map("a"));
    assert!(told(&api, CONFIGMAPS, &config_map("b")).contains("requested: configmaps=1"));
    made(&api, SERVICES, &service("a"));
    // A Service that opens ports only when it is changed is counted all the same.
    let ports = json!({"spec": {"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}});
    let (code, refused) = write(&api, &format!("PATCH {SERVICES}/a"), MERGE, &ports);
    assert_eq!(code, 403, "{refused}");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("requested: services.nodeports=2, used: services.nodeports=0")
    );
}

#[test]
fn scopes() {
    let api = api();
    let mut scoped = quota(&json!({"pods": "0"}));
    scoped["spec"]["scopes"] = json!(["BestEffort"]);
    made(&api, QUOTAS, &scoped);
    assert!(told(&api, PODS, &pod("a", &json!({}))).contains("exceeded quota: q"));
    made(&api, PODS, &pod("a", &json!({"requests": {"cpu": "1m"}})));
}

#[test]
fn what_is_only_tried_is_refused_and_never_counted() {
    let api = with_quota(&json!({"pods": "1"}));
    let tried = write(&api, &format!("POST {PODS}?dryRun=All"), JSON, &pod("a", &json!({})));
    assert_eq!((tried.0, used(&api)), (201, json!({"pods": "0"})));
    made(&api, PODS, &pod("a", &json!({})));
    assert_eq!(write(&api, &format!("POST {PODS}?dryRun=All"), JSON, &pod("b", &json!({}))).0, 403);
}

#[test]
fn apply_is_held_to_it_too() {
    let api = with_quota(&json!({"pods": "0"}));
    let line = format!("PATCH {PODS}/a?fieldManager=m");
    let (code, refused) = write(&api, &line, APPLY, &pod("a", &json!({})));
    assert_eq!(code, 403, "{refused}");
}

#[test]
fn what_was_used_is_right_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.redb");
    let open = || {
        let settings = Settings { token: TOKEN.to_owned(), ..Settings::default() };
        Api::new(Rc::new(Store::open(&file).unwrap()), None, settings)
    };
    let api = open();
    made(&api, QUOTAS, &quota(&json!({"pods": "2", "configmaps": "5"})));
    made(&api, PODS, &pod("a", &json!({})));
    let follows = object(pod("of-a-set", &json!({})));
    api.store.create_pod(follows).unwrap();
    assert_eq!(used(&api)["pods"], "2");
    let refused = api.store.create_pod(object(pod("b", &json!({})))).unwrap_err();
    assert!(refused.message.contains("exceeded quota"), "{refused}");
    drop(api);
    assert_eq!(used(&open()), json!({"pods": "1", "configmaps": "0"}));
}
