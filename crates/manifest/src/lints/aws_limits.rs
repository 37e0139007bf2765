//! More than the AWS service takes by default ("Quotas for your Application Load Balancers", ELB guide). Forebay takes more;
//! the same manifest on AWS would be refused.

use plan::{Condition, LoadBalancer, Rule, Values};

use super::Context;
use crate::{Finding, Object, codes};

/// Values of one condition.
const VALUES_OF_CONDITION: usize = 3;
/// Values of all conditions of one rule.
const VALUES_OF_RULE: usize = 5;
/// Wildcards in all conditions of one rule.
const WILDCARDS_OF_RULE: usize = 5;
/// Rules of one load balancer, without default actions.
const RULES: usize = 100;
/// Certificates of one listener besides the default one.
const MORE_CERTIFICATES: usize = 25;

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for load_balancer in &context.plan.load_balancers {
        let Some(object) = load_balancer.sources.first().and_then(|source| context.object(source)) else {
            continue;
        };
        if object.kind.kind != "Ingress" {
            continue;
        }
        whole(load_balancer, object, findings);
        for rule in load_balancer.listeners.iter().flat_map(|listener| &listener.rules) {
            let Some(source) = &rule.source else { continue };
            let Some(object) = context.object(&source.object) else { continue };
            let path = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
            findings.extend(of_rule(rule).map(|message| {
                Finding::new(&codes::AWS_LIMIT_EXCEEDED, format!("AWS would refuse the rule: {message}"))
                    .at(object, &path)
            }));
        }
    }
}

fn whole(load_balancer: &LoadBalancer, object: &Object, findings: &mut Vec<Finding>) {
    let mut push = |message: String| {
        findings.push(Finding::new(&codes::AWS_LIMIT_EXCEEDED, message).on(object));
    };
    let n_rules: usize = load_balancer.listeners.iter().map(|listener| listener.rules.len()).sum();
    if n_rules > RULES {
        push(format!("AWS would refuse the load balancer: {n_rules} rules are more than {RULES}"));
    }
    for listener in &load_balancer.listeners {
        let n_certificates = listener.certificates.len();
        if n_certificates > MORE_CERTIFICATES + 1 {
            let port = listener.port;
            push(format!(
                "AWS would refuse listener {port}: {n_certificates} certificates are more than {}",
                MORE_CERTIFICATES + 1
            ));
        }
    }
}

/// What is too much in a rule.
fn of_rule(rule: &Rule) -> impl Iterator<Item = String> {
    let texts: Vec<Vec<&str>> = rule.conditions.iter().map(values).collect();
    let n_largest = texts.iter().map(Vec::len).max().unwrap_or_default();
    let n_values: usize = texts.iter().map(Vec::len).sum();
    let is_wildcard = |text: &&str| text.contains(['*', '?']);
    let n_wildcards = texts.iter().flatten().copied().filter(is_wildcard).count();
    let limits = [
        (n_largest, VALUES_OF_CONDITION, "values in one condition"),
        (n_values, VALUES_OF_RULE, "values in its conditions"),
        (n_wildcards, WILDCARDS_OF_RULE, "wildcards in its conditions"),
    ];
    let exceeded = limits.into_iter().filter(|(n, limit, _)| n > limit);
    exceeded.map(|(n, limit, what)| format!("{n} {what} are more than {limit}"))
}

/// The values of a condition, with a placeholder where only their number matters.
fn values(condition: &Condition) -> Vec<&str> {
    match &condition.values {
        Values::Wildcards(patterns) => patterns.iter().map(plan::Pattern::as_str).collect(),
        Values::Texts(texts) | Values::Secrets(texts) => texts.iter().map(String::as_str).collect(),
        Values::Pairs(pairs) => pairs.iter().map(|pair| pair.value.as_str()).collect(),
        Values::Regexes(_) | Values::Ranges(_) => vec![""; condition.values.len()],
    }
}
