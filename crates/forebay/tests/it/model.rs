//! `forebay model`: without a server.

use serde_json::Value;
use testkit::run;

use crate::{FOREBAY, folder, project};

#[test]
fn a_model_is_asked_and_compared_from_the_command_line() {
    let case = |file: &str| project(&format!("fixtures/models/retail-hgb-cat/{file}"));
    let arguments = ["model", "predict", &case("model.joblib"), "--input", &case("input.json")];
    let predicted = run(FOREBAY, &arguments);
    assert!(predicted.status.success(), "{}", String::from_utf8_lossy(&predicted.stderr));
    let predicted: Value = serde_json::from_slice(&predicted.stdout).unwrap();
    let expected: Value = serde_json::from_slice(&std::fs::read(case("expected.json")).unwrap()).unwrap();
    assert_eq!(predicted["predict"], expected["predict"]);

    let verify = |expected: &str| {
        let model = case("model.joblib");
        let arguments =
            ["model", "verify", &model, "--input", &case("input.json"), "--expected", expected, "-o", "json"];
        let output = run(FOREBAY, &arguments);
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, difference) = verify(&case("expected.json"));
    assert_eq!((code, &difference["predict"]["ulps"]), (Some(0), &Value::from(0)));
    let text =
        expected.to_string().replacen("[", "[1e9,", 1).replacen(&expected["predict"][0].to_string(), "", 1);
    let other = folder(&[("expected.json", &text.replacen(",,", ",", 1))]);
    let (code, _) = verify(&other.path().join("expected.json").display().to_string());
    assert_eq!(code, Some(1));
}

/// Rows of a fixture as CSV, with `1`, `0` and what is missing as pandas writes them.
fn as_csv(table: &Value) -> String {
    let cell = |cell: &Value| match cell {
        Value::Null => String::new(),
        Value::Bool(truth) => if *truth { "True" } else { "False" }.to_owned(),
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    let line =
        |cells: &Value| cells.as_array().unwrap().iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
    let rows: String = table["data"].as_array().unwrap().iter().map(line).collect();
    line(&table["columns"]) + &rows
}

#[test]
fn rows_and_answers_may_be_csv() {
    let case = |file: &str| project(&format!("fixtures/models/retail-hgb-cat/{file}"));
    let read = |file: &str| serde_json::from_slice::<Value>(&std::fs::read(case(file)).unwrap()).unwrap();
    let answers: String = read("expected.json")["predict"]
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| format!("{answer}\n"))
        .collect();
    let files =
        folder(&[("rows.csv", &as_csv(&read("input.json"))), ("answers.csv", &format!("units\n{answers}"))]);
    let path = |file: &str| files.path().join(file).display().to_string();
    let arguments = [
        "model",
        "verify",
        &case("model.joblib"),
        "--input",
        &path("rows.csv"),
        "--expected",
        &path("answers.csv"),
    ];
    let output = run(FOREBAY, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wrong = folder(&[("rows.csv", "a,b\n1\n")]);
    let rows = wrong.path().join("rows.csv").display().to_string();
    let output = run(FOREBAY, &["model", "predict", &case("model.joblib"), "--input", &rows]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("has no rows that a model could take"), "{error}");
}

#[test]
fn nothing_that_a_model_file_says_moves_the_cursor() {
    let evil = folder(&[("model.pkl", "\u{80}\u{2}cos\u{1b}[2J\nsystem\n.")]);
    std::fs::write(evil.path().join("model.pkl"), b"\x80\x02cos\x1b[2J\nsystem\n.").unwrap();
    let names = folder(&[("forebay.yaml", "name: \"a\\e[2Jb\"\n")]);
    std::fs::copy(project("fixtures/models/iris-svc/model.joblib"), names.path().join("model.joblib"))
        .unwrap();
    for (folder, form) in [(&evil, "text"), (&names, "text"), (&names, "json")] {
        let output = run(FOREBAY, &["model", "inspect", &folder.path().display().to_string(), "-o", form]);
        let printed = [output.stdout, output.stderr].concat();
        assert!(
            !printed.iter().any(|byte| *byte < b' ' && *byte != b'\n'),
            "{}",
            String::from_utf8_lossy(&printed)
        );
    }
}

#[test]
fn a_graph_that_needs_onnxruntime_says_how_to_have_it() {
    let graph = project("crates/models/tests/it/celu.onnx");
    let mut command = std::process::Command::new(FOREBAY);
    command.args(["model", "inspect", &graph]).env_clear();
    let output = command.env("ORT_DYLIB_PATH", "").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("Celu") && error.contains("ORT_DYLIB_PATH is empty"), "{error}");
}

#[test]
fn a_model_is_looked_at_without_serving_it() {
    let model = project("fixtures/models/mlflow-wine-elasticnet-pickle/model");
    let inspected = run(FOREBAY, &["model", "inspect", &model, "-o", "json"]);
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));
    let inspected: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert!(inspected["parts"].to_string().contains("ElasticNet"), "{inspected}");
    assert_eq!(inspected["inputs"][0]["name"], "fixed acidity");
    let text = run(FOREBAY, &["model", "inspect", &model]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("fixed acidity (double)"));

    let evil = folder(&[("model.pkl", "cos\nsystem\n(S'touch owned'\ntR.")]);
    let refused = run(FOREBAY, &["model", "inspect", &evil.path().display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("os.system"));
}

#[test]
fn predict_is_what_the_model_was_saved_for() {
    let case = |file: &str| project(&format!("fixtures/models/mlflow-wine-classifier-proba/{file}"));
    let (model, input, expected) = (case("model"), case("input.json"), case("expected.json"));
    let output =
        run(FOREBAY, &["model", "verify", &model, "--input", &input, "--expected", &expected, "-o", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_method_that_is_named_is_the_one_that_answers_whatever_the_model_was_saved_for() {
    let folder = tempfile::tempdir().unwrap();
    let place = |file: &str| folder.path().join(file).display().to_string();
    let case = |file: &str| project(&format!("fixtures/models/iris-logreg/{file}"));
    std::fs::copy(case("model.joblib"), place("model.joblib")).unwrap();
    std::fs::write(place("forebay.yaml"), "method: predict_proba\n").unwrap();
    std::fs::write(place("rows.json"), r#"{"columns":[0,1,2,3],"index":[0],"data":[[5.1,3.5,1.4,0.2]]}"#)
        .unwrap();
    let (model, rows) = (place("model.joblib"), place("rows.json"));
    let predict = |more: &[&str]| {
        let output = run(FOREBAY, &[&["model", "predict", &model, "--input", &rows], more].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(predict(&[]).starts_with(r#"{"predict_proba":[[0.9"#), "{}", predict(&[]));
    assert_eq!(predict(&["--method", "predict"]), "{\"predict\":[0]}\n");

    let probabilities = predict(&[]);
    let both = probabilities.trim_end().replacen('{', r#"{"predict":[0],"#, 1);
    for (expected, is_right) in
        [(both, true), (r#"{"predict":[0],"predict_proba":[[0,0,1]]}"#.to_owned(), false)]
    {
        std::fs::write(place("answers.json"), &expected).unwrap();
        let output = run(
            FOREBAY,
            &["model", "verify", &model, "--input", &rows, "--expected", &place("answers.json")],
        );
        assert_eq!(
            output.status.success(),
            is_right,
            "{expected}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}
