//! What a load balancer does with a request, and why: the decision of the call that serves ([`plan::route`]), every rule that
//! was tried before it, and whom it leads to.

mod words;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use net::{Limits, Target};
use plan::balance::zones;
use plan::health::TargetState;
use plan::sharing::{self, HostClaims};
use plan::{
    Action, Decision, Handling, Listener, LoadBalancer, Observed, Plan, Preflight, RequestHead, RequestPath,
    Rule, RuleTrial, TargetKey, Transform, Transformed, Verdict,
};
use proxy::Refusal;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::rest;

/// A request that somebody asks about.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) url: Url,
    /// Path and query as they were typed: a load balancer decides by what is sent.
    target: Target,
    /// Names and values, `Host` perhaps among them.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) from: IpAddr,
}

/// What becomes of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    method: String,
    host: String,
    path: String,
    query: Option<String>,
    from: IpAddr,
    load_balancer: Place,
    /// Others that listen at this port, for other hosts or at other addresses.
    others: Vec<String>,
    is_admitted: bool,
    rules: Vec<TriedRule>,
    /// The priority of the rule that is followed; 0 for the default action.
    priority: usize,
    /// What a target is asked for in the place of it, by the transforms of the rule.
    rewritten: Option<Rewritten>,
    /// What is done beside the action, as annotations of ours ask for it.
    handling: Vec<String>,
    action: Act,
    /// The same in a sentence.
    verdict: String,
}

/// What transforms make of a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rewritten {
    host: Option<String>,
    /// Path and query.
    url: Option<String>,
    /// Why it is answered with 500 instead.
    problem: Option<String>,
}

/// A listener and its load balancer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    id: String,
    name: String,
    kind: String,
    port: u16,
    protocol: String,
    addresses: Vec<String>,
}

/// A rule that was tried.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TriedRule {
    priority: usize,
    source: Option<String>,
    conditions: Vec<String>,
    /// The condition that does not hold; `None` for the rule that is followed.
    fails: Option<String>,
}

