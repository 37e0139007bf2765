//! A rule that no request reaches, because an earlier one takes all it could get: a rule without host before one with.

use plan::{Pattern, Rule, Subject};

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
pub(crate) fn covers(earlier: &Rule, later: &Rule) -> bool {
    let compared = [Subject::HOST_HEADER, Subject::PATH_PATTERN];
    earlier.conditions.iter().all(|condition| {
        let subject = compared.iter().find(|subject| condition.subject == **subject);
        let wide = subject.and_then(|subject| condition.patterns(subject));
        let Some((subject, wide)) = subject.zip(wide) else { return later.conditions.contains(condition) };
        let takes_all = *subject == Subject::PATH_PATTERN && wide.iter().any(|wide| wide.as_str() == "/*");
        let narrow = later.conditions.iter().find_map(|condition| condition.patterns(subject));
        let is_included = |narrow: &Pattern| wide.iter().any(|wide| includes(wide, narrow));
        takes_all || narrow.is_some_and(|narrow| narrow.iter().all(is_included))
    })
}

/// Whether all that `narrow` matches is matched by `wide`. A `?` could stand for a `*` as a letter, but not for its
/// meaning, so patterns with it are compared only with texts.
fn includes(wide: &Pattern, narrow: &Pattern) -> bool {
    let comparable = narrow.is_literal() || !wide.as_str().contains('?');
    comparable && wide.matches(narrow.as_str().as_bytes())
}
