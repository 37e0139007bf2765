//! Pods made of a template, and how they are.

use jiff::Timestamp;
use manifest::Object;
use serde_json::{Map, Value, json};

use super::{World, later, time};
use crate::conditions;
use crate::local::pod::{has_ended, owner};
use crate::store::{LabelSelector, Step, generated_name, metadata};

/// The longest prefix of a generated name, so that the whole is a label.
const PREFIX: usize = 58;

/// A pod of a template, by this name, with labels besides those of the template.
pub(super) fn pod(of: &Object, template: &Value, name: &str, labels: &[(&str, &str)]) -> Object {
    let mut metadata = Map::new();
    let written = &template["metadata"];
    for field in ["labels", "annotations", "finalizers"] {
        if !written[field].is_null() {
            metadata.insert(field.to_owned(), written[field].clone());
        }
    }
    let mut metadata = Value::Object(metadata);
    for (key, value) in labels {
        metadata["labels"][*key] = json!(value);
    }
    metadata["name"] = json!(name);
    metadata["namespace"] = json!(of.namespace);
    metadata["ownerReferences"] = json!([owner(of)]);
    let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]});
    Object::from_value(value).expect("a pod with a name is an object")
}

/// A name that nobody has, which begins so.
pub(super) fn name(prefix: &str) -> String {
    let cut = prefix.floor_char_boundary(PREFIX);
    generated_name(&prefix[..cut])
}

pub(super) fn is_ending(pod: &Object) -> bool {
    metadata::deletion(pod).is_some()
}

/// Whether a pod counts as one of those that are wanted.
pub(super) fn is_active(pod: &Object) -> bool {
    !has_ended(pod) && !is_ending(pod)
}

pub(super) fn is_ready(pod: &Object) -> bool {
    conditions::holds(&pod.value["status"], "Ready")
}

/// When a pod that is ready has been so for long enough.
pub(super) fn available_at(pod: &Object, min_ready_seconds: u64) -> Option<Timestamp> {
    if !is_ready(pod) {
        return None;
    }
    let since = conditions::find(&pod.value["status"]["conditions"], "Ready")?;
    later(time(&since["lastTransitionTime"])?, min_ready_seconds)
}

pub(super) fn restarts(pod: &Object) -> u64 {
    let statuses = pod.value["status"]["containerStatuses"].as_array().into_iter().flatten();
    statuses.filter_map(|status| status["restartCount"].as_u64()).fold(0, u64::saturating_add)
}

pub(super) fn min_ready_seconds(owner: &Object) -> u64 {
    owner.value["spec"]["minReadySeconds"].as_u64().unwrap_or(0)
}

/// How many pods are ready, and how many have been for long enough; and when the next one will have been.
pub(super) fn readiness(pods: &[&Object], of: &Object, now: Timestamp) -> (usize, usize, Option<Timestamp>) {
    let at = |pod: &&&Object| available_at(pod, min_ready_seconds(of));
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let times: Vec<Timestamp> = pods.iter().filter_map(|pod| at(&pod)).collect();
    let available = times.iter().filter(|at| **at <= now).count();
    (ready, available, times.into_iter().filter(|at| *at > now).min())
}

/// The pods of a set that selects them: those that it controls, but for those that it selects no longer, and those of nobody that
/// it selects. What has to be done for that comes along. `None`: its selector selects everything, or cannot be understood.
pub(super) fn selected<'a>(of: &Object, world: &World<'a>) -> Option<(Vec<&'a Object>, Vec<Step>)> {
    let written = &of.value["spec"]["selector"];
    let is_map = of.kind.kind == "ReplicationController";
    let selector =
        if is_map { Some(LabelSelector::from_map(written)) } else { LabelSelector::from_selector(written) };
    let selector = selector.filter(|selector| !selector.is_empty())?;
    let mut steps = Vec::new();
    let uid = metadata::text(of, "uid").unwrap_or_default();
    let (mut own, lost): (Vec<&Object>, Vec<&Object>) =
        world.of(of, "Pod").into_iter().map(AsRef::as_ref).partition(|pod| selector.matches(&pod.labels()));
    steps.extend(lost.into_iter().map(|pod| Step::Release(pod.reference(), uid.to_owned())));
    if !is_ending(of) {
        let free = world.free.iter().copied().map(AsRef::as_ref);
        let free = free.filter(|pod: &&Object| pod.namespace == of.namespace && is_active(pod));
        for pod in free.filter(|pod: &&Object| selector.matches(&pod.labels())) {
            steps.push(Step::Adopt(pod.reference(), owner(of)));
            own.push(pod);
        }
    }
    Some((own, steps))
}

/// The selector of a set as Kubernetes' `status` has numbers: those that are not zero.
pub(super) fn counted(status: &mut Value, counts: &[(&str, usize)]) {
    for (field, count) in counts.iter().filter(|(_, count)| *count > 0) {
        status[*field] = json!(count);
    }
}
