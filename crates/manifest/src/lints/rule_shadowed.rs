//! A rule that no request reaches, because an earlier one takes all it could get: a rule without host before one with.

use std::sync::Arc;

use plan::{Pattern, Rule, RuleIndex, Subject};

use super::Context;
use crate::{Finding, codes};

/// Rules of one listener that are compared, each with all before it.
const MAX_RULES: usize = 1000;

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let listeners = context.plan.load_balancers.iter().flat_map(|it| &it.listeners);
    for listener in listeners {
        let rules = &listener.rules[..listener.rules.len().min(MAX_RULES)];
        let index = RuleIndex::new(rules);
        for (place, later) in rules.iter().enumerate() {
            let Some(source) = later.source.as_ref().filter(|source| source.object.kind == "Ingress") else {
                continue;
            };
            let first = first_that_covers(rules, place, &index).and_then(|earlier| earlier.source.as_ref());
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

/// The first rule before the one at a place that covers it. What covers a pattern matches it as a text, so that most need not be
/// looked at.
fn first_that_covers<'a>(rules: &'a [Arc<Rule>], place: usize, index: &RuleIndex) -> Option<&'a Arc<Rule>> {
    let later = &rules[place];
    let (host, path) = (Subject::HOST_HEADER, Subject::PATH_PATTERN);
    let text = |subject| later.patterns(subject).next().map(Pattern::as_str);
    let host = text(&host).unwrap_or_default().to_ascii_lowercase();
    let first = match text(&path).unwrap_or("/") {
        path if path.starts_with('/') => {
            index.first_that(rules, (&host, path), |earlier| covers(earlier, later))
        }
        // Not everything that has every path in it begins as this does.
        _ => rules.iter().position(|earlier| covers(earlier, later)),
    };
    first.filter(|first| *first < place).map(|first| &rules[first])
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

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{Action, Condition, Values};
    use proptest::prelude::*;

    fn rule() -> impl Strategy<Value = Rule> {
        let host = "[abAB]|[ab]\\.c|\\*\\.c|\\*c|a\\*|\\*|[ab]\\?c|\\*\\.b\\.c|\\*\\.\\*c|b\\.b\\.c";
        let path = "/|/[xy]|/[xy]/\\*|/\\*|\\*|/x\\*|/\\?|/\\*/y|/x/y/\\*|x\\*|\\*x|/%7[Ee]|/~";
        let conditions = (
            prop::option::of(prop::collection::vec(host, 1..3)),
            prop::option::of(prop::collection::vec(path, 1..3)),
            any::<bool>(),
        );
        conditions.prop_map(|(hosts, paths, is_get)| {
            let mut conditions = Vec::new();
            conditions.extend(hosts.map(|hosts| Condition::hosts(&hosts)));
            conditions.extend(paths.map(|paths| {
                let patterns = paths.iter().map(|path| Pattern::path(path)).collect();
                Condition { subject: Subject::PATH_PATTERN, values: Values::Wildcards(patterns) }
            }));
            if is_get || conditions.is_empty() {
                let values = Values::Texts(vec!["GET".to_owned()]);
                conditions.push(Condition { subject: Subject::HTTP_REQUEST_METHOD, values });
            }
            Rule::new(conditions, Action::not_found().clone())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn what_is_looked_up_is_what_comparing_with_all_finds(
            rules in prop::collection::vec(rule().prop_map(Arc::new), 1..20),
        ) {
            let index = RuleIndex::new(&rules);
            for place in 0..rules.len() {
                let compared = rules[..place].iter().find(|earlier| covers(earlier, &rules[place]));
                prop_assert_eq!(first_that_covers(&rules, place, &index), compared);
            }
        }
    }
}
