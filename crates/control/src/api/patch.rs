//! Patches: the four forms in which somebody may say what is to be different. Pure.

mod applied;
mod json_patch;
mod shape;
mod strategic;

#[cfg(test)]
mod tests;

use manifest::Kind;
use serde_json::Value;

use crate::store::{Reason, Status, merge_patch};

/// The form of a patch, named by its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchForm {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// Kubernetes' own, for its own kinds.
    Strategic,
    /// Server-side apply.
    Apply,
}

const FORMS: &[(&str, PatchForm)] = &[
    ("application/json-patch+json", PatchForm::Json),
    ("application/merge-patch+json", PatchForm::Merge),
    ("application/strategic-merge-patch+json", PatchForm::Strategic),
    ("application/apply-patch+yaml", PatchForm::Apply),
];

// === impl PatchForm ===

impl PatchForm {
    /// The form that a media type names, for a kind that takes it.
    ///
    /// # Errors
    /// [`Reason::UnsupportedMediaType`] for any other.
    pub(crate) fn of(media_type: &str, kind: &Kind) -> Result<Self, Status> {
        let known = schema::of(kind.group, kind.version, kind.kind);
        let form = forms(known).find(|(name, _)| *name == media_type).map(|(_, form)| *form);
        form.ok_or_else(|| {
            let accepted: Vec<&str> = media_types(known).collect();
            let message = format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            );
            Status::new(Reason::UnsupportedMediaType, message)
        })
    }
}

fn forms(kind: Option<&'static schema::Type>) -> impl Iterator<Item = &'static (&'static str, PatchForm)> {
    // The kinds of others have no published merge keys.
    let is_built_in = kind.is_some_and(|kind| kind.package.is_built_in());
    FORMS.iter().filter(move |(_, form)| *form != PatchForm::Strategic || is_built_in)
}

/// The media types of patches that a kind takes.
pub(super) fn media_types(kind: Option<&'static schema::Type>) -> impl Iterator<Item = &'static str> {
    forms(kind).map(|(name, _)| *name)
}

/// Patches an object's value. What is applied is not patched: see [`ownership`](crate::ownership).
///
/// # Errors
/// [`Reason::BadRequest`] or [`Reason::Invalid`] for a patch that is none, or does not go with the object.
pub(crate) fn patched(form: PatchForm, kind: &Kind, live: &Value, patch: &Value) -> Result<Value, Status> {
    match form {
        PatchForm::Merge => {
            if !patch.is_object() {
                return Err(Status::new(Reason::BadRequest, "a merge patch of an object is a map"));
            }
            let mut merged = live.clone();
            merge_patch(&mut merged, patch);
            Ok(merged)
        }
        PatchForm::Json => json_patch::apply(live, patch),
        PatchForm::Strategic => strategic::merge(live, patch, shape::of(kind)),
        PatchForm::Apply => Ok(applied::merge_value(None, patch, live, shape::of(kind))),
    }
}

/// What a live object becomes when `wanted` takes the place of what was applied before: the three-way merge of
/// `kubectl apply`.
#[must_use]
pub fn three_way(kind: &Kind, applied: Option<&Value>, wanted: &Value, live: &Value) -> Value {
    applied::merge_value(applied, wanted, live, shape::of(kind))
}
