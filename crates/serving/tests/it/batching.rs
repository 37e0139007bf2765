//! Requests that are joined: each gets the answer it would get alone.

use std::rc::Rc;
use std::time::{Duration, Instant};

use models::{Batch, Batching, Method};
use serde_json::{Value, json};
use serving::{ServerHandler, Settings};
use tokio::task::{LocalSet, spawn_local};

use crate::fixture::{Answer, answer, get, project, request, served, server};

fn settings(max_rows: usize, max_delay: Duration) -> Settings {
    Settings { compute_threads: 1, batching: Some(Batching { max_rows, max_delay }), ..Settings::default() }
}

/// No client waits as long as this.
const FOREVER: Duration = Duration::from_secs(3600);
/// Long enough for requests that are sent at once to meet.
const A_WHILE: Duration = Duration::from_millis(100);

/// Sends bodies to a path, all at once.
fn ask_at_once(handler: &ServerHandler, path: &str, bodies: &[String]) -> Vec<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let ask = |body: &String| {
            let (handler, request) = (handler.clone(), request("POST", path, &[], body.as_bytes()));
            spawn_local(async move { answer(&handler, request).await })
        };
        let asked: Vec<_> = bodies.iter().map(ask).collect();
        let mut answers = Vec::new();
        for answer in asked {
            answers.push(answer.await.unwrap());
        }
        answers
    })
}

fn instances(rows: &[Value]) -> String {
    json!({ "instances": rows }).to_string()
}

fn rows(fixture: &str) -> Vec<Value> {
    let path = project().join("fixtures/models").join(fixture).join("input.json");
    let input: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    input["data"].as_array().unwrap().clone()
}

/// How many batches had at most so many rows, and how many rows they had together.
fn batches(handler: &ServerHandler, model: &str) -> (u64, u64) {
    let metrics = get(handler, "/metrics");
    let value = |name: &str| {
        let line = format!("forebay_model_batch_rows_{name}{{model=\"{model}\",version=\"v1\"}} ");
        let value = metrics.text().lines().find_map(|known| known.strip_prefix(&line));
        value.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
    };
    (value("count"), value("sum"))
}

#[test]
fn joined_requests_are_answered_as_alone() {
    let path = "/v1/models/iris:predict?method=decision_function";
    let bodies: Vec<String> = rows("iris-svc").chunks(2).map(instances).collect();
    let alone = server(vec![served("iris")], Settings::default()).handler();
    let alone: Vec<Answer> =
        bodies.iter().map(|body| ask_at_once(&alone, path, std::slice::from_ref(body)).remove(0)).collect();
    assert!(alone.iter().all(|answer| answer.status == 200));
    let handler = server(vec![served("iris")], settings(1000, A_WHILE)).handler();
    assert_eq!(ask_at_once(&handler, path, &bodies), alone);
    let (n_batches, n_rows) = batches(&handler, "iris");
    assert!(n_batches < 3, "{n_batches} batches of {n_rows} rows");
    assert_eq!(n_rows as usize, rows("iris-svc").len());
}

