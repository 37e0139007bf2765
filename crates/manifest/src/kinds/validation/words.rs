//! Fields that hold one of a few words. An empty one counts as nothing, and gets its default.

use serde_json::Value;

use super::{Violation, at, each};
use crate::Kind;

/// A field with the words that it takes, in Kubernetes' order; `[]` stands for every item of a list.
pub(crate) type Word = (&'static str, &'static [&'static str]);

/// What ports are spoken to in.
pub(crate) const TRANSPORTS: &[&str] = &["SCTP", "TCP", "UDP"];

/// Those of a pod's spec.
const POD_WORDS: &[Word] = &[
    ("dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]),
    ("containers[].imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("containers[].ports[].protocol", TRANSPORTS),
];

/// Finds every field that holds none of its words.
pub(super) fn check(kind: &Kind, object: &Value, found: &mut Vec<Violation>) {
    let mut check = |within: &Value, above: &str, (path, words): &Word| {
        each(within, above, path, &mut |field, value| {
            let wrong = value.as_str().filter(|word| !word.is_empty() && !words.contains(word));
            found.extend(wrong.map(|word| Violation::unsupported(field, word, words)));
        });
    };
    kind.rules.words.iter().for_each(|word| check(object, "", word));
    if let Some(spec) = kind.pods.spec() {
        let Some(pod) = at(object, spec) else { return };
        POD_WORDS.iter().for_each(|word| check(pod, spec, word));
    }
}
