//! The part of an object that says what is so.

use super::*;

#[test]
fn configmap_has_no_status() {
    let api = with_config_maps(&["c"]);
    let path = format!("{CONFIGMAPS}/c/status");
    for verb in ["GET", "PUT", "PATCH"] {
        assert_eq!(
            send(&api, &format!("{verb} {path}"), &[("content-type", MERGE)], "{}").status(),
            404,
            "{verb}"
        );
    }
    let listed = get(&api, "/api/v1")["resources"].as_array().unwrap().clone();
    for absent in ["configmaps", "secrets", "serviceaccounts", "events", "endpoints"] {
        assert!(listed.iter().all(|it| it["name"] != format!("{absent}/status")), "{absent}");
    }
    assert!(listed.iter().any(|it| it["name"] == "services/status"));
}

/// `deployment.status.readyReplicas` right after it was made: typed clients read fields of what has to be there.
#[test]
fn status_of_new_object() {
    let api = api();
    let (code, made) = write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &deployment());
    assert_eq!((code, &made["status"]), (201, &json!({})));
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    let line = "POST /apis/networking.k8s.io/v1/namespaces/default/ingresses";
    assert_eq!(write(&api, line, JSON, &ingress).1["status"], json!({"loadBalancer": {}}));
    let mut set = deployment();
    set["kind"] = json!("DaemonSet");
    set["spec"]
        .as_object_mut()
        .unwrap()
        .retain(|field, _| ["selector", "template"].contains(&field.as_str()));
    let made = write(&api, "POST /apis/apps/v1/namespaces/default/daemonsets", JSON, &set).1;
    let nothing = json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0});
    assert_eq!(made["status"], nothing, "{made}");
    let made = write(&api, &format!("POST {CONFIGMAPS}"), JSON, &config_map("c")).1;
    assert!(made.get("status").is_none(), "{made}");
}
