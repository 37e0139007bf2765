//! Pods: one word for all that can be the matter with them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, NONE, column, holds, is_ending, items, number, text_or, wide};
use super::fill::fields;
use super::pod_spec::fill_pod_spec;
use super::time::human_duration;
use super::{ALL, CORE, Kind, Pods, namespaced};
use crate::kinds::validation::Rules;
use crate::{Object, Objects};

pub(super) static POD: Kind = Kind {
    short_names: &["po"],
    categories: ALL,
    subresources: &["status", "log", "exec", "attach", "portforward"],
    columns: COLUMNS,
    fields: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ],
    fill,
    pods: Pods::Spec("spec"),
    rules: Rules {
        required: &["spec.containers"],
        words: &[("spec.restartPolicy", &["Always", "OnFailure", "Never"])],
        ..Rules::NONE
    },
    ..namespaced(CORE, "v1", "Pod", "pods")
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Ready", |pod, _| json!(ready(pod))),
    column("Status", |pod, _| json!(word(pod))),
    column("Restarts", |pod, now| json!(restarts(pod, now))),
    AGE,
    wide("IP", |pod, _| json!(text_or(&pod.value["status"]["podIP"], NONE))),
    wide("Node", |pod, _| json!(text_or(&pod.value["spec"]["nodeName"], NONE))),
    wide("Nominated Node", |pod, _| json!(text_or(&pod.value["status"]["nominatedNodeName"], NONE))),
    wide("Readiness Gates", |pod, _| json!(readiness_gates(pod))),
];

fn containers(pod: &Object) -> impl Iterator<Item = &Value> {
    items(&pod.value["status"]["containerStatuses"])
}

/// `1/2`
fn ready(pod: &Object) -> String {
    let n_ready = containers(pod).filter(|container| is_ready(container)).count();
    format!("{n_ready}/{}", items(&pod.value["spec"]["containers"]).count())
}

fn is_ready(container: &Value) -> bool {
    container["ready"] == true && container["state"]["running"].is_object()
}

/// What is the matter: of several containers the first that is not well speaks, and being deleted speaks loudest.
fn word(pod: &Object) -> String {
    let status = &pod.value["status"];
    if is_ending(pod) {
        return "Terminating".to_owned();
    }
    let phase = text_or(&status["reason"], text_or(&status["phase"], "Pending"));
    let of_containers = containers(pod).find_map(unwell);
    match of_containers {
        // A container that is done beside others that run.
        Some(word) if word == "Completed" && containers(pod).any(is_ready) => {
            if holds(status, "Ready") { "Running" } else { "NotReady" }.to_owned()
        }
        Some(word) => word,
        None => phase.to_owned(),
    }
}

/// Why a container does not run.
fn unwell(container: &Value) -> Option<String> {
    let state = &container["state"];
    if let Some(reason) = state["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty()) {
        return Some(reason.to_owned());
    }
    let terminated = state.get("terminated").filter(|terminated| terminated.is_object())?;
    Some(match (terminated["reason"].as_str().unwrap_or_default(), number(&terminated["signal"])) {
        ("", 0) => format!("ExitCode:{}", terminated["exitCode"]),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    })
}

/// `6 (3m1s ago)`
fn restarts(pod: &Object, now: Timestamp) -> String {
    let n_restarts: u64 = containers(pod).map(|container| number(&container["restartCount"])).sum();
    let ends =
        containers(pod).filter_map(|container| container["lastState"]["terminated"]["finishedAt"].as_str());
    let last: Option<Timestamp> = ends.filter_map(|end| end.parse().ok()).max();
    match last {
        Some(last) if n_restarts > 0 => {
            format!("{n_restarts} ({} ago)", human_duration(now.as_second() - last.as_second()))
        }
        _ => n_restarts.to_string(),
    }
}

/// `1/2`, or `<none>`
fn readiness_gates(pod: &Object) -> String {
    let gates: Vec<&str> = items(&pod.value["spec"]["readinessGates"])
        .filter_map(|gate| gate["conditionType"].as_str())
        .collect();
    let n_open = gates.iter().filter(|gate| holds(&pod.value["status"], gate)).count();
    if gates.is_empty() { NONE.to_owned() } else { format!("{n_open}/{}", gates.len()) }
}

fn fill(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    if let Some(spec) = object.value.as_object_mut().and_then(|pod| fields(pod, "spec")) {
        fill_pod_spec(spec);
    }
}
