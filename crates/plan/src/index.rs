//! Finding the first rule that holds without trying all of them.
//!
//! Most rules of a listener ask for one host and one path, and both can be looked up. What cannot (wildcards in the middle, regular
//! expressions, no host at all) is tried in its place among the others. [`crate::route`], which walks, is what an index must agree
//! with, and what is printed when a decision is explained.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Pattern, RequestHead, Rule, Subject};

/// The places of a listener's rules by what they ask for. The rules themselves stay where they are.
#[derive(Debug, Clone, Default)]
pub struct RuleIndex {
    /// Of one host.
    hosts: HashMap<Box<str>, Paths>,
    /// Of hosts such as `*.example.com`, by what stands behind the `*`.
    domains: HashMap<Box<str>, Paths>,
    /// Of any host.
    anywhere: Paths,
}

/// Rules that ask for the same host, by their path. Places are ascending.
#[derive(Debug, Clone, Default)]
struct Paths {
    /// Of one path.
    exact: HashMap<Box<str>, Vec<u32>>,
    /// Of paths such as `/api/*`, by what stands before the `*`; and how long these are, without repetition.
    prefixes: HashMap<Box<str>, Vec<u32>>,
    lengths: Vec<usize>,
    /// Of any path.
    any: Vec<u32>,
}

