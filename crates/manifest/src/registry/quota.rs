//! How much of something there may be.

use serde_json::json;

use super::columns::{AGE, CREATED, Column, NAME, column, plain};
use super::{CORE, Effect, Kind, STATUS, Words, namespaced};
use crate::Object;

pub(super) static RESOURCE_QUOTA: Kind = Kind {
    short_names: &["quota"],
    subresources: STATUS,
    columns: QUOTA_COLUMNS,
    effect: Effect::Lacking(Words {
        words: "what a namespace uses is counted in its status, and nothing is refused that goes beyond it",
        advice: "limit containers one by one with resources.limits",
    }),
    ..namespaced(CORE, "v1", "ResourceQuota", "resourcequotas")
};

pub(super) static LIMIT_RANGE: Kind = Kind {
    short_names: &["limits"],
    columns: CREATED,
    effect: Effect::Lacking(Words {
        words: "containers get no limits from it",
        advice: "write resources.limits into the containers",
    }),
    ..namespaced(CORE, "v1", "LimitRange", "limitranges")
};

const QUOTA_COLUMNS: &[Column] = &[
    NAME,
    column("Request", |quota, _| json!(usage(quota, |resource| !resource.starts_with("limits.")))),
    column("Limit", |quota, _| json!(usage(quota, |resource| resource.starts_with("limits.")))),
    AGE,
];

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
