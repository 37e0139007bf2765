//! `metadata`, the same for every kind.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::wire::Kept;

/// The metadata of an object or of a pod template.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    name: Kept,
    namespace: Kept,
    generate_name: Kept,
    uid: Kept,
    resource_version: Kept,
    generation: Kept,
    creation_timestamp: Kept,
    deletion_timestamp: Kept,
    deletion_grace_period_seconds: Kept,
    finalizers: Kept,
    owner_references: Kept,
    managed_fields: Kept,
    self_link: Kept,
}
