use serde_json::json;

use super::*;

fn kind(name: &str) -> &'static Kind {
    manifest::kind_named(name).unwrap()
}

fn checked(kind_name: &str, mut value: Value, validation: Validation) -> String {
    match check(&mut value, kind(kind_name), &[], validation) {
        Ok(told) if told.is_empty() => value.to_string(),
        Ok(told) => {
            let told: Vec<String> = told.iter().map(Odd::sentence).collect();
            format!("{} {value}", told.join(", "))
        }
        Err(status) => status.message,
    }
}

#[test]
fn what_no_kind_has_is_taken_out_and_told() {
    let service = json!({"kind": "Service", "spec": {"prots": [], "ports": [{"port": 80, "x": 1}], "type": null}, "metadata": {"lables": {}}});
    assert_eq!(
        checked("Service", service.clone(), Validation::Warn),
        r#"unknown field "metadata.lables", unknown field "spec.ports[0].x", unknown field "spec.prots" {"kind":"Service","metadata":{},"spec":{"ports":[{"port":80}]}}"#
    );
    assert_eq!(
        checked("Service", service.clone(), Validation::Ignore),
        r#"{"kind":"Service","metadata":{},"spec":{"ports":[{"port":80}]}}"#
    );
    assert_eq!(
        checked("Service", service, Validation::Strict),
        r#"Service in version "v1" cannot be handled as a Service: strict decoding error: unknown field "metadata.lables", unknown field "spec.ports[0].x", unknown field "spec.prots""#
    );
}

#[test]
fn values_of_another_type_are_told_in_the_words_of_the_decoder() {
    let why = |kind: &str, value: Value| {
        let told = checked(kind, value, Validation::Strict);
        told.split_once(": ").map_or(told.clone(), |(_, why)| why.to_owned())
    };
    let container = |value: Value| json!({"spec": {"template": {"spec": {"containers": [value]}}}});
    for (value, told) in [
        (
            json!({"spec": {"replicas": "2"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"replicas": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            json!({"spec": {"paused": 1}}),
            "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool",
        ),
        (
            json!({"spec": {"template": "x"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec",
        ),
        (
            json!({"metadata": {"labels": {"a": 1}}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            container(json!({"env": [{"name": "A", "value": 1}]})),
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            container(json!({"command": "sleep"})),
            "json: cannot unmarshal string into Go struct field Container.spec.template.spec.containers.command of type []string",
        ),
        (
            container(json!({"resources": {"limits": {"cpu": "lots"}}})),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            container(json!({"livenessProbe": {"httpGet": {"port": true}}})),
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        (
            json!({"metadata": {"deletionTimestamp": "noon"}}),
            r#"parsing time "noon" as "2006-01-02T15:04:05Z07:00": cannot parse "noon" as "2006""#,
        ),
    ] {
        assert_eq!(why("Deployment", value), told);
    }
    assert_eq!(
        why("ConfigMap", json!({"data": {"a": true}})),
        "json: cannot unmarshal bool into Go struct field ConfigMap.data of type string"
    );
}

#[test]
fn custom_kinds_are_checked_against_their_schema() {
    let isvc = json!({"metadata": {"name": "a"}, "spec": {"predictor": {"minReplicas": "1", "model": {"modelFormat": {"name": "sklearn"}, "strage": 1}}}});
    assert_eq!(
        checked("InferenceService", isvc, Validation::Warn),
        r#"InferenceService.serving.kserve.io "a" is invalid: spec.predictor.minReplicas: Invalid value: "string": spec.predictor.minReplicas in body must be of type integer: "string""#
    );
}

#[test]
fn what_a_custom_kind_has_of_pods_is_checked_against_its_schema_too() {
    let isvc = json!({"metadata": {"name": "a"}, "spec": {"predictor": {"containers": [{"args": 1, "resources": {"limits": {"cpu": true}}}]}}});
    assert_eq!(
        checked("InferenceService", isvc, Validation::Warn),
        r#"InferenceService.serving.kserve.io "a" is invalid: [spec.predictor.containers[0].args: Invalid value: "integer": spec.predictor.containers[0].args in body must be of type array: "integer", spec.predictor.containers[0].resources.limits.cpu: Invalid value: "boolean": spec.predictor.containers[0].resources.limits.cpu in body must be of type string: "boolean"]"#
    );
}

#[test]
fn fields_that_stand_there_twice_are_found() {
    let text = br#"{"a": {"b": 1, "c": [{"d": 1, "d": [2]}], "b": {"e": 0}}, "a": 1, "f": "a"}"#;
    assert_eq!(duplicates(text), ["a.c[0].d", "a.b", "a"]);
    assert!(duplicates(b"{").is_empty());
    let many = format!("{{{}\"a\": 1}}", "\"a\": 1,".repeat(1000));
    assert_eq!(duplicates(many.as_bytes()), ["a"]);
}
