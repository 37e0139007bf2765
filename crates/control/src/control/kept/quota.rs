//! What a namespace uses of its quota.

use manifest::{Object, Objects, kind_named, parse_quantity};
use serde_json::{Map, Value, json};

/// The hard limits as they are written, and what is used of each that is counted here.
pub(super) fn status(quota: &Object, objects: &Objects) -> Value {
    let spec = &quota.value["spec"];
    let hard = &spec["hard"];
    // What belongs to a scope is not told apart here, and so not counted.
    let is_narrowed = !spec["scopes"].is_null() || !spec["scopeSelector"].is_null();
    if is_narrowed {
        return json!({"hard": hard, "used": {}});
    }
    let resources = hard.as_object().into_iter().flatten().map(|(resource, _)| resource);
    let used: Map<String, Value> = resources
        .filter_map(|resource| Some((resource.clone(), json!(used(resource, &quota.namespace, objects)?))))
        .collect();
    json!({"hard": hard, "used": used})
}

/// How much of a resource a namespace uses, as a quantity.
fn used(resource: &str, namespace: &str, objects: &Objects) -> Option<String> {
    let pods = || objects.of_kind("Pod").filter(|pod| pod.namespace == namespace).map(AsRef::as_ref);
    let (field, amount) = match resource {
        "cpu" | "requests.cpu" => ("requests", "cpu"),
        "memory" | "requests.memory" => ("requests", "memory"),
        "limits.cpu" => ("limits", "cpu"),
        "limits.memory" => ("limits", "memory"),
        _ => return counted(resource, namespace, objects),
    };
    // The sum of nothing would be -0.
    let total = pods().flat_map(|pod| amounts(pod, field, amount)).fold(0.0, |sum, more| sum + more);
    Some(if amount == "cpu" { cores(total) } else { bytes(total) })
}

fn amounts(pod: &Object, field: &str, amount: &str) -> Vec<f64> {
    let containers = pod.value["spec"]["containers"].as_array().into_iter().flatten();
    let written = containers.filter_map(|container| {
        let resources = &container["resources"];
        // Who names only a limit asks for as much.
        let said = if resources[field][amount].is_null() && field == "requests" { "limits" } else { field };
        match &resources[said][amount] {
            Value::String(text) => parse_quantity(text),
            number => number.as_f64(),
        }
    });
    written.collect()
}

/// `pods`, `count/deployments.apps`, `services.loadbalancers`.
fn counted(resource: &str, namespace: &str, objects: &Objects) -> Option<String> {
    let of_type = match resource {
        "services.loadbalancers" => Some("LoadBalancer"),
        "services.nodeports" => Some("NodePort"),
        _ => None,
    };
    let plural = resource.strip_prefix("count/").unwrap_or(resource);
    let kind = if of_type.is_some() { kind_named("Service")? } else { kind_named(plural)? };
    let own = objects.of_kind(kind.kind).filter(|object| object.namespace == namespace);
    let counted = own.filter(|object| of_type.is_none_or(|it| object.value["spec"]["type"] == it));
    Some(counted.count().to_string())
}

/// `750m`, `3`
fn cores(amount: f64) -> String {
    let thousandths = (amount * 1000.0).round();
    if thousandths % 1000.0 == 0.0 { format!("{}", thousandths / 1000.0) } else { format!("{thousandths}m") }
}

/// `192Mi`, `1000`
fn bytes(amount: f64) -> String {
    let units = [("Gi", 1024.0_f64.powi(3)), ("Mi", 1024.0_f64.powi(2)), ("Ki", 1024.0)];
    let unit = units.into_iter().find(|(_, size)| amount > 0.0 && amount % size == 0.0);
    unit.map_or_else(|| format!("{amount}"), |(name, size)| format!("{}{name}", amount / size))
}
