//! Refusing what no cluster would take, in the words of a Kubernetes API server.

use manifest::{Object, Violation};

use super::served::stored;
use crate::store::{Cause, Reason, Status};

/// How many fields one refusal names at most.
const FIELDS: usize = 20;

/// Refuses an object that cannot be decoded as its kind, or has a value that the kind does not take.
///
/// # Errors
/// [`Reason::BadRequest`], [`Reason::Invalid`].
pub(crate) fn check(object: &Object) -> Result<(), Status> {
    let mut violations = manifest::violations(object);
    // What is refused of a kind stands with the version that is stored.
    if violations.is_empty() && object.kind.is_converted() && !object.kind.is_declared() {
        violations = manifest::violations(&stored(object.clone()));
    }
    let kind = object.kind.kind;
    if let Some(first) = violations.iter().find(|violation| violation.is_undecodable()) {
        let version = object.kind.version;
        let message =
            format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {}", first.message());
        return Err(Status::new(Reason::BadRequest, message));
    }
    if violations.is_empty() {
        return Ok(());
    }
    let causes = violations.into_iter().take(FIELDS).map(cause).collect();
    Err(Status::invalid(object.kind, &object.name, causes))
}

/// A violation as a `Status` tells it.
pub(super) fn cause(violation: Violation) -> Cause {
    Cause { reason: violation.reason(), message: violation.message(), field: violation.field }
}
