//! Which hosts a listener answers for, where several load balancers share a port of one address. On AWS each has addresses of
//! its own; on one machine with one address, `Host` and SNI tell them apart.

use std::fmt;

use crate::{
    Action, Condition, Listener, LoadBalancer, Pattern, RedirectPart, SearchPattern, Subject, Values,
};

/// The hosts that a listener answers for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostClaims {
    patterns: Vec<Pattern>,
    searches: Vec<SearchPattern>,
    /// Whether it answers whatever the host is.
    takes_all: bool,
}

/// How much a listener is meant by a host. The greater one answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// It answers whatever the host is.
    All,
    /// A regular expression finds the host.
    Search,
    /// A pattern of this length matches.
    Pattern(usize),
    /// It names the host.
    Exact,
}

/// Why two listeners cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// Both answer for this host.
    Host(String),
    /// Both answer whatever the host is.
    All,
}

// === impl HostClaims ===

impl HostClaims {
    /// What the rules of a listener say. One that only sends its clients to HTTPS answers for the hosts of the listeners
    /// beside it.
    #[must_use]
    pub fn of(load_balancer: &LoadBalancer, listener: &Listener) -> Self {
        let mut claims = Self::default();
        if !only_redirects(listener) {
            claims.add(listener);
            return claims;
        }
        let others = load_balancer.listeners.iter();
        let mut others = others.filter(|other| other.protocol.is_http() && !only_redirects(other)).peekable();
        claims.takes_all = others.peek().is_none();
        others.for_each(|other| claims.add(other));
        claims
    }

    fn add(&mut self, listener: &Listener) {
        self.takes_all |= listener.default_action.is_some();
        for rule in &listener.rules {
            let is_of_hosts = |condition: &&Condition| condition.subject == Subject::HOST_HEADER;
            let mut names_hosts = false;
            for condition in rule.conditions.iter().filter(is_of_hosts) {
                names_hosts = true;
                match &condition.values {
                    // Rules of one host follow each other, and need no more than one pattern.
                    Values::Wildcards(patterns) => {
                        for pattern in patterns {
                            if self.patterns.last() != Some(pattern) {
                                self.patterns.push(pattern.clone());
                            }
                        }
                    }
                    Values::Regexes(searches) => self.searches.extend(searches.iter().cloned()),
                    Values::Texts(_) | Values::Secrets(_) | Values::Pairs(_) | Values::Ranges(_) => {}
                }
            }
            self.takes_all |= !names_hosts;
        }
    }

    /// What both claim, so that nobody could say whose a request is.
    #[must_use]
    pub fn conflict_with(&self, other: &Self) -> Option<Conflict> {
        if self.takes_all && other.takes_all {
            return Some(Conflict::All);
        }
        let same = |pattern: &&Pattern| {
            other.patterns.iter().any(|other| other.as_str().eq_ignore_ascii_case(pattern.as_str()))
        };
        let pattern = self.patterns.iter().find(same).map(|pattern| pattern.as_str().to_owned());
        let search = self.searches.iter().find(|search| other.searches.contains(search));
        pattern.or_else(|| search.map(|search| search.as_str().to_owned())).map(Conflict::Host)
    }

    /// How much the listener is meant by a host, which is written as in [`RequestHead::host`](crate::RequestHead::host).
    #[must_use]
    pub fn claim(&self, host: &str) -> Option<Claim> {
        let patterns = self.patterns.iter().filter(|pattern| pattern.matches(host.as_bytes()));
        let by_pattern = patterns.map(|pattern| match pattern.is_literal() {
            true => Claim::Exact,
            false => Claim::Pattern(pattern.as_str().len()),
        });
        let by_search = || self.searches.iter().any(|search| search.matches(host.as_bytes()));
        by_pattern
            .max()
            .or_else(|| by_search().then_some(Claim::Search))
            .or(self.takes_all.then_some(Claim::All))
    }
}

/// The index of the listener that a host belongs to; the first where none answers for it.
pub fn index_of<'a>(claims: impl Iterator<Item = &'a HostClaims>, host: &str) -> usize {
    let mut best: Option<(Claim, usize)> = None;
    for (index, claims) in claims.enumerate() {
        if let Some(claim) = claims.claim(host)
            && best.is_none_or(|(earlier, _)| earlier < claim)
        {
            best = Some((claim, index));
        }
    }
    best.map_or(0, |(_, index)| index)
}

/// Whether a listener does nothing but send everybody to HTTPS.
fn only_redirects(listener: &Listener) -> bool {
    let to_https = |action: &Action| match action {
        Action::Redirect(redirect) => redirect.protocol == RedirectPart::set("HTTPS"),
        _ => false,
    };
    listener.rules.is_empty() && listener.default_action.as_ref().is_some_and(to_https)
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "both answer for host `{host}`"),
            Self::All => f.write_str("both answer for every host"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Protocol, Rule};

    fn claims(hosts: &[&str]) -> HostClaims {
        let mut listener = Listener::new(80, Protocol::Http);
        for host in hosts {
            let condition = match *host {
                "" => Condition::paths(&["/a"]),
                host => Condition::hosts(&[host]),
            };
            listener.rules.push(Rule::new(vec![condition], Action::not_found().clone()).into());
        }
        let mut claims = HostClaims::default();
        claims.add(&listener);
        claims
    }

    #[test]
    fn a_host_belongs_to_who_names_it_most_closely() {
        let all =
            [claims(&["a.example", "*.b.example"]), claims(&["*.example", "c.b.example"]), claims(&[""])];
        let whose = |host: &str| index_of(all.iter(), host);
        for (host, index) in [
            ("a.example", 0),
            ("x.b.example", 0),
            ("c.b.example", 1),
            ("y.example", 1),
            ("elsewhere.org", 2),
            ("", 2),
        ] {
            assert_eq!(whose(host), index, "{host}");
        }
        assert_eq!(index_of(all[..2].iter(), "elsewhere.org"), 0);
    }

    #[test]
    fn two_cannot_share_what_both_claim() {
        let one = claims(&["a.example", "*.b.example"]);
        for (hosts, expected) in [
            (&["c.example"][..], None),
            (&["x.b.example", ""], None),
            (&["A.example"], Some(Conflict::Host("a.example".to_owned()))),
            (&["*.B.example"], Some(Conflict::Host("*.b.example".to_owned()))),
        ] {
            assert_eq!(one.conflict_with(&claims(hosts)), expected, "{hosts:?}");
        }
        assert_eq!(claims(&[""]).conflict_with(&claims(&["a", ""])), Some(Conflict::All));
    }
}
