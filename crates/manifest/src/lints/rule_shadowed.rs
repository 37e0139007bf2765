//! A rule that no request reaches, because an earlier one takes all it could get: a rule without host before one with.

use plan::{Condition, Pattern, Rule, Values};

use super::Context;
use crate::{Finding, codes};

/// Rules of one listener that are compared, each with all before it.
const MAX_RULES: usize = 1000;

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let listeners = context.plan.load_balancers.iter().flat_map(|it| &it.listeners);
    for listener in listeners {
        for (index, later) in listener.rules.iter().enumerate().take(MAX_RULES) {
            let Some(source) = later.source.as_ref().filter(|source| source.object.kind == "Ingress") else {
                continue;
            };
            let earlier = listener.rules[..index].iter().find(|earlier| covers(earlier, later));
            let first = earlier.and_then(|earlier| earlier.source.as_ref());
            if let Some((first, object)) = first.zip(context.object(&source.object)) {
                let message = format!(
                    "no request reaches this rule: spec.rules[{}].http.paths[{}] of {} matches first, put it behind",
                    first.rule_index, first.path_index, first.object
                );
                let path = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
                findings.push(Finding::new(&codes::RULE_SHADOWED, message).at(object, &path));
            }
        }
    }
}

/// Whether every request that the later rule matches is matched by the earlier one. It looks at wildcards of hosts and
/// paths and is cautious: what it cannot tell it does not claim.
fn covers(earlier: &Rule, later: &Rule) -> bool {
    earlier.conditions.iter().all(|condition| match condition {
        Condition::HostHeader(Values::Wildcards(wide)) => patterns(later, |condition| {
            matches!(condition, Condition::HostHeader(_))
        })
        .is_some_and(|narrow| narrow.iter().all(|narrow| wide.iter().any(|wide| includes(wide, narrow)))),
        Condition::PathPattern(Values::Wildcards(wide)) => {
            let takes_all = wide.iter().any(|wide| wide.as_str() == "/*");
            takes_all
                || patterns(later, |condition| matches!(condition, Condition::PathPattern(_))).is_some_and(
                    |narrow| narrow.iter().all(|narrow| wide.iter().any(|wide| includes(wide, narrow))),
                )
        }
        other => later.conditions.contains(other),
    })
}

fn patterns(rule: &Rule, is_field: fn(&Condition) -> bool) -> Option<&[Pattern]> {
    rule.conditions.iter().filter(|condition| is_field(condition)).find_map(|condition| match condition {
        Condition::HostHeader(Values::Wildcards(patterns))
        | Condition::PathPattern(Values::Wildcards(patterns)) => Some(patterns.as_slice()),
        _ => None,
    })
}

/// Whether all that `narrow` matches is matched by `wide`. A `?` could stand for a `*` as a letter, but not for its
/// meaning, so patterns with it are compared only with texts.
fn includes(wide: &Pattern, narrow: &Pattern) -> bool {
    let comparable = narrow.is_literal() || !wide.as_str().contains('?');
    comparable && wide.matches(narrow.as_str().as_bytes())
}
