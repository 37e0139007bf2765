//! Models that are loaded and unloaded while requests come.

use std::sync::Arc;

use serving::{Repository, RepositoryError, ServedModel, Server, ServerHandler, Settings};

use crate::fixture::{Answer, ask, get, served};

/// A repository of the iris model in two versions, of which there are no others.
#[derive(Debug)]
struct Fixtures;

impl Repository for Fixtures {
    fn load(&self, name: &str) -> Result<Vec<ServedModel>, RepositoryError> {
        match name {
            "iris" => Ok(["2", "1"].map(version).into()),
            "broken" => {
                Err(RepositoryError::Load { name: name.to_owned(), problem: "it is no model".to_owned() })
            }
            name => Err(RepositoryError::Unknown { name: name.to_owned() }),
        }
    }
}

fn version(version: &str) -> ServedModel {
    ServedModel { version: Some(version.to_owned()), ..served("iris") }
}

/// A server of two models, of which clients of its admin address may load and unload the first.
pub(crate) fn server() -> Server {
    let settings = Settings { compute_threads: 1, ..Settings::default() };
    let models = vec![version("1"), served("wine")];
    let server = Server::with_repository(models, settings, Arc::new(Fixtures)).unwrap();
    server.set_admin_address("127.0.0.1:8081".parse().unwrap());
    server
}

/// Sends JSON to a handler as somebody on this machine does.
fn post(handler: &ServerHandler, path: &str, body: &str) -> Answer {
    let fields = [("content-type", "application/json"), ("host", "localhost:8081")];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ask(handler, "POST", path, &fields, body.as_bytes())
}

const ROW: &str = r#"{"id": "a", "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [6.8, 2.8, 4.8, 1.4]}]}"#;

#[track_caller]
fn check(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text()), (status, text));
}

fn asked_version(handler: &ServerHandler, path: &str) -> String {
    let answer = post(handler, path, ROW);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    json["model_version"].as_str().unwrap().to_owned()
}

