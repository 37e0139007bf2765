//! What may not change once an object is there.

use super::*;

#[track_caller]
fn check_refused(path: &str, object: &Value, patch: &Value, field: &str) {
    let api = api();
    let name = object["metadata"]["name"].as_str().unwrap();
    let created = write(&api, &format!("POST {path}"), JSON, object);
    assert_eq!(created.0, 201, "{}", created.1);
    let (code, refused) = write(&api, &format!("PATCH {path}/{name}"), MERGE, patch);
    assert_eq!((code, &refused["reason"]), (422, &json!("Invalid")), "{refused}");
    assert_eq!(refused["details"]["causes"][0]["field"], field);
}

#[test]
fn pod_spec_containers_0_command() {
    let pod = |command: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "main", "image": "forebay", "command": [command]}]}})
    };
    let changed = json!({"spec": pod("/bin/false")["spec"]});
    check_refused("/api/v1/namespaces/default/pods", &pod("/bin/true"), &changed, "spec");
}

#[test]
fn job_template() {
    let template = |image: &str| json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image, "command": ["/bin/true"]}]}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"},
        "spec": {"template": template("forebay")}});
    let changed = json!({"spec": {"template": template("other")}});
    check_refused("/apis/batch/v1/namespaces/default/jobs", &job, &changed, "spec.template");
}
