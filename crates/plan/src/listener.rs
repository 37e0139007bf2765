//! Listeners and their rules.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::attributes::{Attributes, Scope};
use crate::{Action, ClientAuthentication, Condition, Cors, Handling, Pattern, Subject, Tags, Transform};

/// A port of a load balancer, and what happens to what arrives there.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// The port the manifest names.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where the data plane binds: nowhere in a plan that is only printed.
    pub addresses: Vec<SocketAddr>,
    /// The first is the default, the others are chosen by SNI.
    pub certificates: Vec<Certificate>,
    /// Name of the TLS policy, for HTTPS and TLS.
    pub ssl_policy: Option<String>,
    /// ALPN policy of a TLS listener.
    pub alpn_policy: Option<String>,
    /// Who clients have to be; `None` when nobody said.
    pub client_authentication: Option<ClientAuthentication>,
    /// Who may connect; `None` when security groups of the user's own decide.
    pub source_ranges: Option<SourceRanges>,
    /// Listener attributes.
    pub attributes: Attributes,
    /// What happens when no rule matches; where nothing is configured for that, [`Action::not_found`].
    pub default_action: Option<Action>,
    /// What is done beside the default action.
    pub default_handling: Option<Arc<Handling>>,
    /// In order of priority; the first that matches wins. Empty for a Network Load Balancer. Plans that follow each other
    /// share the rules that stayed the same: there may be ten thousand.
    pub rules: Vec<Arc<Rule>>,
    /// Tags of the listener.
    pub tags: Tags,
}

/// A listener's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Application Load Balancer, plain.
    Http,
    /// Application Load Balancer with TLS.
    Https,
    /// Network Load Balancer.
    Tcp,
    /// Network Load Balancer that ends TLS.
    Tls,
    /// Network Load Balancer, datagrams.
    Udp,
    /// Network Load Balancer, both on one port.
    TcpUdp,
}

/// A certificate of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// An ARN, `secret:<namespace>/<name>` or `local:<host>`.
    pub arn: String,
    /// Where the name came from: `annotation`, `ingressClassParams`, `discovery`, `secret` or `issued`.
    pub source: &'static str,
}

impl Certificate {
    /// The source of a certificate that is made on this machine.
    pub const ISSUED: &'static str = "issued";

    /// Whether nobody else made it.
    #[must_use]
    pub fn is_issued(&self) -> bool {
        self.source == Self::ISSUED
    }
}

/// Who may connect to a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceRanges {
    /// Sorted.
    pub cidrs: Vec<ipnet::IpNet>,
    /// Sorted ids (`pl-…`).
    pub prefix_lists: Vec<String>,
}

/// A rule of an Application Load Balancer's listener. Its priority is its place in [`Listener::rules`], from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// All must hold. Never empty.
    pub conditions: Vec<Condition>,
    /// What is rewritten before a target is asked.
    pub transforms: Vec<Transform>,
    /// What is done then.
    pub action: Action,
    /// What is done beside that. Rules that come from the same place share it.
    pub handling: Option<Arc<Handling>>,
    /// Where the rule came from.
    pub source: Option<RuleSource>,
    /// Tags of the rule.
    pub tags: Tags,
}

/// The object, and the place in it, that a rule was compiled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// The object, for example the Ingress.
    pub object: crate::ObjectRef,
    /// Index in `spec.rules`.
    pub rule_index: usize,
    /// Index in `http.paths` of that rule.
    pub path_index: usize,
}

// === impl Listener ===

impl Listener {
    /// A listener without rules whose default action is what a load balancer does when nothing is configured: 404.
    #[must_use]
    pub fn new(port: u16, protocol: Protocol) -> Self {
        let scope = if protocol.is_http() { Scope::ApplicationListener } else { Scope::NetworkListener };
        Self {
            port,
            protocol,
            addresses: Vec::new(),
            certificates: Vec::new(),
            ssl_policy: None,
            alpn_policy: None,
            client_authentication: None,
            source_ranges: None,
            attributes: Attributes::new(scope),
            default_action: None,
            default_handling: None,
            rules: Vec::new(),
            tags: Tags::new(),
        }
    }

