//! Network Load Balancers: Services of type LoadBalancer.

mod target_groups;

use plan::attributes::Scope;
use plan::{
    Attributes, IpAddressType, Listener, LoadBalancer, LoadBalancerId, LoadBalancerKind, Protocol, Scheme,
    Tags, TargetAddressType,
};

use super::application::source_ranges;
use super::attributes::{self, Written};
use super::certificates;
use super::draft::{Built, Draft, address_type};
use super::world::{Backend, World};
use crate::annotations::values::cidr;
use crate::annotations::{self, Map, ServiceSettings};
use crate::kinds::service::{ServicePort, ServiceType, TransportProtocol};
use crate::{Finding, ServiceSelection, Severity, codes};

const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer-";
/// The class of the AWS controller.
const AWS_CLASS: &str = "service.k8s.aws/nlb";
/// The class of EKS Auto Mode.
pub(crate) const AUTO_MODE_CLASS: &str = "eks.amazonaws.com/nlb";

/// The load balancers of all Services that are one.
pub(super) fn all(world: &World<'_>, findings: &mut Vec<Finding>) -> Vec<Built> {
    let mut built = Vec::new();
    for backend in world.services.values() {
        let mut own = Vec::new();
        annotations::survey(&backend.object, world.defaults.strict_aws, findings);
        let settings = annotations::of_service(&backend.object, world.defaults.strict_aws, &mut own);
        match owner(backend, &settings, world) {
            Owner::Us => {
                let id = LoadBalancerId::service(&backend.object.namespace, &backend.object.name);
                let network = Network { draft: Draft::new(id, world, own), backend, settings };
                built.push(network.build());
            }
            Owner::Other(reason) => findings.push(Finding::new(&codes::NOT_OURS, reason).on(&backend.object)),
            Owner::Nobody => {
                if let Some(key) = annotations::first_for_load_balancers(&backend.object) {
                    let message = "the Service is not of type LoadBalancer, so nothing follows from it";
                    let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message);
                    findings.push(finding.at_annotation(&backend.object, key));
                }
            }
        }
    }
    built
}

enum Owner {
    Us,
    Other(String),
    /// It is no load balancer.
    Nobody,
}

fn owner(backend: &Backend, settings: &ServiceSettings, world: &World<'_>) -> Owner {
    let is_load_balancer = backend.spec.service_type == ServiceType::LoadBalancer;
    let class = backend.spec.load_balancer_class.as_deref();
    match world.defaults.service_selection {
        ServiceSelection::All if !is_load_balancer => Owner::Nobody,
        ServiceSelection::All => match class {
            None | Some(AWS_CLASS | AUTO_MODE_CLASS) => Owner::Us,
            Some(class) => Owner::Other(format!("its class `{class}` belongs to another controller")),
        },
        ServiceSelection::Controller => {
            let is_taken = match (class, settings.controller.as_deref()) {
                (Some(class), _) => class == AWS_CLASS,
                (None, Some("nlb-ip")) => true,
                (None, Some("external")) => settings.target_type.is_some(),
                (None, _) => false,
            };
            let any_type = !world.defaults.is_gate_on("ServiceTypeLoadBalancerOnly");
            match is_taken && (is_load_balancer || any_type) {
                true => Owner::Us,
                false if is_load_balancer => Owner::Other("the AWS controller does not select it".to_owned()),
                false => Owner::Nobody,
            }
        }
    }
}

/// A load balancer in the making.
struct Network<'a> {
    draft: Draft<'a>,
    backend: &'a Backend,
    settings: ServiceSettings,
}

