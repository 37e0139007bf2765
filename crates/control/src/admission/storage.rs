//! Claims get the class of those that name none, and wait until nobody uses them when they are deleted.

use serde_json::json;

use super::Attempt;
use crate::store::Status;

/// The finalizer of a claim that a pod may use.
pub(crate) const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";

pub(super) fn fill(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if !attempt.is_new() || !attempt.is_a("PersistentVolumeClaim") {
        return Ok(());
    }
    let mut classes = attempt.all.of_kind("StorageClass");
    let is_default = "storageclass.kubernetes.io/is-default-class";
    let default = classes.find(|class| class.annotation(is_default) == Some("true"));
    let default = default.map(|class| class.name.clone());
    let value = &mut attempt.object.value;
    if let Some(class) = default.filter(|_| value["spec"]["storageClassName"].is_null()) {
        value["spec"]["storageClassName"] = json!(class);
    }
    let finalizers = &mut value["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(finalizers) if finalizers.iter().any(|it| it == CLAIM_PROTECTION) => {}
        Some(finalizers) => finalizers.push(json!(CLAIM_PROTECTION)),
        None => *finalizers = json!([CLAIM_PROTECTION]),
    }
    Ok(())
}
