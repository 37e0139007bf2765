//! What a model is asked for besides `predict`: chosen in every protocol, told in every description.

use serde_json::{Value, json};
use serving::{LoadedModel, ModelState, ServedModel, ServerHandler, Settings};

use crate::fixture::{Answer, get, post, project, served, server};

const ROW: [f64; 4] = [5.2, 3.4, 1.4, 0.2];

fn handler() -> ServerHandler {
    server(vec![served("labels")], Settings { compute_threads: 1, ..Settings::default() }).handler()
}

fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn acc_s4_118_a_method_is_chosen_in_every_protocol() {
    for method in ["predict_proba", "decision_function"] {
        let scores = answer_in_every_protocol(&handler(), method);
        assert_eq!(scores.as_array().unwrap().len(), 3);
    }
}

#[test]
fn the_leaves_of_trees_are_told_in_every_protocol() {
    let file = project().join("fixtures/models/sk19-asked-leaves-forest/model.joblib");
    let state = ModelState::Ready(Box::new(LoadedModel::load(&file).unwrap()));
    let model = ServedModel { state, ..served("labels") };
    let settings = Settings { compute_threads: 1, ..Settings::default() };
    let leaves = answer_in_every_protocol(&server(vec![model], settings).handler(), "apply");
    let leaves = leaves.as_array().unwrap();
    assert!(leaves.len() == 14 && leaves.iter().all(Value::is_u64), "{leaves:?}");
}

#[test]
fn a_method_that_is_not_served_here_is_refused_with_the_reason_in_every_protocol() {
    let file = project().join("fixtures/models/sk19-forest-targets/model.joblib");
    let state = ModelState::Ready(Box::new(LoadedModel::load(&file).unwrap()));
    let model = ServedModel { state, ..served("labels") };
    let settings = Settings { compute_threads: 1, ..Settings::default() };
    let handler = server(vec![model], settings).handler();
    let page: Value = json_of(&get(&handler, "/v2/models/labels"));
    let width = page["inputs"][0]["shape"][1].as_u64().unwrap();
    let row = vec![0.5; usize::try_from(width).unwrap()];
    let method = "predict_proba";
    let tensor = json!([{ "name": "x", "shape": [1, width], "datatype": "FP64", "data": row }]);
    for (path, body) in [
        ("/v1/models/labels:predict", json!({ "instances": [row], "method": method })),
        ("/invocations", json!({ "inputs": [row], "params": { "predict_method": method } })),
        ("/v2/models/labels/infer", json!({ "inputs": tensor, "outputs": [{ "name": method }] })),
        ("/v2/models/labels/infer", json!({ "inputs": tensor, "parameters": { "method": method } })),
    ] {
        let answer = post(&handler, path, &body.to_string());
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert!(answer.text().contains("not served here: for several targets"), "{path}: {}", answer.text());
    }
}

