//! What annotations say, before anybody asks what it means together. `None` is: nothing was said.

use std::collections::BTreeMap;

use ipnet::IpNet;
use plan::{
    ClientAuthentication, Condition, IpAddressType, Protocol, ProtocolVersion, Scheme, Tags, TargetType,
    Transform, Weight,
};

use super::actions::ActionDraft;

/// Attributes as written.
pub(crate) type Map = BTreeMap<String, String>;

/// What an Ingress says about its load balancer, listeners and rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct IngressSettings {
    pub(crate) name: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) group_order: i64,
    pub(crate) tags: Tags,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) ip_address_type: Option<IpAddressType>,
    pub(crate) subnets: Option<Vec<String>>,
    pub(crate) customer_owned_ipv4_pool: Option<String>,
    pub(crate) security_groups: Option<Vec<String>>,
    pub(crate) inbound_cidrs: Option<Vec<IpNet>>,
    pub(crate) prefix_lists: Option<Vec<String>>,
    pub(crate) attributes: Map,
    pub(crate) capacity_units: Option<u32>,
    pub(crate) shield: Option<bool>,
    pub(crate) web_acl: Option<WebAcl>,
    pub(crate) has_frontend_nlb: Option<bool>,
    /// Ports of the load balancer in front, and those that they lead to.
    pub(crate) frontend_ports: BTreeMap<u16, u16>,
    pub(crate) listen_ports: Option<Vec<(u16, Protocol)>>,
    pub(crate) ssl_redirect: Option<u16>,
    pub(crate) certificates: Vec<String>,
    pub(crate) issue_certificate: bool,
    pub(crate) ssl_policy: Option<String>,
    pub(crate) client_authentication: BTreeMap<u16, ClientAuthentication>,
    pub(crate) listener_attributes: BTreeMap<(u16, Protocol), Map>,
    pub(crate) regex_paths: bool,
    pub(crate) actions: BTreeMap<String, ActionDraft>,
    pub(crate) conditions: BTreeMap<String, Vec<Condition>>,
    pub(crate) transforms: BTreeMap<String, Vec<Transform>>,
}

/// A web ACL as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WebAcl {
    Arn(String),
    Name(String),
    Nobody,
}

/// What an Ingress and the Service behind it say about a target group.
#[derive(Debug, Default)]
pub(crate) struct TargetGroupSettings {
    pub(crate) target_type: Option<TargetType>,
    pub(crate) backend_protocol: Option<Protocol>,
    pub(crate) protocol_version: Option<ProtocolVersion>,
    pub(crate) attributes: Map,
    pub(crate) health_check: HealthCheckSettings,
    /// By `<service>.<port>` as written.
    pub(crate) control_ports: BTreeMap<String, u16>,
    pub(crate) tags: Tags,
}

/// What is said about a health check.
#[derive(Debug, Default, Clone)]
pub(crate) struct HealthCheckSettings {
    pub(crate) port: Option<HealthCheckPortSetting>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) path: Option<String>,
    pub(crate) interval_seconds: Option<u32>,
    pub(crate) timeout_seconds: Option<u32>,
    pub(crate) healthy_threshold: Option<u32>,
    pub(crate) unhealthy_threshold: Option<u32>,
    pub(crate) success_codes: Option<String>,
}

/// The port of a health check as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HealthCheckPortSetting {
    Traffic,
    Number(u16),
    Name(String),
}

/// What a Service says about the load balancer that it is.
#[derive(Debug, Default)]
pub(crate) struct ServiceSettings {
    pub(crate) controller: Option<String>,
    pub(crate) target_type: Option<TargetType>,
    pub(crate) name: Option<String>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) is_internal: Option<bool>,
    pub(crate) ip_address_type: Option<IpAddressType>,
    pub(crate) subnets: Vec<String>,
    pub(crate) attributes: Map,
    /// Attributes set by deprecated annotations, which win.
    pub(crate) winning_attributes: Map,
    pub(crate) tags: Tags,
    pub(crate) capacity_units: Option<u32>,
    pub(crate) source_ranges: Option<Vec<IpNet>>,
    pub(crate) security_groups: Vec<String>,
    pub(crate) prefix_lists: Vec<String>,
    pub(crate) no_security_group: bool,
    pub(crate) listener_attributes: BTreeMap<(u16, Protocol), Map>,
    pub(crate) certificates: Vec<String>,
    /// Numbers or names.
    pub(crate) ssl_ports: Option<Vec<String>>,
    pub(crate) ssl_policy: Option<String>,
    pub(crate) backend_protocol: Option<String>,
    pub(crate) alpn_policy: Option<String>,
    pub(crate) actions: BTreeMap<(u16, Protocol), ForwardShares>,
    pub(crate) target_group_attributes: Map,
    pub(crate) attributes_by_port: BTreeMap<u16, Map>,
    /// Whether TCP and UDP on one port become one listener, where that is said.
    pub(crate) tcp_udp_listener: Option<bool>,
    pub(crate) proxy_protocol: bool,
    pub(crate) proxy_protocol_ports: Option<Vec<u16>>,
    pub(crate) health_check: HealthCheckSettings,
}

/// Weights of a Service's own targets and of other Services'.
#[derive(Debug, Clone)]
pub(crate) struct ForwardShares {
    pub(crate) own_weight: Weight,
    /// Service name, port by name or number, weight.
    pub(crate) others: Vec<(String, String, Weight)>,
    /// Whether clients stay with the target group that their address leads to.
    pub(crate) is_sticky: bool,
}
