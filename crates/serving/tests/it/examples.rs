//! The reference keeps its word: every path is there, and every example is answered.

use serde_json::Value;
use serving::{ServerHandler, Settings};

use crate::fixture::{FIXTURES, get, post, served, server};

fn handler_of_all() -> ServerHandler {
    let models = FIXTURES.iter().map(|fixture| served(fixture.name)).collect();
    server(models, Settings { compute_threads: 1, ..Settings::default() }).handler()
}

fn document(handler: &ServerHandler) -> Value {
    let answer = get(handler, "/openapi.json");
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/json")));
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn acc_s1_02_every_example_of_the_reference_is_answered() {
    let mut n_examples = 0;
    for fixture in FIXTURES {
        let others = FIXTURES.iter().filter(|other| other.name != fixture.name);
        let models = [fixture].into_iter().chain(others).map(|fixture| served(fixture.name)).collect();
        let handler = server(models, Settings { compute_threads: 1, ..Settings::default() }).handler();
        let document = document(&handler);
        assert_eq!(document["openapi"], "3.1.0");
        for (pattern, operations) in document["paths"].as_object().unwrap() {
            let examples = &operations["post"]["requestBody"]["content"]["application/json"]["examples"];
            for (model, example) in examples.as_object().into_iter().flatten() {
                let path = pattern.replace("{model}", model).replace("{version}", "v1");
                let answer = post(&handler, &path, &example["value"].to_string());
                assert_eq!(answer.status, 200, "{path} {example} {}", answer.text());
                n_examples += 1;
            }
        }
    }
    assert!(n_examples >= 50, "{n_examples}");
}

#[test]
fn every_page_of_the_reference_is_there() {
    let handler = handler_of_all();
    for (pattern, operations) in document(&handler)["paths"].as_object().unwrap() {
        if operations.get("get").is_some() {
            let path = pattern.replace("{model}", "wine").replace("{version}", "v1");
            assert_eq!(get(&handler, &path).status, 200, "{path}");
        }
    }
}

#[test]
fn acc_s1_02_the_docs_page_loads_without_the_network() {
    let handler = handler_of_all();
    let page = get(&handler, "/docs");
    assert_eq!((page.status, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let addresses: Vec<&str> =
        page.text().split('"').filter(|part| part.starts_with("docs/") || part.contains("://")).collect();
    assert_eq!(addresses.len(), 3);
    for address in addresses {
        assert_eq!(get(&handler, &format!("/{address}")).status, 200, "{address}");
    }
}

#[test]
fn acc_s3_69_what_happened_is_counted() {
    let handler = handler_of_all();
    let row = r#"{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}"#;
    assert_eq!(post(&handler, "/v1/models/iris:predict", row).status, 200);
    assert_eq!(post(&handler, "/v1/models/iris:predict", "{").status, 400);
    assert_eq!(get(&handler, "/nope").status, 404);
    let answer = get(&handler, "/metrics");
    assert_eq!(answer.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "# TYPE forebay_model_requests_total counter",
        "forebay_model_requests_total{model=\"iris\",version=\"v1\",protocol=\"kserve_v1\",status=\"2xx\"} 1",
        "forebay_model_requests_total{model=\"iris\",version=\"v1\",protocol=\"kserve_v1\",status=\"4xx\"} 1",
        "forebay_model_requests_total{model=\"\",version=\"\",protocol=\"platform\",status=\"4xx\"} 1",
        "forebay_model_rows_total{model=\"iris\",version=\"v1\"} 2",
        "forebay_model_request_duration_seconds_count{model=\"iris\",version=\"v1\"} 2",
        "forebay_model_request_duration_seconds_bucket{le=\"+Inf\",model=\"iris\",version=\"v1\"} 2",
        "forebay_model_ready{model=\"wine\"} 1",
    ] {
        assert!(answer.text().lines().any(|known| known == line), "{line}\n{}", answer.text());
    }
    assert!(!answer.text().contains("# EOF"));
    let accept = [("accept".to_owned(), "application/openmetrics-text; version=1.0.0".to_owned())];
    let answer = crate::fixture::ask(&handler, "GET", "/metrics", &accept, &[]);
    assert!(answer.text().ends_with("# EOF\n"));
    assert!(answer.text().contains("# TYPE forebay_model_requests counter\n"));
}
