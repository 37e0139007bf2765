//! Rows of the acceptance list that are one command or one request, on the bundled stories.

use serde_json::{Value, json};
use testkit::{Load, Platform, Request};

use crate::{FOREBAY, bundled, folder, project};

/// The words of a table's header, and of the line that has a word.
fn row<'t>(table: &'t str, word: &str) -> (Vec<&'t str>, Vec<&'t str>) {
    let words = |line: &'t str| line.split_whitespace().collect::<Vec<_>>();
    let line = table.lines().find(|line| line.contains(word));
    (words(table.lines().next().unwrap_or_default()), words(line.expect(table)))
}

#[test]
fn acc_s0_61_acc_s0_62_acc_s1_12_acc_s3_71_acc_s3_92_addresses_are_read_by_jsonpath() {
    let platform = bundled();
    let jsonpath = |kind: &str, name: &str, namespace: &str, path: &str| {
        platform.ok(&["get", kind, name, "-n", namespace, "-o", &format!("jsonpath={path}")])
    };
    let (gateway, host) = platform.endpoint("mlflow-wine-classifier");
    let of_balancer = "{.status.loadBalancer.ingress[0].hostname}";
    assert_eq!(jsonpath("svc", "kourier", "knative-serving", of_balancer), gateway.ip().to_string());
    let url = jsonpath("isvc", "mlflow-wine-classifier", "mlflow-kserve-test", "{.status.url}");
    assert_eq!(url, format!("http://{host}"));
    for (kind, name) in [("svc", "retail-forecast-nlb"), ("ingress", "retail-forecast-alb-ingress")] {
        let (address, _) = platform.endpoint(name);
        assert_eq!(jsonpath(kind, name, "mlops", of_balancer), address.ip().to_string());
    }
}

#[test]
fn acc_s2_31_acc_s2_34_acc_s2_40_acc_s3_91_tables_have_the_columns_of_kubectl() {
    let platform = bundled();
    let table = platform.ok(&["get", "ingress", "-n", "mlops"]);
    let (header, line) = row(&table, "retail-forecast-alb-ingress");
    assert_eq!(header, ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]);
    let (address, _) = platform.endpoint("retail-forecast-alb-ingress");
    assert_eq!(line[1..5], ["alb", "*", &address.ip().to_string(), "80"]);

    let table = platform.ok(&["get", "isvc", "-n", "staging"]);
    let (header, line) = row(&table, "sklearn-iris");
    let columns = "NAME URL READY PREV LATEST PREVROLLEDOUTREVISION LATESTREADYREVISION AGE";
    assert_eq!(header.join(" "), columns);
    assert_eq!(line[1..4], ["http://sklearn-iris.staging.example.com", "True", "100"]);
    assert!(line[4].starts_with("sklearn-iris-predictor-default-0000"), "{table}");
}

#[test]
fn acc_s0_13_acc_s0_18_acc_s0_57_acc_s0_58_what_is_wrong_with_a_request_is_said() {
    let platform = bundled();
    let (gateway, host) = platform.endpoint("mlflow-wine-classifier");
    let post = |path: &str, body: &str| Request::post(gateway, path, body).host(&host).send();
    assert_eq!(Request::get(gateway, "/invocations").send().status, 404);
    let unknown = post("/v2/models/wine/infer", "{}");
    assert_eq!(unknown.status, 404);
    assert!(unknown.text.contains("wine-quality-elasticnet"), "{}", unknown.text);
    let underscores =
        post("/invocations", r#"{"dataframe_split":{"columns":["fixed_acidity"],"data":[[7.4]]}}"#);
    assert_eq!(underscores.status, 400);
    assert!(underscores.text.contains("fixed acidity"), "{}", underscores.text);
    // A request as Python's requests sends it, with the Host overridden (S0-16).
    let body = std::fs::read_to_string(project("examples/wine/test/input_invocations.json")).unwrap();
    let answer = Request::post(gateway, "/invocations", &body)
        .host(&host)
        .with("accept-encoding", "gzip, deflate")
        .with("accept", "*/*")
        .with("user-agent", "python-requests/2.32.5")
        .send();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.json()["predictions"].is_array());
}

#[test]
fn acc_s3_66_acc_s3_67_acc_s3_68_acc_s3_93_acc_s3_129_the_retail_api_answers_in_its_shapes() {
    let platform = bundled();
    for name in ["retail-forecast-alb-ingress", "retail-forecast-nlb"] {
        let (address, _) = platform.endpoint(name);
        let health = Request::get(address, "/healthz").send().json();
        let keys: Vec<&String> = health.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["status", "timestamp"]);
        let timestamp = health["timestamp"].as_str().unwrap();
        assert_eq!((timestamp.len(), timestamp.ends_with('Z')), ("2024-01-01T12:00:00Z".len(), true));

        let rows = r#"{"instances":[{"store_id":1,"product_id":123},{"store_id":4,"product_id":122,"date":"2024-05-06","price":13.9,"promotion":1,"category":"home"}]}"#;
        let many = Request::post(address, "/batch-predict", rows).send().json();
        assert_eq!(many["predictions"][1], json!(76.46401945346129));
        let one = r#"{"features":{"store_id":1,"product_id":123}}"#;
        assert_eq!(
            Request::post(address, "/predict", one).send().json()["prediction"],
            many["predictions"][0]
        );

        let info = Request::get(address, "/model-info").send().json();
        assert_eq!((&info["name"], &info["version"]), (&json!("retail-forecast"), &json!("v1.0")));
        assert!(info["sha256"].as_str().is_some_and(|digest| digest.len() == 64), "{info}");
    }
}