/// What is done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
enum Act {
    #[serde(rename_all = "camelCase")]
    Forward {
        target_groups: Vec<Group>,
    },
    Redirect {
        status: u16,
        location: String,
    },
    FixedResponse {
        status: u16,
    },
    /// Nothing is configured for it.
    NoRoute,
    /// A browser asks whether it may send a request, and is told.
    Preflight {
        status: u16,
        /// Why it may not.
        problem: Option<String>,
    },
    /// It goes no further than to the load balancer, whatever the rules say.
    Refused {
        status: u16,
        reason: String,
        meaning: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    key: String,
    weight: u16,
    /// Its share of such requests, in percent.
    share: f64,
    targets: Vec<GroupTarget>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupTarget {
    address: String,
    zone: Option<String>,
    /// Why its zone gets nothing that is new, if so.
    zone_description: Option<String>,
    /// `None` where nobody asks it.
    state: Option<String>,
    reason: Option<String>,
    description: String,
    /// That others are asked in its place, and why.
    rest: Option<String>,
}

// === impl Question ===

impl Question {
    /// Reads what was typed.
    pub(crate) fn new(
        method: &str,
        url: &str,
        fields: &[String],
        from: Option<IpAddr>,
    ) -> anyhow::Result<Self> {
        let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let url: Url = with_scheme.parse().with_context(|| format!("`{url}` is no URL"))?;
        let target = target_of(&with_scheme);
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            bail!("`{url}` is no http or https URL");
        }
        let field = |field: &String| {
            let split = field.split_once(':').filter(|_| !field.contains(['\r', '\n']));
            let (name, value) = split.with_context(|| format!("`{field}` is not `name: value`"))?;
            anyhow::Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        let fields = fields.iter().map(field).collect::<anyhow::Result<_>>()?;
        let from = from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Ok(Self { method: method.to_owned(), url, target, fields, from })
    }

    /// The same as a query of the admin port.
    pub(crate) fn target(&self) -> String {
        let fields: Vec<String> =
            self.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let from = self.from.to_string();
        let origin = self.url.origin().ascii_serialization();
        let url = format!("{origin}{}", self.target.as_str());
        let mut parameters = vec![("method", self.method.as_str()), ("url", &url), ("from", &from)];
        parameters.extend(fields.iter().map(|field| ("field", field.as_str())));
        crate::client::with_query("/explain", &parameters)
    }

    /// The question of such a query.
    pub(crate) fn of_query(query: &str) -> anyhow::Result<Self> {
        let parsed: Url = format!("http://localhost/?{query}").parse().context("the query is no query")?;
        let one = |name: &str| {
            parsed.query_pairs().find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        };
        let fields: Vec<String> = parsed
            .query_pairs()
            .filter(|(key, _)| key == "field")
            .map(|(_, value)| value.into_owned())
            .collect();
        let from = one("from").map(|from| from.parse()).transpose().context("`from` is no address")?;
        Self::new(
            &one("method").unwrap_or_else(|| "GET".to_owned()),
            &one("url").unwrap_or_default(),
            &fields,
            from,
        )
    }

    /// The head of the request as it is sent in HTTP/1.1.
    fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target.as_str());
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
            head += &format!("host: {}{port}\r\n", self.url.host_str().unwrap_or_default());
        }
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        (head + "\r\n").into_bytes()
    }

    /// The host that rules look at.
    fn host(&self) -> String {
        let field = self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let authority = field.map_or_else(|| self.url.host_str().unwrap_or_default(), |(_, value)| value);
        plan::normalise_host(authority).into_owned()
    }

    /// Explains what becomes of it where clients may ask so much. Without `observed`, nobody knows how targets are.
    pub(crate) fn explain(
        &self,
        plan: &Plan,
        observed: Option<&Observed>,
        limits: &Limits,
    ) -> anyhow::Result<Explanation> {
        let host = self.host();
        let (balancer, listener, others) = self.listener(plan, &host)?;
        // As it goes to rules and targets; what is no path goes to neither.
        let read = if listener.looks_at_paths() { RequestPath::read } else { RequestPath::unmatched };
        let read = read(self.target.path());
        let path = read.as_ref().map_or(self.target.path(), RequestPath::matched);
        let head = RequestHead {
            method: &self.method,
            host: &host,
            path,
            query: self.target.query(),
            headers: &self.fields,
            peer: self.from,
        };
        let is_admitted = listener.source_ranges.as_ref().is_none_or(|ranges| ranges.admit(self.from));
        let preflight = plan::route_preflight(listener, &head);
        let decision = preflight.unwrap_or_else(|| plan::route(listener, &head));
        // In the order in which a request that comes is looked at.
        let refused = match (proxy::read_request(&self.head(), limits, SocketAddr::new(self.from, 0)), &read)
        {
            (Err(refusal), _) => Some(refusal),
            (Ok(_), Err(error)) => Some(Refusal::of_path(error)),
            (Ok(_), Ok(read)) if is_ambiguous(listener, &head, &decision, read) => {
                Some(Refusal::ambiguous_path())
            }
            (Ok(request), Ok(_)) => Refusal::of_filters(&request),
        };
        let action = match refused.filter(|_| listener.protocol.is_http()) {
            Some(Refusal { status, reason, meaning }) => {
                Act::Refused { status, reason: reason.to_owned(), meaning: meaning.to_owned() }
            }
            None => match preflight_act(listener, &decision, &head) {
                Some(act) => act,
                None => act(balancer, listener, &decision, &head, observed),
            },
        };
        let rules = match (&action, decision.rule) {
            (Act::Refused { .. }, _) => Vec::new(),
            // It went by what it announces, which is another request.
            (Act::Preflight { .. }, rule) => {
                rule.map(|(place, rule)| tried_rule(place, rule, None)).into_iter().collect()
            }
            _ => tried(listener, &head),
        };
        let mut explanation = Explanation {
            method: self.method.clone(),
            path: head.path.to_owned(),
            query: head.query.map(str::to_owned),
            from: self.from,
            load_balancer: Place::of(balancer, listener),
            others,
            is_admitted,
            rules,
            priority: decision.priority(),
            rewritten: rewritten(&decision, &head),
            handling: decision.handling(listener).into_iter().flat_map(Handling::lines).collect(),
            action,
            verdict: String::new(),
            host: host.clone(),
        };
        explanation.verdict = words::verdict(&explanation, observed.is_some());
        Ok(explanation)
    }

    /// The listener that such a request comes to, and others at its port.
    fn listener<'a>(
        &self,
        plan: &'a Plan,
        host: &str,
    ) -> anyhow::Result<(&'a LoadBalancer, &'a Listener, Vec<String>)> {
        let port = self.url.port_or_known_default().unwrap_or_default();
        let wants_tls = self.url.scheme() == "https";
        let all =
            plan.load_balancers.iter().flat_map(|it| it.listeners.iter().map(move |listener| (it, listener)));
        // Where a port may not be opened here, another is: both lead there.
        let is_at = |listener: &Listener| {
            listener.port == port || listener.addresses.iter().any(|address| address.port() == port)
        };
        let at_port: Vec<_> = all.filter(|(_, listener)| is_at(listener)).collect();
        let ip = self.url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        let at_address = |listener: &Listener| {
            ip.is_some_and(|ip| listener.addresses.iter().any(|address| address.ip() == ip))
        };
        let mut found: Vec<_> = at_port.iter().filter(|(_, listener)| at_address(listener)).collect();
        if found.is_empty() {
            found = at_port.iter().filter(|(_, listener)| speaks(listener, wants_tls)).collect();
        }
        let claims: Vec<HostClaims> =
            found.iter().map(|(balancer, listener)| HostClaims::of(balancer, listener)).collect();
        let Some((balancer, listener)) = found.get(sharing::index_of(claims.iter(), host)) else {
            let known: Vec<String> = plan
                .load_balancers
                .iter()
                .flat_map(|it| {
                    it.listeners.iter().map(|one| format!("{} {}", one.protocol.as_str(), one.port))
                })
                .collect();
            bail!("nothing listens at port {port} for {}; there is: {}", self.url.scheme(), known.join(", "));
        };
        let others = at_port.iter().filter(|(other, _)| other.id != balancer.id);
        Ok((balancer, listener, others.map(|(other, _)| other.name.clone()).collect()))
    }
}

