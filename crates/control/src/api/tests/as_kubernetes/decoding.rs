//! Fields that a kind does not have, and values of another type.

use super::*;

fn post(api: &Api, query: &str, body: &str) -> Response<Body> {
    send(api, &format!("POST {CONFIGMAPS}{query}"), &[("content-type", JSON)], body.to_owned())
}

fn warnings(response: &Response<Body>) -> Vec<String> {
    let all = response.headers().get_all("warning").iter();
    all.map(|value| value.to_str().unwrap().to_owned()).collect()
}

const UNKNOWN: &str =
    r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "u"}, "dta": {"k": "v"}}"#;
const TWICE: &str =
    r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "t"}, "data": {"k": "v", "k": "w"}}"#;

#[test]
fn field_validation_strict() {
    let refused = post(&api(), "?fieldValidation=Strict", UNKNOWN);
    let told = message(&(refused.status().as_u16(), value(refused)));
    expect![[r#"400 BadRequest: ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta""#]].assert_eq(&told);
}

#[test]
fn field_validation_duplicate() {
    let api = api();
    let refused = post(&api, "?fieldValidation=Strict", TWICE);
    let told = message(&(refused.status().as_u16(), value(refused)));
    expect![[r#"400 BadRequest: ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data.k""#]].assert_eq(&told);
    let warned = post(&api, "", TWICE);
    assert_eq!(warnings(&warned), [r#"299 - "duplicate field \"data.k\"""#]);
    assert_eq!(value(warned)["data"]["k"], "w");
}

#[test]
fn field_validation_warn() {
    let warned = post(&api(), "", UNKNOWN);
    assert_eq!(
        (warned.status().as_u16(), warnings(&warned)),
        (201, vec![r#"299 - "unknown field \"dta\"""#.to_owned()])
    );
    let ignored = post(&api(), "?fieldValidation=Ignore", UNKNOWN);
    assert_eq!((ignored.status().as_u16(), warnings(&ignored)), (201, vec![]));
}

#[test]
fn field_pruned() {
    let api = api();
    post(&api, "", UNKNOWN);
    assert_eq!(get(&api, &format!("{CONFIGMAPS}/u")).get("dta"), None);
    let patched =
        send(&api, &format!("PATCH {CONFIGMAPS}/u"), &[("content-type", MERGE)], r#"{"x": {"y": 1}}"#);
    assert_eq!(warnings(&patched), [r#"299 - "unknown field \"x\"""#]);
    assert_eq!(value(patched).get("x"), None);
}

#[test]
fn values_of_another_type() {
    let api = api();
    let mut wrong = deployment();
    wrong["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": 1}]);
    let refused = write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &wrong);
    expect![[r#"400 BadRequest: Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string"#]].assert_eq(&message(&refused));
    let isvc = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "a"},
        "spec": {"predictor": {"minReplicas": "1", "sklearn": {"storageUri": "file:///m"}}}});
    let path = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices";
    let refused = write(&api, &format!("POST {path}"), JSON, &isvc);
    expect![[r#"422 Invalid: InferenceService.serving.kserve.io "a" is invalid: spec.predictor.minReplicas: Invalid value: "string": spec.predictor.minReplicas in body must be of type integer: "string""#]].assert_eq(&message(&refused));
}
