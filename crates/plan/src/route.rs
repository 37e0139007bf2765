//! The routing decision: which rule of a listener applies to a request.

use crate::{Action, Handling, Listener, Preflight, RequestHead, Rule, Transform};

/// What a listener does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision<'a> {
    /// The rule that matched, with its index in [`Listener::rules`]; `None` for the default action.
    pub rule: Option<(usize, &'a Rule)>,
    /// What is done; `None` when no rule matches and nothing is configured for that.
    pub action: Option<&'a Action>,
}

impl<'a> Decision<'a> {
    /// The priority of the rule, from 1; 0 for the default action, as ALB's access log writes it.
    #[must_use]
    pub fn priority(&self) -> usize {
        self.rule.map_or(0, |(index, _)| index + 1)
    }

    /// What is done beside the action; `listener` is the one that was asked.
    #[must_use]
    pub fn handling(&self, listener: &'a Listener) -> Option<&'a Handling> {
        self.rule.map_or(&listener.default_handling, |(_, rule)| &rule.handling).as_deref()
    }
}

/// Finds the first rule whose conditions all hold, else the default action.
#[must_use]
pub fn route<'a>(listener: &'a Listener, head: &RequestHead<'_>) -> Decision<'a> {
    match listener.rules.iter().enumerate().find(|(_, rule)| rule.holds(head)) {
        Some((index, rule)) => Decision { rule: Some((index, rule)), action: Some(&rule.action) },
        None => Decision { rule: None, action: listener.default_action.as_ref() },
    }
}

/// Finds whose CORS a preflight is answered by: that of the first rule to which the request that it announces may
/// come. That request has another method, and header fields that the preflight has not: conditions about fields are
/// passed over. `None` where the request is no preflight, or certainly comes to where no page of another origin is
/// allowed anything: then it is a request as others are.
#[must_use]
pub fn route_preflight<'a>(listener: &'a Listener, head: &RequestHead<'_>) -> Option<Decision<'a>> {
    let preflight = Preflight::of(head)?;
    let head = RequestHead { method: &preflight.method, ..*head };
    let place = listener.rules.iter().position(|rule| rule.decides_preflight(&head));
    listener.cors_at(place)?;
    let rule = place.map(|place| (place, &*listener.rules[place]));
    let action = rule.map_or(listener.default_action.as_ref(), |(_, rule)| Some(&rule.action));
    Some(Decision { rule, action })
}

/// Whether the rules say something else of another reading of a path, in which a target may make its own choice ([`crate::RequestPath`]).
/// `first` is how the first rule that holds is found; `found` is its place for the path itself. A rule that names the path letter
/// for letter means it.
pub fn is_ambiguous(
    listener: &Listener,
    head: &RequestHead<'_>,
    found: Option<usize>,
    readings: &[String],
    first: impl Fn(&RequestHead<'_>) -> Option<usize>,
) -> bool {
    let none: &[Transform] = &[];
    let action = |place: Option<usize>| match place {
        Some(place) => listener
            .rules
            .get(place)
            .map(|rule| (&rule.action, rule.transforms.as_slice(), rule.handling.as_deref())),
        None => listener
            .default_action
            .as_ref()
            .map(|action| (action, none, listener.default_handling.as_deref())),
    };
    let is_elsewhere = |path: &String| {
        let other = first(&RequestHead { path, ..*head });
        other != found && action(other) != action(found)
    };
    let is_meant =
        || found.and_then(|place| listener.rules.get(place)).is_some_and(|rule| rule.names_path(head.path));
    readings.iter().any(is_elsewhere) && !is_meant()
}

/// One rule that was tried, and how far it got.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuleTrial<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of trying a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All conditions hold.
    Matches,
    /// The condition with this index does not hold.
    Fails(usize),
}

/// The rules that [`route`] looks at, with the reason each was passed over: the explanation of a decision.
pub fn tried<'a>(listener: &'a Listener, head: &RequestHead<'_>) -> Vec<RuleTrial<'a>> {
    let mut trials = Vec::new();
    for rule in &listener.rules {
        let failing = rule.conditions.iter().position(|condition| !condition.holds(head));
        trials.push(RuleTrial { rule, verdict: failing.map_or(Verdict::Matches, Verdict::Fails) });
        if failing.is_none() {
            break;
        }
    }
    trials
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Condition, Cors, CorsWish, Forward, Pattern, Protocol, QueryPair, RuleIndex, Subject, TargetGroupId,
        TargetGroupRef, Values,
    };
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    /// The keys of target groups.
    const GROUPS: [&str; 5] = ["a", "b", "api", "health", "rest"];

