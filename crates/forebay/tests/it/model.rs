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
