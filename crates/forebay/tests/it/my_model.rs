//! *A model of mine*: an evening with a model that somebody trained and saved. It is copied to a folder as it lies on their
//! disk, served with one command, asked over every protocol by what the server says of it, and then asked wrongly in every
//! way that happens at first.
//!
//! The models are fixtures, whose answers the library that trained them gave.

mod mistakes;
mod trained;

use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testkit::Request;

use crate::project;
use crate::serve::Serving;

/// A model, as somebody saved it.
struct Saved {
    /// The case below `fixtures` with its rows, and the answers of the library that made it.
    case: &'static str,
    /// The file or folder of that case.
    file: &'static str,
    /// What it is called on somebody's disk.
    path: &'static str,
}

const fn saved(case: &'static str, file: &'static str, path: &'static str) -> Saved {
    Saved { case, file, path }
}

/// Ways to train and to save.
const SAVED: &[Saved] = &[
    saved("models/iris-logreg", "model.p5.pkl", "iris.pkl"),
    saved("models/iris-logreg", "model.p2.pkl", "old protocol.pickle"),
    saved("models/iris-rf", "model.joblib", "forest.joblib"),
    saved("models/iris-rf", "model.skops", "forest.skops"),
    saved("models/iris-strlabels", "model.joblib", "names of species.joblib"),
    saved("models/legacy-sk0203-iris-rf", "model.joblib", "from 2018.pkl"),
    saved("models/retail-gbr", "model.zlib.joblib", "pipeline.joblib.z"),
    saved("models/retail-hgb-cat", "model.joblib", "sales-v2.pkl"),
    saved("models/sk-tfidf-logreg", "model.joblib", "spam.pkl"),
    saved("models/sk-kmeans", "model.joblib", "clusters.pkl"),
    saved("models/sk-iforest", "model.joblib", "outliers.joblib"),
    saved("models/sk-multioutput", "model.joblib", "two answers.joblib"),
    saved("models/sk19-scaler-standard", "model.joblib", "scaler.pkl"),
    saved("models/sk19-threshold", "model.joblib", "threshold.pkl"),
    saved("models/mlflow-wine-elasticnet-pickle", "model", "mlruns/1/wine"),
    saved("models/mlflow-wine-elasticnet-skops", "model", "wine"),
    saved("models/mlflow-wine-classifier-proba", "model", "probabilities"),
    saved("models/mlflow-retail-pipeline", "model", "retail"),
    saved("models/mlflow-xgboost", "model", "boosted"),
    saved("models/xgb-binary", "model.json", "churn.json"),
    saved("models/xgb34-booster", "model.ubj", "churn.ubj"),
    saved("models/xgb34-pipeline", "model.joblib", "churn.joblib"),
    saved("models/lgb-multi", "model.txt", "lgbm.txt"),
    saved("models/lgb47-booster", "model.joblib", "lgbm.pkl"),
    saved("models/cat12-reg", "model.cbm", "prices.cbm"),
    saved("models/cat12-multi", "model.json", "cat.json"),
    saved("models/cat12-categories", "model.cbm", "shop.cbm"),
    saved("onnx/logistic-names", "model.onnx", "iris.onnx"),
];

/// What a model answers to: predictions, or what a transformer makes; a classifier of ONNX answers labels first.
const ANSWERS: [&str; 3] = ["predict", "transform", "output_label"];

/// Rows, and what the model made of them where it was trained.
struct Golden {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    predictions: Value,
    tolerance: f64,
}

/// A model that is served, and what its server says that it takes.
struct Mine {
    serving: Serving,
    name: String,
    /// Name and type of each column, for a model that has named columns.
    columns: Option<Vec<(String, String)>>,
    /// Whether a signature was saved with it: then `/invocations` wants names, as MLflow does.
    is_declared: bool,
    golden: Golden,
    _folder: Option<TempDir>,
}

/// A way to ask for predictions, and where the answer has them.
struct Way {
    request: Request,
    predictions: &'static str,
    /// Whether they come as they are, rather than flattened, or of the first row only.
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Rows,
    Flat,
    FirstRow,
}

// === impl Golden ===

