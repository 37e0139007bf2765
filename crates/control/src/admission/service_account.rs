//! Pods run as an account that is there.

use serde_json::json;

use super::{Attempt, text};
use crate::store::Status;

/// The account of pods that name none, which every namespace has from the start.
const DEFAULT: &str = "default";

pub(super) fn fill(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if !attempt.is_new_pod() {
        return Ok(());
    }
    let spec = &attempt.object.value["spec"];
    let named = [text(spec, "serviceAccountName"), text(spec, "serviceAccount"), DEFAULT];
    let name = named.into_iter().find(|name| !name.is_empty()).unwrap_or(DEFAULT).to_owned();
    let namespace = attempt.object.namespace.clone();
    if name != DEFAULT && attempt.all.get("ServiceAccount", &namespace, &name).is_none() {
        let why = format!(
            "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
        );
        return Err(attempt.forbidden(&why));
    }
    for field in ["serviceAccountName", "serviceAccount"] {
        attempt.object.value["spec"][field] = json!(name);
    }
    Ok(())
}
