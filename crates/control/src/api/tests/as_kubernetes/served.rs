//! Kinds that are served in a second version beside the one in which their objects are stored.

use super::*;

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const OLD_EVENTS: &str = "/api/v1/namespaces/default/events";
const AUTOSCALERS: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";

fn event() -> Value {
    json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
        "eventTime": "2026-12-01T10:00:00.000000Z", "reportingController": "example.com/c", "reportingInstance": "c-1",
        "action": "Look", "reason": "Looked", "type": "Normal", "note": "it was looked at",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "series": {"count": 2, "lastObservedTime": "2026-12-01T10:00:01.000000Z"}})
}

#[test]
fn an_event_of_either_version_is_one_event() {
    let api = api();
    let (code, created) = write(&api, &format!("POST {EVENTS}"), JSON, &event());
    assert_eq!((code, &created["note"]), (201, &json!("it was looked at")), "{created}");
    let old = get(&api, &format!("{OLD_EVENTS}/e"));
    assert_eq!((&old["apiVersion"], &old["message"]), (&json!("v1"), &json!("it was looked at")));
    assert_eq!(
        (&old["involvedObject"]["name"], &old["reportingComponent"]),
        (&json!("p"), &json!("example.com/c"))
    );
    let list = get(&api, &format!("{EVENTS}?fieldSelector=regarding.name%3Dp"));
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("EventList"), &json!("events.k8s.io/v1")));
    assert_eq!(list["items"][0]["series"]["count"], 2);
    let (_, patched) = write(&api, &format!("PATCH {EVENTS}/e"), MERGE, &json!({"note": "again"}));
    assert_eq!(patched["note"], "again");
    assert_eq!(get(&api, &format!("{OLD_EVENTS}/e"))["message"], "again");
}

#[test]
fn an_event_that_says_too_little_is_refused() {
    let mut body = event();
    body.as_object_mut().unwrap().remove("reportingController");
    let refused = write(&api(), &format!("POST {EVENTS}"), JSON, &body);
    assert_eq!(
        message(&refused),
        "422 Invalid: Event.events.k8s.io \"e\" is invalid: reportingController: Required value"
    );
}

#[test]
fn an_autoscaler_of_the_first_version_has_a_percentage() {
    let api = api();
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let body = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 50}});
    let (code, created) = write(&api, &format!("POST {AUTOSCALERS}"), JSON, &body);
    assert_eq!((code, &created["spec"]["targetCPUUtilizationPercentage"]), (201, &json!(50)), "{created}");
    let path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers/web";
    assert_eq!(get(&api, path)["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
    let (_, patched) = write(
        &api,
        &format!("PATCH {AUTOSCALERS}/web"),
        STRATEGIC,
        &json!({"spec": {"targetCPUUtilizationPercentage": 60}}),
    );
    assert_eq!(patched["spec"]["targetCPUUtilizationPercentage"], 60);
    assert_eq!(get(&api, path)["spec"]["metrics"].as_array().unwrap().len(), 1);
}

#[test]
fn the_preferred_version_is_the_newest() {
    let group = get(&api(), "/apis/autoscaling");
    assert_eq!(group["preferredVersion"]["version"], "v2");
    assert_eq!(group["versions"].as_array().unwrap().len(), 2);
}
