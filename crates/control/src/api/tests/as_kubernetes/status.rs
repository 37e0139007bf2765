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
