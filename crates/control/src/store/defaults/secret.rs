//! Secrets keep `stringData` as `data`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use manifest::{Object, Objects};
use serde_json::{Value, json};

use super::{fields, set_missing};

pub(super) fn fill(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let Some(secret) = object.value.as_object_mut() else { return };
    set_missing(secret, [("type", json!("Opaque"))]);
    let Some(Value::Object(plain)) = secret.remove("stringData") else { return };
    let Some(data) = fields(secret, "data") else { return };
    for (key, value) in plain {
        let text = value.as_str().unwrap_or_default();
        data.insert(key, json!(BASE64_STANDARD.encode(text)));
    }
}
