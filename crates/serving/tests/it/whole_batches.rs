//! Batches that are long enough to leave the connection thread, and models that change while requests come.

use serde_json::{Value, json};
use serving::{ModelState, ServedModel, Settings};

use crate::fixture::{get, post, project, served, server};

fn settings() -> Settings {
    Settings { compute_threads: 1, ..Settings::default() }
}

/// The rows of a case, and what the original library predicts for them.
fn case(name: &str) -> (Vec<Value>, Vec<Value>) {
    let read = |file: &str| -> Value {
        let path = project().join("fixtures/models").join(name).join(file);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let rows = read("input.json")["data"].as_array().unwrap().clone();
    (rows, read("expected.json")["predict"].as_array().unwrap().clone())
}

#[test]
fn a_long_batch_is_answered_whole_and_in_order() {
    let (rows, expected) = case("iris-svc");
    let n_repeats = 1000;
    let handler = server(vec![served("iris")], settings()).handler();
    let body = json!({ "instances": vec![rows; n_repeats].concat() });
    let answer = post(&handler, "/v1/models/iris:predict", &body.to_string());
    assert_eq!(answer.status, 200);
    let predictions: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(predictions["predictions"], Value::Array(vec![expected; n_repeats].concat()));
}

#[test]
fn a_fault_in_a_long_batch_is_told_with_its_row() {
    let (rows, _) = case("iris-svc");
    let mut rows = vec![rows; 1000].concat();
    rows[12_345] = json!([1, 2, "three", 4]);
    let handler = server(vec![served("iris")], settings()).handler();
    let answer = post(&handler, "/v1/models/iris:predict", &json!({ "instances": rows }).to_string());
    let expected = r#"{"error":"$.instances[12345][2]: expected a number, got the text `three`"}"#;
    assert_eq!((answer.status, answer.text()), (400, expected));
}

#[test]
fn models_change_under_a_handler_that_stays() {
    let server = server(vec![ServedModel { state: ModelState::Loading, ..served("iris") }], settings());
    let handler = server.handler();
    let row = r#"{"instances": [[6.8, 2.8, 4.8, 1.4]]}"#;
    assert_eq!(get(&handler, "/readyz").status, 503);
    assert_eq!(post(&handler, "/v1/models/iris:predict", row).status, 503);
    server.replace_models(vec![served("iris"), served("wine")]).unwrap();
    assert_eq!(get(&handler, "/readyz").status, 200);
    assert_eq!(post(&handler, "/v1/models/iris:predict", row).status, 200);
    let twice = server.replace_models(vec![served("iris"), served("iris")]);
    assert_eq!(twice.unwrap_err().to_string(), "two models are called `iris`");
    assert_eq!(post(&handler, "/v1/models/iris:predict", row).status, 200);
    let metrics = get(&handler, "/metrics");
    for line in [
        "forebay_model_requests_total{model=\"iris\",version=\"v1\",protocol=\"kserve_v1\",status=\"2xx\"} 2",
        "forebay_model_requests_total{model=\"iris\",version=\"v1\",protocol=\"kserve_v1\",status=\"5xx\"} 1",
    ] {
        assert!(metrics.text().lines().any(|known| known == line), "{line}\n{}", metrics.text());
    }
}
