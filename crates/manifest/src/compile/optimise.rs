//! Rules that need not be there: redirects that would go round in circles, and rules behind a redirect that takes all
//! they could get (`pkg/ingress/rule_optimizer.go` of the AWS controller).

use std::sync::Arc;

use plan::{Action, Listener, Redirect, RedirectPart, Rule, Subject};

/// A rule that was taken out, and why.
pub(super) struct Dropped {
    pub(super) rule: Arc<Rule>,
    pub(super) reason: String,
}

/// Takes needless rules out of a listener.
pub(super) fn optimise(listener: &mut Listener) -> Vec<Dropped> {
    let (mut kept, mut dropped): (Vec<Arc<Rule>>, Vec<Dropped>) = (Vec::new(), Vec::new());
    // Nothing else takes anything from others, and of ten thousand rules few are redirects.
    let mut redirects: Vec<usize> = Vec::new();
    for rule in std::mem::take(&mut listener.rules) {
        let covering = redirects.iter().map(|place| &kept[*place]).find(|earlier| covers(earlier, &rule));
        if let Action::Redirect(redirect) = &rule.action
            && leads_back(redirect, &rule, listener)
        {
            let reason = "it would redirect to where the request came to".to_owned();
            dropped.push(Dropped { rule, reason });
        } else if let Some(earlier) = covering {
            let reason = format!("the redirect of {} takes all its requests", describe(earlier));
            dropped.push(Dropped { rule, reason });
        } else {
            if matches!(rule.action, Action::Redirect(_)) {
                redirects.push(kept.len());
            }
            kept.push(rule);
        }
    }
    listener.rules = kept;
    dropped
}

/// Whether the redirect leads to the listener, host and path of the requests it is for. Regular expressions are not looked
/// into.
fn leads_back(redirect: &Redirect, rule: &Rule, listener: &Listener) -> bool {
    let hosts = wildcards(rule, &Subject::HOST_HEADER);
    let paths = wildcards(rule, &Subject::PATH_PATTERN);
    redirect.protocol.stays(|protocol| protocol == listener.protocol.as_str())
        && redirect.port.stays(|port| port == listener.port.to_string())
        && redirect.host.stays(|host| hosts.contains(&host))
        && redirect.path.stays(|path| paths.contains(&path))
        && redirect.query == RedirectPart::Keep
}

/// Whether an earlier rule, a redirect, goes by host and path alone and takes every request the later one could get.
fn covers(earlier: &Rule, later: &Rule) -> bool {
    let compared = [(Subject::HOST_HEADER, "*"), (Subject::PATH_PATTERN, "/*")];
    let is_plain = earlier
        .conditions
        .iter()
        .all(|condition| compared.iter().any(|(subject, _)| condition.patterns(subject).is_some()));
    let covers = |(subject, all): &(Subject, &str)| {
        let wanted = wildcards(earlier, subject);
        let got = wildcards(later, subject);
        let takes_all = wanted.is_empty() || wanted.contains(all);
        takes_all || (!got.is_empty() && got.iter().all(|value| wanted.contains(value)))
    };
    is_plain && compared.iter().all(covers)
}

/// The wildcards of a rule's conditions about a subject.
fn wildcards<'a>(rule: &'a Rule, subject: &'a Subject) -> Vec<&'a str> {
    rule.patterns(subject).map(plan::Pattern::as_str).collect()
}

fn describe(rule: &Rule) -> String {
    match &rule.source {
        Some(source) => format!(
            "spec.rules[{}].http.paths[{}] of {}",
            source.rule_index, source.path_index, source.object
        ),
        None => "an earlier rule".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{Condition, Protocol, Values};

    fn rule(host: &str, path: &str, action: Action) -> Rule {
        let mut conditions = Vec::new();
        if !host.is_empty() {
            conditions.push(Condition::hosts(&[host]));
        }
        conditions.push(Condition::paths(&path.split(',').collect::<Vec<_>>()));
        Rule::new(conditions, action)
    }

    fn redirect(change: impl FnOnce(&mut Redirect)) -> Action {
        let mut redirect = Redirect::keeping_everything(301);
        change(&mut redirect);
        Action::Redirect(redirect)
    }

    #[track_caller]
    fn check(rules: Vec<Rule>, n_kept: usize) {
        let mut listener = Listener::new(443, Protocol::Https);
        let n_rules = rules.len();
        listener.rules = rules.into_iter().map(Arc::new).collect();
        let dropped = optimise(&mut listener);
        assert_eq!((listener.rules.len(), dropped.len()), (n_kept, n_rules - n_kept));
    }

    #[test]
    fn redirects_that_lead_back_are_dropped() {
        let to_https = || redirect(|it| it.protocol = RedirectPart::set("HTTPS"));
        check(vec![rule("a.b", "/*", to_https())], 0);
        check(vec![rule("a.b", "/*", redirect(|it| it.host = RedirectPart::set("a.b")))], 0);
        check(vec![rule("a.b", "/x", redirect(|it| it.path = RedirectPart::set("/x")))], 0);
        check(vec![rule("a.b", "/*", redirect(|it| it.host = RedirectPart::set("c.d")))], 1);
        check(vec![rule("a.b", "/*", redirect(|it| it.port = RedirectPart::set("8443")))], 1);
        check(vec![rule("a.b", "/*", redirect(|it| it.query = RedirectPart::set("q=1")))], 1);
    }

    #[test]
    fn rules_behind_a_wider_redirect_are_dropped() {
        let away = || redirect(|it| it.host = RedirectPart::set("c.d"));
        let stay = || Action::not_found().clone();
        check(vec![rule("a.b", "/*", away()), rule("a.b", "/x", stay())], 1);
        check(vec![rule("a.b", "/*", away()), rule("", "/x", stay())], 2);
        check(vec![rule("", "/x,/y", away()), rule("a.b", "/x", stay())], 1);
        check(vec![rule("", "/x", away()), rule("a.b", "/x,/y", stay())], 2);
        check(vec![rule("", "/*", stay()), rule("a.b", "/x", stay())], 2);
        let mut guarded = rule("a.b", "/*", away());
        let values = Values::Texts(vec!["GET".to_owned()]);
        guarded.conditions.push(Condition { subject: Subject::HTTP_REQUEST_METHOD, values });
        check(vec![guarded, rule("a.b", "/x", stay())], 2);
    }
}
