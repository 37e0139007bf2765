//! Lists: in parts, and as of a revision.

use super::*;

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

fn refused(api: &Api, query: &str) -> String {
    let answer = send(api, &format!("GET {CONFIGMAPS}?{query}"), &[], "");
    message(&(answer.status().as_u16(), value(answer)))
}

#[test]
fn limit() {
    let api = with_config_maps(&["a", "b", "c", "d"]);
    let list = get(&api, &format!("{CONFIGMAPS}?limit=3"));
    assert_eq!(names(&list), ["a", "b", "c"]);
    assert!(list["metadata"]["continue"].is_string());
    assert_eq!(list["metadata"]["remainingItemCount"], 1);
    let selected = get(&api, &format!("{CONFIGMAPS}?limit=3&labelSelector=%21x"));
    assert!(selected["metadata"]["continue"].is_string());
    assert_eq!(selected["metadata"].get("remainingItemCount"), None, "nobody counts what is selected");
    let all = get(&api, &format!("{CONFIGMAPS}?limit=4"));
    assert_eq!(all["metadata"].get("continue"), None);
    assert_eq!(
        get(&api, &format!("{CONFIGMAPS}?limit=1&resourceVersion=0"))["items"].as_array().unwrap().len(),
        4
    );
}

#[test]
fn r#continue() {
    let api = with_config_maps(&["a", "b", "c", "d", "e"]);
    let (mut found, mut revisions, mut query) = (Vec::new(), Vec::new(), "limit=2".to_owned());
    loop {
        let list = get(&api, &format!("{CONFIGMAPS}?{query}"));
        found.extend(names(&list).into_iter().map(ToOwned::to_owned));
        revisions.push(list["metadata"]["resourceVersion"].clone());
        let Some(token) = list["metadata"]["continue"].as_str() else { break };
        query = format!("limit=2&continue={token}");
        // What happens meanwhile is not in this list.
        write(&api, &format!("POST {CONFIGMAPS}"), JSON, &config_map(&format!("f{}", found.len())));
        send(&api, &format!("DELETE {CONFIGMAPS}/e"), &[], "");
    }
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    assert!(revisions.len() == 3 && revisions.iter().all(|revision| *revision == revisions[0]));
}

#[test]
fn continue_nonsense() {
    let api = with_config_maps(&["a"]);
    assert!(refused(&api, "continue=garbage").starts_with("400 BadRequest: invalid continue token"));
    assert!(refused(&api, "continue=e30").starts_with("400 BadRequest: invalid continue token"));
}

#[test]
fn continue_expired() {
    let api = with_config_maps(&["a", "b"]);
    let token = get(&api, &format!("{CONFIGMAPS}?limit=1"))["metadata"]["continue"].clone();
    forget(&api);
    let token = token.as_str().unwrap();
    let refused = get(&api, &format!("{CONFIGMAPS}?limit=1&continue={token}"));
    assert_eq!((&refused["code"], &refused["reason"]), (&json!(410), &json!("Expired")));
    assert!(refused["message"].as_str().unwrap().starts_with("The provided continue parameter is too old"));
    let token = refused["metadata"]["continue"].as_str().unwrap();
    assert_eq!(names(&get(&api, &format!("{CONFIGMAPS}?limit=1&continue={token}"))), ["b"]);
}

#[test]
fn limit_nonsense() {
    let api = with_config_maps(&["a"]);
    assert_eq!(refused(&api, "limit=x"), "400 BadRequest: strconv.ParseInt: parsing \"x\": invalid syntax");
}

#[test]
fn rvmatch_exact_old() {
    let api = with_config_maps(&["a"]);
    let list = get(&api, CONFIGMAPS);
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap();
    write(&api, &format!("POST {CONFIGMAPS}"), JSON, &config_map("b"));
    write(&api, &format!("PATCH {CONFIGMAPS}/a"), MERGE, &json!({"data": {"k": "w"}}));
    let exact = format!("{CONFIGMAPS}?resourceVersion={revision}&resourceVersionMatch=Exact");
    let then = get(&api, &exact);
    assert_eq!((names(&then), &then["items"][0]["data"]["k"]), (vec!["a"], &json!("v")));
    assert_eq!(then["metadata"]["resourceVersion"], revision);
    let newer = format!("{CONFIGMAPS}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan");
    assert_eq!(names(&get(&api, &newer)), ["a", "b"]);
    forget(&api);
    assert_eq!(get(&api, &exact)["code"], 410);
}

#[test]
fn rvmatch_without_rv() {
    let api = with_config_maps(&["a"]);
    expect![[r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"#]]
    .assert_eq(&refused(&api, "resourceVersionMatch=Exact"));
}

#[test]
fn rvmatch_unknown() {
    let api = with_config_maps(&["a"]);
    expect![[r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Bogus": supported values: "Exact", "NotOlderThan", """#]]
    .assert_eq(&refused(&api, "resourceVersion=1&resourceVersionMatch=Bogus"));
}

#[test]
fn rvmatch_exact_0() {
    let api = with_config_maps(&["a"]);
    expect![[r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0""#]]
    .assert_eq(&refused(&api, "resourceVersion=0&resourceVersionMatch=Exact"));
    expect![[r#"422 Invalid: ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"#]]
    .assert_eq(&refused(&api, "sendInitialEvents=true"));
}

/// Many large changes, after which none of before is remembered.
fn forget(api: &Api) {
    let reference = plan::ObjectRef::new("Namespace", "", "default");
    let said = "x".repeat(crate::store::HISTORY_BYTES / 4);
    for n in 0..6 {
        api.store.set_status(&reference, json!({"n": n, "said": said}));
    }
}
