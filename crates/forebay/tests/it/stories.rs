//! The bundled stories, from start to prediction.

use std::process::Command;

use serde_json::{Value, json};
use testkit::{Platform, Request};

use crate::{FOREBAY, bundled, golden, project};

/// Predictions equal the golden ones to the last digits that linear algebra leaves open.
#[track_caller]
fn assert_close(got: &Value, expected: &Value) {
    let numbers =
        |value: &Value| value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<f64>>();
    let (got, expected) = (numbers(got), numbers(expected));
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(&expected) {
        assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{got} is not {expected}");
    }
}

#[test]
fn acc_s0_01_acc_s2_43_acc_s3_94_up_serves_all_three_models_with_their_golden_predictions() {
    let platform = bundled();
    assert_eq!(platform.ready()["ready"], true, "{}", platform.ready());
    assert_eq!(platform.ready()["workloads"], json!([]), "what nobody wrote is not told of");

    // wine: MLflow's protocol and the Open Inference Protocol, by Host (S0-09, S0-11, S0-13, S0-17)
    let (input, expected) = golden("mlflow-wine-elasticnet-pickle");
    let (gateway, host) = platform.endpoint("mlflow-wine-classifier");
    assert_eq!(host, "mlflow-wine-classifier.mlflow-kserve-test.example.com");
    let body = json!({ "dataframe_split": input }).to_string();
    let answer = Request::post(gateway, "/invocations", &body).host(&host).send();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_close(&answer.json()["predictions"], &expected["predict"]);
    let v2 = std::fs::read_to_string(project("examples/wine/test/input.json")).unwrap();
    for model in ["wine-quality-elasticnet", "mlflow-wine-classifier"] {
        let answer = Request::post(gateway, &format!("/v2/models/{model}/infer"), &v2).host(&host).send();
        assert_eq!(answer.status, 200, "{}", answer.text);
        let first_two = json!(expected["predict"].as_array().unwrap()[..2]);
        assert_close(&answer.json()["outputs"][0]["data"], &first_two);
    }

    // iris: KServe V1, and the hyphenated host
    let (input, expected) = golden("iris-svc");
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let body = json!({ "instances": input["data"] }).to_string();
    for host in [host.as_str(), "sklearn-iris-staging.example.com"] {
        let answer = Request::post(gateway, "/v1/models/sklearn-iris:predict", &body).host(host).send();
        assert_eq!(answer.json(), json!({ "predictions": expected["predict"] }));
    }
    let sample = r#"{"instances":[[6.8,2.8,4.8,1.4],[6.0,3.4,4.5,1.6]]}"#;
    let answer = Request::post(gateway, "/v1/models/sklearn-iris:predict", sample).host(&host).send();
    assert_eq!(answer.text, r#"{"predictions":[1,1]}"#);
    // For clients that cannot say a host, as in a browser (S0-20)
    let by_path = "/serving/staging/sklearn-iris/v1/models/sklearn-iris:predict";
    let answer = Request::post(gateway, by_path, sample).send();
    assert_eq!(answer.text, r#"{"predictions":[1,1]}"#);
    assert_eq!(Request::post(gateway, by_path, sample).host("other.example.com").send().status, 404);

    // retail: by both load balancers, with features named
    for name in ["retail-forecast-alb-ingress", "retail-forecast-nlb"] {
        let (address, _) = platform.endpoint(name);
        let golden_row = r#"{"features":{"store_id":4,"product_id":122,"date":"2024-05-06","price":13.9,"promotion":1,"category":"home"}}"#;
        let answer = Request::post(address, "/predict", golden_row).send();
        assert_eq!(answer.text, r#"{"prediction":76.46401945346129,"model_version":"v1.0"}"#, "{name}");
        let health = Request::get(address, "/healthz").send();
        assert_eq!((health.status, &health.json()["status"]), (200, &json!("healthy")));
    }
}

#[test]
fn acc_s3_130_two_features_are_enough() {
    let platform = Platform::start(FOREBAY, &[&project("examples/retail")]);
    let (address, _) = platform.endpoint("retail-forecast-alb-ingress");
    let answer = Request::post(address, "/predict", r#"{"features":{"store_id":1,"product_id":123}}"#).send();
    assert_eq!(answer.status, 200, "{}", answer.text);
    let keys: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["model_version", "prediction"]);
}

#[test]
fn acc_s3_65_acc_s3_70_the_retail_ingress_routes_every_path_it_names() {
    let platform = Platform::start(FOREBAY, &[&project("examples/retail")]);
    let (address, _) = platform.endpoint("retail-forecast-alb-ingress");
    let instances = r#"{"instances":[{"store_id":1,"product_id":123},{"store_id":2,"product_id":120}]}"#;
    assert_eq!(
        Request::post(address, "/batch-predict", instances).send().json()["predictions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    for path in ["/model-info", "/metrics", "/healthz", "/health", "/docs", "/openapi.json"] {
        let answer = Request::get(address, path).send();
        assert!(answer.status == 200 || answer.status == 307, "{path}: {} {}", answer.status, answer.text);
    }
}

#[test]
fn acc_s0_27_acc_s0_56_the_load_balancer_explains_a_wrong_host_and_a_wrong_method() {
    let platform = Platform::start(FOREBAY, &[&project("examples/wine")]);
    let (gateway, host) = platform.endpoint("mlflow-wine-classifier");
    let nowhere = Request::get(gateway, "/invocations").host("other.example.com").send();
    assert_eq!((nowhere.status, nowhere.field("x-forebay-reason")), (404, Some("no-route")));
    assert!(nowhere.text.contains(&host), "{}", nowhere.text);
    let got = Request::get(gateway, "/invocations").host(&host).send();
    assert_eq!((got.status, got.field("allow")), (405, Some("POST")));
    assert!(got.text.contains("curl"), "{}", got.text);
}

#[test]
fn acc_s0_05_acc_s0_06_acc_s0_07_acc_s0_52_acc_s0_53_acc_s0_54_acc_s0_60_the_scripts_of_the_wine_story_work()
{
    let platform = Platform::start(FOREBAY, &[&project("examples/wine")]);
    let (gateway, _) = platform.endpoint("mlflow-wine-classifier");
    let run = |script: &str| {
        let output = Command::new(project(&format!("examples/wine/{script}")))
            .env("FOREBAY", FOREBAY)
            .env("FOREBAY_STATE_DIR", platform.state_dir())
            .output()
            .unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {problem}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let printed = run("scripts/get-inference-url.sh");
    let authority = if gateway.port() == 80 { gateway.ip().to_string() } else { gateway.to_string() };
    assert_eq!(
        printed,
        format!(
            "✓ External endpoint: {authority}\n✓ Host Header: mlflow-wine-classifier.mlflow-kserve-test.example.com\n"
        )
    );
    assert!(run("test_inference.sh").contains("✓ two wines rated"));
    assert!(run("test_inference-mlserver.sh").contains("✓ two wines rated"));
}

#[test]
fn acc_s2_12_acc_s2_13_acc_s2_47_the_same_name_in_two_namespaces_is_two_services() {
    let model = project("examples/iris/model");
    let service = |namespace: &str| {
        format!(
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{name: sklearn-iris, namespace: {namespace}}}\nspec: {{predictor: {{model: {{modelFormat: {{name: sklearn}}, storageUri: {model}}}}}}}\n"
        )
    };
    let folder = crate::folder(&[("a.yaml", &service("staging")), ("b.yaml", &service("prod"))]);
    let platform =
        Platform::start(FOREBAY, &[&folder.path().display().to_string(), "--domain", "platform.example.com"]);
    let (gateway, _) = platform.endpoint("sklearn-iris");
    for namespace in ["staging", "prod"] {
        let host = format!("sklearn-iris.{namespace}.platform.example.com");
        let body = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
        let answer = Request::post(gateway, "/v1/models/sklearn-iris:predict", body).host(&host).send();
        assert_eq!(answer.text, r#"{"predictions":[1]}"#, "{host}");
        // In TLS there is a wildcard for each namespace, and one is not for the other.
        platform.wait_for("its certificate is shown", &["cert", "show", &host], |shown| {
            shown.contains(&format!("*.{namespace}.platform.example.com")) && !shown.contains("problem")
        });
    }
    assert_eq!(platform.endpoint("sklearn-iris").0, gateway, "the port without TLS stays the first");
}
