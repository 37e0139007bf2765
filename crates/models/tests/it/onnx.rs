//! Every ONNX model in `fixtures/onnx` must answer as onnxruntime did.
//!
//! A case is a folder: `model.onnx`, `input.json` (`{"columns", "data"}`), `outputs.json` with all outputs by name, and
//! `case.json` with the tolerance. A new case needs no code.

use std::path::{Path, PathBuf};

use models::{Batch, Data, DataType, Inputs, LoadError, Method, Model};
use serde_json::Value as Json;

use crate::cases;

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/onnx").join(case)
}

fn json(path: &Path) -> Json {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn model(case: &str) -> Model {
    models::load(&folder(case)).unwrap()
}

fn input(case: &str) -> Batch {
    cases::told(&model(case), cases::batch(&json(&folder(case).join("input.json"))))
}

#[test]
fn every_graph_answers_as_onnxruntime_did() {
    let mut cases: Vec<String> = folder("")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    cases.sort();
    assert!(cases.len() >= 20, "fixtures/make_onnx_cases.py was not run");
    let problems: Vec<String> =
        cases.iter().filter_map(|case| Some(format!("{case}: {}", check(case).err()?))).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

fn check(case: &str) -> Result<(), String> {
    let tolerance = json(&folder(case).join("case.json"))["tolerance"].as_f64().unwrap();
    let expected = json(&folder(case).join("outputs.json"));
    let model = models::load(&folder(case)).map_err(|error| error.to_string())?;
    let batch = input(case);
    let answers = model.predict_outputs(&batch).map_err(|error| error.to_string())?;
    let names = output_names(&model);
    if names.len() != expected.as_object().unwrap().len() {
        return Err(format!("its outputs are {names:?}"));
    }
    for (name, answer) in names.into_iter().zip(&answers) {
        let rows = expected[name].as_array().unwrap();
        let n_columns = rows[0].as_array().map(Vec::len);
        if (answer.shape.n_rows, answer.shape.n_columns) != (rows.len(), n_columns) {
            return Err(format!("{name}: the shape is {:?}", answer.shape));
        }
        let flat: Vec<&Json> = rows
            .iter()
            .flat_map(|row| row.as_array().map_or(vec![row], |row| row.iter().collect()))
            .collect();
        let difference = difference(&answer.data, &flat).map_err(|problem| format!("{name}: {problem}"))?;
        println!("{case} {name}: largest difference {difference:e}");
        if difference > tolerance {
            return Err(format!("{name}: the difference {difference:e} is beyond {tolerance:e}"));
        }
    }
    model
        .predict(model.default_method(), model.example())
        .map_err(|error| format!("its example: {error}"))?;
    Ok(())
}

fn output_names(model: &Model) -> Vec<&str> {
    model.outputs().iter().map(|output| output.name.as_str()).collect()
}

/// The largest difference, as a part of the value where that is above one.
fn difference(got: &Data, expected: &[&Json]) -> Result<f64, String> {
    let numbers: Vec<f64> = match got {
        Data::Text(texts) => {
            let is_same = texts.iter().zip(expected).all(|(text, json)| json.as_str() == Some(text));
            return if is_same { Ok(0.0) } else { Err(format!("{texts:?}")) };
        }
        Data::Long(longs) => {
            let is_same = longs.iter().zip(expected).all(|(long, json)| json.as_i64() == Some(*long));
            return if is_same { Ok(0.0) } else { Err(format!("{longs:?}")) };
        }
        Data::Float(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Data::Double(values) => values.clone(),
        other => return Err(format!("{other:?}")),
    };
    let pairs = numbers.iter().zip(expected.iter().map(|json| json.as_f64().unwrap()));
    let differences = pairs.map(|(got, expected)| (got - expected).abs() / expected.abs().max(1.0));
    Ok(differences.fold(0.0, |most, it| if it.is_nan() { f64::INFINITY } else { f64::max(most, it) }))
}

#[test]
fn a_classifier_is_asked_by_the_names_of_methods() {
    let model = model("logistic-texts");
    assert_eq!(model.methods(), [Method::Predict, Method::PredictProba]);
    assert_eq!(output_names(&model), ["label", "probabilities"]);
    let names = ["setosa", "versicolor", "virginica"].map(str::to_owned).to_vec();
    assert_eq!(model.classes(), Some(&Data::Text(names)));
    let batch = input("logistic-texts");
    let outputs = model.predict_outputs(&batch).unwrap();
    assert_eq!(model.predict(Method::Predict, &batch).unwrap(), outputs[0]);
    assert_eq!(model.predict(Method::PredictProba, &batch).unwrap(), outputs[1]);
    assert!(model.description().format.starts_with("ONNX, skl2onnx "));
}

#[test]
fn a_regressor_predicts_one_value_per_row() {
    let model = model("linear");
    let batch = input("linear");
    assert_eq!(model.methods(), [Method::Predict]);
    assert_eq!(model.predict(Method::Predict, &batch).unwrap().shape.n_columns, None);
    assert_eq!(model.predict_outputs(&batch).unwrap()[0].shape.n_columns, Some(1));
}

#[test]
fn inputs_are_columns() {
    let table = model("table");
    let Inputs::Columns(fields) = &table.signature().inputs else { panic!("columns") };
    let told: Vec<(&str, DataType)> =
        fields.iter().map(|field| (field.name.as_str(), field.datatype)).collect();
    let (float, long, text) = (DataType::Float, DataType::Long, DataType::String);
    assert_eq!(told, [("price", float), ("quantity", long), ("kind", text), ("store", text)]);
    let matrix = Inputs::Matrix { datatype: float, n_columns: Some(4) };
    assert_eq!(model("logistic-texts").signature().inputs, matrix);
}

#[test]
fn a_row_has_the_same_answer_alone_and_among_others() {
    for case in ["forest", "xgboost", "neighbors", "svc", "network"] {
        let (model, batch) = (model(case), input(case));
        let together = model.predict(Method::Predict, &batch).unwrap();
        for row in 0..batch.n_rows {
            let alone = model.predict(Method::Predict, &cases::rows(&batch, &[row])).unwrap();
            let (Data::Long(together), Data::Long(alone)) = (&together.data, &alone.data) else { continue };
            assert_eq!(together[row], alone[0], "{case}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_value_names_the_row_and_the_column() {
    let mut batch = input("table");
    let models::Columns::Table(columns) = &mut batch.columns else { panic!("a table") };
    columns[1].values = models::Values::Double(vec![0.5; batch.n_rows]);
    let error = model("table").predict(Method::Predict, &batch).unwrap_err();
    let models::PredictError::Input(error) = error else { panic!("{error}") };
    assert_eq!((error.row, error.column.as_deref()), (Some(0), Some("quantity")));
    assert_eq!(error.to_string(), "expected a whole number, got 0.5");
}

#[test]
fn a_model_server_repository_has_a_folder_per_version() {
    let repository = tempfile::tempdir().unwrap();
    for version in ["2", "10"] {
        let case = if version == "10" { "linear" } else { "forest" };
        std::fs::create_dir(repository.path().join(version)).unwrap();
        let to = repository.path().join(version).join("model.onnx");
        std::fs::copy(folder(case).join("model.onnx"), to).unwrap();
    }
    assert_eq!(output_names(&models::load(repository.path()).unwrap()), ["variable"]);
}

/// A file with one node of floats, written by hand.
fn one_node(operator: &str, attribute: Option<&str>) -> Vec<u8> {
    node_of(operator, 1, attribute)
}

/// The same of values of another type (`TensorProto.DataType`).
fn node_of(operator: &str, datatype: u8, attribute: Option<&str>) -> Vec<u8> {
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }
    let lengths = field(2, &[field(1, &[]), field(1, &[8, 2])].concat());
    let values = field(2, &field(1, &[&[8, datatype][..], &lengths].concat()));
    let port = |name: &str| [field(1, name.as_bytes()), values.clone()].concat();
    let mut node =
        [field(1, b"x"), field(2, b"y"), field(3, b"here"), field(4, operator.as_bytes())].concat();
    if let Some(name) = attribute {
        node.extend(field(5, &[field(1, name.as_bytes()), vec![24, 1, 0xa0, 1, 2]].concat()));
    }
    let graph = [field(1, &node), field(11, &port("x")), field(12, &port("y"))].concat();
    [vec![8, 8], field(7, &graph), field(8, &[16, 17])].concat()
}

fn load(file: &[u8]) -> Result<Model, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, file).unwrap();
    models::load(&path)
}

#[test]
fn truth_values_are_taken_as_numbers_of_a_matrix_and_as_themselves() {
    const BOOL: u8 = 9;
    let model = load(&node_of("Not", BOOL, None)).unwrap();
    let rows = Batch::matrix(2, vec![0.0, 1.0, 1.0, 1.0]);
    let answer = model.predict(Method::Predict, &rows).unwrap().data;
    assert_eq!(answer, Data::Boolean(vec![true, false, false, false]));
    let error = model.predict(Method::Predict, &Batch::matrix(2, vec![0.0, 2.0])).unwrap_err();
    assert_eq!(error.to_string(), "expected a truth value, got 2");
}

#[test]
fn an_operator_that_is_not_known_is_refused_by_name() {
    assert!(load(&one_node("Relu", None)).is_ok());
    let error = load(&one_node("GridSample", None)).unwrap_err().to_string();
    assert!(error.starts_with("the ONNX operator GridSample (node `here`) is not supported"), "{error}");
}

#[test]
fn an_attribute_that_is_not_known_is_refused_by_name() {
    let error = load(&one_node("Relu", Some("bend"))).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "the attribute `bend` of ONNX operator Relu (node `here`) of version 17 is not supported"
        ),
        "{error}"
    );
}

/// `MatMul` by (0.5, -0.25, -1), and `Celu` of that with alpha 2, which our own executor has not.
fn with_an_operator_that_is_not_ours() -> Result<Model, LoadError> {
    models::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/celu.onnx"))
}

#[cfg(not(feature = "onnxruntime"))]
#[test]
fn what_only_onnxruntime_runs_is_refused_with_the_build_that_can() {
    let error = with_an_operator_that_is_not_ours().unwrap_err().to_string();
    assert!(error.starts_with("the ONNX operator Celu"), "{error}");
    assert!(error.ends_with("a build with the feature `onnxruntime` gives it to onnxruntime"), "{error}");
}

/// With the library (`ORT_DYLIB_PATH=…/libonnxruntime.so cargo test -p models`, or where `pip install onnxruntime` was said) it
/// answers, without one it says how to have it.
#[cfg(feature = "onnxruntime")]
#[test]
fn onnxruntime_runs_what_we_do_not_or_is_missed() {
    let model = match with_an_operator_that_is_not_ours() {
        Ok(model) => model,
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("the ONNX operator Celu"), "{error}");
            assert!(
                error.contains("`pip install onnxruntime`") || error.contains("is turned off"),
                "{error}"
            );
            return;
        }
    };
    let answer = model.predict(Method::Predict, &Batch::matrix(3, vec![1.0, 2.0, 0.5, 4.0, 5.0, -6.0]));
    assert_eq!(answer.unwrap().data, Data::Float(vec![-0.442_398_43, 6.75]));
}
