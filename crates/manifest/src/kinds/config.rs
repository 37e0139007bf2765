//! ConfigMap and Secret (`v1`): texts by key.

use std::collections::BTreeMap;

use base64::Engine;
use serde::Deserialize;

use crate::certificate::{Fault, Part, ReadPair, read_pair};
use crate::read::key_path;
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

/// Why a Secret holds no certificate that can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFault {
    /// The field that it is about, for example `data["tls.key"]`.
    pub field: String,
    /// What is wrong, in a whole sentence.
    pub problem: String,
    /// What to do about it.
    pub fix: &'static str,
}

/// The certificate in a Secret, which should be of type `kubernetes.io/tls`.
///
/// # Errors
/// Why none can be shown.
pub fn certificate_of(secret: &Object) -> Result<ReadPair, SecretFault> {
    const KEYS: &str = "kubectl create secret tls NAME --cert=FILE --key=FILE makes one with both";
    let mut texts = texts(secret, &mut Vec::new()).unwrap_or_default();
    let mut take = |key: &str| {
        let problem = format!("there is no text under `{key}`");
        texts.remove(key).ok_or_else(|| SecretFault { field: field_of(secret, key), problem, fix: KEYS })
    };
    let (certificate, key) = (take(CERTIFICATE)?, take(KEY)?);
    read_pair(&certificate, &key).map_err(|fault| fault_in(secret, &fault))
}

/// A fault of a pair as one of the Secret that it is in.
pub(crate) fn fault_in(secret: &Object, fault: &Fault) -> SecretFault {
    let key = match fault.part {
        Part::Certificate => CERTIFICATE,
        Part::Key => KEY,
    };
    let problem = format!("`{key}` {} (line {})", fault.problem, fault.line);
    SecretFault { field: field_of(secret, key), problem, fix: fault.fix }
}

/// The keys of a Secret with a certificate.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The field in which a key of a Secret stands, or would stand.
fn field_of(secret: &Object, key: &str) -> String {
    let is_plain = secret.value["stringData"].get(key).is_some();
    key_path(if is_plain { "stringData" } else { "data" }, key)
}

/// The texts of a ConfigMap or Secret by key; those of `stringData` win over those of `data`.
pub(crate) fn texts(object: &Object, findings: &mut Vec<Finding>) -> Option<BTreeMap<String, String>> {
    if object.kind.key == "ConfigMap" {
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
