//! Texts by key, and who pods are.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, column, count, items, text_or};
use super::fill::{fields, set_missing};
use super::{CORE, Kind, fixed, namespaced};
use crate::kinds::validation::{Rules, secret};
use crate::{Object, Objects};

pub(super) static CONFIG_MAP: Kind = Kind {
    short_names: &["cm"],
    columns: CONFIG_MAP_COLUMNS,
    sealed: SEALED,
    rules: Rules { texts: &["data"], bytes: &["binaryData"], ..Rules::NONE },
    ..namespaced(CORE, "v1", "ConfigMap", "configmaps")
};

pub(super) static SECRET: Kind = Kind {
    columns: SECRET_COLUMNS,
    fields: &["type"],
    fill: fill_secret,
    fixed: &[fixed("/type", "type", "field is immutable")],
    sealed: SEALED,
    rules: Rules { texts: &["stringData"], bytes: &["data"], check: secret::check, ..Rules::NONE },
    ..namespaced(CORE, "v1", "Secret", "secrets")
};

pub(super) static SERVICE_ACCOUNT: Kind = Kind {
    short_names: &["sa"],
    subresources: &["token"],
    columns: SERVICE_ACCOUNT_COLUMNS,
    ..namespaced(CORE, "v1", "ServiceAccount", "serviceaccounts")
};

const SEALED: &[&str] = &["data", "binaryData", "immutable"];

const CONFIG_MAP_COLUMNS: &[Column] = &[
    NAME,
    count("Data", |config, _| json!(size(&config.value["data"]) + size(&config.value["binaryData"]))),
    AGE,
];

const SECRET_COLUMNS: &[Column] = &[
    NAME,
    column("Type", |secret, _| json!(text_or(&secret.value["type"], ""))),
    count("Data", |secret, _| json!(size(&secret.value["data"]))),
    AGE,
];

const SERVICE_ACCOUNT_COLUMNS: &[Column] =
    &[NAME, count("Secrets", |account, _| json!(items(&account.value["secrets"]).count())), AGE];

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

/// Secrets keep `stringData` as `data`.
fn fill_secret(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let Some(secret) = object.value.as_object_mut() else { return };
    set_missing(secret, [("type", json!("Opaque"))]);
    let Some(Value::Object(plain)) = secret.remove("stringData") else { return };
    let Some(data) = fields(secret, "data") else { return };
    for (key, value) in plain {
        let text = value.as_str().unwrap_or_default();
        data.insert(key, json!(BASE64_STANDARD.encode(text)));
    }
}
