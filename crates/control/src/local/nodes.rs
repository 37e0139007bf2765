//! On which node a pod runs. All of them are this machine; who cordons or taints one wants its pods on the other all the same.

use std::collections::{BTreeMap, BTreeSet};

use manifest::{Object, Objects};
use plan::ObjectRef;
use serde_json::Value;

use super::pod::has_ended;
use crate::store::LabelSelector;

/// All nodes, by name.
pub(super) fn all(objects: &Objects) -> Vec<&Object> {
    objects.of_kind("Node").map(AsRef::as_ref).collect()
}

/// The node that takes a pod and has the fewest of `ours`, and then the fewest at all.
pub(super) fn best<'a>(
    nodes: &[&'a Object],
    spec: &Value,
    objects: &Objects,
    ours: &BTreeSet<&ObjectRef>,
) -> Option<&'a str> {
    let load = |node: &Object| {
        let pods = objects.of_kind("Pod").filter(|pod| !manifest::is_of_platform(pod) && !has_ended(pod));
        let pods = pods.filter(|pod| pod.value["spec"]["nodeName"] == *node.name);
        pods.fold((0, 0), |(n_ours, n), pod| (n_ours + usize::from(ours.contains(&pod.reference())), n + 1))
    };
    let takes = nodes.iter().filter(|node| takes(node, spec));
    takes.min_by_key(|node| load(node)).map(|node| node.name.as_str())
}

/// Whether a node takes new pods like this one.
fn takes(node: &Object, spec: &Value) -> bool {
    node.value["spec"]["unschedulable"] != true && bears(node, spec, &["NoSchedule", "NoExecute"])
}

/// Whether a node has a pod like this one that runs on every node: whether one is begun there, or may at least stay. A node that
/// takes no new pods takes these.
pub(super) fn runs_daemons(node: &Object, spec: &Value, is_new: bool) -> bool {
    let labels = node.labels();
    let mut selector = spec["nodeSelector"].as_object().into_iter().flatten();
    let is_selected = selector.all(|(key, value)| labels.get(key.as_str()).copied() == value.as_str());
    let is_meant = spec["nodeName"].as_str().is_none_or(|name| name.is_empty() || name == node.name);
    let effects: &[&str] = if is_new { &["NoSchedule", "NoExecute"] } else { &["NoExecute"] };
    is_selected && is_meant && has_affinity(&labels, spec) && bears(node, spec, effects)
}

/// Whether a pod's required node affinity lets it onto a node with these labels. Terms are alternatives.
fn has_affinity(labels: &BTreeMap<&str, &str>, spec: &Value) -> bool {
    let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let Some(terms) = required["nodeSelectorTerms"].as_array() else { return true };
    terms
        .iter()
        .any(|term| LabelSelector::from_selector(term).is_some_and(|selector| selector.matches(labels)))
}

/// Whether a pod tolerates the taints of a node that have such an effect.
fn bears(node: &Object, spec: &Value, effects: &[&str]) -> bool {
    let taints = node.value["spec"]["taints"].as_array().into_iter().flatten();
    let mut hard = taints.filter(|taint| taint["effect"].as_str().is_some_and(|it| effects.contains(&it)));
    hard.all(|taint| is_tolerated(taint, spec))
}

fn is_tolerated(taint: &Value, spec: &Value) -> bool {
    let mut tolerations = spec["tolerations"].as_array().into_iter().flatten();
    tolerations.any(|toleration| {
        let is_any = |field: &str| toleration[field].as_str().is_none_or(str::is_empty);
        let exists = toleration["operator"] == "Exists";
        let is_of_key = (is_any("key") && exists) || toleration["key"] == taint["key"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_of_value = exists || text(&toleration["value"]) == text(&taint["value"]);
        is_of_key && is_of_value && (is_any("effect") || toleration["effect"] == taint["effect"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str, spec: &Value) -> Object {
        Object::from_value(
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}),
        )
        .unwrap()
    }

    fn chosen(nodes: &[(&str, Value)], pods: &[&str], spec: &Value) -> Option<String> {
        let nodes = nodes.iter().map(|(name, spec)| object("Node", name, spec));
        let pods = pods.iter().enumerate();
        let pods = pods.map(|(n, node)| object("Pod", &format!("p{n}"), &json!({"nodeName": node})));
        let objects: Objects = nodes.chain(pods).collect();
        best(&all(&objects), spec, &objects, &BTreeSet::new()).map(ToOwned::to_owned)
    }

    #[test]
    fn pods_go_where_there_are_few_and_never_to_a_node_that_is_cordoned_or_tainted() {
        let free = || [("a", json!({})), ("b", json!({}))];
        assert_eq!(chosen(&free(), &[], &json!({})).as_deref(), Some("a"));
        assert_eq!(chosen(&free(), &["a"], &json!({})).as_deref(), Some("b"));
        let cordoned = [("a", json!({"unschedulable": true})), ("b", json!({}))];
        assert_eq!(chosen(&cordoned, &["b", "b"], &json!({})).as_deref(), Some("b"));
        let tainted = [("a", json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}))];
        assert_eq!(chosen(&tainted, &[], &json!({})), None);
        for toleration in [
            json!({"operator": "Exists"}),
            json!({"key": "k", "operator": "Exists", "effect": "NoSchedule"}),
            json!({"key": "k", "value": "v"}),
        ] {
            assert_eq!(chosen(&tainted, &[], &json!({"tolerations": [toleration]})).as_deref(), Some("a"));
        }
        for other in [
            json!({"key": "k", "value": "w"}),
            json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}),
        ] {
            assert_eq!(chosen(&tainted, &[], &json!({"tolerations": [other]})), None);
        }
    }
}
