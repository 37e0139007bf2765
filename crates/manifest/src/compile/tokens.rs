//! Header values that are secrets. An ALB compares them in any case, and takes as long as it takes; here they are compared to the
//! letter and in a time that tells nothing of them, unless AWS is to be followed exactly.

use std::collections::BTreeSet;
use std::sync::Arc;

use plan::{Condition, LoadBalancer, Pattern, Values};

use super::here::Here;
use crate::{Finding, codes};

/// Names of header fields that carry secrets have one of these in them.
const SECRET_NAMES: &[&str] = &["key", "token", "auth", "secret", "password"];

/// Whether a header field of this name carries a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| lower.contains(secret))
}

/// Has such values compared to the letter. Those with wildcards are patterns, and stay what they are.
pub(super) fn guard(load_balancer: &mut LoadBalancer, here: &Here<'_>, findings: &mut Vec<Finding>) {
    if here.world.defaults.strict_aws {
        return;
    }
    let mut told = BTreeSet::new();
    for rule in load_balancer.listeners.iter_mut().flat_map(|listener| &mut listener.rules) {
        for place in 0..rule.conditions.len() {
            let Some(texts) = secrets(&rule.conditions[place]) else { continue };
            let rule = Arc::make_mut(rule);
            let condition = &mut rule.conditions[place];
            let has_case = texts.iter().any(|text| text.bytes().any(|byte| byte.is_ascii_alphabetic()));
            condition.values = Values::Secrets(texts);
            let source = rule.source.as_ref().filter(|_| has_case);
            let name = condition.subject.name().unwrap_or_default();
            let Some(source) = source.filter(|it| told.insert((it.object.clone(), name.to_owned()))) else {
                continue;
            };
            let at = &source.object;
            if let Some(object) = here.world.objects.get(&at.kind, &at.namespace, &at.name) {
                let message = format!(
                    "the values of header {name} are compared to the letter here, and in any case on AWS"
                );
                let path = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
                findings.push(Finding::new(&codes::TOKEN_EXACT, message).at(object, &path));
            }
        }
    }
}

/// The secrets of a condition, if it is about some.
fn secrets(condition: &Condition) -> Option<Vec<String>> {
    let Values::Wildcards(patterns) = &condition.values else { return None };
    let is_meant =
        condition.subject.name().is_some_and(is_secret) && patterns.iter().all(Pattern::is_literal);
    is_meant.then(|| patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect())
}