#[test]
fn a_bad_row_is_the_trouble_of_who_sent_it() {
    let row = json!([6.8, 2.8, 4.8, 1.4]);
    let bodies = [
        instances(std::slice::from_ref(&row)),
        instances(&[row.clone(), json!([1, null, 3, 4])]),
        instances(&[json!([1, 2, 3])]),
        instances(&[row.clone(), row]),
    ];
    let handler = server(vec![served("iris")], settings(1000, A_WHILE)).handler();
    let answers = ask_at_once(&handler, "/v1/models/iris:predict", &bodies);
    let told: Vec<(u16, &str)> = answers.iter().map(|answer| (answer.status, answer.text())).collect();
    assert_eq!(told[0], (200, r#"{"predictions":[1]}"#));
    assert_eq!(told[1].0, 400, "{}", told[1].1);
    assert!(told[1].1.starts_with(r#"{"error":"$.instances[1], column `1`: "#), "{}", told[1].1);
    assert_eq!(told[2].0, 400, "{}", told[2].1);
    assert_eq!(told[3], (200, r#"{"predictions":[1,1]}"#));
}

#[test]
fn a_full_batch_waits_no_longer() {
    let body = instances(&[json!([6.8, 2.8, 4.8, 1.4]), json!([6.0, 3.4, 4.5, 1.6])]);
    let handler = server(vec![served("iris")], settings(4, FOREVER)).handler();
    let answers = ask_at_once(&handler, "/v1/models/iris:predict", &vec![body.clone(); 6]);
    assert!(answers.iter().all(|answer| answer.text() == r#"{"predictions":[1,1]}"#));
    assert_eq!(batches(&handler, "iris"), (3, 12));
    // Who fills a batch alone waits for nobody.
    let whole = instances(&vec![json!([6.8, 2.8, 4.8, 1.4]); 4]);
    assert_eq!(
        ask_at_once(&handler, "/v1/models/iris:predict", &[whole])[0].text(),
        r#"{"predictions":[1,1,1,1]}"#
    );
    assert_eq!(batches(&handler, "iris"), (3, 12));
}

#[test]
fn a_request_waits_for_company_as_long_as_is_said() {
    let body = instances(&[json!([6.8, 2.8, 4.8, 1.4])]);
    let delay = Duration::from_millis(30);
    let handler = server(vec![served("iris")], settings(1000, delay)).handler();
    let start = Instant::now();
    let answers = ask_at_once(&handler, "/v1/models/iris:predict", std::slice::from_ref(&body));
    assert_eq!((answers[0].status, start.elapsed() >= delay), (200, true));
    // Without a delay only those are joined that wait already.
    let handler = server(vec![served("iris")], settings(1000, Duration::ZERO)).handler();
    let answers = ask_at_once(&handler, "/v1/models/iris:predict", &vec![body; 9]);
    assert!(answers.iter().all(|answer| answer.text() == r#"{"predictions":[1]}"#));
    assert_eq!(batches(&handler, "iris"), (1, 9));
}

#[test]
fn a_client_that_leaves_costs_nobody() {
    let body = instances(&[json!([6.8, 2.8, 4.8, 1.4])]);
    let handler = server(vec![served("iris")], settings(1000, A_WHILE)).handler();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let ask = || {
            let request = request("POST", "/v1/models/iris:predict", &[], body.as_bytes());
            let handler = handler.clone();
            spawn_local(async move { answer(&handler, request).await })
        };
        let (leaves, stays) = (ask(), ask());
        tokio::task::yield_now().await;
        leaves.abort();
        assert_eq!(stays.await.unwrap().text(), r#"{"predictions":[1]}"#);
        let last = ask();
        assert_eq!(last.await.unwrap().status, 200);
    });
    assert_eq!(batches(&handler, "iris"), (2, 2));
}

#[test]
fn requests_for_different_things_are_not_mixed() {
    let handler = Rc::new(server(vec![served("texts"), served("labels")], settings(1000, A_WHILE)).handler());
    let body = instances(&[json!([6.8, 2.8, 4.8, 1.4])]);
    let paths = ["/v1/models/labels:predict", "/v1/models/labels:predict?method=decision_function"];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let texts = LocalSet::new().block_on(&runtime, async {
        let ask = |path: &'static str| {
            let (handler, request) = (Rc::clone(&handler), request("POST", path, &[], body.as_bytes()));
            spawn_local(async move { answer(&handler, request).await })
        };
        let asked: Vec<_> = [paths[0], paths[1], paths[0]].into_iter().map(ask).collect();
        let mut texts = Vec::new();
        for answer in asked {
            texts.push(answer.await.unwrap().text().to_owned());
        }
        texts
    });
    assert_eq!((&texts[0], texts[0].contains("versicolor")), (&texts[2], true));
    assert!(texts[1].starts_with("{\"predictions\":[[") && !texts[1].contains("versicolor"), "{}", texts[1]);
    assert_eq!(batches(&handler, "labels"), (2, 3));
}

/// What joining stands on: a model whose rows are independent answers a row among others as alone, to the last bit.
#[test]
fn rows_are_answered_among_others_as_alone() {
    let (mut n_models, mut different) = (0, Vec::new());
    let mut folders: Vec<_> = std::fs::read_dir(project().join("fixtures/models"))
        .unwrap()
        .map(|folder| folder.unwrap().path())
        .collect();
    folders.sort();
    for folder in folders {
        let place = if folder.join("model").is_dir() { folder.join("model") } else { folder.clone() };
        let Ok(model) = models::load(&place) else { continue };
        let is_file_small = model.description().file_bytes < 300_000;
        let Ok(input) = std::fs::read(folder.join("input.json")) else { continue };
        let input: Value = serde_json::from_slice(&input).unwrap();
        let Some(rows) = input["data"].as_array().filter(|_| model.rows_are_independent() && is_file_small)
        else {
            continue;
        };
        let numbers = |row: &Value| -> Option<Vec<f64>> {
            row.as_array()?
                .iter()
                .map(|value| if value.is_null() { Some(f64::NAN) } else { value.as_f64() })
                .collect()
        };
        let Some(rows) = rows.iter().take(40).map(numbers).collect::<Option<Vec<Vec<f64>>>>() else {
            continue;
        };
        let n_columns = rows[0].len();
        let whole = Batch::matrix(n_columns, rows.concat());
        n_models += 1;
        for method in Method::ALL.into_iter().filter(|method| model.methods().contains(method)) {
            let Ok(whole) = model.predict(method, &whole) else { continue };
            let parts = whole.split(&vec![1; rows.len()]).unwrap();
            let is_same = rows.iter().zip(&parts).all(|(row, part)| {
                let alone = model.predict(method, &Batch::matrix(n_columns, row.clone())).unwrap();
                format!("{alone:?}") == format!("{part:?}")
            });
            if !is_same {
                different.push(format!("{} {method}", folder.file_name().unwrap().display()));
            }
        }
    }
    assert!(n_models > 20, "{n_models} models of numbers were found");
    assert!(different.is_empty(), "{different:#?}");
}