#[test]
fn a_model_is_read_again_with_all_its_versions() {
    let handler = server().admin_handler();
    assert_eq!(asked_version(&handler, "/v2/models/iris/infer"), "1");
    check(&post(&handler, "/v2/repository/models/iris/load", ""), 200, "");
    assert_eq!(asked_version(&handler, "/v2/models/iris/infer"), "2");
    assert_eq!(asked_version(&handler, "/v2/models/iris/versions/1/infer"), "1");
    check(
        &get(&handler, "/v2/models/iris/versions/3"),
        404,
        r#"{"error":"model `iris` has no version `3`; served here: `2`, `1`"}"#,
    );
    check(&get(&handler, "/v2/models"), 200, r#"{"models":["iris","wine"]}"#);
    assert!(get(&handler, "/v2/models/iris").text().contains(r#""versions":["2","1"]"#));
    let metrics = get(&handler, "/metrics");
    for (version, count) in [("1", 2), ("2", 1)] {
        let line = format!(
            "forebay_model_requests_total{{model=\"iris\",version=\"{version}\",protocol=\"open_inference\",status=\"2xx\"}} {count}"
        );
        assert!(metrics.text().lines().any(|known| known == line), "{line}\n{}", metrics.text());
    }
    let ready = metrics.text().lines().filter(|line| line.starts_with("forebay_model_ready{"));
    assert_eq!(ready.count(), 2);
    let mut warm_ups =
        metrics.text().lines().filter(|line| line.starts_with("forebay_model_warm_up_seconds{"));
    assert!(
        warm_ups.clone().count() == 3 && warm_ups.all(|line| !line.ends_with(" 0.0")),
        "{}",
        metrics.text()
    );
}

#[test]
fn an_unloaded_model_is_gone_until_it_is_loaded() {
    let handler = server().admin_handler();
    check(&post(&handler, "/v2/repository/models/iris/unload", "{}"), 200, "");
    assert_eq!(post(&handler, "/v2/models/iris/infer", ROW).status, 404);
    check(
        &post(&handler, "/v2/repository/index", ""),
        200,
        r#"[{"name":"wine","version":"v1","state":"READY","reason":""},{"name":"iris","version":"","state":"UNAVAILABLE","reason":"unloaded"}]"#,
    );
    for (body, expected) in [
        (r#"{"ready": true}"#, r#"[{"name":"wine","version":"v1","state":"READY","reason":""}]"#),
        (r#"{"ready": 1}"#, r#"{"error":"$.ready: expected `true` or `false`, got a number"}"#),
        (r#"[true]"#, r#"{"error":"expected an object, got a list"}"#),
    ] {
        let status = if expected.starts_with('[') { 200 } else { 400 };
        check(&post(&handler, "/v2/repository/index", body), status, expected);
    }
    for all in [r#"{"ready": false}"#, r#"{"ready": null, "more": [1]}"#, " "] {
        assert!(post(&handler, "/v2/repository/index", all).text().contains("unloaded"), "{all}");
    }
    assert_eq!(get(&handler, "/readyz").status, 200);
    check(
        &post(&handler, "/v2/repository/models/iris/unload", "{}"),
        404,
        r#"{"error":"no model is called `iris`"}"#,
    );
    check(&post(&handler, "/v2/repository/models/iris/load", "{}"), 200, "");
    assert_eq!(asked_version(&handler, "/v2/models/iris/infer"), "2");
    assert!(!post(&handler, "/v2/repository/index", "").text().contains("unloaded"));
}

#[test]
fn the_model_that_is_asked_without_a_name_is_the_same_when_it_was_away() {
    let handler = server().admin_handler();
    let names = || get(&handler, "/v2/models").text().to_owned();
    assert_eq!(names(), r#"{"models":["iris","wine"]}"#);
    check(&post(&handler, "/v2/repository/models/iris/unload", ""), 200, "");
    assert_eq!(names(), r#"{"models":["wine"]}"#);
    check(&post(&handler, "/v2/repository/models/iris/load", ""), 200, "");
    assert_eq!(names(), r#"{"models":["iris","wine"]}"#);
}

#[test]
fn a_model_that_cannot_be_read_leaves_what_is_there() {
    let handler = server().admin_handler();
    check(
        &post(&handler, "/v2/repository/models/rose/load", ""),
        404,
        r#"{"error":"the repository has no model `rose`"}"#,
    );
    check(
        &post(&handler, "/v2/repository/models/broken/load", ""),
        400,
        r#"{"error":"model `broken` cannot be loaded: it is no model"}"#,
    );
    assert_eq!(asked_version(&handler, "/v2/models/iris/infer"), "1");
}

#[test]
fn models_stay_as_they_are_on_other_ports_than_the_admin_one() {
    let path = "/v2/repository/models/iris/unload";
    check(
        &post(&server().handler(), path, ""),
        403,
        r#"{"error":"models are not loaded and unloaded on this port; ask the admin address over HTTP, http://127.0.0.1:8081"}"#,
    );
    let settings = Settings { compute_threads: 1, ..Settings::default() };
    let handler = crate::fixture::server(vec![served("iris")], settings).handler();
    check(
        &post(&handler, path, ""),
        403,
        r#"{"error":"models are not loaded and unloaded by clients here; a server with an admin address does it there"}"#,
    );
    // Predictions are answered on both.
    assert_eq!(asked_version(&server().handler(), "/v2/models/iris/infer"), "1");
    assert_eq!(asked_version(&server().admin_handler(), "/v2/models/iris/infer"), "1");
}

#[test]
fn a_page_of_somebody_else_changes_nothing() {
    let handler = server().admin_handler();
    for fields in [
        vec![("host", "evil.example:8081")],
        vec![("host", "127.0.0.1:8081"), ("origin", "http://evil.example")],
        vec![],
    ] {
        let fields: Vec<_> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let answer = ask(&handler, "POST", "/v2/repository/models/iris/unload", &fields, b"");
        assert_eq!(answer.status, 403, "{fields:?}");
    }
    assert_eq!(asked_version(&handler, "/v2/models/iris/infer"), "1");
}

#[test]
fn parameters_that_would_be_ignored_are_refused() {
    let handler = server().admin_handler();
    let load = |body: &str| post(&handler, "/v2/repository/models/iris/load", body);
    check(
        &load(r#"{"parameters": {"config": "{\"max_batch_size\": 8}"}}"#),
        400,
        r#"{"error":"$.parameters: `config` is not taken: a model is loaded as it is in its folder; change its `forebay.yaml` or `model-settings.json`, and load it again"}"#,
    );
    assert_eq!(load(r#"{"parameters": {"file:1/model.onnx": "AAAA"}}"#).status, 400);
    check(
        &load(r#"{"parameters": 1}"#),
        400,
        r#"{"error":"$.parameters: expected an object, got a number"}"#,
    );
    check(&load("[]"), 400, r#"{"error":"expected an object, got a list"}"#);
    assert_eq!(load("{").status, 400);
    for body in ["", " ", "{}", r#"{"parameters": null, "other": [1]}"#, r#"{"parameters": {}}"#] {
        assert_eq!(load(body).status, 200, "{body}");
    }
    let body = r#"{"parameters": {"unload_dependents": false}}"#;
    check(&post(&handler, "/v2/repository/models/iris/unload", body), 200, "");
}

#[test]
fn no_request_is_lost_while_a_model_is_read_again() {
    let server = server();
    let loads = {
        let server = server.clone();
        std::thread::spawn(move || {
            let handler = server.admin_handler();
            (0..5).for_each(|_| check(&post(&handler, "/v2/repository/models/iris/load", ""), 200, ""));
        })
    };
    let handler = server.handler();
    let mut n_requests = 0;
    while !loads.is_finished() || n_requests < 50 {
        assert_eq!(post(&handler, "/v2/models/iris/infer", ROW).status, 200);
        n_requests += 1;
    }
    loads.join().unwrap();
}
