//! Answers that are kept for those who ask the same again.

use serving::{ServedModel, ServerHandler, Settings};

use crate::fixture::{get, post, served, server};

fn settings() -> Settings {
    Settings { compute_threads: 1, cache_bytes_per_core: 100_000, ..Settings::default() }
}

/// What a body is answered with, and whether the answer was kept.
#[track_caller]
fn check(handler: &ServerHandler, path: &str, body: &str, kept: Option<&str>, expected: &str) {
    let answer = post(handler, path, body);
    assert_eq!((answer.field("x-forebay-cache"), answer.text()), (kept, expected), "{path} {body}");
}

#[test]
fn the_same_question_has_the_same_answer_however_it_is_written() {
    let handler = server(vec![served("iris")], settings()).handler();
    let (v1, one) = ("/v1/models/iris:predict", r#"{"predictions":[1]}"#);
    check(&handler, v1, r#"{"instances": [[6.8, 2.8, 4.8, 1.4]]}"#, Some("miss"), one);
    check(&handler, v1, r#"{"instances":[[6.80,2.8, 48e-1,1.4]]}"#, Some("hit"), one);
    check(&handler, v1, r#"{"instances": [[6.8, 2.8, 4.8, 1.5]]}"#, Some("miss"), one);
    // Another protocol tells the same answer in its own way.
    check(
        &handler,
        "/invocations",
        r#"{"inputs": [[6.8, 2.8, 4.8, 1.4]]}"#,
        Some("hit"),
        r#"{"predictions": [1]}"#,
    );
    // Another method gives another answer.
    let answer =
        post(&handler, &format!("{v1}?method=decision_function"), r#"{"instances": [[6.8, 2.8, 4.8, 1.4]]}"#);
    assert_eq!(answer.field("x-forebay-cache"), Some("miss"));
    assert_ne!(answer.text(), one);
    let metrics = get(&handler, "/metrics");
    for line in [
        r#"forebay_model_cache_lookups_total{model="iris",version="v1",result="hit"} 2"#,
        r#"forebay_model_cache_lookups_total{model="iris",version="v1",result="miss"} 3"#,
    ] {
        assert!(metrics.text().lines().any(|known| known == line), "{line}\n{}", metrics.text());
    }
}

#[test]
fn the_order_of_keys_makes_no_difference() {
    let handler = server(vec![served("wine")], settings()).handler();
    let columns = [
        "fixed acidity",
        "volatile acidity",
        "citric acid",
        "residual sugar",
        "chlorides",
        "free sulfur dioxide",
        "total sulfur dioxide",
        "density",
        "pH",
        "sulphates",
        "alcohol",
    ];
    let mut members: Vec<String> =
        columns.iter().enumerate().map(|(index, column)| format!("\"{column}\": {index}")).collect();
    let mut ask = || {
        members.reverse();
        post(&handler, "/predict", &format!("{{\"features\": {{{}}}}}", members.join(", ")))
    };
    let (first, second) = (ask(), ask());
    assert_eq!((first.status, first.field("x-forebay-cache")), (200, Some("miss")));
    assert_eq!((second.field("x-forebay-cache"), second.text()), (Some("hit"), first.text()));
}

#[test]
fn a_model_that_is_loaded_anew_answers_for_itself() {
    let server = server(vec![served("iris")], settings());
    let handler = server.handler();
    let (path, body) = ("/v1/models/iris:predict", r#"{"instances": [[6.8, 2.8, 4.8, 1.4]]}"#);
    check(&handler, path, body, Some("miss"), r#"{"predictions":[1]}"#);
    check(&handler, path, body, Some("hit"), r#"{"predictions":[1]}"#);
    let labels = ServedModel { name: "iris".to_owned(), ..served("labels") };
    server.replace_models(vec![labels]).unwrap();
    check(&handler, path, body, Some("miss"), r#"{"predictions":["versicolor"]}"#);
}

#[test]
fn refusals_are_not_kept_and_nothing_is_unless_it_is_wanted() {
    let handler = server(vec![served("iris")], settings()).handler();
    for _ in 0..2 {
        let refused = post(&handler, "/v1/models/iris:predict", r#"{"instances": [[6.8, null, 4.8, 1.4]]}"#);
        assert_eq!((refused.status, refused.field("x-forebay-cache")), (400, None));
    }
    let handler = server(vec![served("iris")], Settings::default()).handler();
    let path = "/v1/models/iris:predict";
    check(&handler, path, r#"{"instances": [[6.8, 2.8, 4.8, 1.4]]}"#, None, r#"{"predictions":[1]}"#);
}
