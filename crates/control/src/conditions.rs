//! Conditions of a status: what is so, since when, and why.

use serde_json::{Value, json};

/// One condition as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Condition {
    pub(crate) fn new(kind: &'static str, holds: bool) -> Self {
        let status = if holds { "True" } else { "False" };
        Self { kind, status, reason: "", message: String::new() }
    }

    /// One of which nobody knows whether it holds.
    pub(crate) fn unknown(kind: &'static str) -> Self {
        Self { status: "Unknown", ..Self::new(kind, false) }
    }

    /// Why.
    pub(crate) fn because(self, reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), ..self }
    }
}

/// The list of conditions for a status. One that holds as before keeps the time at which it turned.
pub(crate) fn list(conditions: &[Condition], previous: &Value, now: &str) -> Value {
    let written = conditions.iter().map(|condition| {
        let status = condition.status;
        let before = find(previous, condition.kind);
        let since =
            before.filter(|before| before["status"] == status).map(|before| &before["lastTransitionTime"]);
        let mut value = json!({"type": condition.kind, "status": status});
        value["lastTransitionTime"] =
            since.filter(|since| since.is_string()).cloned().unwrap_or_else(|| json!(now));
        for (key, text) in [("reason", condition.reason), ("message", condition.message.as_str())] {
            if !text.is_empty() {
                value[key] = json!(text);
            }
        }
        value
    });
    written.collect()
}

/// Whether a condition of a status holds.
pub(crate) fn holds(status: &Value, kind: &str) -> bool {
    find(&status["conditions"], kind).is_some_and(|condition| condition["status"] == "True")
}

/// A condition in a list of them.
pub(crate) fn find<'a>(conditions: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions.as_array()?.iter().find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_last_turn() {
        let ready = |holds| [Condition::new("Ready", holds).because("Because", "so it is")];
        let first = list(&ready(false), &Value::Null, "t1");
        let second = list(&ready(false), &first, "t2");
        assert_eq!(first, second);
        let third = list(&ready(true), &second, "t3");
        assert_eq!(third[0]["lastTransitionTime"], "t3");
        assert!(holds(&json!({"conditions": third}), "Ready"));
        assert!(!holds(&json!({"conditions": second}), "Ready"));
    }
}
