//! Namespaces, and what is only kept.

use serde_json::{Value, json};

use super::{AGE, Column, NAME, column, count, items, text_or};

pub(super) const NAMESPACE: &[Column] =
    &[NAME, column("Status", |namespace, _| json!(text_or(&namespace.value["status"]["phase"], ""))), AGE];

pub(super) const CONFIG_MAP: &[Column] = &[
    NAME,
    count("Data", |config, _| json!(size(&config.value["data"]) + size(&config.value["binaryData"]))),
    AGE,
];

pub(super) const SECRET: &[Column] = &[
    NAME,
    column("Type", |secret, _| json!(text_or(&secret.value["type"], ""))),
    count("Data", |secret, _| json!(size(&secret.value["data"]))),
    AGE,
];

pub(super) const SERVICE_ACCOUNT: &[Column] =
    &[NAME, count("Secrets", |account, _| json!(items(&account.value["secrets"]).count())), AGE];

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}
