//! Watches.

use super::*;
use crate::api::tests::watch::lines;

async fn watched(api: &Api, query: &str, n_lines: usize) -> Vec<Value> {
    lines(send(api, &format!("GET {CONFIGMAPS}?watch=true&timeoutSeconds=5&{query}"), &[], ""), n_lines).await
}

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

#[test]
fn rv_future_list_504() {
    let api = with_config_maps(&["a"]);
    let (path, current) = (format!("{CONFIGMAPS}?resourceVersion=99999999999"), api.store.revision());
    let answer = send(&api, &format!("GET {path}"), &[], "");
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (504, &"1".parse().unwrap()));
    let answer = value(answer);
    assert_eq!(
        answer["message"],
        format!("Timeout: Too large resource version: 99999999999, current: {current}")
    );
    assert_eq!(
        (&answer["reason"], &answer["details"]["causes"][0]["reason"]),
        (&json!("Timeout"), &json!("ResourceVersionTooLarge"))
    );
    assert_eq!(get(&api, &format!("{CONFIGMAPS}/a?resourceVersion=99999999999"))["code"], 504);
}

#[test]
fn rv_nonsense() {
    let api = with_config_maps(&["a"]);
    let list = get(&api, &format!("{CONFIGMAPS}?resourceVersion=abc"));
    assert_eq!(
        (&list["code"], &list["message"]),
        (
            &json!(400),
            &json!(
                "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax"
            )
        )
    );
    let watch = get(&api, &format!("{CONFIGMAPS}?resourceVersion=abc&watch=1"));
    assert_eq!((&watch["code"], &watch["reason"]), (&json!(422), &json!("Invalid")));
}

#[tokio::test(start_paused = true)]
async fn bookmark_before_timeout() {
    let api = with_config_maps(&["a"]);
    let start = tokio::time::Instant::now();
    let told = watched(&api, "resourceVersion=0&allowWatchBookmarks=true", 2).await;
    assert_eq!((types(&told), start.elapsed().as_secs()), (vec!["ADDED", "BOOKMARK"], 3));
    assert_eq!(types(&watched(&api, "resourceVersion=0", 9).await), ["ADDED"]);
}

#[tokio::test(start_paused = true)]
async fn send_initial_events_true() {
    let api = with_config_maps(&["a", "b"]);
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let told = watched(&api, query, 3).await;
    assert_eq!(types(&told), ["ADDED", "ADDED", "BOOKMARK"]);
    let bookmark = &told[2]["object"];
    assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(bookmark["metadata"]["resourceVersion"], api.store.revision().to_string());
    assert_eq!((&bookmark["kind"], &bookmark["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
    let none = watched(&api, &format!("{query}&labelSelector=nobody"), 1).await;
    assert_eq!(types(&none), ["BOOKMARK"]);
}

#[tokio::test(start_paused = true)]
async fn send_initial_events_false() {
    let api = with_config_maps(&["a", "b"]);
    let query = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    assert_eq!(types(&watched(&api, query, 9).await), Vec::<&str>::new());
    let line = format!("GET {CONFIGMAPS}?watch=true&sendInitialEvents=false");
    let refused = send(&api, &line, &[], "");
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    expect![[r#"ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"#]]
    .assert_eq(value(refused)["message"].as_str().unwrap());
}

#[tokio::test(start_paused = true)]
async fn single_object_watch_path() {
    let api = with_config_maps(&["a", "b"]);
    let watch = send(&api, &format!("GET {CONFIGMAPS}/b?watch=true&timeoutSeconds=1"), &[], "");
    let told = lines(watch, 9).await;
    assert_eq!((told.len(), &told[0]["object"]["metadata"]["name"]), (1, &json!("b")));
}

#[tokio::test(start_paused = true)]
async fn deprecated_watch_path() {
    let api = with_config_maps(&["a", "b"]);
    for (path, n) in
        [("namespaces/default/configmaps", 2), ("configmaps", 2), ("namespaces/default/configmaps/a", 1)]
    {
        let watch = send(&api, &format!("GET /api/v1/watch/{path}?timeoutSeconds=1"), &[], "");
        assert_eq!(lines(watch, 9).await.len(), n, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn watch_partial_metadata() {
    let api = with_config_maps(&["a"]);
    let line = format!("GET {CONFIGMAPS}?watch=true&timeoutSeconds=5&allowWatchBookmarks=true");
    let told = lines(send(&api, &line, &[("accept", PARTIAL)], ""), 9).await;
    assert_eq!(types(&told), ["ADDED", "BOOKMARK"]);
    for line in &told {
        assert_eq!(
            (&line["object"]["kind"], line["object"].get("data")),
            (&json!("PartialObjectMetadata"), None)
        );
    }
}

#[test]
fn metadata_informer_fallback() {
    let api = with_config_maps(&["a"]);
    let accept = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let list = value(send(&api, &format!("GET {CONFIGMAPS}"), &[("accept", accept)], ""));
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(list["items"][0].get("data"), None);
}

#[tokio::test(start_paused = true)]
async fn history_of_1000_changes() {
    let api = with_config_maps(&["a"]);
    let revision = get(&api, CONFIGMAPS)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    for n in 0..1500 {
        write(&api, &format!("PATCH {CONFIGMAPS}/a"), MERGE, &json!({"data": {"k": n.to_string()}}));
    }
    let told = watched(&api, &format!("resourceVersion={revision}"), 1500).await;
    assert_eq!((told.len(), &told[1499]["object"]["data"]["k"]), (1500, &json!("1499")));
}

#[test]
fn gzip() {
    use std::io::Read;
    let api = api();
    let mut map = config_map("a");
    map["data"]["k"] = json!("x".repeat(200_000));
    write(&api, &format!("POST {CONFIGMAPS}"), JSON, &map);
    let list =
        |encodings: &str| send(&api, &format!("GET {CONFIGMAPS}"), &[("accept-encoding", encodings)], "");
    let answer = list("gzip");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.headers()["vary"], "Accept-Encoding");
    let Body::Full(bytes) = answer.into_body() else { panic!("no body") };
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["kind"], "ConfigMapList");
    assert!(list("identity").headers().get("content-encoding").is_none());
    let short = send(&api, "GET /api/v1/namespaces", &[("accept-encoding", "gzip")], "");
    assert!(short.headers().get("content-encoding").is_none());
}
