//! Pods are as important as the class says that they name, or the one that is for all.

use serde_json::{Value, json};

use super::{Attempt, text};
use crate::store::Status;
use manifest::Object;

pub(super) fn fill(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if !attempt.is_new_pod() {
        return Ok(());
    }
    let spec = &attempt.object.value["spec"];
    let name = text(spec, "priorityClassName").to_owned();
    let class = if name.is_empty() {
        default_class(attempt)
    } else {
        let Some(class) = attempt.all.get("PriorityClass", "", &name) else {
            return Err(attempt.forbidden(&format!("no PriorityClass with name {name} was found")));
        };
        Some(class.as_ref())
    };
    let priority = class.and_then(|class| class.value["value"].as_i64()).unwrap_or(0);
    let policy = class.and_then(|class| class.value["preemptionPolicy"].as_str());
    let policy = policy.unwrap_or("PreemptLowerPriority");
    let said = &spec["priority"];
    if said.as_i64().is_some_and(|said| said != priority) {
        let why = format!(
            "the integer value of priority ({said}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        );
        return Err(attempt.forbidden(&why));
    }
    let said = text(spec, "preemptionPolicy");
    if !said.is_empty() && said != policy {
        let why = format!(
            "the string value of PreemptionPolicy ({said}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        );
        return Err(attempt.forbidden(&why));
    }
    let (policy, class) = (policy.to_owned(), class.map(|class| class.name.clone()));
    let spec = &mut attempt.object.value["spec"];
    spec["priority"] = json!(priority);
    spec["preemptionPolicy"] = json!(policy);
    if let Some(class) = class {
        spec["priorityClassName"] = json!(class);
    }
    Ok(())
}

/// There is one default at most.
pub(super) fn check(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if !attempt.is_a("PriorityClass") || !is_default(&attempt.object.value) {
        return Ok(());
    }
    match default_class(attempt).filter(|other| other.name != attempt.object.name) {
        None => Ok(()),
        Some(other) => {
            let why = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                other.name
            );
            Err(attempt.forbidden(&why))
        }
    }
}

fn default_class<'a>(attempt: &Attempt<'a>) -> Option<&'a Object> {
    attempt.all.of_kind("PriorityClass").map(AsRef::as_ref).find(|class| is_default(&class.value))
}

fn is_default(class: &Value) -> bool {
    class["globalDefault"] == true
}
