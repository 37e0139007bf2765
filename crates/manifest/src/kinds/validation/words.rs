//! Fields that hold one of fewer words than the tables of [`schema`] say of them. An empty one counts as nothing.

use serde_json::Value;

use super::{Violation, each};
use crate::Kind;

/// A field with the words that it takes, in Kubernetes' order; `[]` stands for every item of a list.
pub(crate) type Word = (&'static str, &'static [&'static str]);

/// Finds every field that holds none of its words.
pub(super) fn check(kind: &Kind, object: &Value, found: &mut Vec<Violation>) {
    for (path, words) in kind.rules.words {
        each(object, "", path, &mut |field, value| {
            let wrong = value.as_str().filter(|word| !word.is_empty() && !words.contains(word));
            found.extend(wrong.map(|word| Violation::unsupported(field, word, words)));
        });
    }
}
