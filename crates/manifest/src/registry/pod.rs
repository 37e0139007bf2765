//! Pods: one word for all that can be the matter with them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::columns::{
    AGE, Column, NAME, NONE, column, container_images, container_names, holds, is_ending, items, labels,
    number, text_or, wide,
};
use super::fill::{fields, items as items_of, set_missing};
use super::pod_spec::fill_pod_spec;
use super::time::human_duration;
use super::{ALL, CORE, Effect, Kind, Pods, namespaced, says_otherwise};
use crate::kinds::validation::{Rules, Violation};
use crate::{Object, Objects};

pub(super) static POD: Kind = Kind {
    short_names: &["po"],
    categories: ALL,
    subresources: &[
        "status",
        "log",
        "exec",
        "attach",
        "portforward",
        "eviction",
        "ephemeralcontainers",
        "resize",
    ],
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
    change: check_change,
    pods: Pods::Spec("spec"),
    rules: Rules { required: &["spec.containers"], ..Rules::NONE },
    ..namespaced(CORE, "v1", "Pod", "pods")
};

pub(super) static POD_TEMPLATE: Kind = Kind {
    columns: TEMPLATE_COLUMNS,
    fill: |object, _, _| {
        let template = object.value.as_object_mut().and_then(|it| fields(it, "template"));
        if let Some(spec) = template.and_then(|template| fields(template, "spec")) {
            fill_pod_spec(spec);
        }
    },
    pods: Pods::Spec("template.spec"),
    rules: Rules { required: &["template.spec.containers"], ..Rules::NONE },
    effect: Effect::Kept,
    ..namespaced(CORE, "v1", "PodTemplate", "podtemplates")
};

const TEMPLATE_COLUMNS: &[Column] = &[
    NAME,
    column("Containers", |template, _| container_names(&template.value["template"]["spec"])),
    column("Images", |template, _| container_images(&template.value["template"]["spec"])),
    column("Pod Labels", |template, _| labels(&template.value["template"]["metadata"]["labels"])),
];

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

fn fill(object: &mut Object, old: Option<&Object>, _all: &Objects) {
    let Some(pod) = object.value.as_object_mut() else { return };
    let Some(spec) = fields(pod, "spec") else { return };
    fill_pod_spec(spec);
    // What it was given when it came it keeps.
    for field in GIVEN {
        if let Some(value) = old.and_then(|old| old.value["spec"].get(field)) {
            set_missing(spec, [(field, value.clone())]);
        }
    }
    set_missing(spec, [("enableServiceLinks", json!(true))]);
    // Who names only a limit asks for as much.
    for list in ["initContainers", "containers"] {
        items_of(spec, list).for_each(fill_requests);
    }
    if old.is_none() {
        let class = qos_class(&pod["spec"]);
        if let Some(status) = fields(pod, "status") {
            set_missing(status, [("phase", json!("Pending")), ("qosClass", json!(class))]);
        }
    }
}

/// What a pod is given when it is made: by admission, and by whoever says where it runs.
const GIVEN: [&str; 8] = [
    "nodeName",
    "serviceAccountName",
    "serviceAccount",
    "priorityClassName",
    "priority",
    "preemptionPolicy",
    "tolerations",
    "overhead",
];

fn fill_requests(container: &mut Map<String, Value>) {
    let Some(resources) = fields(container, "resources") else { return };
    let limits = resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
    if limits.is_empty() {
        return;
    }
    if let Some(requests) = fields(resources, "requests") {
        for (resource, limit) in limits {
            requests.entry(resource).or_insert(limit);
        }
    }
}

/// How surely a pod gets what it asks for ("Pod Quality of Service Classes", Kubernetes docs).
#[must_use]
pub fn qos_class(spec: &Value) -> &'static str {
    let containers = || spec["containers"].as_array().into_iter().flatten();
    let of = |container: &Value, field: &str, name: &str| {
        let amount = &container["resources"][field][name];
        let written = amount.as_str().and_then(crate::parse_quantity).or(amount.as_f64());
        written.filter(|amount| *amount > 0.0)
    };
    let names = ["cpu", "memory"];
    let asks = |container: &Value| {
        names
            .iter()
            .any(|name| ["requests", "limits"].iter().any(|field| of(container, field, name).is_some()))
    };
    // Who names only a limit asks for as much.
    let is_sure = |container: &Value, name: &str| {
        let limit = of(container, "limits", name);
        limit.is_some() && of(container, "requests", name).is_none_or(|request| Some(request) == limit)
    };
    if !containers().any(asks) {
        "BestEffort"
    } else if containers().all(|container| names.iter().all(|name| is_sure(container, name))) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Of a pod that is there hardly anything changes.
fn check_change(new: &Value, old: &Value, found: &mut Vec<Violation>) {
    const WHY: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
        `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
        tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    let mut new = new["spec"].clone();
    for free in
        ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"]
    {
        if let Some(spec) = new.as_object_mut() {
            spec.remove(free);
        }
    }
    for list in ["containers", "initContainers"] {
        let containers = new.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        containers.filter_map(Value::as_object_mut).for_each(|container| drop(container.remove("image")));
    }
    if says_otherwise(&new, &old["spec"]) {
        found.push(Violation::forbidden("spec", WHY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_pod_follows_from_what_its_containers_ask_for() {
        let class = |resources: &[Value]| {
            let containers = resources.iter().map(|resources| json!({"resources": resources}));
            qos_class(&json!({"containers": containers.collect::<Value>()}))
        };
        let both = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(class(&[json!({})]), "BestEffort");
        assert_eq!(class(&[json!({"requests": {"cpu": "100m"}})]), "Burstable");
        assert_eq!(class(&[json!({"limits": both})]), "Guaranteed");
        assert_eq!(
            class(&[json!({"limits": both, "requests": {"cpu": 1, "memory": "1024Mi"}})]),
            "Guaranteed"
        );
        assert_eq!(class(&[json!({"limits": both, "requests": {"cpu": "500m"}})]), "Burstable");
        assert_eq!(class(&[json!({"limits": both}), json!({})]), "Burstable");
    }
}
