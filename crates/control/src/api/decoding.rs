//! Whether a body can be decoded as its kind: fields that the kind does not have, fields that are there twice, and values of
//! another type, in the words of a Kubernetes API server.
//!
//! What an object looks like, the tables of [`schema`] say. Fields that nobody knows are taken out, as they would not be
//! stored; `fieldValidation` says whether that is refused, told or passed over.

mod duplicates;
#[cfg(test)]
mod tests;
mod walk;

use manifest::{Finding, Kind, Object, codes};
use serde_json::Value;

use super::parameters::Parameters;
use crate::store::{Cause, Reason, Status};

pub(super) use duplicates::duplicates;
use walk::Walk;

/// How many fields one answer names at most.
const FIELDS: usize = 20;

/// What becomes of fields that are not known, or there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// A field that is odd, and does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Odd {
    /// It stands there more than once; the last one counts.
    Doubled(String),
    /// The kind does not have it, but perhaps one that is written nearly so.
    Unknown(String, Option<&'static str>),
}

/// What is wrong with the type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mistake {
    /// In the words of Go's decoder.
    Undecodable(String),
    /// In the words of the schema of a custom kind.
    Invalid(Cause),
}

/// Takes out of an object what its kind does not have.
///
/// Gives what there is to warn of: fields that are not known, and those that are `doubled`.
///
/// # Errors
/// [`Reason::BadRequest`] for values of another type, and for such fields where validation is strict; [`Reason::Invalid`]
/// for values of another type of custom kinds.
pub(super) fn check(
    value: &mut Value,
    kind: &'static Kind,
    doubled: &[String],
    validation: Validation,
) -> Result<Vec<Odd>, Status> {
    let walk = match (kind.definition(), schema::of(kind.group, kind.version, kind.kind)) {
        (Some(definition), _) => Walk::along_schema(value, definition.schema()),
        (None, Some(known)) => Walk::along(value, known),
        (None, None) => return Ok(Vec::new()),
    };
    if let Some(Mistake::Undecodable(why)) =
        walk.mistakes.iter().find(|it| matches!(it, Mistake::Undecodable(_)))
    {
        return Err(undecodable(kind, why));
    }
    let causes: Vec<Cause> = walk.mistakes.into_iter().filter_map(Mistake::cause).take(FIELDS).collect();
    if !causes.is_empty() {
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        return Err(Status::invalid(kind, name, causes));
    }
    if validation == Validation::Ignore {
        return Ok(Vec::new());
    }
    let doubled = doubled.iter().map(|field| Odd::Doubled(field.clone()));
    let found: Vec<Odd> = doubled.chain(walk.unknown).take(FIELDS).collect();
    if validation == Validation::Strict && !found.is_empty() {
        let found: Vec<String> = found.iter().map(Odd::sentence).collect();
        return Err(undecodable(kind, &format!("strict decoding error: {}", found.join(", "))));
    }
    Ok(found)
}

fn undecodable(kind: &Kind, why: &str) -> Status {
    let message =
        format!("{0} in version \"{1}\" cannot be handled as a {0}: {why}", kind.kind, kind.version);
    Status::new(Reason::BadRequest, message)
}

// === impl Validation ===

impl Validation {
    /// What a request asks for.
    ///
    /// # Errors
    /// [`Reason::Invalid`].
    pub(super) fn of(parameters: &Parameters) -> Result<Self, Status> {
        match parameters.text("fieldValidation") {
            None | Some("Warn") => Ok(Self::Warn),
            Some("Strict") => Ok(Self::Strict),
            Some("Ignore") => Ok(Self::Ignore),
            Some(other) => {
                let words = r#""Ignore", "Strict", "Warn""#;
                let message =
                    format!("fieldValidation: Unsupported value: \"{other}\": supported values: {words}");
                Err(Status::new(Reason::Invalid, message))
            }
        }
    }
}

// === impl Odd ===

impl Odd {
    /// In the words of a Kubernetes API server.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Doubled(field) => format!("duplicate field \"{field}\""),
            Self::Unknown(field, _) => format!("unknown field \"{field}\""),
        }
    }

    /// In ours, with the place and what was meant, where we have a word for it.
    pub(super) fn finding(&self, object: &Object) -> Option<Finding> {
        let Self::Unknown(field, nearest) = self else { return None };
        let message = format!("{} has no field `{field}`: it is ignored", object.kind.kind);
        let advice = nearest.map(|near| format!("did you mean `{near}`?"));
        Some(Finding::new(&codes::FIELD_UNKNOWN, message).at(object, field).maybe_suggest(advice))
    }
}

// === impl Mistake ===

impl Mistake {
    fn cause(self) -> Option<Cause> {
        if let Self::Invalid(cause) = self { Some(cause) } else { None }
    }
}
