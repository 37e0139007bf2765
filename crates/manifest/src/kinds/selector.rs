//! Label selectors.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A label selector; all of it must hold, and an empty one selects everything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Selector {
    pub(crate) match_labels: BTreeMap<String, String>,
    pub(crate) match_expressions: Vec<Expression>,
}

/// One expression of a selector.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Expression {
    pub(crate) key: String,
    pub(crate) operator: Operator,
    #[serde(default)]
    pub(crate) values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Whether labels have all of these.
pub(crate) fn has_all(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

// === impl Selector ===

impl Selector {
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        has_all(labels, &self.match_labels)
            && self.match_expressions.iter().all(|expression| expression.holds(labels.get(&expression.key)))
    }
}

impl Expression {
    fn holds(&self, value: Option<&String>) -> bool {
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_hold_as_in_kubernetes() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let holds = |key: &str, operator, values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let expression = Expression { key: key.to_owned(), operator, values };
            Selector { match_expressions: vec![expression], ..Selector::default() }.matches(&labels)
        };
        assert!(holds("app", Operator::In, &["api", "web"]) && !holds("app", Operator::In, &["api"]));
        assert!(holds("tier", Operator::NotIn, &["x"]) && !holds("app", Operator::NotIn, &["web"]));
        assert!(holds("app", Operator::Exists, &[]) && !holds("tier", Operator::Exists, &[]));
        assert!(holds("tier", Operator::DoesNotExist, &[]) && !holds("app", Operator::DoesNotExist, &[]));
        assert!(Selector::default().matches(&labels));
    }
}