/// What the model `labels` answers to a method, which is the same however it is asked.
fn answer_in_every_protocol(handler: &ServerHandler, method: &str) -> Value {
    let tensor = json!([{ "name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW }]);
    let v2 = "/v2/models/labels/infer";
    let outputs = json!({ "inputs": tensor, "outputs": [{ "name": method }] });
    let expected = json_of(&post(handler, v2, &outputs.to_string()))["outputs"][0]["data"].clone();
    let ways = [
        ("/v1/models/labels:predict", json!({ "instances": [ROW], "method": method }), "/predictions/0"),
        (
            "/invocations",
            json!({ "inputs": [ROW], "params": { "predict_method": method } }),
            "/predictions/0",
        ),
        ("/predict", json!({ "features": ROW, "method": method }), "/prediction"),
        ("/batch-predict", json!({ "instances": [ROW], "method": method }), "/predictions/0"),
        (v2, json!({ "inputs": tensor, "parameters": { "method": method } }), "/outputs/0/data"),
    ];
    for (path, body, pointer) in ways {
        let answer = post(handler, path, &body.to_string());
        assert_eq!(json_of(&answer).pointer(pointer), Some(&expected), "{path} {body}");
        assert_eq!(answer.field("x-forebay-warning"), None, "{path} {body}");
    }
    for (path, body, pointer) in [
        ("/v1/models/labels:predict", json!({ "instances": [ROW] }), "/predictions/0"),
        ("/invocations", json!({ "inputs": [ROW] }), "/predictions/0"),
        ("/predict", json!({ "features": ROW }), "/prediction"),
        (v2, json!({ "inputs": tensor }), "/outputs/0/data"),
    ] {
        let answer = post(handler, &format!("{path}?method={method}"), &body.to_string());
        assert_eq!(json_of(&answer).pointer(pointer), Some(&expected), "{path} {body}");
    }
    expected
}

#[test]
fn a_method_that_is_not_there_is_refused() {
    let handler = handler();
    for (path, body, status) in [
        ("/v1/models/labels:predict", json!({ "instances": [ROW], "method": "transform" }), 400),
        ("/v1/models/labels:predict", json!({ "instances": [ROW], "method": "predict_probability" }), 400),
        ("/v1/models/labels:predict", json!({ "instances": [ROW], "method": 1 }), 400),
        ("/invocations", json!({ "inputs": [ROW], "params": { "predict_method": "predikt" } }), 400),
        ("/invocations", json!({ "inputs": [ROW], "params": ["predict"] }), 400),
        ("/predict", json!({ "features": ROW, "method": "transform" }), 422),
        ("/predict?method=predict_proba", json!({ "features": ROW, "method": "predict" }), 422),
    ] {
        let answer = post(&handler, path, &body.to_string());
        assert_eq!(answer.status, status, "{path} {body} {}", answer.text());
    }
}

#[test]
fn a_method_that_the_outputs_contradict_is_refused() {
    let handler = handler();
    let tensor = json!([{ "name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW }]);
    let asked = |method: &str, output: &str| {
        let outputs = json!([{ "name": output }]);
        let in_query = json!({ "inputs": tensor, "outputs": outputs });
        let in_body = json!({ "inputs": tensor, "outputs": outputs, "parameters": { "method": method } });
        let path = "/v2/models/labels/infer";
        [(format!("{path}?method={method}"), in_query), (path.to_owned(), in_body)]
    };
    for (method, output) in
        [("predict_proba", "predict"), ("predict", "predict_proba"), ("decision_function", "predict_proba")]
    {
        for (path, body) in asked(method, output) {
            let answer = post(&handler, &path, &body.to_string());
            assert_eq!(answer.status, 400, "{path} {body} {}", answer.text());
            let expected =
                format!("the request chooses the method `{method}`, and asks for the output `{output}`");
            assert!(answer.text().contains(&expected), "{}", answer.text());
        }
    }
    for method in ["predict", "predict_proba", "decision_function"] {
        for (path, body) in asked(method, method) {
            let answer = json_of(&post(&handler, &path, &body.to_string()));
            assert_eq!(answer["outputs"][0]["name"], method, "{path} {body}");
        }
    }
}

#[test]
fn values_that_json_cannot_write_are_told() {
    let file = project().join("fixtures/models/sk19-asked-leaves-forest/model.joblib");
    let state = ModelState::Ready(Box::new(LoadedModel::load(&file).unwrap()));
    let model = ServedModel { state, ..served("labels") };
    let settings = Settings { compute_threads: 1, ..Settings::default() };
    let handler = server(vec![model], settings).handler();
    let row = [5.013, 3.413, 1.613, 0.413];
    let tensor = json!([{ "name": "x", "shape": [1, 4], "datatype": "FP64", "data": row }]);
    let output =
        |is_binary| json!([{ "name": "predict_log_proba", "parameters": { "binary_data": is_binary } }]);
    let v1 = json!({ "instances": [row], "method": "predict_log_proba" });
    let warning =
        "2 values are infinite or not numbers, for which JSON has `null`; gRPC and binary tensors carry them";
    for (path, body, expected) in [
        ("/v1/models/labels:predict", v1, Some(warning)),
        ("/v2/models/labels/infer", json!({ "inputs": tensor, "outputs": output(false) }), Some(warning)),
        ("/v2/models/labels/infer", json!({ "inputs": tensor, "outputs": output(true) }), None),
        ("/v1/models/labels:predict", json!({ "instances": [row] }), None),
    ] {
        let answer = post(&handler, path, &body.to_string());
        assert_eq!(answer.status, 200, "{path} {body}");
        assert_eq!(answer.field("x-forebay-warning"), expected, "{path} {body}");
    }
}

#[test]
fn a_query_that_asks_for_two_methods_is_refused() {
    let handler = handler();
    let body = json!({ "instances": [ROW] }).to_string();
    let path = "/v1/models/labels:predict?method=predict&method=";
    let answer = post(&handler, &format!("{path}predict_proba"), &body);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("asks for `predict`, and for `predict_proba`"), "{}", answer.text());
    assert_eq!(post(&handler, &format!("{path}predict"), &body).status, 200);
}

#[test]
fn what_has_no_effect_is_told() {
    let handler = handler();
    let tensor = json!([{ "name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW }]);
    for (path, body, names) in [
        (
            "/v1/models/labels:predict",
            json!({ "instances": [ROW], "signature_name": "a" }),
            "`signature_name`",
        ),
        ("/v1/models/labels:predict?metod=predict_proba", json!({ "instances": [ROW] }), "`metod`"),
        ("/invocations", json!({ "inputs": [ROW], "params": { "top_k": 1 }, "b": 2 }), "`b`, `params.top_k`"),
        ("/predict", json!({ "features": ROW, "id": 7 }), "`id`"),
        (
            "/v2/models/labels/infer",
            json!({ "inputs": tensor, "parameters": { "priority": 1 } }),
            "`parameters.priority`",
        ),
    ] {
        let answer = post(&handler, path, &body.to_string());
        assert_eq!(answer.status, 200, "{path} {body} {}", answer.text());
        let warning = answer.field("x-forebay-warning").unwrap_or_default();
        assert_eq!(warning, format!("without effect here: {names}"), "{path} {body}");
    }
}

#[test]
fn methods_are_in_every_description() {
    let handler = handler();
    let all = json!(["predict", "predict_proba", "predict_log_proba", "decision_function"]);
    let metadata = json_of(&get(&handler, "/v2/models/labels"));
    let outputs: Vec<&Value> =
        metadata["outputs"].as_array().unwrap().iter().map(|output| &output["name"]).collect();
    assert_eq!(json!(outputs), all);
    assert_eq!(metadata["parameters"]["methods"], all);
    let info = json_of(&get(&handler, "/model-info"));
    assert_eq!((&info["methods"], &info["default_method"]), (&all, &json!("predict")));
    let openapi = json_of(&get(&handler, "/openapi.json"));
    for path in ["/invocations", "/v1/models/{model}:predict", "/v2/models/{model}/infer", "/predict"] {
        let parameters = openapi["paths"][path]["post"]["parameters"].as_array().unwrap();
        let method = parameters.iter().find(|parameter| parameter["name"] == "method").unwrap();
        assert_eq!((&method["in"], &method["schema"]["enum"]), (&json!("query"), &all), "{path}");
    }
}
