//! The tables that people see of objects: which columns a kind has, and what stands in them.
//!
//! A column is a name and a pure function of an object and the time. A kind with columns of its own is a line in
//! [`TABLES`]; the families of kinds are the files beside it. Other kinds show their name and age.

mod autoscaling;
mod config;
mod custom;
mod event;
mod ingress;
mod node;
mod pod;
mod rbac;
mod service;
mod time;
mod workload;

use jiff::Timestamp;
use manifest::{Kind, Object};
use serde_json::{Value, json};

use crate::store::metadata;
use time::{age, human_duration};

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    /// For example `Cluster-IP`; kubectl prints it in capitals.
    pub(crate) name: &'static str,
    /// What kind of value its cells are: `string` or `integer`.
    pub(crate) cell_type: &'static str,
    /// Whether it is shown only when asked for (`-o wide`).
    pub(crate) is_wide: bool,
    /// What stands in it: text, a number, or nothing.
    pub(crate) cell: fn(&Object, Timestamp) -> Value,
}

/// Every kind that has columns of its own.
const TABLES: &[(&str, &[Column])] = &[
    ("ClusterRole", rbac::ROLE),
    ("ClusterRoleBinding", rbac::ROLE_BINDING),
    ("ConfigMap", config::CONFIG_MAP),
    ("Deployment", workload::DEPLOYMENT),
    ("Endpoints", service::ENDPOINTS),
    ("EndpointSlice", service::ENDPOINT_SLICE),
    ("Event", event::EVENT),
    ("HorizontalPodAutoscaler", autoscaling::HORIZONTAL_POD_AUTOSCALER),
    ("InferenceService", custom::INFERENCE_SERVICE),
    ("Ingress", ingress::INGRESS),
    ("IngressClass", ingress::INGRESS_CLASS),
    ("IngressClassParams", custom::INGRESS_CLASS_PARAMS),
    ("LimitRange", rbac::LIMIT_RANGE),
    ("Namespace", config::NAMESPACE),
    ("NetworkPolicy", ingress::NETWORK_POLICY),
    ("Node", node::NODE),
    ("PersistentVolumeClaim", node::PERSISTENT_VOLUME_CLAIM),
    ("Pod", pod::POD),
    ("PodDisruptionBudget", autoscaling::POD_DISRUPTION_BUDGET),
    ("ReplicaSet", workload::REPLICA_SET),
    ("ResourceQuota", rbac::RESOURCE_QUOTA),
    ("Role", rbac::ROLE),
    ("RoleBinding", rbac::ROLE_BINDING),
    ("Secret", config::SECRET),
    ("Service", service::SERVICE),
    ("ServiceAccount", config::SERVICE_ACCOUNT),
    ("TargetGroupBinding", custom::TARGET_GROUP_BINDING),
];

const NAME: Column = column("Name", |object, _| json!(object.name));
const AGE: Column = column("Age", |object, now| json!(age(metadata::text(object, "creationTimestamp"), now)));
const OTHERS: &[Column] = &[NAME, AGE];

/// What stands where there is nothing.
const NONE: &str = "<none>";
/// What stands where nobody knows.
const UNKNOWN: &str = "<unknown>";

/// The columns of a kind.
pub(crate) fn columns(kind: &Kind) -> &'static [Column] {
    TABLES.iter().find(|(known, _)| *known == kind.kind).map_or(OTHERS, |(_, columns)| columns)
}

const fn column(name: &'static str, cell: fn(&Object, Timestamp) -> Value) -> Column {
    Column { name, cell_type: "string", is_wide: false, cell }
}

const fn wide(name: &'static str, cell: fn(&Object, Timestamp) -> Value) -> Column {
    Column { is_wide: true, ..column(name, cell) }
}

const fn count(name: &'static str, cell: fn(&Object, Timestamp) -> Value) -> Column {
    Column { cell_type: "integer", ..column(name, cell) }
}

// === what several families share ===

/// The items of a list; none when it is no list.
fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Text, or `or`.
fn text_or<'a>(value: &'a Value, or: &'a str) -> &'a str {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or(or)
}

/// A number, 0 when there is none.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// A number or text as it is written.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Texts with commas between them, or `<none>`.
fn joined(texts: impl Iterator<Item = impl AsRef<str>>) -> Value {
    let texts: Vec<_> = texts.collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).filter(|text| !text.is_empty()).collect();
    json!(if texts.is_empty() { NONE.to_owned() } else { texts.join(",") })
}

/// A map of labels as a selector: `app=web,track=stable`.
fn labels(map: &Value) -> Value {
    let pairs = map.as_object().into_iter().flatten();
    joined(pairs.map(|(key, value)| format!("{key}={}", plain(value))))
}

/// A selector with expressions, as kubectl writes it: `app=web,tier in (a,b),!old`; or `<none>`.
fn selector(selector: &Value) -> Value {
    joined(requirements(selector))
}

/// The same; nothing for no requirement.
pub(crate) fn selector_text(selector: &Value) -> String {
    requirements(selector).collect::<Vec<_>>().join(",")
}

fn requirements(selector: &Value) -> impl Iterator<Item = String> {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let equal = equal.map(|(key, value)| format!("{key}={}", plain(value)));
    let expressions = items(&selector["matchExpressions"]).map(|expression| {
        let key = text_or(&expression["key"], "");
        let values = items(&expression["values"]).map(plain).collect::<Vec<_>>().join(",");
        match text_or(&expression["operator"], "") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        }
    });
    equal.chain(expressions)
}

/// Names and images of the containers of a pod template.
fn container_names(pod_spec: &Value) -> Value {
    joined(items(&pod_spec["containers"]).map(|container| text_or(&container["name"], "")))
}

fn container_images(pod_spec: &Value) -> Value {
    joined(items(&pod_spec["containers"]).map(|container| text_or(&container["image"], "")))
}

#[cfg(test)]
mod tests;
