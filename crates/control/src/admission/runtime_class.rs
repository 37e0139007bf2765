//! Pods name a runtime that is there, and cost what it costs beside them.

use super::{Attempt, text};
use crate::store::Status;

pub(super) fn fill(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    let name = text(&attempt.object.value["spec"], "runtimeClassName").to_owned();
    if !attempt.is_new_pod() || name.is_empty() {
        return Ok(());
    }
    let Some(class) = attempt.all.get("RuntimeClass", "", &name) else {
        let why = format!("pod rejected: RuntimeClass \"{name}\" not found");
        return Err(attempt.forbidden(&why));
    };
    let overhead = &class.value["overhead"]["podFixed"];
    let said = &attempt.object.value["spec"]["overhead"];
    if said.is_object() && said != overhead {
        let why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
        return Err(attempt.forbidden(why));
    }
    if overhead.is_object() {
        attempt.object.value["spec"]["overhead"] = overhead.clone();
    }
    Ok(())
}