    /// Which pages of other origins may send requests to the rule at a place, or to where none holds, if any may.
    #[must_use]
    pub fn cors_at(&self, rule: Option<usize>) -> Option<&Cors> {
        match rule {
            Some(place) => self.rules.get(place)?.cors(),
            None => self.default_handling.as_ref()?.cors.as_ref(),
        }
    }

    /// Whether there is a rule that asks for some paths and not for all.
    #[must_use]
    pub fn looks_at_paths(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.conditions).any(Condition::tells_paths_apart)
    }

    /// What an Application Load Balancer does when no rule matches: it always has a default action.
    #[must_use]
    pub fn default_action_or_not_found(&self) -> &Action {
        self.default_action.as_ref().unwrap_or_else(|| Action::not_found())
    }
}

// === impl Protocol ===

impl Protocol {
    /// The name in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
            Self::TcpUdp => "TCP_UDP",
        }
    }

    /// Whether requests are routed, not connections.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Whether connections come to it.
    #[must_use]
    pub fn carries_connections(self) -> bool {
        self != Self::Udp
    }

    /// Whether datagrams come to it.
    #[must_use]
    pub fn carries_datagrams(self) -> bool {
        matches!(self, Self::Udp | Self::TcpUdp)
    }

    /// Whether TLS ends at the listener.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }
}

// === impl Rule ===

impl Rule {
    /// A rule that no manifest wrote.
    #[must_use]
    pub fn new(conditions: Vec<Condition>, action: Action) -> Self {
        Self { conditions, transforms: Vec::new(), action, handling: None, source: None, tags: Tags::new() }
    }

    /// The wildcards of its conditions about a subject.
    pub fn patterns<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a Pattern> {
        self.conditions.iter().filter_map(move |condition| condition.patterns(subject)).flatten()
    }

    /// Whether it is for this path by name, without a wildcard.
    #[must_use]
    pub fn names_path(&self, path: &str) -> bool {
        let mut paths = self.patterns(&Subject::PATH_PATTERN);
        paths.any(|pattern| pattern.is_literal() && pattern.matches(path.as_bytes()))
    }

    /// Whether a preflight ends its search here: the request that it announces, whose method the head has, may come
    /// to this rule, and the rule has CORS, or it comes to no later one. A preflight does not carry the fields that
    /// conditions may ask for.
    #[must_use]
    pub fn decides_preflight(&self, head: &crate::RequestHead<'_>) -> bool {
        let is_about_field = |condition: &&Condition| condition.subject.name().is_some();
        let mut others = self.conditions.iter().filter(|condition| !is_about_field(condition));
        let is_certain = !self.conditions.iter().any(|condition| is_about_field(&condition));
        (is_certain || self.cors().is_some()) && others.all(|condition| condition.holds(head))
    }

    /// Which pages of other origins may send it requests, if any may.
    #[must_use]
    pub fn cors(&self) -> Option<&Cors> {
        self.handling.as_ref()?.cors.as_ref()
    }

    /// Whether the request meets all conditions.
    #[must_use]
    pub fn holds(&self, head: &crate::RequestHead<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(head))
    }
}

// === impl SourceRanges ===

impl SourceRanges {
    /// Whether a connection from this address is let in. Prefix lists are resolved to CIDRs before this is asked.
    #[must_use]
    pub fn admit(&self, peer: std::net::IpAddr) -> bool {
        self.cidrs.iter().any(|range| range.contains(&peer))
    }
}

/// Whether a range has every address of its family in it.
#[must_use]
pub fn has_everybody(range: &ipnet::IpNet) -> bool {
    range.prefix_len() == 0
}