    /// Rules are written `host path -> target group ; …`, where `-` stands for no condition.
    #[track_caller]
    fn check(rules: &str, url: &str, expected: &Expect) {
        let mut listener = Listener::new(80, Protocol::Http);
        listener.rules = rules.split(';').map(|rule| parse_rule(rule.trim()).into()).collect();
        expected.assert_eq(&describe(&route(&listener, &RequestHead::get(url))));
    }

    fn parse_rule(text: &str) -> Rule {
        let (conditions, key) = text.split_once("->").unwrap();
        let (host, path) = conditions.trim().split_once(' ').unwrap();
        let mut parsed = Vec::new();
        if host != "-" {
            parsed.push(Condition::hosts(&[host]));
        }
        if path.trim() != "-" {
            parsed.push(Condition::paths(&path.trim().split(',').collect::<Vec<_>>()));
        }
        let place = GROUPS.iter().position(|group| *group == key.trim()).unwrap();
        Rule::new(parsed, Action::forward_to(TargetGroupId(place)))
    }

    fn describe(decision: &Decision<'_>) -> String {
        let action = match decision.action {
            Some(Action::Forward(Forward { targets, .. })) => match &targets[0].target_group {
                TargetGroupRef::Group(id) => format!("forward {}", GROUPS[id.place()]),
                other => format!("{other:?}"),
            },
            Some(Action::FixedResponse(response)) => format!("respond {}", response.status),
            Some(Action::Redirect(redirect)) => format!("redirect {}", redirect.status),
            None => "no route".to_owned(),
        };
        format!("{} {action}", decision.priority())
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        check(
            "*.example.com - -> a ; api.example.com - -> b",
            "http://api.example.com/",
            &expect!["1 forward a"],
        );
        check(
            "api.example.com - -> b ; *.example.com - -> a",
            "http://api.example.com/",
            &expect!["1 forward b"],
        );
    }

    #[test]
    fn acc_s0_27_a_host_nobody_serves_gets_the_default_action() {
        check("api.example.com - -> a", "http://other.example.com/", &expect!["0 no route"]);
    }

    #[test]
    fn acc_s3_65_exact_paths_do_not_cover_their_children() {
        let rules = "- /healthz -> health ; - /* -> rest";
        check(rules, "http://x/healthz", &expect!["1 forward health"]);
        check(rules, "http://x/healthz/", &expect!["2 forward rest"]);
    }

    #[test]
    fn acc_s1_30_prefixes_end_at_a_path_element() {
        let rules = "- /api,/api/* -> api ; - /* -> rest";
        check(rules, "http://x/api", &expect!["1 forward api"]);
        check(rules, "http://x/api/v1", &expect!["1 forward api"]);
        check(rules, "http://x/apifox", &expect!["2 forward rest"]);
    }

