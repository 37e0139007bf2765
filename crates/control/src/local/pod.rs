//! Pods: what people see of replicas.

use jiff::Timestamp;
use manifest::{Object, Workload};
use serde_json::{Map, Value, json};

use super::container::{State, Status, Termination};
use crate::conditions::{self, Condition};
use crate::store::metadata;

/// The label that tells replicas of different templates apart.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";

/// The label that says in which zone a pod is, as clusters have it since Kubernetes 1.35 (KEP-4742).
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

/// How containers ended of which nobody knows it.
const UNKNOWN: &str = "ContainerStatusUnknown";

/// A pod of a set, in a zone where it has one. `None`: the template cannot be read as one.
pub(super) fn new(
    name: &str,
    workload: &Workload,
    set: &Object,
    node: &str,
    zone: Option<&str>,
) -> Option<Object> {
    let template = &set.value["spec"]["template"];
    let mut labels: Map<String, Value> =
        workload.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    labels.insert(TEMPLATE_HASH.to_owned(), json!(short_hash(&workload.template_hash)));
    if let Some(zone) = zone {
        labels.insert(ZONE.to_owned(), json!(zone));
    }
    let mut spec = template["spec"].clone();
    spec.as_object_mut()?.insert("nodeName".to_owned(), json!(node));
    let value = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": workload.owner.namespace,
            "labels": labels,
            "annotations": workload.annotations,
            "ownerReferences": [owner(set)],
        },
        "spec": spec,
    });
    Object::from_value(value).ok()
}

