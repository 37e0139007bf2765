//! Columns by name: with names their order never matters, and a model that has none is told none.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use serving::{ServerHandler, Settings};

use crate::fixture::{Answer, ask, post, project, served, server};

/// The first rows of a case, with the names of its columns.
fn rows(case: &str) -> (Vec<String>, Vec<Vec<Value>>) {
    let path = project().join("fixtures/models").join(case).join("input.json");
    let input: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let names = input["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let rows = input["data"].as_array().unwrap().iter().take(3).map(|row| row.as_array().unwrap().clone());
    (names.collect(), rows.collect())
}

fn handler(model: &str) -> ServerHandler {
    server(vec![served(model)], Settings { compute_threads: 1, ..Settings::default() }).handler()
}

/// A way to name columns: a path, a body, and where the answers are.
struct Way {
    name: &'static str,
    path: &'static str,
    body: fn(&[String], &[Vec<Value>]) -> String,
    answers: &'static str,
    refused_with: u16,
}

fn object(names: &[String], row: &[Value]) -> Value {
    Value::Object(names.iter().cloned().zip(row.iter().cloned()).collect::<Map<_, _>>())
}

fn records(names: &[String], rows: &[Vec<Value>]) -> Value {
    rows.iter().map(|row| object(names, row)).collect()
}

fn columns(names: &[String], rows: &[Vec<Value>]) -> Vec<(String, Vec<Value>)> {
    let column =
        |(index, name): (usize, &String)| (name.clone(), rows.iter().map(|row| row[index].clone()).collect());
    names.iter().enumerate().map(column).collect()
}

fn csv(names: &[String], rows: &[Vec<Value>]) -> String {
    let line = |row: &Vec<Value>| -> String {
        let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        row.iter().map(cell).collect::<Vec<_>>().join(",")
    };
    [names.join(",")].into_iter().chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

fn tensors(names: &[String], rows: &[Vec<Value>]) -> String {
    let tensor = |(name, values): (String, Vec<Value>)| {
        let datatype = match &values[0] {
            Value::String(_) => "BYTES",
            value if value.is_i64() && values.iter().all(Value::is_i64) => "INT64",
            _ => "FP64",
        };
        json!({ "name": name, "shape": [values.len()], "datatype": datatype, "data": values })
    };
    let inputs: Vec<Value> = columns(names, rows).into_iter().map(tensor).collect();
    json!({ "parameters": { "content_type": "pd" }, "inputs": inputs }).to_string()
}

const WAYS: &[Way] = &[
    Way {
        name: "dataframe_split",
        path: "/invocations",
        body: |names, rows| json!({ "dataframe_split": { "columns": names, "data": rows } }).to_string(),
        answers: "/predictions",
        refused_with: 400,
    },
    Way {
        name: "dataframe_records",
        path: "/invocations",
        body: |names, rows| json!({ "dataframe_records": records(names, rows) }).to_string(),
        answers: "/predictions",
        refused_with: 400,
    },
    Way {
        name: "inputs",
        path: "/invocations",
        body: |names, rows| {
            let columns: Map<String, Value> =
                columns(names, rows).into_iter().map(|(name, values)| (name, json!(values))).collect();
            json!({ "inputs": columns }).to_string()
        },
        answers: "/predictions",
        refused_with: 400,
    },
    Way { name: "csv", path: "/invocations", body: csv, answers: "/predictions", refused_with: 400 },
    Way {
        name: "instances",
        path: "/v1/models/{model}:predict",
        body: |names, rows| json!({ "instances": records(names, rows) }).to_string(),
        answers: "/predictions",
        refused_with: 400,
    },
    Way {
        name: "tensors",
        path: "/v2/models/{model}/infer",
        body: tensors,
        answers: "/outputs/0/data",
        refused_with: 400,
    },
    Way {
        name: "features",
        path: "/predict",
        body: |names, rows| json!({ "features": object(names, &rows[0]) }).to_string(),
        answers: "/prediction",
        refused_with: 422,
    },
    Way {
        name: "batch of features",
        path: "/batch-predict",
        body: |names, rows| records(names, rows).to_string(),
        answers: "/predictions",
        refused_with: 422,
    },
];

fn send(handler: &ServerHandler, model: &str, way: &Way, body: &str) -> Answer {
    let path = way.path.replace("{model}", model);
    match way.name {
        "csv" => {
            let csv = ("content-type".to_owned(), "text/csv".to_owned());
            ask(handler, "POST", &path, &[csv], body.as_bytes())
        }
        _ => post(handler, &path, body),
    }
}

fn answers(answer: &Answer, way: &Way) -> Value {
    assert_eq!(answer.status, 200, "{}: {}", way.name, answer.text());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body.pointer(way.answers).unwrap().clone()
}

#[test]
fn a_model_without_column_names_refuses_named_features_in_every_protocol() {
    let (names, rows) = rows("iris-svc");
    let handler = handler("iris");
    for way in WAYS {
        for names in [names.clone(), names.iter().rev().cloned().collect()] {
            let answer = send(&handler, "iris", way, &(way.body)(&names, &rows));
            assert_eq!(answer.status, way.refused_with, "{}: {}", way.name, answer.text());
            for words in ["saved without column names", "array", "`features` in forebay.yaml"] {
                assert!(answer.text().contains(words), "{}: {}", way.name, answer.text());
            }
        }
    }
}

#[test]
fn arrays_are_taken_where_there_are_no_names() {
    let (_, rows) = rows("iris-svc");
    let handler = handler("iris");
    let predictions = |path: &str, body: Value, pointer: &str| {
        let answer = post(&handler, path, &body.to_string());
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap().pointer(pointer).unwrap().clone()
    };
    let expected = predictions("/invocations", json!({ "instances": rows }), "/predictions");
    let split = json!({ "dataframe_split": { "data": rows } });
    assert_eq!(predictions("/invocations", split, "/predictions"), expected);
    assert_eq!(predictions("/batch-predict", json!({ "instances": rows }), "/predictions"), expected);
    assert_eq!(predictions("/batch-predict", json!(rows), "/predictions"), expected);
    assert_eq!(predictions("/predict", json!({ "features": rows[0] }), "/prediction"), expected[0]);
    let short = post(&handler, "/predict", r#"{"features": [1, 2, 3]}"#);
    assert_eq!(short.status, 422, "{}", short.text());
    assert!(short.text().contains("expected 4 values, got 3"), "{}", short.text());
}

#[test]
fn a_pipeline_that_drops_a_column_takes_rows_that_have_it_in_every_protocol() {
    let (names, rows) = rows("retail-logit");
    let handler = handler("sales");
    let without = |dropped: &str| {
        let place = names.iter().position(|name| name == dropped).unwrap();
        let others = |row: &Vec<Value>| {
            let cells = row.iter().enumerate().filter(|(index, _)| *index != place);
            cells.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let kept = names.iter().filter(|name| *name != dropped).cloned().collect::<Vec<_>>();
        (kept, rows.iter().map(others).collect::<Vec<_>>())
    };
    let (used, short_rows) = without("month");
    for way in WAYS {
        let expected = answers(&send(&handler, "sales", way, &(way.body)(&used, &short_rows)), way);
        let full = send(&handler, "sales", way, &(way.body)(&names, &rows));
        assert_eq!(answers(&full, way), expected, "{}", way.name);
        assert_eq!(full.field("x-forebay-warning"), None, "{}", way.name);
    }
    let path = "/v1/models/sales:predict";
    let of = |rows: &[Vec<Value>]| post(&handler, path, &json!({ "instances": rows }).to_string());
    assert_eq!((of(&rows).status, of(&rows)), (200, of(&short_rows)));
    let misspelt =
        r#"{"features": {"price": 1, "category": "food", "promotion": 0, "day_of_week": 1, "months": 7}}"#;
    let answer = post(&handler, "/predict", misspelt);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("did you mean `month`?"), "{}", answer.text());
}

#[test]
fn of_one_column_every_name_will_do() {
    let handler = handler("texts");
    let rows = [["some text"], ["another one"]].map(|row| row.map(Value::from).to_vec());
    for way in WAYS {
        let named = |name: &str| {
            let body = (way.body)(&[name.to_owned()], &rows);
            answers(&send(&handler, "texts", way, &body), way)
        };
        assert_eq!(named("review"), named("text"), "{}", way.name);
    }
    let two = post(&handler, "/predict", r#"{"features": {"a": "some", "b": "text"}}"#);
    assert_eq!(two.status, 422, "{}", two.text());
}

#[test]
fn a_text_is_a_row_of_a_model_of_texts() {
    let handler = handler("texts");
    let texts = json!(["some text", "another one"]);
    let of = |path: &str, body: Value, pointer: &str| {
        let answer = post(&handler, path, &body.to_string());
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap().pointer(pointer).unwrap().clone()
    };
    let rows = json!([["some text"], ["another one"]]);
    let expected = of("/v1/models/texts:predict", json!({ "instances": rows }), "/predictions");
    assert_eq!(of("/v1/models/texts:predict", json!({ "instances": texts }), "/predictions"), expected);
    for key in ["instances", "inputs"] {
        assert_eq!(of("/invocations", json!({ key: texts }), "/predictions"), expected);
    }
    for shape in [json!([2]), json!([2, 1])] {
        let input = json!({ "name": "any", "shape": shape, "datatype": "BYTES", "data": texts });
        let body = json!({ "inputs": [input] });
        assert_eq!(of("/v2/models/texts/infer", body, "/outputs/0/data"), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_of_names_never_matters(
        seed in any::<prop::sample::Index>(),
        order in Just((0..11).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let models = [
            ("wine", "mlflow-wine-elasticnet-pickle"), ("retail", "mlflow-retail-pipeline"),
            ("forecast", "retail-hgb"), ("iris", "iris-svc"),
        ];
        let (model, case) = models[seed.index(models.len())];
        let (mut names, rows) = rows(case);
        if model == "iris" {
            names = (0..names.len()).map(|column| format!("x{column}")).collect();
        }
        let order: Vec<usize> = order.into_iter().filter(|place| *place < names.len()).collect();
        let shuffled_names: Vec<String> = order.iter().map(|place| names[*place].clone()).collect();
        let shuffled: Vec<Vec<Value>> =
            rows.iter().map(|row| order.iter().map(|place| row[*place].clone()).collect()).collect();
        let handler = handler(model);
        for way in WAYS {
            let expected = answers(&send(&handler, model, way, &(way.body)(&names, &rows)), way);
            let got = answers(&send(&handler, model, way, &(way.body)(&shuffled_names, &shuffled)), way);
            prop_assert_eq!(got, expected, "{} of {}", way.name, model);
        }
    }
}
