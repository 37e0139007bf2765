//! DaemonSet: one pod on every node that takes it ("DaemonSet", Kubernetes documentation).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use manifest::Object;
use serde_json::{Value, json};

use super::made::{self, is_active, is_ending};
use super::revisions::{REVISION_HASH, Revisions, of_pod};
use super::{Wanted, World};
use crate::local::nodes;
use crate::local::pod::has_ended;

/// What pods of a DaemonSet bear with that others do not: they are there whatever is the matter with a node.
const TOLERATED: &[(&str, &str)] = &[
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// How many pods fewer and more than nodes there may be while pods of another version are replaced.
struct Bounds {
    max_unavailable: usize,
    max_surge: usize,
}

pub(super) fn wanted(set: &Arc<Object>, world: &World<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    let Some((pods, steps)) = made::selected(set, world) else { return wanted };
    wanted.steps = steps;
    let revisions = Revisions::of(set, world);
    let template = template(set);
    let nodes = nodes::all(world.objects);
    let takes = |node: &&&Object| nodes::runs_daemons(node, &template["spec"], true);
    let wanting: Vec<&str> = nodes.iter().filter(takes).map(|node| node.name.as_str()).collect();
    let mut by_node: BTreeMap<&str, Vec<&Object>> = wanting.iter().map(|node| (*node, Vec::new())).collect();
    let mut n_misplaced = 0;
    for pod in &pods {
        let node = pod.value["spec"]["nodeName"].as_str().unwrap_or_default();
        match by_node.get_mut(node) {
            Some(there) => there.push(pod),
            None => {
                let stays = |node: &&Object| nodes::runs_daemons(node, &template["spec"], false);
                let stays = nodes.iter().find(|it| it.name == node).is_some_and(stays);
                n_misplaced += usize::from(is_active(pod));
                if !stays && !is_ending(pod) {
                    wanted.delete(set, pod);
                }
            }
        }
    }
    if !is_ending(set) {
        let make = |node: &str| {
            let name = made::name(&format!("{}-", set.name));
            pod(set, &template, &name, node, &revisions.latest)
        };
        let available = |pod: &Object| {
            let at = made::available_at(pod, made::min_ready_seconds(set));
            at.is_some_and(|at| at <= world.now) && is_active(pod)
        };
        fit(set, &by_node, &revisions.latest, &available, &make, &mut wanted);
        let in_use: BTreeSet<String> = pods.iter().map(|pod| of_pod(pod).to_owned()).collect();
        revisions.keep(&in_use, &mut wanted);
    }
    wanted.status = Some(status(set, &by_node, n_misplaced, &revisions.latest, world, &mut wanted));
    wanted
}

/// Has pods made where there is none, and replaced where they are of another version, within the bounds of the set.
fn fit(
    set: &Object,
    by_node: &BTreeMap<&str, Vec<&Object>>,
    latest: &str,
    available: &dyn Fn(&Object) -> bool,
    make: &dyn Fn(&str) -> Object,
    wanted: &mut Wanted,
) {
    let rolls = set.value["spec"]["updateStrategy"]["type"] != "OnDelete";
    let Bounds { max_unavailable, max_surge } = bounds(set, by_node.len());
    let n_unavailable = by_node.values().filter(|pods| !pods.iter().any(|pod| available(pod))).count();
    let mut may_go = max_unavailable.saturating_sub(n_unavailable);
    let mut may_come = max_surge.saturating_sub(by_node.values().filter(|pods| pods.len() > 1).count());
    for (node, pods) in by_node {
        for pod in pods.iter().filter(|pod| has_ended(pod) && !is_ending(pod)) {
            wanted.delete(set, pod);
        }
        let active: Vec<&&Object> = pods.iter().filter(|pod| is_active(pod)).collect();
        let new = active.iter().find(|pod| of_pod(pod) == latest);
        let old: Vec<&&&Object> = active.iter().filter(|pod| of_pod(pod) != latest).collect();
        match (new, old.as_slice()) {
            // The one before it goes first, as long as there is no more than one of them at a time.
            (None, []) if pods.iter().any(|pod| is_ending(pod)) => {}
            (None, []) => wanted.make(make(node)),
            (None, old) if rolls && max_surge > 0 && (may_come > 0 || !available(old[0])) => {
                may_come = may_come.saturating_sub(1);
                wanted.make(make(node));
            }
            (None, old) if rolls && max_surge == 0 && (may_go > 0 || !available(old[0])) => {
                may_go = may_go.saturating_sub(usize::from(available(old[0])));
                wanted.delete(set, old[0]);
            }
            (Some(new), old) if available(new) => old.iter().for_each(|pod| wanted.delete(set, pod)),
            _ => {}
        }
        // Two of the same version are one too many.
        let n_same = active.iter().filter(|pod| of_pod(pod) == latest).skip(1);
        n_same.for_each(|pod| wanted.delete(set, pod));
    }
}

fn bounds(set: &Object, n_nodes: usize) -> Bounds {
    let rolling = &set.value["spec"]["updateStrategy"]["rollingUpdate"];
    let bound = |field: &str, default: usize| match &rolling[field] {
        Value::String(text) => {
            let percent: usize = text.strip_suffix('%').and_then(|text| text.parse().ok()).unwrap_or(0);
            percent.saturating_mul(n_nodes).div_ceil(100)
        }
        number => super::count(number, default),
    };
    let max_surge = bound("maxSurge", 0);
    let max_unavailable = bound("maxUnavailable", 1);
    Bounds {
        max_unavailable: if max_surge == 0 { max_unavailable.max(1) } else { max_unavailable },
        max_surge,
    }
}

/// The template with what every pod of a DaemonSet bears with.
fn template(set: &Object) -> Value {
    let mut template = set.value["spec"]["template"].clone();
    let Some(spec) = template["spec"].as_object_mut() else { return template };
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    if let Some(tolerations) = tolerations.as_array_mut() {
        let more =
            TOLERATED.iter().map(|(key, effect)| json!({"key": key, "operator": "Exists", "effect": effect}));
        tolerations.extend(more);
    }
    template
}

fn pod(set: &Object, template: &Value, name: &str, node: &str, latest: &str) -> Object {
    let generation = set.value["metadata"]["generation"].to_string();
    let labels = [(REVISION_HASH, latest), ("pod-template-generation", generation.as_str())];
    let mut pod = made::pod(set, template, name, &labels);
    let fields = json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
    pod.value["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({"nodeSelectorTerms": [{"matchFields": fields}]});
    pod.value["spec"]["nodeName"] = json!(node);
    pod
}

fn status(
    set: &Object,
    by_node: &BTreeMap<&str, Vec<&Object>>,
    n_misplaced: usize,
    latest: &str,
    world: &World<'_>,
    wanted: &mut Wanted,
) -> Value {
    let there: Vec<&Object> = by_node.values().filter_map(|pods| speaker(pods, latest)).collect();
    let (ready, available, next) = made::readiness(&there, set, world.now);
    wanted.look_again(next);
    let updated = there.iter().filter(|pod| of_pod(pod) == latest).count();
    let mut status = json!({
        "currentNumberScheduled": there.len(),
        "desiredNumberScheduled": by_node.len(),
        "numberMisscheduled": n_misplaced,
        "numberReady": ready,
        "observedGeneration": set.value["metadata"]["generation"],
    });
    let counts = [
        ("updatedNumberScheduled", updated),
        ("numberAvailable", available),
        ("numberUnavailable", by_node.len().saturating_sub(available)),
    ];
    made::counted(&mut status, &counts);
    status
}

/// Of several pods of a node the newest speaks.
fn speaker<'a>(pods: &[&'a Object], latest: &str) -> Option<&'a Object> {
    let active = || pods.iter().copied().filter(|pod| is_active(pod));
    active().find(|pod| of_pod(pod) == latest).or_else(|| active().next())
}
