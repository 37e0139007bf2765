//! ResourceQuotas: how much of everything a namespace uses, and that it is not more than it may.
//!
//! What is used is counted from the objects themselves, within the transaction that adds to them: it is right at any time,
//! and two writes that would fit one by one do not both pass where only one of them fits.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use manifest::{Kind, Object, Objects, kind_named};
use plan::ObjectRef;
use serde_json::{Value, json};

use super::amount::{Amount, Amounts, add, amounts, shown};
use super::{Attempt, containers, in_namespace, items, text};
use crate::store::Status;

/// Resources that pods are counted by; they are asked for by containers.
const COMPUTE: [(&str, &str, &str); 6] = [
    ("cpu", "requests", "cpu"),
    ("requests.cpu", "requests", "cpu"),
    ("limits.cpu", "limits", "cpu"),
    ("memory", "requests", "memory"),
    ("requests.memory", "requests", "memory"),
    ("limits.memory", "limits", "memory"),
];
/// Kinds that are counted under their own name, besides `count/`.
const BY_NAME: [&str; 4] = ["configmaps", "secrets", "replicationcontrollers", "resourcequotas"];
const OF_CLASS: &str = ".storageclass.storage.k8s.io/";

/// Refuses what would be more than a quota says, and pods that do not say what a quota counts.
pub(super) fn check(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if attempt.object.namespace.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now();
    let mut more = usage(attempt.object, now);
    for (resource, before) in attempt.old.map(|old| usage(old, now)).unwrap_or_default() {
        if let Some(amount) = more.get_mut(&resource) {
            *amount = amount.minus(before);
        }
    }
    more.retain(|_, amount| *amount > Amount::ZERO);
    for quota in attempt.neighbours("ResourceQuota") {
        if !is_in_scope(quota, attempt.object) {
            continue;
        }
        let hard = amounts(&quota.value["spec"]["hard"]);
        if attempt.is_new_pod() {
            check_said(attempt, quota, &hard)?;
        }
        let mut asked = more.clone();
        asked.retain(|resource, _| hard.contains_key(resource));
        if asked.is_empty() {
            continue;
        }
        let used = used(quota, &hard, attempt.all);
        let is_too_much = |(resource, asked): &(&String, &Amount)| {
            let used = used.get(*resource).copied().unwrap_or(Amount::ZERO);
            hard.get(*resource).is_some_and(|hard| used.plus(**asked) > *hard)
        };
        let exceeded: BTreeSet<String> =
            asked.iter().filter(is_too_much).map(|(resource, _)| resource.clone()).collect();
        if !exceeded.is_empty() {
            let only = |amounts: &Amounts| {
                let mut amounts = amounts.clone();
                amounts.retain(|resource, _| exceeded.contains(resource));
                shown(&amounts)
            };
            let why = format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                quota.name,
                only(&asked),
                only(&used),
                only(&hard)
            );
            return Err(attempt.forbidden(&why));
        }
    }
    Ok(())
}

