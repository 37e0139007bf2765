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
        if object.kind.key != "Ingress" {
            continue;
        }
        whole(load_balancer, object, findings);
        for rule in load_balancer.listeners.iter().flat_map(|listener| &listener.rules) {
            let Some(source) = &rule.source else { continue };
            for message in of_rule(rule) {
                let Some(object) = context.object(&source.object) else { continue };
                let path = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
                let message = format!("AWS would refuse the rule: {message}");
                findings.push(Finding::new(&codes::AWS_LIMIT_EXCEEDED, message).at(object, &path));
            }
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
    let sizes = rule.conditions.iter().map(|condition| condition.values.len());
    let (n_largest, n_values) = (sizes.clone().max().unwrap_or_default(), sizes.sum());
    // Most rules have fewer values than they may have wildcards.
    let n_wildcards =
        if n_values > WILDCARDS_OF_RULE { rule.conditions.iter().map(wildcards).sum() } else { 0 };
    let limits = [
        (n_largest, VALUES_OF_CONDITION, "values in one condition"),
        (n_values, VALUES_OF_RULE, "values in its conditions"),
        (n_wildcards, WILDCARDS_OF_RULE, "wildcards in its conditions"),
    ];
    let exceeded = limits.into_iter().filter(|(n, limit, _)| n > limit);
    exceeded.map(|(n, limit, what)| format!("{n} {what} are more than {limit}"))
}

/// How many values of a condition have a wildcard.
fn wildcards(condition: &Condition) -> usize {
    let is_wildcard = |text: &str| text.contains(['*', '?']);
    match &condition.values {
        Values::Wildcards(patterns) => {
            patterns.iter().filter(|pattern| is_wildcard(pattern.as_str())).count()
        }
        Values::Texts(texts) | Values::Secrets(texts) => {
            texts.iter().filter(|text| is_wildcard(text)).count()
        }
        Values::Pairs(pairs) => pairs.iter().filter(|pair| is_wildcard(pair.value.as_str())).count(),
        Values::Regexes(_) | Values::Ranges(_) => 0,
    }
}
