//! Nothing new comes into a namespace that is on its way out.

use super::Attempt;
use crate::store::{Cause, Status, metadata};

pub(super) fn check(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    let name = &attempt.object.namespace;
    let namespace = attempt.all.get("Namespace", "", name);
    let is_ending = namespace.is_some_and(|namespace| metadata::deletion(namespace).is_some());
    if !attempt.is_new() || !is_ending {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {name} because it is being terminated");
    let mut refusal = attempt.forbidden(&why);
    if let Some(details) = &mut refusal.details {
        let message = format!("namespace {name} is being terminated");
        details.causes =
            vec![Cause { reason: "NamespaceTerminating", message, field: "metadata.namespace".to_owned() }];
    }
    Err(refusal)
}