    #[test]
    fn acc_s2_19_header_method_query_and_source_conditions_are_anded() {
        let mut listener = Listener::new(80, Protocol::Http);
        let key = Subject::http_header("x-api-key");
        let pair = QueryPair { key: Some(Pattern::query("v")), value: Pattern::query("2") };
        let conditions = vec![
            Condition::wildcards(key, &["token1"]),
            Condition {
                subject: Subject::HTTP_REQUEST_METHOD,
                values: Values::Texts(vec!["GET".into(), "POST".into()]),
            },
            Condition { subject: Subject::QUERY_STRING, values: Values::Pairs(vec![pair]) },
            Condition {
                subject: Subject::SOURCE_IP,
                values: Values::Ranges(vec!["127.0.0.0/8".parse().unwrap()]),
            },
        ];
        listener.rules.push(Rule::new(conditions, Action::not_found().clone()).into());
        let fields = vec![("X-Api-Key".to_owned(), "token1".to_owned())];
        let good = RequestHead { headers: &fields, ..RequestHead::get("http://x/?a=1&V=2") };
        assert_eq!(route(&listener, &good).priority(), 1);
        for bad in [
            RequestHead { headers: &crate::NoHeaders, ..good },
            RequestHead { method: "HEAD", ..good },
            RequestHead { query: Some("v=3"), ..good },
            RequestHead { query: None, ..good },
            RequestHead { peer: [10, 0, 0, 1].into(), ..good },
        ] {
            assert_eq!(route(&listener, &bad).priority(), 0);
        }
    }

    #[test]
    fn a_preflight_finds_the_rule_of_the_request_that_it_announces() {
        let cors = || {
            let origins = vec!["https://a.example".to_owned()];
            let cors = Cors::new(CorsWish { origins, ..CorsWish::default() }).unwrap();
            Some(Arc::new(Handling { cors: Some(cors), ..Handling::default() }))
        };
        let texts = |subject, text: &str| Condition { subject, values: Values::Texts(vec![text.to_owned()]) };
        let post = || texts(Subject::HTTP_REQUEST_METHOD, "POST");
        let gate = || Condition::wildcards(Subject::http_header("x-api-key"), &["token1"]);
        let rule = |conditions: Vec<Condition>, handling| {
            Arc::new(Rule { handling, ..Rule::new(conditions, Action::not_found().clone()) })
        };
        let mut listener = Listener::new(80, Protocol::Http);
        listener.rules = vec![
            rule(vec![Condition::paths(&["/a"]), post(), gate()], cors()),
            rule(vec![Condition::paths(&["/a"])], None),
            rule(vec![Condition::paths(&["/b"]), gate()], None),
            rule(vec![Condition::paths(&["/b"])], cors()),
            rule(vec![Condition::paths(&["/c"])], None),
            rule(vec![Condition::paths(&["/*"]), gate()], cors()),
        ];
        let index = RuleIndex::new(&listener.rules);
        let found = |url: &str, asked: &str| {
            let fields = vec![
                ("Origin".to_owned(), "https://a.example".to_owned()),
                ("Access-Control-Request-Method".to_owned(), asked.to_owned()),
            ];
            let head = RequestHead { method: "OPTIONS", headers: &fields, ..RequestHead::get(url) };
            let walked = route_preflight(&listener, &head).map(|decision| decision.priority());
            let place = index.first_for_preflight(&listener.rules, &RequestHead { method: asked, ..head });
            let looked_up = listener.cors_at(place).map(|_| place.map_or(0, |place| place + 1));
            assert_eq!(looked_up, walked, "{url} {asked}");
            walked
        };
        // The gate of the request's own rule does not keep it out.
        assert_eq!(found("http://x/a", "POST"), Some(1));
        // Another method comes to a rule that allows nobody anything.
        assert_eq!(found("http://x/a", "DELETE"), None);
        // Behind a gate that it may not pass, it comes to the next rule.
        assert_eq!(found("http://x/b", "POST"), Some(4));
        assert_eq!(found("http://x/c", "POST"), None);
        assert_eq!(found("http://x/d", "POST"), Some(6));
        assert_eq!(route_preflight(&listener, &RequestHead::get("http://x/d")), None);
    }

    #[test]
    fn an_explanation_names_the_condition_that_failed() {
        let mut listener = Listener::new(80, Protocol::Http);
        listener.rules = vec![parse_rule("a.example.com /x -> a").into(), parse_rule("- - -> b").into()];
        let verdicts: Vec<Verdict> =
            tried(&listener, &RequestHead::get("http://a.example.com/y")).iter().map(|t| t.verdict).collect();
        assert_eq!(verdicts, [Verdict::Fails(1), Verdict::Matches]);
    }
}
