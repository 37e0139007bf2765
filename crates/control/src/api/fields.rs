//! Which fields the objects of a kind can be selected by.

use manifest::Kind;

use crate::store::{FieldSelector, Reason, Status};

/// The fields that every kind has. Kinds without namespaces have the second all the same.
const ALL: &[&str] = &["metadata.name", "metadata.namespace"];

/// Refuses a selector by a field that the kind cannot be selected by.
///
/// # Errors
/// [`Reason::BadRequest`].
pub(super) fn check(kind: &Kind, selector: &FieldSelector) -> Result<(), Status> {
    let is_known = |path: &&str| ALL.contains(path) || kind.fields.contains(path);
    let Some(unknown) = selector.paths().find(|path| !is_known(path)) else { return Ok(()) };
    let message = if kind.is_custom() || !kind.fields.is_empty() {
        format!("field label not supported: {unknown}")
    } else {
        format!("\"{unknown}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    };
    Err(Status::new(Reason::BadRequest, message))
}