impl Golden {
    fn read(folder: &Path) -> Self {
        let read = |file: &str| -> Option<Value> {
            let text = std::fs::read_to_string(folder.join(file)).ok()?;
            Some(serde_json::from_str(&text).unwrap())
        };
        let input = read("input.json").unwrap();
        let expected = read("expected.json").or_else(|| read("outputs.json")).unwrap();
        let predictions = ANSWERS.iter().find_map(|answer| expected.get(answer)).unwrap().clone();
        let tolerance = read("case.json").unwrap()["tolerance"].as_f64().unwrap();
        let columns = input["columns"].as_array().unwrap();
        let rows = input["data"].as_array().unwrap();
        Self {
            columns: columns.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            rows: rows.iter().map(|row| row.as_array().unwrap().clone()).collect(),
            predictions,
            tolerance,
        }
    }
}

// === impl Saved ===

impl Saved {
    /// Copies the model to a folder of somebody's, and serves it from there.
    fn serve(&self) -> Mine {
        let case = project(&format!("fixtures/{}", self.case));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(self.path);
        copy(&Path::new(&case).join(self.file), &path);
        Mine::serve(&path, Golden::read(Path::new(&case)), Some(folder))
    }
}

/// Copies a file, or a folder with all that it holds.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

// === impl Mine ===

impl Mine {
    /// `forebay serve PATH`, and nothing else.
    fn serve(path: &Path, golden: Golden, folder: Option<TempDir>) -> Self {
        let serving = Serving::start(&[&path.display().to_string()]);
        let info = Request::get(serving.address, "/model-info").send().json();
        let column = |column: &Value| {
            let text = |key: &str| column[key].as_str().unwrap().to_owned();
            (text("name"), text("type"))
        };
        let columns = info["signature"]["inputs"].as_array().map(|all| all.iter().map(column).collect());
        let name = info["name"].as_str().unwrap().to_owned();
        let is_declared = info["signature"]["declared"] == true;
        Self { serving, name, columns, is_declared, golden, _folder: folder }
    }

    fn get(&self, path: &str) -> Request {
        Request::get(self.serving.address, path)
    }

    fn post(&self, path: &str, body: &Value) -> Request {
        Request::post(self.serving.address, path, &body.to_string())
    }

    /// The path of the model in a protocol whose paths name it.
    fn path(&self, before: &str, after: &str) -> String {
        format!("{before}{}{after}", self.name.replace(' ', "%20"))
    }

    fn v1(&self) -> String {
        self.path("/v1/models/", ":predict")
    }

    fn v2(&self) -> String {
        self.path("/v2/models/", "/infer")
    }

    /// A row with the names of its columns.
    fn record(&self, row: &[Value]) -> Map<String, Value> {
        self.golden.columns.iter().cloned().zip(row.iter().cloned()).collect()
    }

    /// All ways to ask for the predictions of the golden rows.
    fn ways(&self) -> Vec<Way> {
        let way = |path: &str, body: &Value, predictions, shape| Way {
            request: self.post(path, body),
            predictions,
            shape,
        };
        let Golden { columns, rows, .. } = &self.golden;
        let instances = json!({ "instances": rows });
        let mut ways = vec![
            way(&self.v1(), &instances, "/predictions", Shape::Rows),
            way(&self.v2(), &self.tensors(), "/outputs/0/data", Shape::Flat),
        ];
        if !self.is_declared {
            ways.extend([
                way("/invocations", &instances, "/predictions", Shape::Rows),
                way("/invocations", &json!({ "inputs": rows }), "/predictions", Shape::Rows),
            ]);
        }
        if self.columns.is_some() {
            let split = json!({ "dataframe_split": { "columns": columns, "data": rows } });
            let records: Vec<Map<String, Value>> = rows.iter().map(|row| self.record(row)).collect();
            let first = json!({ "features": records[0] });
            ways.extend([
                way("/invocations", &split, "/predictions", Shape::Rows),
                way("/invocations", &json!({ "dataframe_records": records }), "/predictions", Shape::Rows),
                way("/batch-predict", &json!({ "instances": records }), "/predictions", Shape::Rows),
                way("/predict", &first, "/prediction", Shape::FirstRow),
            ]);
        }
        ways
    }