impl Network<'_> {
    fn build(mut self) -> Built {
        let object = &self.backend.object;
        let deprecated = match self.settings.is_internal {
            Some(true) => Some(Scheme::Internal),
            Some(false) => Some(Scheme::InternetFacing),
            None => None,
        };
        let scheme = self.settings.scheme.or(deprecated).unwrap_or(self.draft.world.defaults.scheme);
        let ip_address_type = self.settings.ip_address_type.unwrap_or(IpAddressType::Ipv4);
        let tags = super::merged_tags(&[&self.settings.tags, &self.draft.world.defaults.tags]);
        self.check_family(ip_address_type);
        self.check_ssl_ports();
        let generated = || self.draft.generated_name(&object.namespace, &object.name, scheme);
        let name = self.settings.name.clone().unwrap_or_else(generated);
        let listeners = self.listeners(ip_address_type, &tags);
        let load_balancer = LoadBalancer {
            name_generated: self.settings.name.is_none(),
            scheme,
            ip_address_type,
            sources: vec![object.reference()],
            attributes: self.attributes(),
            minimum_capacity_units: self
                .settings
                .capacity_units
                .filter(|_| self.draft.world.defaults.has_feature("LBCapacityReservation")),
            subnets: self.settings.subnets.clone(),
            security_groups: self.settings.security_groups.clone(),
            tags,
            listeners,
            ..LoadBalancer::new(self.draft.id.clone(), LoadBalancerKind::Network, &name)
        };
        self.draft.finish(load_balancer)
    }

    fn push(&mut self, finding: Finding, annotation: &str) {
        let key = format!("{PREFIX}{annotation}");
        self.draft.findings.push(finding.at_annotation(&self.backend.object, &key));
    }

    fn check_family(&mut self, ip_address_type: IpAddressType) {
        if address_type(self.backend) == TargetAddressType::Ipv6 && ip_address_type == IpAddressType::Ipv4 {
            let message = "the Service has IPv6 addresses and its load balancer has none";
            let finding = Finding::new(&codes::IPV6_WITHOUT_DUALSTACK, message);
            self.push(finding.suggest(format!("{PREFIX}ip-address-type: dualstack")), "ip-address-type");
        }
    }

    fn check_ssl_ports(&mut self) {
        let ports = self.settings.ssl_ports.iter().flatten().filter(|port| *port != "*");
        let is_known = |written: &str| self.backend.spec.ports.iter().any(|port| is_named(port, written));
        let unused: Vec<String> = ports.filter(|port| !is_known(port)).cloned().collect();
        for port in unused {
            let message = format!("ssl-ports: the Service has no port `{port}`");
            self.push(Finding::new(&codes::SSL_PORTS_UNUSED, message), "ssl-ports");
        }
    }

    fn attributes(&mut self) -> Attributes {
        let object = &self.backend.object;
        let mut attributes = Attributes::new(Scope::Network);
        let key = format!("{PREFIX}attributes");
        let written = Written { object, key: &key };
        attributes::set(&mut attributes, &self.settings.attributes, &written, &mut self.draft.findings);
        // The deprecated annotations win where both are written.
        for (name, value) in &self.settings.winning_attributes {
            let key = match name.as_str() {
                "load_balancing.cross_zone.enabled" => "cross-zone-load-balancing-enabled",
                "access_logs.s3.bucket" => "access-log-s3-bucket-name",
                "access_logs.s3.prefix" => "access-log-s3-bucket-prefix",
                _ => "access-log-enabled",
            };
            let key = format!("{PREFIX}{key}");
            let written = Written { object, key: &key };
            let one = Map::from([(name.clone(), value.clone())]);
            attributes::set(&mut attributes, &one, &written, &mut self.draft.findings);
        }
        attributes
    }

    fn listeners(&mut self, ip_address_type: IpAddressType, tags: &Tags) -> Vec<Listener> {
        let backend = self.backend;
        let ranges = self.source_ranges(ip_address_type);
        let mut listeners: Vec<Listener> = Vec::new();
        for (index, port) in backend.spec.ports.iter().enumerate() {
            let path = format!("spec.ports[{index}]");
            if port.protocol == TransportProtocol::Sctp {
                let message = format!("port {}: SCTP is not carried by load balancers", port.port);
                let finding = Finding::new(&codes::PROTOCOL_UNSUPPORTED, message);
                self.draft.findings.push(finding.at(&backend.object, &format!("{path}.protocol")));
                continue;
            }
            let takes_both = self.takes_both(port);
            if let Some(other) = listeners.iter().find(|listener| listener.port == port.port) {
                if takes_both && other.protocol == Protocol::TcpUdp {
                    continue;
                }
                let message = format!("port {} stands twice in the Service", port.port);
                let finding = Finding::new(&codes::PORT_CONFLICT, message);
                let finding = match port.protocol == TransportProtocol::Udp || other.protocol == Protocol::Udp {
                    true => finding.suggest(
                        "for TCP and UDP on one port: aws-load-balancer-enable-tcp-udp-listener: \"true\", and one targetPort",
                    ),
                    false => finding,
                };
                self.draft.findings.push(finding.at(&backend.object, &format!("{path}.port")));
                continue;
            }
            let protocol = match port.protocol {
                _ if takes_both => Protocol::TcpUdp,
                TransportProtocol::Udp => Protocol::Udp,
                _ if self.ends_tls(port) => Protocol::Tls,
                _ => Protocol::Tcp,
            };
            let mut listener = Listener::new(port.port, protocol);
            listener.source_ranges.clone_from(&ranges);
            listener.tags.clone_from(tags);
            if protocol == Protocol::Tls {
                self.secure(&mut listener);
            }
            self.listener_attributes(&mut listener);
            listener.default_action = Some(self.forward(port, protocol, tags));
            listeners.push(listener);
        }
        if backend.spec.ports.is_empty() {
            let finding = Finding::new(&codes::FIELD_INVALID, "the Service has no ports");
            self.draft.findings.push(finding.at(&backend.object, "spec.ports"));
        }
        listeners.sort_by_key(|listener| listener.port);
        self.check_unused_listeners(&listeners);
        listeners
    }

    /// Whether TCP and UDP on the number of a port become one listener: that is wanted, and both lead to the same port.
    fn takes_both(&self, port: &ServicePort) -> bool {
        let is_wanted =
            self.settings.tcp_udp_listener.unwrap_or(self.draft.world.defaults.enable_tcp_udp_listener);
        let has = |protocol| {
            self.backend.spec.ports.iter().any(|other| {
                (other.port, other.protocol) == (port.port, protocol)
                    && other.target_number() == port.target_number()
            })
        };
        is_wanted && has(TransportProtocol::Tcp) && has(TransportProtocol::Udp)
    }

    fn source_ranges(&mut self, ip_address_type: IpAddressType) -> Option<plan::SourceRanges> {
        let object = &self.backend.object;
        let is_managed =
            self.draft.world.defaults.has_feature("NLBSecurityGroup") && !self.settings.no_security_group;
        if !self.settings.security_groups.is_empty() || !is_managed {
            return None;
        }
        let key = format!("{PREFIX}security-group-prefix-lists");
        let lists = &self.settings.prefix_lists;
        super::check_prefix_lists(lists.iter(), object, &key, self.draft.world, &mut self.draft.findings);
        let mut written = Vec::new();
        for (index, range) in self.backend.spec.load_balancer_source_ranges.iter().enumerate() {
            match cidr(range) {
                Ok(range) => written.push(range),
                Err(problem) => {
                    let path = format!("spec.loadBalancerSourceRanges[{index}]");
                    let finding = Finding::new(problem.code, problem.message).at(object, &path);
                    self.draft.findings.push(finding.maybe_suggest(problem.suggestion));
                }
            }
        }
        let in_spec = Some(written).filter(|ranges| !ranges.is_empty());
        let cidrs = in_spec.or_else(|| self.settings.source_ranges.clone());
        Some(source_ranges(cidrs, lists.clone(), ip_address_type != IpAddressType::Ipv4))
    }

    /// Whether TLS ends at the listener of a port: there are certificates, and the port is among those for TLS, if some are
    /// named.
    fn ends_tls(&self, port: &ServicePort) -> bool {
        let ports = self.settings.ssl_ports.as_deref();
        let is_meant =
            ports.is_none_or(|ports| ports.iter().any(|written| written == "*" || is_named(port, written)));
        !self.settings.certificates.is_empty() && is_meant
    }

    fn secure(&mut self, listener: &mut Listener) {
        let key = format!("{PREFIX}ssl-cert");
        for arn in &self.settings.certificates {
            certificates::check_known(
                &self.backend.object,
                &key,
                arn,
                self.draft.world,
                &mut self.draft.findings,
            );
            if !listener.certificates.iter().any(|other| other.arn == *arn) {
                listener.certificates.push(plan::Certificate { arn: arn.clone(), source: "annotation" });
            }
        }
        let policy = self.settings.ssl_policy.clone();
        listener.ssl_policy = Some(policy.unwrap_or_else(|| self.draft.world.defaults.ssl_policy.clone()));
        listener.alpn_policy.clone_from(&self.settings.alpn_policy);
    }

    fn listener_attributes(&mut self, listener: &mut Listener) {
        let name = (listener.port, listener.protocol);
        let Some(values) = self.settings.listener_attributes.get(&name) else { return };
        let key = format!("{PREFIX}listener-attributes.{}-{}", listener.protocol.as_str(), listener.port);
        let written = Written { object: &self.backend.object, key: &key };
        attributes::set(&mut listener.attributes, values, &written, &mut self.draft.findings);
    }

    fn check_unused_listeners(&mut self, listeners: &[Listener]) {
        let is_there = |name: &(u16, Protocol)| listeners.iter().any(|it| (it.port, it.protocol) == *name);
        let of_attributes = self.settings.listener_attributes.keys().map(|name| (name, true));
        let of_actions = self.settings.actions.keys().map(|name| (name, false));
        for ((port, protocol), is_attributes) in of_attributes.chain(of_actions) {
            if is_there(&(*port, *protocol)) {
                continue;
            }
            let name = format!("{}-{port}", protocol.as_str());
            let stem = if is_attributes { "aws-load-balancer-listener-attributes" } else { "actions" };
            let finding = Finding::new(
                &codes::ANNOTATION_NO_EFFECT,
                format!("{stem}.{name}: there is no such listener"),
            );
            let key = format!("service.beta.kubernetes.io/{stem}.{name}");
            let finding = finding.at_annotation(&self.backend.object, &key);
            self.draft.findings.push(finding.with_severity(Severity::Warning));
        }
    }
}

/// Whether a Service's port has this name or number.
fn is_named(port: &ServicePort, written: &str) -> bool {
    port.name.as_deref() == Some(written) || written.parse() == Ok(port.port)
}
