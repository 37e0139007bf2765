//! ConfigMap and Secret (`v1`): texts by key.

use std::collections::BTreeMap;

use base64::Engine;
use plan::KeyPair;
use serde::Deserialize;

use crate::wire::{Kept, NoEffect};
use crate::{Finding, Object, codes};

/// A ConfigMap.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConfigMap {
    pub(crate) data: BTreeMap<String, String>,
    binary_data: NoEffect,
    immutable: Kept,
}

/// A Secret.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Secret {
    data: BTreeMap<String, String>,
    string_data: BTreeMap<String, String>,
    #[serde(rename = "type")]
    kind: Kept,
    immutable: Kept,
}

/// The certificate and the key in a Secret of type `kubernetes.io/tls`, as they are written.
///
/// # Errors
/// What is not there.
pub fn key_pair_of(secret: &Object) -> Result<KeyPair, String> {
    let mut texts = texts(secret, &mut Vec::new()).ok_or("cannot be read")?;
    let mut take = |key: &str| texts.remove(key).ok_or_else(|| format!("has no `{key}`"));
    Ok(KeyPair { certificate: take("tls.crt")?, key: take("tls.key")? })
}

/// The texts of a ConfigMap or Secret by key; those of `stringData` win over those of `data`.
pub(crate) fn texts(object: &Object, findings: &mut Vec<Finding>) -> Option<BTreeMap<String, String>> {
    if object.kind.kind == "ConfigMap" {
        return super::read(object, findings).map(|config_map: ConfigMap| config_map.data);
    }
    let secret: Secret = super::read(object, findings)?;
    let mut texts = BTreeMap::new();
    for (key, value) in secret.data {
        // Line breaks are legal in base64 of Secrets, as `base64` without `-w0` makes them.
        let written: String = value.split_ascii_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(written);
        match bytes.map(String::from_utf8) {
            Ok(Ok(text)) => {
                texts.insert(key, text);
            }
            // A binary value is no text; whoever needs the key finds it missing.
            Ok(Err(_)) => {}
            Err(_) => {
                let message =
                    format!("`data.{key}` is not base64: write it under stringData to have it encoded");
                findings
                    .push(Finding::new(&codes::FIELD_INVALID, message).at(object, &format!("data.{key}")));
                return None;
            }
        }
    }
    texts.extend(secret.string_data);
    Some(texts)
}
