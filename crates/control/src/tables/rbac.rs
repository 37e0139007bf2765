//! Who may do what, and how much of it.

use manifest::Object;
use serde_json::{Value, json};

use super::{AGE, Column, NAME, column, items, plain, text_or, wide};
use crate::store::metadata;

const CREATED_AT: Column =
    column("Created At", |object, _| json!(metadata::text(object, "creationTimestamp").unwrap_or_default()));

pub(super) const ROLE: &[Column] = &[NAME, CREATED_AT];

pub(super) const ROLE_BINDING: &[Column] = &[
    NAME,
    column("Role", |binding, _| {
        let role = &binding.value["roleRef"];
        json!(format!("{}/{}", text_or(&role["kind"], ""), text_or(&role["name"], "")))
    }),
    AGE,
    wide("Users", |binding, _| subjects(binding, "User")),
    wide("Groups", |binding, _| subjects(binding, "Group")),
    wide("ServiceAccounts", |binding, _| subjects(binding, "ServiceAccount")),
];

pub(super) const RESOURCE_QUOTA: &[Column] = &[
    NAME,
    column("Request", |quota, _| json!(usage(quota, |resource| !resource.starts_with("limits.")))),
    column("Limit", |quota, _| json!(usage(quota, |resource| resource.starts_with("limits.")))),
    AGE,
];

pub(super) const LIMIT_RANGE: &[Column] = &[NAME, CREATED_AT];

fn subjects(binding: &Object, kind: &str) -> Value {
    let subjects = items(&binding.value["subjects"]).filter(|subject| subject["kind"] == kind);
    let names = subjects.map(|subject| match subject["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", text_or(&subject["name"], "")),
        None => text_or(&subject["name"], "").to_owned(),
    });
    json!(names.collect::<Vec<_>>().join(", "))
}

/// `pods: 2/10, requests.cpu: 0/4`
fn usage(quota: &Object, is_shown: impl Fn(&str) -> bool) -> String {
    let used = &quota.value["status"]["used"];
    let hard = quota.value["spec"]["hard"].as_object().into_iter().flatten();
    let shown = hard.filter(|(resource, _)| is_shown(resource)).map(|(resource, hard)| {
        let used = used.get(resource).map_or_else(|| "0".to_owned(), plain);
        format!("{resource}: {used}/{}", plain(hard))
    });
    shown.collect::<Vec<_>>().join(", ")
}
