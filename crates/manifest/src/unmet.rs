//! What manifests ask for and nothing on one machine does yet: one table, each row with the words that say what happens
//! instead.
//!
//! A row that protects something weighs more where others can reach the load balancers than where nobody can: see
//! [`Exposure`](crate::Exposure). A row goes when what it asks for is built. It is *not* the place for fields that merely
//! tune something (a note of their kind says that those are kept) or for values that are wrong.

mod place;
mod rows;

use serde_json::Value;

use crate::compile::memo::Memo;
use crate::read::key_path;
use crate::{Defaults, Finding, Object, Objects, Severity, codes};

use crate::registry::{Effect, Kind, Words};
use place::{Place, Spot};
use rows::ROWS;

/// Something that can be asked for, and is not done here.
pub(super) struct Unmet {
    /// The kinds of objects that ask; none: those that describe pods.
    kinds: &'static [&'static str],
    /// How they ask.
    place: Place,
    words: Words,
    weight: Weight,
}

/// How much it matters that something is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// On one machine it makes no difference.
    Note,
    /// Something is missing.
    Lack,
    /// Somebody or something is to be kept out by it.
    Protection,
}

/// A finding for everything that an object asks for and does not get. Objects that follow from others do not ask: those
/// others do.
pub(crate) fn all(objects: &Objects, defaults: &Defaults, memo: &Memo) -> Vec<Finding> {
    let asking = objects.iter().filter(|object| !is_owned(object));
    asking.flat_map(|object| memo.about(object, || Asked(of(object, defaults))).0.clone()).collect()
}

/// What one object asks for and does not get.
struct Asked(Vec<Finding>);

/// What one object asks for and does not get.
fn of(object: &Object, defaults: &Defaults) -> Vec<Finding> {
    let of_kind = match object.kind.effect {
        Effect::Made | Effect::Kept => None,
        Effect::Lacking(words) => Some((words, Weight::Lack)),
        Effect::Unprotecting(words) => Some((words, Weight::Protection)),
    };
    let of_kind = of_kind.map(|(words, weight)| finding(words, weight, object, Spot::Object, defaults));
    let rows = ROWS.iter().filter(|row| row.is_about(object.kind));
    let of_rows = rows.flat_map(|row| {
        let spots = row.place.spots(object).into_iter();
        spots.map(|spot| finding(row.words, row.weight, object, spot, defaults))
    });
    of_kind.into_iter().chain(of_rows).collect()
}

fn is_owned(object: &Object) -> bool {
    let owners = object.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.is_some_and(|owners| !owners.is_empty())
}

fn finding(words: Words, weight: Weight, object: &Object, spot: Spot, defaults: &Defaults) -> Finding {
    let subject = match &spot {
        Spot::Object => format!("{} `{}`", object.kind.kind, object.name),
        Spot::Field(path) => path.rsplit('.').next().unwrap_or(path).to_owned(),
        Spot::Label(key) => key.rsplit('/').next().unwrap_or(key).to_owned(),
        Spot::Annotation(key) => key.rsplit('/').next().unwrap_or(key).to_owned(),
    };
    let code = match (weight, &spot) {
        (Weight::Protection, _) => &codes::PROTECTION_MISSING,
        (_, Spot::Object) => &codes::KIND_IGNORED,
        (_, Spot::Field(_) | Spot::Label(_)) => &codes::FIELD_NO_EFFECT,
        (_, Spot::Annotation(_)) => &codes::ANNOTATION_NO_EFFECT,
    };
    let finding = Finding::new(code, format!("{subject}: {}", words.words)).suggest(words.advice);
    let finding = match weight {
        Weight::Protection => defaults.exposure.weigh(finding),
        Weight::Lack => finding.with_severity(Severity::Warning),
        Weight::Note => finding.with_severity(Severity::Info),
    };
    match spot {
        Spot::Object => Finding { location: object.locate("kind"), ..finding.on(object) },
        Spot::Field(path) => finding.at(object, &path),
        Spot::Label(key) => finding.at(object, &key_path("metadata.labels", key)),
        Spot::Annotation(key) => finding.at_annotation(object, &key),
    }
}

// === impl Unmet ===

impl Unmet {
    fn is_about(&self, kind: &Kind) -> bool {
        match self.kinds {
            [] => kind.pods.place().is_some(),
            kinds => kinds.contains(&kind.key),
        }
    }
}

#[cfg(test)]
mod tests;