    /// The rows as tensors, by what the metadata asks for.
    fn tensors(&self) -> Value {
        let metadata = self.get(&self.path("/v2/models/", "")).send().json();
        let (mut begin, rows) = (0, &self.golden.rows);
        let tensor = |input: &Value| {
            let width = input["shape"][1].as_u64().map_or(1, |width| width as usize);
            let of_row = |row: &Vec<Value>| row[begin..begin + width].to_vec();
            let mut data: Vec<Value> = rows.iter().flat_map(of_row).collect();
            if input["datatype"] == "BYTES" {
                // Categories that are numbers are texts here, as the datatype says.
                data.iter_mut()
                    .filter(|value| value.is_number())
                    .for_each(|value| *value = json!(value.to_string()));
            }
            begin += width;
            let shape =
                [&[rows.len()], &vec![width; input["shape"].as_array().unwrap().len() - 1][..]].concat();
            json!({ "name": input["name"], "datatype": input["datatype"], "shape": shape, "data": data })
        };
        let tensors: Vec<Value> = metadata["inputs"].as_array().unwrap().iter().map(tensor).collect();
        json!({ "inputs": tensors })
    }

    /// Asks in a way, and compares.
    #[track_caller]
    fn assert_answered(&self, way: &Way) {
        let answer = way.request.send();
        let context = format!("{}: {:?}\n{}", self.name, way.request, answer.text);
        assert_eq!(answer.status, 200, "{context}");
        // MLflow writes what is no number as `NaN`, which JSON does not have.
        let answer: Value = serde_json::from_str(&answer.text.replace("NaN", "null")).expect(&context);
        let got = answer.pointer(way.predictions).expect(&context);
        let expected = match way.shape {
            Shape::Rows => self.golden.predictions.clone(),
            Shape::Flat => Value::Array(flat(&self.golden.predictions)),
            Shape::FirstRow => self.golden.predictions[0].clone(),
        };
        assert!(is_close(got, &expected, self.golden.tolerance), "{context}\n{expected}");
    }

    /// Ends the server, which has gone on through all that it was asked.
    fn end(mut self) {
        let said = self.serving.end();
        assert!(!said.contains("panicked"), "{}: {said}", self.name);
    }
}

/// Whether answers are equal, numbers within a tolerance that is relative to what is greater than one.
fn is_close(got: &Value, expected: &Value, tolerance: f64) -> bool {
    match (got, expected) {
        (Value::Array(got), Value::Array(expected)) => {
            let are_close = |(got, expected)| is_close(got, expected, tolerance);
            got.len() == expected.len() && got.iter().zip(expected).all(are_close)
        }
        (Value::Number(got), Value::Number(expected)) => {
            let (got, expected) = (got.as_f64().unwrap(), expected.as_f64().unwrap());
            (got - expected).abs() <= tolerance * expected.abs().max(1.0)
        }
        _ => got == expected || (got.is_null() && expected == "NaN"),
    }
}

/// The values of lists in lists.
fn flat(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        other => vec![other.clone()],
    }
}

#[test]
fn a_model_of_any_kind_is_served_as_it_was_saved_and_answers_over_every_protocol() {
    assert!(SAVED.len() >= 20);
    for saved in SAVED {
        let mine = saved.serve();
        for way in mine.ways() {
            mine.assert_answered(&way);
        }
        mine.end();
    }
}

#[test]
fn what_is_asked_wrongly_is_told_with_place_and_fix_and_the_next_one_is_answered() {
    for saved in SAVED {
        let mine = saved.serve();
        for mistake in mistakes::MISTAKES {
            mistake.assert_told(&mine);
        }
        mistakes::assert_gap_is_told(&mine);
        mistakes::assert_browser_is_told(&mine);
        for way in mine.ways() {
            mine.assert_answered(&way);
        }
        mine.end();
    }
}

#[test]
fn a_body_beyond_the_limit_is_told_on_every_path() {
    let mine = SAVED[0].serve();
    mistakes::assert_flood_is_told(&mine);
    for way in mine.ways() {
        mine.assert_answered(&way);
    }
    mine.end();
}
