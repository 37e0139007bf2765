//! Statuses of objects that are kept and steer nothing here: what they would steer is counted all the same, and that nothing
//! follows from it is said. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use manifest::{Object, Objects};
use plan::ObjectRef;
use serde_json::{Value, json};

use crate::conditions::{self, Condition};
use crate::store::{LabelSelector, metadata};

/// The statuses of all of them.
pub(super) fn statuses(objects: &Objects, now: Timestamp) -> Vec<(ObjectRef, Value)> {
    let now = metadata::time(now);
    let of_kind = |kind: &'static str| objects.of_kind(kind).map(AsRef::as_ref);
    let autoscalers = of_kind("HorizontalPodAutoscaler");
    let autoscalers = autoscalers.map(|object| (object.reference(), autoscaler(object, objects, &now)));
    let budgets = of_kind("PodDisruptionBudget");
    let budgets = budgets.map(|object| (object.reference(), budget(object, objects, &now)));
    autoscalers.chain(budgets).collect()
}

/// How many replicas there are, and that nobody scales them.
fn autoscaler(object: &Object, objects: &Objects, now: &str) -> Value {
    let target = &object.value["spec"]["scaleTargetRef"];
    let (kind, name) =
        (target["kind"].as_str().unwrap_or_default(), target["name"].as_str().unwrap_or_default());
    let found = objects.get(kind, &object.namespace, name);
    let found = found.filter(|found| found.kind.subresources.contains(&"scale"));
    let replicas = found.map(|found| found.value["status"]["replicas"].as_u64().unwrap_or(0));
    let able = match replicas {
        Some(_) => Condition::new("AbleToScale", true)
            .because("SucceededGetScale", "the number of replicas of the target is known"),
        None => Condition::new("AbleToScale", false)
            .because("FailedGetScale", format!("there is no {kind} {name} in the namespace")),
    };
    let active = Condition::new("ScalingActive", false)
        .because("NotScaledHere", "nothing is scaled on one machine yet: replicas stay as many as they are");
    json!({
        "observedGeneration": object.value["metadata"]["generation"],
        "currentReplicas": replicas.unwrap_or(0),
        "desiredReplicas": replicas.unwrap_or(0),
        "conditions": conditions::list(&[able, active], &object.value["status"]["conditions"], now),
    })
}

/// What says how many pods of it there are to be.
const SCALED: &[&str] = &["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"];

