//! Pod Security labels.

use super::*;

fn with_labels(labels: &Value) -> Api {
    let api = api();
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": labels}});
    made(&api, "/api/v1/namespaces", &namespace);
    api
}

const IN_A: &str = "/api/v1/namespaces/a/pods";

fn warnings(api: &Api, line: &str, media_type: &str, object: &Value) -> Vec<String> {
    let answer = send(api, line, &[("content-type", media_type)], object.to_string());
    let all = answer.headers().get_all("warning").iter();
    let texts = all.map(|value| value.to_str().unwrap().replace("299 - ", "").replace('\\', ""));
    texts
        .filter(|text| text.contains("PodSecurity") || text.contains("p (and") || text.contains("p: "))
        .collect()
}

#[test]
fn restricted() {
    let api = with_labels(&json!({"pod-security.kubernetes.io/enforce": "restricted"}));
    expect![[r#"403 Forbidden: pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#]]
        .assert_eq(&told(&api, IN_A, &pod("p", &json!({}))));
    let mut safe = pod("p", &json!({}));
    safe["spec"]["securityContext"] =
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    safe["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    expect!["taken"].assert_eq(&told(&api, IN_A, &safe));
}

#[test]
fn baseline() {
    let api = with_labels(&json!({"pod-security.kubernetes.io/enforce": "baseline"}));
    let mut unsafe_pod = pod_with(&json!({"hostNetwork": true, "hostPID": true,
        "volumes": [{"name": "v", "hostPath": {"path": "/"}}, {"name": "w", "hostPath": {"path": "/"}}]}));
    unsafe_pod["spec"]["containers"][0]["securityContext"] =
        json!({"privileged": true, "capabilities": {"add": ["NET_ADMIN", "CHOWN"]}});
    unsafe_pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 80}]);
    expect![[r#"403 Forbidden: pods "p" is forbidden: violates PodSecurity "baseline:latest": non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add), host namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volumes "v", "w"), hostPort (container "c" uses hostPort 80), privileged (container "c" must not set securityContext.privileged=true)"#]]
        .assert_eq(&told(&api, IN_A, &unsafe_pod));
    expect!["taken"].assert_eq(&told(&api, IN_A, &pod("p", &json!({}))));
}

#[test]
fn versions() {
    let api = with_labels(&json!({"pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "v1.18"}));
    expect![[r#"403 Forbidden: pods "p" is forbidden: violates PodSecurity "restricted:v1.18": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)"#]]
        .assert_eq(&told(&api, IN_A, &pod("p", &json!({}))));
}

#[test]
fn warnings_for_pods_and_templates() {
    let api = with_labels(&json!({"pod-security.kubernetes.io/warn": "baseline"}));
    let bad = json!({"hostNetwork": true});
    let expected = [r#""would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)""#];
    assert_eq!(warnings(&api, &format!("POST {IN_A}"), JSON, &pod_with(&bad)), expected);
    let mut deployment = deployment();
    deployment["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    let line = "POST /apis/apps/v1/namespaces/a/deployments";
    assert_eq!(warnings(&api, line, JSON, &deployment), expected);
}

#[test]
fn labels() {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b",
        "labels": {"pod-security.kubernetes.io/enforce": "strict", "pod-security.kubernetes.io/warn-version": "1.33"}}});
    expect![[r#"422 Invalid: Namespace "b" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: "1.33": must be "latest" or "v1.x"]"#]]
        .assert_eq(&told(&api(), "/api/v1/namespaces", &namespace));
}

#[test]
fn pods_that_are_there_already() {
    let api = with_labels(&json!({}));
    made(&api, IN_A, &pod_with(&json!({"hostNetwork": true})));
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    let told = warnings(&api, "PATCH /api/v1/namespaces/a", MERGE, &label);
    assert_eq!(
        told,
        [
            r#""existing pods in namespace "a" violate the new PodSecurity enforce level "baseline:latest"""#,
            r#""p: host namespaces (hostNetwork=true)""#
        ]
    );
}
