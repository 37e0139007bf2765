//! A Secret: what its type promises has to be there.

use serde_json::Value;

use super::Violation;

/// What each type of Secret holds.
const KEYS: &[(&str, &[&str])] = &[("kubernetes.io/tls", &["tls.crt", "tls.key"])];

pub(crate) fn check(object: &Value, found: &mut Vec<Violation>) {
    let Some((_, keys)) = KEYS.iter().find(|(name, _)| object["type"] == *name) else { return };
    let is_missing = |key: &&&str| object["data"][**key].is_null() && object["stringData"][**key].is_null();
    let missing = keys.iter().filter(is_missing);
    found.extend(missing.map(|key| Violation::required(format!("data[{key}]"), "")));
}