fn is_owned_by(object: &Object, kind: &str) -> bool {
    let owners = object.value["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|owner| owner["kind"] == *kind)
}

/// How many pods there are and how many of them may go, as Kubernetes' disruption controller counts them.
pub(crate) fn budget(object: &Object, objects: &Objects, now: &str) -> Value {
    let spec = &object.value["spec"];
    let selector = LabelSelector::from_selector(&spec["selector"]).filter(|_| spec["selector"].is_object());
    let is_selected =
        |labels: &BTreeMap<&str, &str>| selector.as_ref().is_some_and(|selector| selector.matches(labels));
    let pods = objects.of_kind("Pod").filter(|pod| pod.namespace == object.namespace);
    let pods: Vec<&Object> = pods.map(AsRef::as_ref).filter(|pod| is_selected(&pod.labels())).collect();
    let is_alone = |pod: &&&Object| !SCALED.iter().any(|kind| is_owned_by(pod, kind));
    let wanted = SCALED.iter().flat_map(|kind| objects.of_kind(kind));
    let wanted = wanted.filter(|it| it.namespace == object.namespace && !is_owned_by(it, "Deployment"));
    let wanted =
        wanted.filter(|it| is_selected(&labels_of(&it.value["spec"]["template"]["metadata"]["labels"])));
    let wanted: u64 = wanted.map(|it| it.value["spec"]["replicas"].as_u64().unwrap_or(1)).sum();
    let expected = wanted + pods.iter().filter(is_alone).count() as u64;

    let healthy = pods.iter().filter(|pod| {
        conditions::holds(&pod.value["status"], "Ready")
            && pod.value["metadata"]["deletionTimestamp"].is_null()
    });
    let healthy = healthy.count() as u64;
    let desired = match (share(&spec["minAvailable"], expected), share(&spec["maxUnavailable"], expected)) {
        (Some(least), _) => least,
        (None, Some(most)) => expected.saturating_sub(most),
        (None, None) => 0,
    };
    let allowed = if expected == 0 { 0 } else { healthy.saturating_sub(desired) };
    let condition = Condition::new("DisruptionAllowed", allowed > 0)
        .because(if allowed > 0 { "SufficientPods" } else { "InsufficientPods" }, "");
    json!({
        "observedGeneration": object.value["metadata"]["generation"],
        "expectedPods": expected,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "conditions": conditions::list(&[condition], &object.value["status"]["conditions"], now),
    })
}

fn labels_of(labels: &Value) -> BTreeMap<&str, &str> {
    let labels = labels.as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
}

/// A number, or a percentage of all, rounded up.
fn share(written: &Value, all: u64) -> Option<u64> {
    if let Some(number) = written.as_u64() {
        return Some(number);
    }
    let percent: u64 = written.as_str()?.strip_suffix('%')?.parse().ok()?;
    Some(all.checked_mul(percent)?.div_ceil(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn deployment(replicas: u64) -> Object {
        object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
            "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": "api"}}}},
            "status": {"replicas": replicas}}))
    }

    fn pod(name: &str, ready: &str) -> Object {
        object(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": "api"}, "ownerReferences": [{"kind": "ReplicaSet"}]},
            "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "250m", "memory": "64Mi"},
                "limits": {"cpu": "1"}}}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}}))
    }

    fn status(value: Value) -> Value {
        let asked = object(value);
        let reference = asked.reference();
        let all = [deployment(3), pod("a", "True"), pod("b", "True"), pod("c", "False"), asked];
        let mut written = statuses(&all.into_iter().collect(), Timestamp::UNIX_EPOCH).into_iter();
        written.find(|(object, _)| *object == reference).unwrap().1
    }

    #[test]
    fn an_autoscaler_says_how_many_there_are_and_that_nothing_scales_them() {
        let autoscaler = |name: &str| {
            status(json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "api"},
                "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}}))
        };
        let known = autoscaler("api");
        assert_eq!((&known["currentReplicas"], &known["desiredReplicas"]), (&json!(3), &json!(3)));
        assert!(conditions::holds(&known, "AbleToScale") && !conditions::holds(&known, "ScalingActive"));
        assert!(known["conditions"][1]["message"].as_str().unwrap().starts_with("nothing is scaled"));
        let unknown = autoscaler("apis");
        assert!(!conditions::holds(&unknown, "AbleToScale"));
        assert_eq!(unknown["conditions"][0]["message"], "there is no Deployment apis in the namespace");
    }

    #[test]
    fn a_budget_counts_pods_of_sets_and_pods_that_nobody_scales() {
        let template = json!({"metadata": {"labels": {"app": "api"}}});
        let of = |kind: &str, owner: &str| {
            object(
                json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "db", "ownerReferences": [{"kind": owner}]},
                "spec": {"replicas": 3, "template": template}}),
            )
        };
        let of_job = {
            let mut pod = pod("d", "True");
            pod.value["metadata"]["ownerReferences"][0]["kind"] = json!("DaemonSet");
            pod
        };
        let asked = object(
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "api"},
            "spec": {"selector": {"matchLabels": {"app": "api"}}, "minAvailable": 1}}),
        );
        let all = [
            of("StatefulSet", "Website"),
            of("ReplicaSet", "Deployment"),
            pod("a", "True"),
            of_job,
            asked.clone(),
        ];
        assert_eq!(budget(&asked, &all.into_iter().collect(), "now")["expectedPods"], 4);
    }

    #[test]
    fn a_budget_counts_pods_as_kubernetes_does() {
        let counted = |spec: Value| {
            let mut spec = spec;
            spec["selector"] = json!({"matchLabels": {"app": "api"}});
            let written = status(json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
                "metadata": {"name": "api"}, "spec": spec}));
            ["expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed"]
                .map(|field| written[field].as_u64().unwrap())
        };
        assert_eq!(counted(json!({"minAvailable": 1})), [3, 2, 1, 1]);
        assert_eq!(counted(json!({"minAvailable": "50%"})), [3, 2, 2, 0]);
        assert_eq!(counted(json!({"maxUnavailable": 1})), [3, 2, 2, 0]);
        assert_eq!(counted(json!({"maxUnavailable": "100%"})), [3, 2, 0, 2]);
        assert_eq!(counted(json!({"minAvailable": "lots"})), [3, 2, 0, 2]);
    }
}
