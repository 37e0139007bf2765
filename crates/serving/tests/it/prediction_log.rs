//! Predictions that are logged: to a file, and to a sink.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use serving::{LogMode, LogSettings, LogTarget, PredictionLog, ServerHandler, Settings};

use crate::fixture::{ask, get, post, served, server};

const PATH: &str = "/v1/models/iris:predict";
const BODY: &str = "{\"instances\":\n [[6.8, 2.8, 4.8, 1.4]]}";

/// A server of the iris model that logs.
fn logging(target: LogTarget, sample: f64) -> (ServerHandler, PredictionLog) {
    let server = server(vec![served("iris")], Settings { compute_threads: 1, ..Settings::default() });
    let log = PredictionLog::start(LogSettings { target, sample, mode: LogMode::All }).unwrap();
    server.log_predictions(log.clone());
    (server.handler(), log)
}

fn flush(log: &PredictionLog) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(log.flush(Duration::from_secs(60)));
}

#[track_caller]
fn check_logged(handler: &ServerHandler, written: u64, dropped: u64) {
    let metrics = get(handler, "/metrics");
    for (result, count) in [("written", written), ("dropped", dropped)] {
        let line = format!("forebay_model_log_exchanges_total{{result=\"{result}\"}} {count}");
        assert!(metrics.text().lines().any(|known| known == line), "{line}\n{}", metrics.text());
    }
}

#[test]
fn what_was_asked_and_answered_stands_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let (handler, log) = logging(LogTarget::File(path.clone()), 1.0);
    let fields = [("ce-id", "mine"), ("content-type", "application/json")]
        .map(|(name, value)| (name.into(), value.into()));
    assert_eq!(ask(&handler, "POST", PATH, &fields, BODY.as_bytes()).status, 200);
    assert_eq!(post(&handler, PATH, BODY).status, 200);
    // What is refused was not predicted.
    assert_eq!(post(&handler, PATH, "{\"instances\": [[1]]}").status, 400);
    flush(&log);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 4, "{text}");
    for (event, (kind, data)) in events.iter().zip([
        ("request", serde_json::from_str::<Value>(BODY).unwrap()),
        ("response", serde_json::json!({ "predictions": [1] })),
    ]) {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], format!("org.kubeflow.serving.inference.{kind}"));
        assert_eq!((&event["id"], &event["source"]), (&"mine".into(), &"/v2/models/iris".into()));
        assert_eq!((&event["inferenceservicename"], &event["data"]), (&"iris".into(), &data));
    }
    assert_eq!(events[2]["id"], events[3]["id"]);
    assert_eq!(events[2]["id"].as_str().unwrap().len(), 36);
    check_logged(&handler, 2, 0);
}

#[test]
fn a_sample_is_a_part_of_all() {
    let folder = tempfile::tempdir().unwrap();
    for (sample, expected) in [(0.0, 0..=0), (0.5, 20..=180), (1.0, 200..=200)] {
        let path = folder.path().join(sample.to_string());
        let (handler, log) = logging(LogTarget::File(path.clone()), sample);
        (0..200).for_each(|_| assert_eq!(post(&handler, PATH, BODY).status, 200));
        flush(&log);
        let n_exchanges = std::fs::read_to_string(&path).unwrap().lines().count() / 2;
        assert!(expected.contains(&n_exchanges), "{n_exchanges} of 200 for {sample}");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let target = LogTarget::File(folder.path().to_owned());
    assert!(PredictionLog::start(LogSettings { target, sample: 1.0, mode: LogMode::All }).is_err());
}

/// Answers so many requests on one connection with a status, and gives their heads and bodies.
fn sink(listener: &TcpListener, n_requests: usize, status: &str) -> Vec<(String, String)> {
    let (stream, _) = listener.accept().unwrap();
    let mut stream = BufReader::new(stream);
    let mut requests = Vec::new();
    for _ in 0..n_requests {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
        requests.push((head, String::from_utf8(body).unwrap()));
    }
    requests
}

#[test]
fn a_sink_gets_both_events_over_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let (handler, log) = logging(LogTarget::Http(url.parse().unwrap()), 1.0);
    let sink = std::thread::spawn(move || sink(&listener, 4, "202 Accepted"));
    (0..2).for_each(|_| assert_eq!(post(&handler, PATH, BODY).status, 200));
    flush(&log);
    let requests = sink.join().unwrap();
    let (head, body) = &requests[0];
    assert!(head.starts_with("post /events http/1.1\r\n"), "{head}");
    for field in [
        "ce-specversion: 1.0",
        "ce-type: org.kubeflow.serving.inference.request",
        "ce-source: /v2/models/iris",
        "ce-inferenceservicename: iris",
        "content-type: application/json",
    ] {
        assert!(head.lines().any(|line| line == field), "{field}\n{head}");
    }
    assert_eq!(body, BODY);
    assert!(requests[1].0.contains("ce-type: org.kubeflow.serving.inference.response"));
    assert_eq!(requests[1].1, r#"{"predictions":[1]}"#);
    check_logged(&handler, 2, 0);
}

#[test]
fn a_sink_that_refuses_or_is_away_costs_events_and_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (handler, log) = logging(LogTarget::Http(url.parse().unwrap()), 1.0);
    let sink = std::thread::spawn(move || sink(&listener, 1, "500 Internal Server Error"));
    assert_eq!(post(&handler, PATH, BODY).text(), r#"{"predictions":[1]}"#);
    sink.join().unwrap();
    // Now nobody listens there any more.
    assert_eq!(post(&handler, PATH, BODY).text(), r#"{"predictions":[1]}"#);
    flush(&log);
    check_logged(&handler, 0, 2);
}