/// What an object says of the object that controls it.
pub(super) fn owner(object: &Object) -> Value {
    json!({
        "apiVersion": object.kind.api_version(),
        "kind": object.kind.kind,
        "name": object.name,
        "uid": metadata::text(object, "uid").unwrap_or_default(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A template's hash as it is written into names.
pub(super) fn short_hash(hash: &str) -> &str {
    &hash[..hash.floor_char_boundary(10)]
}

/// What is known of a pod's replica.
pub(super) struct Facts<'a> {
    /// Containers by name.
    pub(super) containers: &'a [(String, Status)],
    pub(super) address: &'a str,
    pub(super) started: Timestamp,
    /// Why it failed, whatever its containers say.
    pub(super) failure: Option<(&'static str, &'static str)>,
}

/// The status of a pod.
pub(super) fn status(pod: &Object, facts: &Facts<'_>, now: Timestamp) -> Value {
    let unready: Vec<_> = facts
        .containers
        .iter()
        .filter(|(_, status)| !status.is_ready)
        .map(|(name, _)| name.as_str())
        .collect();
    let phase = phase(facts);
    let end = match phase {
        "Succeeded" => "PodCompleted",
        "Failed" => "PodFailed",
        _ => "",
    };
    let ready = |kind| {
        let condition = Condition::new(kind, unready.is_empty() && end.is_empty());
        let message = format!("containers with unready status: [{}]", unready.join(" "));
        match (unready.is_empty(), end) {
            (true, "") => condition,
            (_, "") => condition.because("ContainersNotReady", message),
            _ => condition.because(end, ""),
        }
    };
    let conditions = [
        Condition::new("PodScheduled", true),
        Condition::new("Initialized", true).because(if phase == "Succeeded" { end } else { "" }, ""),
        ready("ContainersReady"),
        ready("Ready"),
    ];
    let images = &pod.value["spec"]["containers"];
    let statuses = facts.containers.iter().map(|(name, status)| container_status(name, images, status));
    let mut status = json!({
        "phase": phase,
        "conditions": conditions::list(&conditions, &pod.value["status"]["conditions"], &metadata::time(now)),
        "hostIP": "127.0.0.1",
        "podIP": facts.address,
        "podIPs": [{"ip": facts.address}],
        "startTime": metadata::time(facts.started),
        "containerStatuses": statuses.collect::<Value>(),
        "qosClass": manifest::qos_class(&pod.value["spec"]),
    });
    if let Some((reason, message)) = facts.failure {
        status["reason"] = json!(reason);
        status["message"] = json!(message);
    }
    status
}

/// Where in its life a pod is ("Pod Lifecycle", Kubernetes documentation).
fn phase(facts: &Facts<'_>) -> &'static str {
    let mut statuses = facts.containers.iter().map(|(_, status)| status);
    let has_run = |status: &Status| status.restarts > 0 || !matches!(status.state, State::Waiting { .. });
    let has_ended = statuses.clone().all(|status| status.is_gone);
    match has_ended {
        _ if facts.failure.is_some() => "Failed",
        true if statuses.all(Status::ended_well) => "Succeeded",
        true => "Failed",
        false if statuses.all(has_run) => "Running",
        false => "Pending",
    }
}

/// The status of a pod that a platform had started that is no more, when it is not to be started again.
pub(super) fn lost(pod: &Object, now: Timestamp) -> Value {
    let mut status = pod.value["status"].clone();
    let now = metadata::time(now);
    let message =
        "The container could not be located when the pod was terminated: the platform ended while it ran";
    let statuses = containers(pod).map(|container| {
        let known = status["containerStatuses"].as_array().into_iter().flatten();
        let known = known.into_iter().find(|known| known["name"] == container["name"]);
        if let Some(known) = known.filter(|known| known["state"]["terminated"].is_object()) {
            return known.clone();
        }
        json!({
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": false,
            "started": false,
            "restartCount": known.map_or(0, |known| known["restartCount"].as_u64().unwrap_or(0)),
            "state": {"terminated": {"exitCode": 137, "reason": UNKNOWN, "message": message,
                "startedAt": status["startTime"], "finishedAt": now}},
            "lastState": {},
        })
    });
    let statuses: Value = statuses.collect();
    let ready = |kind| Condition::new(kind, false).because("PodFailed", "");
    let conditions = [
        Condition::new("PodScheduled", true),
        Condition::new("Initialized", true),
        ready("ContainersReady"),
        ready("Ready"),
    ];
    status["phase"] = json!("Failed");
    status["conditions"] = conditions::list(&conditions, &status["conditions"], &now);
    status["containerStatuses"] = statuses;
    status
}

/// The status of a pod that cannot be started as it is written.
pub(super) fn unstartable(pod: &Object, problem: &str, now: Timestamp) -> Value {
    let statuses = containers(pod).map(|container| {
        let reason = if manifest::has_program(container) { "CreateContainerConfigError" } else { "ErrImagePull" };
        json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": false, "started": false,
            "restartCount": 0, "lastState": {}, "state": {"waiting": {"reason": reason, "message": problem}}})
    });
    let names: Vec<&str> = containers(pod).filter_map(|container| container["name"].as_str()).collect();
    let message = format!("containers with unready status: [{}]", names.join(" "));
    let unready = |kind| Condition::new(kind, false).because("ContainersNotReady", message.clone());
    let conditions = [
        Condition::new("PodScheduled", true),
        Condition::new("Initialized", true),
        unready("ContainersReady"),
        unready("Ready"),
    ];
    json!({
        "phase": "Pending",
        "conditions": conditions::list(&conditions, &pod.value["status"]["conditions"], &metadata::time(now)),
        "containerStatuses": statuses.collect::<Value>(),
        "qosClass": manifest::qos_class(&pod.value["spec"]),
    })
}

fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    pod.value["spec"]["containers"].as_array().into_iter().flatten()
}

/// Whether nobody knows how a pod ended.
pub(super) fn was_lost(pod: &Object) -> bool {
    let mut statuses = pod.value["status"]["containerStatuses"].as_array().into_iter().flatten();
    statuses.any(|status| status["state"]["terminated"]["reason"] == UNKNOWN)
}

/// Whether a pod has ended for good.
pub(super) fn has_ended(pod: &Object) -> bool {
    matches!(pod.value["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Whether a pod is to run to its end, and not to be started again and again.
pub(super) fn runs_to_its_end(pod: &Object) -> bool {
    matches!(pod.value["spec"]["restartPolicy"].as_str(), Some("OnFailure" | "Never"))
}

/// How often a container of a pod has been started, by a platform that is no more.
pub(super) fn n_starts(pod: &Object, container: &str) -> u32 {
    let status = &pod.value["status"];
    if !runs_to_its_end(pod) || !status["startTime"].is_string() {
        return 0;
    }
    let mut statuses = status["containerStatuses"].as_array().into_iter().flatten();
    let known = statuses.find(|known| known["name"] == *container);
    let restarts = known.and_then(|known| known["restartCount"].as_u64()).unwrap_or(0);
    u32::try_from(restarts).unwrap_or(u32::MAX).saturating_add(1)
}

fn container_status(name: &str, containers: &Value, status: &Status) -> Value {
    let described = containers.as_array().into_iter().flatten().find(|container| container["name"] == name);
    let image = described.map(|container| container["image"].clone()).unwrap_or_default();
    let last = status.last.as_ref().map_or_else(|| json!({}), |last| json!({"terminated": terminated(last)}));
    json!({
        "name": name,
        "image": image,
        "imageID": "",
        "ready": status.is_ready,
        "started": status.has_started,
        "restartCount": status.restarts,
        "state": state(&status.state),
        "lastState": last,
    })
}

fn state(state: &State) -> Value {
    match state {
        State::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
        State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running { since } => json!({"running": {"startedAt": metadata::time(*since)}}),
        State::Terminated(termination) => json!({"terminated": terminated(termination)}),
    }
}

fn terminated(termination: &Termination) -> Value {
    let mut value = json!({
        "exitCode": termination.exit_code,
        "reason": termination.reason,
        "startedAt": metadata::time(termination.started),
        "finishedAt": metadata::time(termination.finished),
    });
    if let Some(signal) = termination.signal {
        value["signal"] = json!(signal);
    }
    if !termination.message.is_empty() {
        value["message"] = json!(termination.message);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn pod() -> Object {
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "api-1"},
            "spec": {"containers": [{"name": "main", "image": "forebay:1"}]}});
        Object::from_value(value).unwrap()
    }

    fn running(is_ready: bool) -> Status {
        Status {
            state: State::Running { since: at("2026-11-21T12:00:00Z") },
            last: None,
            restarts: 0,
            has_started: true,
            is_ready,
            is_gone: false,
        }
    }

    fn written(status: Status) -> Value {
        let containers = [("main".to_owned(), status)];
        let facts = Facts {
            containers: &containers,
            address: "127.78.0.1",
            started: at("2026-11-21T12:00:00Z"),
            failure: None,
        };
        super::status(&pod(), &facts, at("2026-11-21T12:00:05Z"))
    }

    #[test]
    fn a_ready_pod() {
        let status = written(running(true));
        assert!(conditions::holds(&status, "Ready"));
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["podIP"], "127.78.0.1");
        assert_eq!(status["containerStatuses"][0]["image"], "forebay:1");
    }

    #[test]
    fn acc_s4_112_a_pod_whose_container_failed_says_how() {
        let last = Termination {
            exit_code: 137,
            signal: Some(9),
            reason: "OOMKilled",
            message: "the last line".to_owned(),
            started: at("2026-11-21T12:00:00Z"),
            finished: at("2026-11-21T12:00:01Z"),
        };
        let state = State::Waiting { reason: "CrashLoopBackOff", message: "back-off 10s".to_owned() };
        let failed = Status { state, last: Some(last), restarts: 3, has_started: false, ..running(false) };
        let status = written(failed);
        expect![[r#"
            {
              "image": "forebay:1",
              "imageID": "",
              "lastState": {
                "terminated": {
                  "exitCode": 137,
                  "finishedAt": "2026-11-21T12:00:01Z",
                  "message": "the last line",
                  "reason": "OOMKilled",
                  "signal": 9,
                  "startedAt": "2026-11-21T12:00:00Z"
                }
              },
              "name": "main",
              "ready": false,
              "restartCount": 3,
              "started": false,
              "state": {
                "waiting": {
                  "message": "back-off 10s",
                  "reason": "CrashLoopBackOff"
                }
              }
            }"#]]
        .assert_eq(&format!("{:#}", status["containerStatuses"][0]));
        assert_eq!(status["conditions"][3]["message"], "containers with unready status: [main]");
        assert_eq!(status["phase"], "Running");
    }
}