fn act(
    balancer: &LoadBalancer,
    listener: &Listener,
    decision: &Decision<'_>,
    head: &RequestHead<'_>,
    observed: Option<&Observed>,
) -> Act {
    match decision.action {
        None => Act::NoRoute,
        Some(Action::FixedResponse(fixed)) => Act::FixedResponse { status: fixed.status },
        Some(Action::Redirect(redirect)) => Act::Redirect {
            status: redirect.status,
            location: redirect.location(head, listener.protocol.is_tls(), listener.port),
        },
        Some(Action::Forward(forward)) => {
            let all: u32 = forward.targets.iter().map(|target| u32::from(target.weight.get())).sum();
            let group = |target: &plan::ForwardTarget| {
                let weight = target.weight.get();
                let share = 100.0 * f64::from(weight) / f64::from(all.max(1));
                let key = balancer.name_of(&target.target_group);
                Group { key: key.to_owned(), weight, share, targets: targets(balancer, key, observed) }
            };
            Act::Forward { target_groups: forward.targets.iter().map(group).collect() }
        }
    }
}

/// What a browser is told that asks before a request, where the load balancer tells it.
fn preflight_act(listener: &Listener, decision: &Decision<'_>, head: &RequestHead<'_>) -> Option<Act> {
    let cors = decision.handling(listener)?.cors.as_ref()?;
    let granted = cors.grant(&Preflight::of(head)?).map(|_| ());
    let status = if granted.is_ok() { 204 } else { 403 };
    Some(Act::Preflight { status, problem: granted.err().map(|refused| refused.as_str().to_owned()) })
}

fn rewritten(decision: &Decision<'_>, head: &RequestHead<'_>) -> Option<Rewritten> {
    let (_, rule) = decision.rule.filter(|(_, rule)| !rule.transforms.is_empty())?;
    match Transform::all(&rule.transforms, head) {
        Ok(Transformed { host: None, url: None }) => None,
        Ok(Transformed { host, url }) => Some(Rewritten { host, url, problem: None }),
        Err(error) => Some(Rewritten { host: None, url: None, problem: Some(error.to_string()) }),
    }
}

/// Whether the rules say something else of another reading of the path.
fn is_ambiguous(
    listener: &Listener,
    head: &RequestHead<'_>,
    decision: &Decision<'_>,
    read: &RequestPath<'_>,
) -> bool {
    let place = |decision: Decision<'_>| decision.rule.map(|(place, _)| place);
    plan::is_ambiguous(listener, head, place(*decision), &read.readings, |head| {
        place(plan::route(listener, head))
    })
}

