//! LimitRanges.

use super::*;

const LIMITS: &str = "/api/v1/namespaces/default/limitranges";

fn with_limits(limits: &Value) -> Api {
    let api = api();
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": limits}});
    made(&api, LIMITS, &range);
    api
}

#[test]
fn defaults() {
    let api = with_limits(&json!([{"type": "Container", "default": {"cpu": "500m", "memory": "128Mi"},
        "defaultRequest": {"cpu": "100m"}, "max": {"memory": "1Gi"}}]));
    let range = get(&api, &format!("{LIMITS}/l"));
    assert_eq!(range["spec"]["limits"][0]["defaultRequest"], json!({"cpu": "100m", "memory": "128Mi"}));
    let made = made(&api, PODS, &pod("p", &json!({})));
    let resources = &made["spec"]["containers"][0]["resources"];
    assert_eq!(resources["limits"], json!({"cpu": "500m", "memory": "128Mi"}));
    assert_eq!(resources["requests"], json!({"cpu": "100m", "memory": "128Mi"}));
    assert_eq!(made["status"]["qosClass"], "Burstable");
    expect!["LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c"]
        .assert_eq(made["metadata"]["annotations"]["kubernetes.io/limit-ranger"].as_str().unwrap());
}

#[test]
fn most_and_least() {
    let api = with_limits(&json!([{"type": "Container", "min": {"cpu": "200m"}, "max": {"cpu": "800m"}}]));
    let told = |resources: Value| told(&api, PODS, &pod("p", &resources));
    expect![[
        r#"403 Forbidden: pods "p" is forbidden: maximum cpu usage per Container is 800m, but limit is 1500m"#
    ]]
    .assert_eq(&told(json!({"limits": {"cpu": "1500m"}, "requests": {"cpu": "500m"}})));
    expect![[r#"403 Forbidden: pods "p" is forbidden: minimum cpu usage per Container is 200m, but request is 100m"#]]
        .assert_eq(&told(json!({"limits": {"cpu": "0.8"}, "requests": {"cpu": "100m"}})));
    expect!["taken"].assert_eq(&told(json!({"limits": {"cpu": "0.8"}, "requests": {"cpu": "200m"}})));
}

#[test]
fn pods() {
    let api = with_limits(
        &json!([{"type": "Pod", "max": {"memory": "1Gi"}, "maxLimitRequestRatio": {"cpu": "2"}}]),
    );
    let told = |resources: Value| told(&api, PODS, &pod("p", &resources));
    expect![[r#"403 Forbidden: pods "p" is forbidden: [maximum memory usage per Pod is 1Gi.  No limit is specified, cpu max limit to request ratio per Pod is 2, but no request is specified or request is 0]"#]]
        .assert_eq(&told(json!({})));
    expect![[r#"403 Forbidden: pods "p" is forbidden: cpu max limit to request ratio per Pod is 2, but provided ratio is 4.000000"#]]
        .assert_eq(&told(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "250m"}})));
}

#[test]
fn claims() {
    let api = with_limits(
        &json!([{"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}]),
    );
    let claim = |size: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}})
    };
    let path = "/api/v1/namespaces/default/persistentvolumeclaims";
    expect![[r#"403 Forbidden: persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"#]]
        .assert_eq(&told(&api, path, &claim("3Gi")));
    expect!["taken"].assert_eq(&told(&api, path, &claim("1Gi")));
}

#[test]
fn what_is_filled_in_is_checked_again() {
    let api = with_limits(&json!([{"type": "Container", "default": {"cpu": "500m"}}]));
    expect![[r#"422 Invalid: Pod "p" is invalid: spec.containers[0].resources.requests: Invalid value: "700m": must be less than or equal to cpu limit of 500m"#]]
        .assert_eq(&told(&api, PODS, &pod("p", &json!({"requests": {"cpu": "700m"}}))));
}
