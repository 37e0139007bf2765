//! Words that a field does not take, and parts that are missing, of kinds that nothing else looks at.

use super::*;

fn refused(path: &str, object: &Value) -> String {
    let answer = message(&write(&api(), &format!("POST {path}"), JSON, object));
    answer.split_once(" is invalid: ").map_or(answer.clone(), |(_, why)| why.to_owned())
}

#[test]
fn words_that_no_field_takes() {
    let mut wrong = deployment();
    wrong["spec"]["template"]["spec"]["tolerations"] = json!([{"key": "a", "operator": "Sometimes"}]);
    assert_eq!(
        refused(DEPLOYMENTS, &wrong),
        r#"spec.template.spec.tolerations[0].operator: Unsupported value: "Sometimes": supported values: "Equal", "Exists""#
    );
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
        "spec": {"accessModes": ["Read"], "resources": {"requests": {"storage": "1Gi"}}}});
    assert_eq!(
        refused("/api/v1/namespaces/default/persistentvolumeclaims", &claim),
        r#"spec.accessModes[0]: Unsupported value: "Read": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod""#
    );
}

#[test]
fn parts_that_are_missing() {
    let mut wrong = deployment();
    wrong["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"value": "1"}]);
    assert_eq!(refused(DEPLOYMENTS, &wrong), "spec.template.spec.containers[0].env[0].name: Required value");
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b"},
        "subjects": [{"kind": "User"}], "roleRef": {"kind": "Role", "name": "r"}});
    assert_eq!(
        refused("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", &binding),
        "subjects[0].name: Required value"
    );
    let isvc = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "a"},
        "spec": {"predictor": {"model": {"storageUri": "file:///m"}}}});
    assert_eq!(
        refused("/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices", &isvc),
        "spec.predictor.model.modelFormat: Required value"
    );
}