/// Path and query of an absolute URL, as they are sent.
fn target_of(url: &str) -> Target {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let target = rest.find(['/', '?']).map_or("/", |at| &rest[at..]);
    if target.starts_with('?') { Target::new(format!("/{target}")) } else { Target::new(target) }
}

/// Whether a listener may be meant by a URL of http or https.
fn speaks(listener: &Listener, wants_tls: bool) -> bool {
    listener.protocol.is_tls() == wants_tls && listener.protocol.carries_connections()
}

fn tried(listener: &Listener, head: &RequestHead<'_>) -> Vec<TriedRule> {
    let rule = |(index, trial): (usize, RuleTrial<'_>)| {
        let fails = match trial.verdict {
            Verdict::Matches => None,
            Verdict::Fails(condition) => Some(condition),
        };
        tried_rule(index, trial.rule, fails)
    };
    plan::tried(listener, head).into_iter().enumerate().map(rule).collect()
}

/// A rule at its place, with the condition that does not hold.
fn tried_rule(place: usize, rule: &Rule, fails: Option<usize>) -> TriedRule {
    let conditions: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
    let fails = fails.and_then(|condition| conditions.get(condition).cloned());
    let source = rule.source.as_ref().map(|source| source.object.to_string());
    TriedRule { priority: place + 1, source, conditions, fails }
}

fn targets(balancer: &LoadBalancer, key: &str, observed: Option<&Observed>) -> Vec<GroupTarget> {
    let Some(group) = balancer.target_group(key) else { return Vec::new() };
    let standings = observed.map(|observed| zones::standings(balancer, group, observed, SystemTime::now()));
    let target = |target: &plan::Target| {
        let key = TargetKey {
            load_balancer: balancer.id.clone(),
            target_group: key.to_owned(),
            address: target.socket(),
        };
        let health = observed.and_then(|observed| observed.targets.get(&key));
        GroupTarget {
            address: target.socket().to_string(),
            zone: target.availability_zone.clone(),
            zone_description: target.availability_zone.as_ref().and_then(|zone| {
                let standing = standings.as_ref()?.get(zone)?;
                standing.words().map(str::to_owned)
            }),
            state: health.map(|health| health.state.as_str().to_owned()),
            reason: health.and_then(|health| health.reason).map(|reason| reason.as_str().to_owned()),
            description: health.map(|health| health.description.clone()).unwrap_or_default(),
            rest: health.and_then(|health| health.rest).map(rest::words),
        }
    };
    group.targets.iter().map(target).collect()
}

// === impl Place ===

impl Place {
    fn of(balancer: &LoadBalancer, listener: &Listener) -> Self {
        Self {
            id: balancer.id.to_string(),
            name: balancer.name.clone(),
            kind: balancer.kind.as_str().to_owned(),
            port: listener.port,
            protocol: listener.protocol.as_str().to_owned(),
            addresses: listener.addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

// === impl Explanation ===

impl Explanation {
    /// For people.
    pub(crate) fn text(&self) -> String {
        words::text(self)
    }
}

// === impl Group ===

impl Group {
    fn n_healthy(&self) -> usize {
        let healthy = TargetState::Healthy.as_str();
        self.targets.iter().filter(|target| target.state.as_deref() == Some(healthy)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_asked_over_the_admin_port_as_it_was_typed() {
        let fields = ["Host: b.example".to_owned(), "x-api-key:a b&c".to_owned()];
        let asked = Question::new("POST", "https://a.example:8443/c/../d%2f?x=1&y", &fields, None).unwrap();
        let target = asked.target();
        let read = Question::of_query(target.split_once('?').unwrap().1).unwrap();
        assert_eq!((read.method.as_str(), read.target.as_str()), ("POST", "/c/../d%2f?x=1&y"));
        assert_eq!(read.url.port_or_known_default(), Some(8443));
        assert_eq!((read.host().as_str(), read.from), ("b.example", IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(read.fields[1], ("x-api-key".to_owned(), "a b&c".to_owned()));
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let new = |url: &str, field: &str| Question::new("GET", url, &[field.to_owned()], None);
        assert!(new("ftp://a/", "a: b").is_err() && new("http://", "a: b").is_err());
        assert!(new("http://a/", "ab").unwrap_err().to_string().contains("is not `name: value`"));
        let bare = new("a.example?x", "a: b").unwrap();
        assert_eq!((bare.target.as_str(), bare.host().as_str()), ("/?x", "a.example"));
    }
}
