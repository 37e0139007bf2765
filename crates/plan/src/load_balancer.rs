//! Load balancers: what owns listeners and target groups.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use crate::attributes::{self, Attributes, Scope};
use crate::{Listener, LoadBalancerId, TargetGroup, TargetGroupRef, TargetGroupSettings, TargetGroups};

/// Tags of a load balancer, listener, rule or target group.
pub type Tags = BTreeMap<String, String>;

/// One load balancer with everything that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadBalancer {
    /// What it is known by.
    pub id: LoadBalancerId,
    /// The name people see; at most 32 characters.
    pub name: String,
    /// Whether nobody named it.
    pub name_generated: bool,
    /// Application (HTTP) or network (TCP).
    pub kind: LoadBalancerKind,
    /// Who it is meant for.
    pub scheme: Scheme,
    /// Address families.
    pub ip_address_type: IpAddressType,
    /// The objects it was compiled from.
    pub sources: Vec<ObjectRef>,
    /// Load balancer attributes.
    pub attributes: Attributes,
    /// ARN of the web ACL, if one is named.
    pub web_acl: Option<String>,
    /// AWS Shield Advanced, if mentioned. Recorded only.
    pub shield_advanced_protection: Option<bool>,
    /// Reserved capacity. Recorded only.
    pub minimum_capacity_units: Option<u32>,
    /// Recorded only.
    pub customer_owned_ipv4_pool: Option<String>,
    /// Subnets as written. Recorded only.
    pub subnets: Vec<String>,
    /// Security groups as written. When there are any, source ranges are theirs to decide.
    pub security_groups: Vec<String>,
    /// Tags.
    pub tags: Tags,
    /// Sorted by port.
    pub listeners: Vec<Listener>,
    /// What its forward actions lead to.
    pub target_groups: TargetGroups,
    /// Where traffic is not to go for now.
    pub zonal_shift: Option<ZonalShift>,
    /// The Network Load Balancer in front of it, if it has one.
    pub frontend: Option<Frontend>,
}

/// A Network Load Balancer that leads to an Application Load Balancer ("Use Application Load Balancers as targets of a Network
/// Load Balancer", NLB user guide).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontend {
    /// Its ports, and the port of the listener that each leads to.
    pub ports: BTreeMap<u16, u16>,
    /// Where it is, once it is somewhere.
    pub address: Option<IpAddr>,
}

/// Traffic is shifted away from a zone ("Zonal shift", Application Recovery Controller developer guide).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZonalShift {
    /// The zone.
    pub away_from: String,
    /// Until when; until somebody ends it where nobody says so.
    pub until: Option<SystemTime>,
}

/// Which kind of load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadBalancerKind {
    /// Routes requests (ALB).
    Application,
    /// Routes connections (NLB).
    Network,
}

/// Who a load balancer is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The private network.
    Internal,
    /// Everybody.
    InternetFacing,
}

/// Address families of a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpAddressType {
    /// IPv4 only.
    Ipv4,
    /// Both.
    Dualstack,
    /// Both, but IPv4 only for private addresses.
    DualstackWithoutPublicIpv4,
}

/// Names a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// For example `Ingress`.
    pub kind: String,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

// === impl LoadBalancer ===

impl LoadBalancer {
    /// One of which nothing is said: internal, of IPv4, without listeners. The name is one that somebody gave.
    #[must_use]
    pub fn new(id: LoadBalancerId, kind: LoadBalancerKind, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            name_generated: false,
            kind,
            scheme: Scheme::Internal,
            ip_address_type: IpAddressType::Ipv4,
            sources: Vec::new(),
            attributes: Attributes::new(match kind {
                LoadBalancerKind::Application => Scope::Application,
                LoadBalancerKind::Network => Scope::Network,
            }),
            web_acl: None,
            shield_advanced_protection: None,
            minimum_capacity_units: None,
            customer_owned_ipv4_pool: None,
            subnets: Vec::new(),
            security_groups: Vec::new(),
            tags: Tags::new(),
            listeners: Vec::new(),
            target_groups: TargetGroups::default(),
            zonal_shift: None,
            frontend: None,
        }
    }

    /// What a forward action names, as text: the key of a target group, or the ARN or name of one outside.
    #[must_use]
    pub fn name_of<'a>(&'a self, target_group: &'a TargetGroupRef) -> &'a str {
        match target_group {
            TargetGroupRef::Group(id) => self.target_groups.get(*id).map_or("", |group| &group.key),
            TargetGroupRef::Arn(name) | TargetGroupRef::Name(name) => name,
        }
    }

    /// Whether the targets of a group are used from all zones.
    #[must_use]
    pub fn crosses_zones(&self, settings: &TargetGroupSettings) -> bool {
        settings.cross_zone.is_on(self.attributes.is_on(attributes::CROSS_ZONE))
    }

    /// The target group with this key.
    #[must_use]
    pub fn target_group(&self, key: &str) -> Option<&TargetGroup> {
        self.target_groups.iter().find(|target_group| target_group.key == key)
    }
}

// === impl ZonalShift ===

impl ZonalShift {
    /// The zone, while the shift lasts.
    #[must_use]
    pub fn at(&self, now: SystemTime) -> Option<&str> {
        self.until.is_none_or(|until| now < until).then_some(self.away_from.as_str())
    }
}

// === impl LoadBalancerKind, Scheme, IpAddressType ===

impl LoadBalancerKind {
    /// The name in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Network => "network",
        }
    }
}

impl Scheme {
    /// The name in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::InternetFacing => "internet-facing",
        }
    }
}

impl IpAddressType {
    /// The name in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Dualstack => "dualstack",
            Self::DualstackWithoutPublicIpv4 => "dualstack-without-public-ipv4",
        }
    }
}

// === impl ObjectRef ===

impl ObjectRef {
    /// Names an object of a kind.
    #[must_use]
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// `Ingress mlops/retail-api`, or `IngressClass alb` for cluster-scoped kinds.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}
