//! Target groups: who may answer, and how their health is found out.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::attributes::{Attributes, Scope};
use crate::{Protocol, Tags, TargetTrust};

/// A set of targets that answer the same requests.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGroup {
    /// Unique within its load balancer: `<namespace>/<ingress>/<service>:<port>` or `<namespace>/<service>:<port>`.
    pub key: String,
    /// The name people see; at most 32 characters.
    pub name: String,
    /// Whether nobody named it.
    pub name_generated: bool,
    /// The Service behind it.
    pub service: ServicePort,
    /// How AWS would address the targets.
    pub target_type: TargetType,
    /// What is spoken with the targets.
    pub protocol: Protocol,
    /// HTTP version spoken with the targets; `None` for a Network Load Balancer.
    pub protocol_version: Option<ProtocolVersion>,
    /// Whom to believe that it is a target, where TLS is spoken; everybody where nobody is named.
    pub trust: Option<TargetTrust>,
    /// Node port (0 when none was given out) or target port (1 when it is only named).
    pub port: u16,
    /// Address family of the targets.
    pub ip_address_type: TargetAddressType,
    /// Port of the target optimizer. Recorded only.
    pub target_control_port: Option<u16>,
    /// How many requests a target takes at a time, if that is bounded.
    pub concurrency: Option<Concurrency>,
    /// How health is found out.
    pub health_check: HealthCheck,
    /// Target group attributes.
    pub attributes: Attributes,
    /// Sorted by address and port.
    pub targets: Vec<Target>,
    /// Which revision of its workload a target is of, where that is known and told.
    pub revisions: BTreeMap<IpAddr, String>,
    /// Whose servers the targets are.
    pub origin: Origin,
    /// Which requests may be sent to a second target after the first one failed.
    pub replay: Replay,
    /// Tags.
    pub tags: Tags,
}

/// How many requests a target takes at a time ("Target Optimizer", ALB user guide).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// As many.
    pub most: NonZeroU32,
    /// Whether those that come beyond it wait for a while; AWS refuses them at once.
    pub waits: bool,
}

/// A port of a Service, as the backend named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub name: String,
    /// Number or name.
    pub port: ServicePortName,
}

/// A Service port by number or by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServicePortName {
    /// By number.
    Number(u16),
    /// By name.
    Name(String),
}

/// One address that answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Where it listens.
    pub address: IpAddr,
    /// The port there.
    pub port: u16,
    /// Its zone, when it has one.
    pub availability_zone: Option<String>,
}

/// How AWS addresses targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetType {
    /// Node and node port.
    Instance,
    /// Pod address.
    Ip,
}

/// Address family of a target group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetAddressType {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// HTTP version spoken with targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without gRPC's rules.
    Http2,
    /// gRPC.
    Grpc,
}

/// Whose servers targets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// All are our model server, which says when it is loading and shares its port.
    Ours,
    /// Some are not.
    Others,
}

/// Which requests may be repeated at another target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Those whose method is idempotent (RFC 9110 §9.2.2), and those that no target can have seen.
    Idempotent,
    /// All: the targets only predict, and a prediction has no side effect.
    Everything,
}

/// How the health of the targets is found out, with nothing left to a default.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheck {
    /// `Http`, `Https` or `Tcp`.
    pub protocol: Protocol,
    /// Which port is asked.
    pub port: HealthCheckPort,
    /// The path asked for; `None` for TCP.
    pub path: Option<String>,
    /// Time between two checks of one target.
    pub interval: Duration,
    /// How long one check may take.
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Failures in a row that make a healthy target unhealthy.
    pub unhealthy_threshold: u32,
    /// What counts as success.
    pub matcher: Matcher,
}

/// The port of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthCheckPort {
    /// The port the target gets its traffic on.
    TrafficPort,
    /// This one.
    Port(u16),
}

/// What counts as a successful health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// A connection.
    Connection,
    /// One of these HTTP status codes.
    Http(CodeSet),
    /// One of these gRPC status codes.
    Grpc(CodeSet),
}

/// A set of status codes: `200`, `200,202` or `200-299`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeSet {
    written: String,
    ranges: Vec<(u16, u16)>,
}

/// Why a text is not a set of status codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is not a status code or a range of them between {first} and {last}")]
pub struct CodeSetError {
    /// The part that is wrong.
    pub part: String,
    /// The lowest code allowed.
    pub first: u16,
    /// The highest code allowed.
    pub last: u16,
}

// === impl TargetGroup ===

impl TargetGroup {
    /// One without targets, of type ip, of which nothing more is said, for a load balancer of the kind that speaks this protocol.
    /// Its name is one that nobody gave.
    #[must_use]
    pub fn new(key: &str, service: ServicePort, protocol: Protocol, health_check: HealthCheck) -> Self {
        let is_http = protocol.is_http();
        let scope = if is_http { Scope::ApplicationTargetGroup } else { Scope::NetworkTargetGroup };
        Self {
            key: key.to_owned(),
            name: key.to_owned(),
            name_generated: true,
            service,
            target_type: TargetType::Ip,
            protocol,
            protocol_version: is_http.then_some(ProtocolVersion::Http1),
            trust: None,
            port: 0,
            ip_address_type: TargetAddressType::Ipv4,
            target_control_port: None,
            concurrency: None,
            health_check,
            attributes: Attributes::new(scope),
            targets: Vec::new(),
            revisions: BTreeMap::new(),
            origin: Origin::Others,
            replay: Origin::Others.replay(),
            tags: Tags::new(),
        }
    }
}

// === impl Origin ===

impl Origin {
    /// What may be repeated where nobody says: our servers only predict.
    #[must_use]
    pub fn replay(self) -> Replay {
        match self {
            Self::Ours => Replay::Everything,
            Self::Others => Replay::Idempotent,
        }
    }
}

// === impl ServicePort ===

impl ServicePort {
    /// A port of the Service with this name.
    #[must_use]
    pub fn new(namespace: &str, name: &str, port: ServicePortName) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned(), port }
    }
}

// === impl Target ===

impl Target {
    /// Where the data plane connects to.
    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

// === impl ServicePortName ===

impl fmt::Display for ServicePortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

// === impl CodeSet ===

impl CodeSet {
    /// Parses `200`, `200,202` or `200-299`; every code must lie within `allowed`.
    ///
    /// # Errors
    /// The first part that is not a code or an ascending range within `allowed`.
    pub fn parse(written: &str, allowed: std::ops::RangeInclusive<u16>) -> Result<Self, CodeSetError> {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last && allowed.contains(&first) && allowed.contains(&last)).then_some((first, last))
        };
        let error = |part: &str| CodeSetError {
            part: part.trim().to_owned(),
            first: *allowed.start(),
            last: *allowed.end(),
        };
        let ranges = written.split(',').map(|part| range(part).ok_or_else(|| error(part)));
        Ok(Self { written: written.trim().to_owned(), ranges: ranges.collect::<Result<_, _>>()? })
    }

    /// Whether the code is in the set.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&code))
    }

    /// The set as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_sets_take_codes_lists_and_ranges() {
        let codes = CodeSet::parse("200,301-302", 200..=499).unwrap();
        let inside: Vec<u16> = (100..=600).filter(|code| codes.contains(*code)).collect();
        assert_eq!(inside, [200, 301, 302]);
        for wrong in ["", "abc", "299-200", "200,", "199", "200-500", "-200"] {
            assert!(CodeSet::parse(wrong, 200..=499).is_err(), "{wrong:?} should be refused");
        }
    }
}