/// Refuses a pod of which a container does not say how much it asks for of what is counted.
fn check_said(attempt: &Attempt<'_>, quota: &Object, hard: &Amounts) -> Result<(), Status> {
    let spec = &attempt.object.value["spec"];
    let mut missing = Vec::new();
    let mut counted: Vec<_> = COMPUTE.iter().filter(|(resource, ..)| hard.contains_key(*resource)).collect();
    counted.sort_unstable();
    for (resource, field, of) in counted {
        let silent = containers(spec).filter(|container| !resources(container, field).contains_key(*of));
        let silent: BTreeSet<&str> = silent.map(|container| text(container, "name")).collect();
        if !silent.is_empty() {
            let names = silent.into_iter().collect::<Vec<_>>().join(",");
            missing.push(format!("{resource} for: {names}"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("failed quota: {}: must specify {}", quota.name, missing.join("; "));
    Err(attempt.forbidden(&why))
}

/// What is used of everything that a quota limits.
fn used(quota: &Object, hard: &Amounts, all: &Objects) -> Amounts {
    let now = Timestamp::now();
    let kinds: BTreeMap<&str, &'static Kind> =
        hard.keys().filter_map(|resource| counted_kind(resource)).map(|kind| (kind.plural, kind)).collect();
    let mut sum = Amounts::new();
    for resource in hard.keys().filter(|resource| counted_kind(resource).is_some()) {
        sum.insert(resource.clone(), Amount::ZERO);
    }
    for kind in kinds.into_values() {
        let objects = in_namespace(all, kind.kind, &quota.namespace);
        for object in objects.filter(|object| object.kind == kind && is_in_scope(quota, object)) {
            let mut usage = usage(object, now);
            usage.retain(|resource, _| hard.contains_key(resource));
            add(&mut sum, &usage);
        }
    }
    sum
}

/// The kind whose objects use a resource.
fn counted_kind(resource: &str) -> Option<&'static Kind> {
    if let Some(of) = resource.strip_prefix("count/") {
        let (plural, group) = of.split_once('.').unwrap_or((of, ""));
        return kind_named(of).filter(|kind| kind.plural == plural && kind.group == group);
    }
    let kind = match resource {
        "services" | "services.loadbalancers" | "services.nodeports" => "Service",
        "persistentvolumeclaims" | "requests.storage" => "PersistentVolumeClaim",
        _ if resource.contains(OF_CLASS) => "PersistentVolumeClaim",
        _ if BY_NAME.contains(&resource) => resource,
        "pods" => "Pod",
        _ if COMPUTE.iter().any(|(known, ..)| *known == resource) => "Pod",
        _ if resource.starts_with("requests.") || resource.ends_with("ephemeral-storage") => "Pod",
        _ => return None,
    };
    kind_named(kind)
}

/// What one object uses.
fn usage(object: &Object, now: Timestamp) -> Amounts {
    let kind = object.kind;
    let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
    let one = Amount::of(1);
    let mut usage = Amounts::from([(format!("count/{}{group}", kind.plural), one)]);
    if !kind.group.is_empty() {
        return usage;
    }
    let spec = &object.value["spec"];
    match kind.kind {
        "Pod" => usage.extend(usage_of_pod(object, now)),
        "Service" => usage.extend(usage_of_service(spec)),
        "PersistentVolumeClaim" => {
            let storage = resources(spec, "requests").get("storage").copied().unwrap_or(Amount::ZERO);
            let mut named = vec![String::new()];
            named.extend(spec["storageClassName"].as_str().map(|class| format!("{class}{OF_CLASS}")));
            for prefix in named {
                usage.insert(format!("{prefix}persistentvolumeclaims"), one);
                usage.insert(format!("{prefix}requests.storage"), storage);
            }
        }
        _ if BY_NAME.contains(&kind.plural) => drop(usage.insert(kind.plural.to_owned(), one)),
        _ => {}
    }
    usage
}

/// A pod that has ended uses nothing but its place among the objects.
fn usage_of_pod(pod: &Object, now: Timestamp) -> Amounts {
    let has_ended = ["Succeeded", "Failed"].contains(&text(&pod.value["status"], "phase"));
    if has_ended || is_overdue(&pod.value["metadata"], now) {
        return Amounts::new();
    }
    let mut usage = Amounts::from([("pods".to_owned(), Amount::of(1))]);
    for field in ["requests", "limits"] {
        for (resource, amount) in pod_amounts(&pod.value["spec"], field) {
            if field == "requests" && ["cpu", "memory", "ephemeral-storage"].contains(&resource.as_str()) {
                usage.insert(resource.clone(), amount);
            }
            usage.insert(format!("{field}.{resource}"), amount);
        }
    }
    usage
}

/// Whether a pod should be gone by now.
fn is_overdue(metadata: &Value, now: Timestamp) -> bool {
    let deleted: Option<Timestamp> = metadata["deletionTimestamp"].as_str().and_then(|at| at.parse().ok());
    let grace = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    deleted.is_some_and(|at| at.as_second().saturating_add(grace) < now.as_second())
}

fn usage_of_service(spec: &Value) -> Amounts {
    let ports = items(&spec["ports"]);
    let is_balanced = spec["type"] == "LoadBalancer";
    let n_node_ports = match text(spec, "type") {
        "NodePort" => ports.count(),
        "LoadBalancer" if spec["allocateLoadBalancerNodePorts"] == false => {
            ports.filter(|port| port["nodePort"].as_u64().unwrap_or(0) > 0).count()
        }
        "LoadBalancer" => ports.count(),
        _ => 0,
    };
    Amounts::from([
        ("services".to_owned(), Amount::of(1)),
        ("services.loadbalancers".to_owned(), Amount::of(usize::from(is_balanced))),
        ("services.nodeports".to_owned(), Amount::of(n_node_ports)),
    ])
}

/// The amounts of a container or claim. Who names only a limit asks for as much.
pub(super) fn resources(of: &Value, field: &str) -> Amounts {
    let mut said = amounts(&of["resources"][field]);
    if field == "requests" {
        for (resource, amount) in amounts(&of["resources"]["limits"]) {
            said.entry(resource).or_insert(amount);
        }
    }
    said
}

/// What a pod asks for: the sum of its containers, or what one that comes first asks for if that is more; with those that
/// stay beside them, and what the runtime costs.
pub(super) fn pod_amounts(spec: &Value, field: &str) -> Amounts {
    let mut sum = Amounts::new();
    items(&spec["containers"]).for_each(|container| add(&mut sum, &resources(container, field)));
    let mut beside = Amounts::new();
    let mut first = Amounts::new();
    for container in items(&spec["initContainers"]) {
        let asked = resources(container, field);
        let mut at_once = beside.clone();
        add(&mut at_once, &asked);
        if container["restartPolicy"] == "Always" {
            add(&mut beside, &asked);
            add(&mut sum, &asked);
        }
        for (resource, amount) in at_once {
            let most = first.get(&resource).copied().unwrap_or(amount).max(amount);
            first.insert(resource, most);
        }
    }
    for (resource, amount) in first {
        let most = sum.get(&resource).copied().unwrap_or(amount).max(amount);
        sum.insert(resource, most);
    }
    for (resource, amount) in amounts(&spec["overhead"]) {
        // What has no limit does not get one from what the runtime costs.
        let before = sum.get(&resource).copied().or((field == "requests").then_some(Amount::ZERO));
        if let Some(before) = before {
            sum.insert(resource, before.plus(amount));
        }
    }
    sum
}

/// Whether an object is one of those that a quota counts. Scopes are about pods.
fn is_in_scope(quota: &Object, object: &Object) -> bool {
    let spec = &quota.value["spec"];
    let scopes = items(&spec["scopes"]).filter_map(Value::as_str);
    let mut scopes = scopes.map(|name| (name, "Exists", &Value::Null));
    let mut expressions = items(&spec["scopeSelector"]["matchExpressions"])
        .map(|it| (text(it, "scopeName"), text(it, "operator"), &it["values"]));
    let is_narrowed = !spec["scopes"].is_null() || !spec["scopeSelector"].is_null();
    let holds = |(name, operator, values): (&str, &str, &Value)| {
        object.kind.key == "Pod" && is_of_scope(&object.value["spec"], name, operator, values)
    };
    !is_narrowed || (scopes.all(holds) && expressions.all(holds))
}

fn is_of_scope(spec: &Value, name: &str, operator: &str, values: &Value) -> bool {
    let is_limited = spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    let is_best_effort = || manifest::qos_class(spec) == "BestEffort";
    match name {
        "Terminating" => is_limited,
        "NotTerminating" => !is_limited,
        "BestEffort" => is_best_effort(),
        "NotBestEffort" => !is_best_effort(),
        "PriorityClass" => {
            let class = text(spec, "priorityClassName");
            let is_named = items(values).any(|value| value == class);
            match operator {
                "In" => is_named,
                "NotIn" => !is_named,
                "DoesNotExist" => class.is_empty(),
                _ => !class.is_empty(),
            }
        }
        "CrossNamespacePodAffinity" => {
            let affinities = ["podAffinity", "podAntiAffinity"].map(|kind| &spec["affinity"][kind]);
            affinities.iter().any(|it| names_other_namespaces(it))
        }
        _ => false,
    }
}

fn names_other_namespaces(affinity: &Value) -> bool {
    let hard = items(&affinity["requiredDuringSchedulingIgnoredDuringExecution"]);
    let soft = items(&affinity["preferredDuringSchedulingIgnoredDuringExecution"]);
    let mut terms = hard.chain(soft.map(|it| &it["podAffinityTerm"]));
    terms.any(|term| items(&term["namespaces"]).next().is_some() || term["namespaceSelector"].is_object())
}

/// The statuses of the quotas in namespaces, as they are to be, of those that are otherwise.
pub(crate) fn statuses(all: &Objects, namespaces: &BTreeSet<String>) -> Vec<(ObjectRef, Value)> {
    let of = |namespace: &String| in_namespace(all, "ResourceQuota", namespace);
    let all_of_them = namespaces.iter().flat_map(of).map(|quota| (quota, status(quota, all)));
    let news = all_of_them.filter(|(quota, status)| quota.value["status"] != *status);
    news.map(|(quota, status)| (quota.reference(), status)).collect()
}

fn status(quota: &Object, all: &Objects) -> Value {
    let hard = &quota.value["spec"]["hard"];
    let used = used(quota, &amounts(hard), all);
    let used: serde_json::Map<String, Value> =
        used.into_iter().map(|(resource, amount)| (resource, json!(amount.to_string()))).collect();
    json!({"hard": if hard.is_object() { hard.clone() } else { json!({}) }, "used": used})
}

/// Whether a change of an object may change what a quota counts.
pub(crate) fn is_counted_otherwise(before: Option<&Object>, after: Option<&Object>) -> bool {
    let now = Timestamp::now();
    let of = |object: Option<&Object>| object.map(|object| usage(object, now));
    let is_quota = |object: Option<&Object>| object.is_some_and(|object| object.kind.key == "ResourceQuota");
    is_quota(before) || is_quota(after) || of(before) != of(after) || scope_differs(before, after)
}

fn scope_differs(before: Option<&Object>, after: Option<&Object>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    before.kind.key == "Pod"
        && before.value["spec"]["activeDeadlineSeconds"] != after.value["spec"]["activeDeadlineSeconds"]
}
