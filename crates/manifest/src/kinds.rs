//! What objects hold: the wire types of the kinds that something is made from, and how they are read.
//!
//! Everything else about a kind stands in the [`registry`](crate::registry).

pub(crate) mod autoscaler_v1;
pub(crate) mod config;
pub(crate) mod elsewhere;
pub(crate) mod endpoints;
pub(crate) mod inference_service;
pub(crate) mod ingress;
pub(crate) mod ingress_class;
pub(crate) mod ingress_class_params_v1;
pub(crate) mod ingress_v1beta1;
pub(crate) mod metadata;
pub(crate) mod pod;
pub(crate) mod selector;
pub(crate) mod service;
pub(crate) mod target_control_config;
pub(crate) mod validation;

use serde::de::DeserializeOwned;

use crate::read::key_path;
use crate::wire::{self, Case, Note, WireError};
use crate::{Finding, Object, codes};

/// Reads an object as the wire type of its kind. What the type does not know, and what has no effect, becomes findings;
/// so does what is wrong, and then there is nothing to return.
pub(crate) fn read<T: DeserializeOwned>(object: &Object, findings: &mut Vec<Finding>) -> Option<T> {
    let mut own = Vec::new();
    let read = read_anyway(object, &mut own);
    let is_good = !own.iter().any(Finding::is_error);
    findings.extend(own);
    read.filter(|_| is_good)
}

/// The same for a reader who looks for more that is wrong, and leaves the object out when an error was found: fields that
/// are wrong are as if they were not there.
pub(crate) fn read_anyway<T: DeserializeOwned>(object: &Object, findings: &mut Vec<Finding>) -> Option<T> {
    let metadata = object.value.get("metadata").unwrap_or(&serde_json::Value::Null);
    let metadata = wire::read_all::<metadata::Metadata>(metadata, "metadata", Case::Exact);
    let read = wire::read_all::<T>(&object.value, "", Case::Exact);
    let notes = metadata.notes.iter().chain(&read.notes);
    findings.extend(notes.map(|note| field_finding(object, note)));
    let errors = metadata.errors.iter().chain(&read.errors);
    let wrong: Vec<Finding> = errors.map(|error| error_finding(object, error)).collect();
    let more = validation::findings(object, &wrong);
    findings.extend(wrong.into_iter().chain(more));
    read.value
}

fn error_finding(object: &Object, error: &WireError) -> Finding {
    // What a Secret holds is nobody's to read in a message.
    let message = match object.kind.key {
        "Secret" => format!("`{}` is not of the right type", error.path),
        _ => error.to_string(),
    };
    let place = error.missing.map_or_else(|| error.path.clone(), |field| key_path(&error.path, field));
    let finding = Finding::new(&codes::FIELD_INVALID, message).at(object, &place);
    finding.maybe_suggest(about_quotes(&error.problem).map(str::to_owned))
}

/// What to do about quotes that are missing, or around what should be a number or boolean.
fn about_quotes(problem: &str) -> Option<&'static str> {
    let is_scalar = problem.starts_with("is the boolean") || problem.starts_with("is the number");
    if is_scalar && problem.ends_with("not a text") {
        return Some("put it in quotes");
    }
    let (text, wanted) = problem.strip_prefix("is the text `")?.split_once("`, not ")?;
    let is_number = wanted.contains("number") && text.parse::<f64>().is_ok();
    let is_boolean = wanted == "`true` or `false`" && matches!(text, "true" | "false");
    (is_number || is_boolean).then_some("leave the quotes out")
}

fn field_finding(object: &Object, note: &Note) -> Finding {
    match note {
        Note::Unknown { path, nearest } => {
            let message = format!("{} has no field `{path}`: it is ignored", object.kind.kind);
            let finding = Finding::new(&codes::FIELD_UNKNOWN, message).at(object, path);
            finding.maybe_suggest(nearest.map(|near| format!("did you mean `{near}`?")))
        }
        Note::NoEffect { path } => {
            let message = format!("`{path}` has no effect on one machine yet");
            Finding::new(&codes::FIELD_NO_EFFECT, message).at(object, path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_spoken_of_where_they_are_what_is_wrong() {
        for (problem, advice) in [
            ("is the number `1`, not a text", Some("put it in quotes")),
            ("is the boolean `true`, not a text", Some("put it in quotes")),
            ("is the text `80`, not a number from 0 to 65535", Some("leave the quotes out")),
            ("is the text `true`, not `true` or `false`", Some("leave the quotes out")),
            ("is the text `http`, not a number from 0 to 65535", None),
            ("is a list, not a text", None),
        ] {
            assert_eq!(about_quotes(problem), advice, "{problem}");
        }
    }
}