#[test]
fn acc_s1_13_acc_s1_43_acc_s3_95_acc_s3_96_many_requests_are_all_answered() {
    let platform = bundled();
    for name in ["retail-forecast-alb-ingress", "retail-forecast-nlb"] {
        let (address, _) = platform.endpoint(name);
        let body = std::fs::read_to_string(project("examples/retail/test/data.json")).unwrap();
        for request in [
            Request::get(address, "/healthz"),
            Request::get(address, "/health"),
            Request::post(address, "/predict", &body),
        ] {
            let report = Load::run(&request, 10, 100);
            assert_eq!((report.n_answers, report.failures), (1000, Vec::new()));
        }
    }
}

#[test]
fn acc_s1_45_a_target_that_is_not_healthy_says_why_in_aws_words() {
    let manifests = folder(&[(
        "app.yaml",
        r#"
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: api}
subsets: [{addresses: [{ip: 127.0.0.1}], ports: [{port: PORT}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: api
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/healthcheck-path: /health
    alb.ingress.kubernetes.io/healthcheck-interval-seconds: "5"
spec: {ingressClassName: alb, defaultBackend: {service: {name: api, port: {number: 80}}}}
"#,
    )]);
    // Somebody who answers, but not on that path.
    let other = Platform::start(FOREBAY, &[&project("examples/iris")]);
    let admin = other.ready()["admin"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let path = manifests.path().join("app.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replace("PORT", &admin);
    std::fs::write(&path, text).unwrap();
    let platform = Platform::start(FOREBAY, &[&path.display().to_string()]);
    platform.wait_for("the target is unhealthy", &["targets", "-o", "json"], |targets| {
        let targets: Value = serde_json::from_str(targets).unwrap_or_default();
        let target = &targets[0];
        target["state"] == "unhealthy"
            && target["reason"] == "Target.ResponseCodeMismatch"
            && target["description"].as_str().is_some_and(|text| text.contains("404"))
    });
}

#[test]
fn acc_s4_79_a_folder_is_applied_in_the_right_order_and_twice_is_as_once() {
    let platform = Platform::start(FOREBAY, &[&project("examples/iris")]);
    let retail = project("examples/retail");
    let first = platform.ok(&["apply", "-f", &retail]);
    assert!(first.lines().all(|line| line.ends_with(" created")), "{first}");
    let last = platform.ok(&["apply", "-f", &retail]);
    assert!(last.lines().all(|line| line.ends_with(" unchanged")), "{last}");
    let _ = platform.ok(&[
        "wait",
        "--for=condition=Available",
        "deploy",
        "--all",
        "-n",
        "mlops",
        "--timeout=60s",
    ]);
    let _ = platform.ok(&["rollout", "status", "deploy/retail-forecast-api", "-n", "mlops", "--timeout=60s"]);
    let logs = platform.ok(&["logs", "deploy/retail-forecast-api", "-n", "mlops"]);
    assert!(logs.contains("serving retail-forecast"), "{logs}");
}

#[test]
fn acc_s0_10_acc_s0_12_acc_s0_19_acc_s0_32_the_sample_inputs_fit_the_model() {
    let platform = bundled();
    let (gateway, host) = platform.endpoint("mlflow-wine-classifier");
    for (path, file, answer) in [
        ("/invocations", "input_invocations.json", "/predictions/0"),
        ("/v2/models/wine-quality-elasticnet/infer", "input.json", "/outputs/0/data/0"),
    ] {
        let body = std::fs::read_to_string(project(&format!("examples/wine/test/{file}"))).unwrap();
        let reply = Request::post(gateway, path, &body).host(&host).send();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        assert!(reply.json().pointer(answer).is_some_and(Value::is_f64), "{path}: {}", reply.text);
    }
}

#[test]
fn acc_s0_64_acc_s1_01_acc_s3_01_acc_s3_07_acc_s3_89_acc_s3_120_what_is_applied_gets_a_load_balancer() {
    let platform = bundled();
    let table = platform.ok(&["get", "svc", "-n", "mlops"]);
    let (header, line) = row(&table, "retail-forecast-nlb");
    let external = header.iter().position(|column| *column == "EXTERNAL-IP").unwrap();
    let (address, _) = platform.endpoint("retail-forecast-nlb");
    assert_eq!(line[external], address.ip().to_string());
    let pods = platform.ok(&["get", "pods", "-n", "mlops", "-l", "app=retail-forecast-api", "-o", "name"]);
    assert_eq!(pods.lines().count(), 2, "{pods}");
    let applied = platform.ok(&["apply", "-f", &project("examples/retail/03-ingress-alb.yaml")]);
    assert!(applied.starts_with("ingress.networking.k8s.io/retail-forecast-alb-ingress "), "{applied}");
    let body = r#"{"features":{"store_id":1,"product_id":123}}"#;
    let answer = Request::post(address, "/predict", body).send();
    assert!(answer.json()["prediction"].is_f64(), "{}", answer.text);
}