/// What a pattern can be looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key<'a> {
    /// Exactly this text.
    Exact(&'a str),
    /// What stands before or behind its only wildcard, a `*`.
    Part(&'a str),
    /// Nothing.
    Any,
}

/// Lists of places that may be asked at a time without memory of their own: more than most listeners ever need.
const LISTS: usize = 16;

// === impl RuleIndex ===

impl RuleIndex {
    /// An index of these rules.
    #[must_use]
    pub fn new(rules: &[Arc<Rule>]) -> Self {
        let mut index = Self::default();
        for (place, rule) in (0..).zip(rules) {
            let hosts = keys(rule, &Subject::HOST_HEADER, Key::of_host);
            let paths = keys(rule, &Subject::PATH_PATTERN, Key::of_path);
            for host in hosts {
                let of_host = match host {
                    Key::Exact(host) => index.hosts.entry(host.to_ascii_lowercase().into()).or_default(),
                    Key::Part(domain) => index.domains.entry(domain.to_ascii_lowercase().into()).or_default(),
                    Key::Any => &mut index.anywhere,
                };
                paths.iter().for_each(|path| of_host.enter(*path, place));
            }
        }
        index
    }

    /// The place of the first of these rules that holds, which are those that the index was made of.
    #[must_use]
    pub fn first(&self, rules: &[Arc<Rule>], head: &RequestHead<'_>) -> Option<usize> {
        self.first_that(rules, (head.host, head.path), |rule| rule.holds(head))
    }

    /// The place of the first of these rules with which a preflight ends its search; see [`Rule::decides_preflight`].
    #[must_use]
    pub fn first_for_preflight(&self, rules: &[Arc<Rule>], head: &RequestHead<'_>) -> Option<usize> {
        self.first_that(rules, (head.host, head.path), |rule| rule.decides_preflight(head))
    }

    /// The place of the first rule for which this is so, of those with a pattern that this host, in lower case, may match, and one
    /// that this path may.
    pub fn first_that(
        &self,
        rules: &[Arc<Rule>],
        (host, path): (&str, &str),
        is_it: impl Fn(&Rule) -> bool,
    ) -> Option<usize> {
        let mut found = Candidates::default();
        self.anywhere.find(path, &mut found);
        if let Some(paths) = self.hosts.get(host) {
            paths.find(path, &mut found);
        }
        if !self.domains.is_empty() {
            // What a `*` stands for may be nothing, and may have dots in it.
            let dots = host.bytes().enumerate().filter(|(_, byte)| *byte == b'.');
            for domain in dots.map(|(at, _)| &host[at..]) {
                if let Some(paths) = self.domains.get(domain) {
                    paths.find(path, &mut found);
                }
            }
        }
        found.first(|place| rules.get(place).is_some_and(|rule| is_it(rule)))
    }
}

// === impl Paths ===

impl Paths {
    fn enter(&mut self, path: Key<'_>, place: u32) {
        let places = match path {
            Key::Exact(path) => self.exact.entry(path.into()).or_default(),
            Key::Part(prefix) => {
                if !self.lengths.contains(&prefix.len()) {
                    self.lengths.push(prefix.len());
                }
                self.prefixes.entry(prefix.into()).or_default()
            }
            Key::Any => &mut self.any,
        };
        // A rule may come here in two ways.
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    fn find<'a>(&'a self, path: &str, found: &mut Candidates<'a>) {
        found.add(&self.any);
        if let Some(places) = self.exact.get(path) {
            found.add(places);
        }
        for length in &self.lengths {
            if let Some(prefix) = path.get(..*length)
                && let Some(places) = self.prefixes.get(prefix)
            {
                found.add(places);
            }
        }
    }
}

/// Rules that may hold: lists of places, each ascending.
#[derive(Default)]
struct Candidates<'a> {
    few: [&'a [u32]; LISTS],
    n_few: usize,
    more: Vec<&'a [u32]>,
}

// === impl Candidates ===

impl<'a> Candidates<'a> {
    fn add(&mut self, places: &'a [u32]) {
        if places.is_empty() {
        } else if self.n_few < LISTS {
            self.few[self.n_few] = places;
            self.n_few += 1;
        } else {
            self.more.push(places);
        }
    }

    /// The first place, in the order of all lists, of a rule that holds.
    fn first(mut self, holds: impl Fn(usize) -> bool) -> Option<usize> {
        loop {
            let lists = self.few[..self.n_few].iter_mut().chain(&mut self.more);
            let next = lists.filter(|list| !list.is_empty()).min_by_key(|list| list[0])?;
            let place = next[0] as usize;
            *next = &next[1..];
            if holds(place) {
                return Some(place);
            }
        }
    }
}

// === impl Key ===

impl<'a> Key<'a> {
    /// `api.example.com`, or `*.example.com`.
    fn of_host(pattern: &'a Pattern) -> Self {
        let text = pattern.compared();
        match text.strip_prefix('*') {
            _ if pattern.is_literal() => Self::Exact(text),
            Some(domain) if domain.starts_with('.') && !has_wildcard(domain) => Self::Part(domain),
            _ => Self::Any,
        }
    }

    /// `/healthz`, or `/api/*`.
    fn of_path(pattern: &'a Pattern) -> Self {
        let text = pattern.compared();
        match text.strip_suffix('*') {
            _ if pattern.is_literal() => Self::Exact(text),
            Some("") => Self::Any,
            Some(prefix) if !has_wildcard(prefix) => Self::Part(prefix),
            _ => Self::Any,
        }
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// What a rule can be looked up by: one of these has to hold for the rule to hold.
fn keys<'a>(rule: &'a Rule, subject: &Subject, key: fn(&'a Pattern) -> Key<'a>) -> Vec<Key<'a>> {
    let Some(patterns) = rule.conditions.iter().find_map(|condition| condition.patterns(subject)) else {
        return vec![Key::Any];
    };
    let keys: Vec<Key<'a>> = patterns.iter().map(key).collect();
    // One that cannot be looked up is found in any case, so that looking up the others would find it twice.
    if keys.contains(&Key::Any) { vec![Key::Any] } else { keys }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Condition, Listener, Protocol, Values, route};
    use proptest::prelude::*;

    fn rule() -> impl Strategy<Value = Rule> {
        let host = "[ab]|[ab]\\.c|\\*\\.c|\\*c|a\\*|\\*|[ab]\\?c|\\*\\.b\\.c|\\*\\.\\*c";
        let path = "/|/[xy]|/[xy]/\\*|/\\*|\\*|/x\\*|/\\?|/\\*/y|/x/y/\\*";
        let conditions = (
            prop::option::of(prop::collection::vec(host, 1..3)),
            prop::option::of(prop::collection::vec(path, 1..4)),
            any::<[bool; 2]>(),
        );
        conditions.prop_map(|(hosts, paths, [is_get, is_regex])| {
            let mut conditions = Vec::new();
            if let Some(hosts) = hosts {
                let hosts: Vec<String> = hosts.iter().map(|host| host.to_ascii_uppercase()).collect();
                conditions.push(Condition::hosts(&hosts));
            }
            if let Some(paths) = paths {
                conditions.push(Condition::paths(&paths));
            }
            if is_regex {
                let subject = Subject::PATH_PATTERN;
                let regex = subject.search("x|/$").unwrap();
                conditions.push(Condition { subject, values: Values::Regexes(vec![regex]) });
            }
            if is_get || conditions.is_empty() {
                let values = Values::Texts(vec![if is_get { "GET" } else { "POST" }.into()]);
                conditions.push(Condition { subject: Subject::HTTP_REQUEST_METHOD, values });
            }
            Rule::new(conditions, Action::not_found().clone())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn it_finds_what_walking_finds(
            rules in prop::collection::vec(rule().prop_map(Arc::new), 0..30),
            url in "http://([ab]|[ab]\\.c|a\\.b\\.c|c|\\.c|abc)(/|/[xy]|/[xy]/|/[xy]/[xy]|/x/y/z|/xy)(\\?q)?",
        ) {
            let mut listener = Listener::new(80, Protocol::Http);
            let index = RuleIndex::new(&rules);
            listener.rules = rules;
            let head = RequestHead::get(&url);
            let walked = route(&listener, &head).rule.map(|(place, _)| place);
            prop_assert_eq!(index.first(&listener.rules, &head), walked);
        }
    }

    #[test]
    fn few_of_many_rules_are_tried() {
        let of = |host: &str, path: &str| {
            let conditions = vec![Condition::hosts(&[host]), Condition::paths(&[path])];
            Rule::new(conditions, Action::not_found().clone())
        };
        let rules: Vec<Arc<Rule>> = (0..10_000)
            .map(|n| of(&format!("h{}.example.com", n / 10), &format!("/p{}/*", n % 10)).into())
            .collect();
        let index = RuleIndex::new(&rules);
        let mut found = Candidates::default();
        index.hosts["h999.example.com"].find("/p9/x", &mut found);
        assert_eq!((found.n_few, found.few[0]), (1, &[9_999][..]));
        let head = RequestHead::get("http://h999.example.com/p9/x");
        assert_eq!(index.first(&rules, &head), Some(9_999));
    }
}
