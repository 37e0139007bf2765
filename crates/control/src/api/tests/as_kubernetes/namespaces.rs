//! Namespaces that are not there, and such that are on their way out.

use super::*;

fn with_held_namespace() -> Api {
    let api = api();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    assert_eq!(write(&api, "POST /api/v1/namespaces", JSON, &namespace).0, 201);
    let mut held = config_map("held");
    held["metadata"]["finalizers"] = json!(["example.com/wait"]);
    assert_eq!(write(&api, "POST /api/v1/namespaces/a/configmaps", JSON, &held).0, 201);
    write(&api, "DELETE /api/v1/namespaces/a", JSON, &json!({}));
    api
}

fn is_there(api: &Api) -> bool {
    send(api, "GET /api/v1/namespaces/a", &[], "").status() == StatusCode::OK
}

#[test]
fn missing() {
    let api = api();
    let (code, refused) = write(&api, "POST /api/v1/namespaces/nowhere/configmaps", JSON, &config_map("a"));
    assert_eq!((code, &refused["message"]), (404, &json!("namespaces \"nowhere\" not found")));
    assert_eq!(send(&api, "GET /api/v1/namespaces/nowhere", &[], "").status(), StatusCode::NOT_FOUND);
}

#[test]
fn waits_for_finalizers() {
    let api = with_held_namespace();
    assert_eq!(get(&api, "/api/v1/namespaces/a")["status"]["phase"], "Terminating");
    let (code, refused) = write(&api, "POST /api/v1/namespaces/a/configmaps", JSON, &config_map("b"));
    assert_eq!((code, &refused["reason"]), (403, &json!("Forbidden")));
    let release = json!({"metadata": {"finalizers": null}});
    write(&api, "PATCH /api/v1/namespaces/a/configmaps/held", MERGE, &release);
    assert!(!is_there(&api));
}

#[test]
fn conditions() {
    let api = with_held_namespace();
    let namespace = get(&api, "/api/v1/namespaces/a");
    let conditions = namespace["status"]["conditions"].as_array().unwrap();
    let of = |kind: &str| conditions.iter().find(|condition| condition["type"] == kind).unwrap();
    assert_eq!(
        of("NamespaceContentRemaining")["message"],
        "Some resources are remaining: configmaps. has 1 resource instances"
    );
    assert_eq!(of("NamespaceFinalizersRemaining")["status"], "True");
    assert_eq!(of("NamespaceDeletionContentFailure")["status"], "False");
}

#[test]
fn finalize() {
    let api = with_held_namespace();
    let mut namespace = get(&api, "/api/v1/namespaces/a");
    namespace["spec"]["finalizers"] = json!([]);
    let (code, answer) = write(&api, "PUT /api/v1/namespaces/a/finalize", JSON, &namespace);
    assert_eq!((code, &answer["spec"]["finalizers"]), (200, &json!([])));
    assert!(!is_there(&api));
}
