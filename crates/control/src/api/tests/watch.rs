//! What `kubectl get --watch` hears.

use super::*;

pub(super) async fn lines(response: Response<Body>, n_lines: usize) -> Vec<Value> {
    let Body::Stream(mut stream) = response.into_body() else { panic!("no stream") };
    let mut lines = Vec::new();
    while lines.len() < n_lines
        && let Some(bytes) = stream.next().await
    {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn acc_s3_134_a_watch_goes_on_from_a_list() {
    let api = api();
    write(&api, &format!("POST {SERVICES}"), JSON, &service("a"));
    let revision = get(&api, SERVICES)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let line = format!("GET {SERVICES}?resourceVersion={revision}&watch=true");
    let watch = send(&api, &line, &[("accept", TABLE)], "");
    assert_eq!(watch.headers()["content-type"], "application/json");
    write(&api, &format!("POST {SERVICES}"), JSON, &service("b"));
    write(&api, &format!("PATCH {SERVICES}/b"), MERGE, &json!({"metadata": {"labels": {"x": "y"}}}));
    write(&api, &format!("DELETE {SERVICES}/b"), JSON, &json!({"propagationPolicy": "Background"}));
    let told = lines(watch, 3).await;
    let told: Vec<_> =
        told.iter().map(|line| (&line["type"], &line["object"]["rows"][0]["cells"][0])).collect();
    let b = json!("b");
    assert_eq!(told, [(&json!("ADDED"), &b), (&json!("MODIFIED"), &b), (&json!("DELETED"), &b)]);
}

#[tokio::test(start_paused = true)]
async fn acc_s3_134_a_watch_ends_in_time_and_says_how_far_it_came() {
    let api = api();
    write(&api, &format!("POST {SERVICES}"), JSON, &service("a"));
    let line = format!(
        "GET {SERVICES}?fieldSelector=metadata.name%3Da&resourceVersion=0&watch=true&timeoutSeconds=100&allowWatchBookmarks=true"
    );
    let told = lines(send(&api, &line, &[], ""), 100).await;
    let types: Vec<&Value> = told.iter().map(|line| &line["type"]).collect();
    assert_eq!(types, ["ADDED", "BOOKMARK", "BOOKMARK"], "after a minute, and before the end");
    assert_eq!(told[1]["object"]["kind"], "Service");
    assert_eq!(
        told[1]["object"]["metadata"]["resourceVersion"],
        told[0]["object"]["metadata"]["resourceVersion"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_too_long_ago_is_told_so() {
    let api = api();
    let reference = plan::ObjectRef::new("Namespace", "", "default");
    let said = "x".repeat(crate::store::HISTORY_BYTES / 4);
    for n in 0..6 {
        api.store.set_status(&reference, json!({"n": n, "said": said}));
    }
    let told = lines(send(&api, &format!("GET {SERVICES}?resourceVersion=1&watch=1"), &[], ""), 2).await;
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["type"], &told[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(told[0]["object"]["reason"], "Expired");
}

#[test]
fn only_so_many_watches_go_on_at_a_time() {
    let api = api();
    let open = || send(&api, &format!("GET {SERVICES}?watch=true"), &[], "");
    let mut going: Vec<_> = (0..STREAMS).map(|_| open()).collect();
    let refused = open();
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    going.pop();
    assert_eq!(open().status(), StatusCode::OK);
}
