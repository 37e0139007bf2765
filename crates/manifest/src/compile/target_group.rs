//! Target groups of Application Load Balancers: a Service behind an Ingress.

use std::collections::{BTreeMap, HashMap};

use plan::attributes::Scope;
use plan::{
    Attributes, HealthCheck, LoadBalancerId, Protocol, ProtocolVersion, ServicePortName, Tags,
    TargetAddressType, TargetGroup, TargetGroupId, TargetType,
};

use super::attributes::{self, Written};
use super::health_check::{self, About, Setting, Wrong};
use super::names::generated;
use super::trust;
use super::world::{Backend, World};
use crate::annotations::{self, TargetGroupSettings};
use crate::kinds::service::{IpFamily, ServicePort, ServiceType};
use crate::{Finding, Object, Severity, codes};

const ATTRIBUTES: &str = "alb.ingress.kubernetes.io/target-group-attributes";

/// What a target group is made of.
pub(super) struct Source<'a> {
    pub(super) load_balancer: &'a LoadBalancerId,
    pub(super) ingress: &'a Object,
    pub(super) backend: &'a Backend,
    pub(super) port: &'a ServicePort,
    /// As the backend wrote it.
    pub(super) port_name: ServicePortName,
    /// What the class says, whatever is annotated.
    pub(super) target_type: Option<TargetType>,
    pub(super) class_tags: &'a Tags,
    pub(super) is_dualstack: bool,
}

/// A target group, and the check to make where nothing listens on node ports.
pub(super) struct Made {
    pub(super) target_group: TargetGroup,
    pub(super) pod_health_check: Option<HealthCheck>,
}

// === impl Source ===

impl Source<'_> {
    /// Unique within the load balancer.
    pub(super) fn key(&self) -> String {
        let ingress = self.ingress;
        format!("{}/{}/{}:{}", ingress.namespace, ingress.name, self.backend.object.name, self.port_name)
    }

    pub(super) fn make(&self, world: &World<'_>, findings: &mut Vec<Finding>) -> Made {
        let service = &self.backend.object;
        let settings = annotations::of_target_group(self.ingress, service, findings);
        let target_type = self.target_type.or(settings.target_type).unwrap_or(world.defaults.target_type);
        self.check_target_type(target_type, world, findings);
        let protocol = settings.backend_protocol.unwrap_or(Protocol::Http);
        let version = settings.protocol_version.unwrap_or(ProtocolVersion::Http1);
        let ip_address_type = self.ip_address_type(findings);
        let checks = self.health_check(&settings, target_type, protocol, version, findings);
        let is_tls = protocol.is_tls() || checks.aws.protocol.is_tls();
        let control_ports = &settings.control_ports;
        let target_control_port =
            control_ports.get(&format!("{}.{}", service.name, self.port_name)).copied().filter(|_| {
                let is_ip = target_type == TargetType::Ip;
                if !is_ip {
                    let message = "target-control-port goes with targets of type ip only";
                    findings.push(Finding::new(&codes::TARGET_TYPE_UNSUPPORTED, message).on(self.ingress));
                }
                is_ip
            });
        let key = self.key();
        let kind = format!("{target_type:?} {protocol:?} {version:?}");
        let named = plan::ServicePort::new(&service.namespace, &service.name, self.port_name.clone());
        let target_group = TargetGroup {
            name: generated(
                &service.namespace,
                &service.name,
                &[&self.load_balancer.to_string(), &key, &kind],
            ),
            target_type,
            protocol_version: Some(version),
            trust: trust::of(&[service, self.ingress], service, is_tls, world, findings),
            port: group_port(target_type, self.port),
            ip_address_type,
            target_control_port,
            attributes: self.attributes(&settings, findings),
            targets: world.targets(self.backend, self.port),
            origin: world.origin(self.backend),
            replay: world.replay(self.backend, findings),
            tags: super::merged_tags(&[&settings.tags, self.class_tags, &world.defaults.tags]),
            ..TargetGroup::new(&key, named, protocol, checks.aws)
        };
        Made { target_group, pod_health_check: checks.pods }
    }

    fn check_target_type(&self, target_type: TargetType, world: &World<'_>, findings: &mut Vec<Finding>) {
        let finding = |message: String| {
            let key = "alb.ingress.kubernetes.io/target-type";
            Finding::new(&codes::TARGET_TYPE_UNSUPPORTED, message).at_annotation(self.ingress, key)
        };
        let service = &self.backend.object.name;
        match target_type {
            TargetType::Ip if !world.defaults.enable_ip_target_type => {
                findings.push(finding("target type ip is switched off in this environment".to_owned()));
            }
            TargetType::Instance if self.backend.spec.service_type == ServiceType::ClusterIP => {
                let message = format!(
                    "Service `{service}` is of type ClusterIP and has no node port, which targets of type instance need on AWS"
                );
                let strict = world.defaults.strict_aws;
                let severity = if strict { Severity::Error } else { Severity::Warning };
                let finding = finding(message).suggest("alb.ingress.kubernetes.io/target-type: ip");
                findings.push(finding.with_severity(severity));
            }
            _ => {}
        }
    }

    fn ip_address_type(&self, findings: &mut Vec<Finding>) -> TargetAddressType {
        let ip_address_type = address_type(self.backend);
        if ip_address_type == TargetAddressType::Ipv6 && !self.is_dualstack {
            let message = format!(
                "Service `{}` has IPv6 addresses and the load balancer has none",
                self.backend.object.name
            );
            let key = "alb.ingress.kubernetes.io/ip-address-type";
            let finding =
                Finding::new(&codes::IPV6_WITHOUT_DUALSTACK, message).at_annotation(self.ingress, key);
            findings.push(finding.suggest(format!("{key}: dualstack")));
        }
        ip_address_type
    }

    fn health_check(
        &self,
        settings: &TargetGroupSettings,
        target_type: TargetType,
        protocol: Protocol,
        version: ProtocolVersion,
        findings: &mut Vec<Finding>,
    ) -> health_check::Checks {
        let about = About { backend: self.backend, port: self.port, target_type };
        let check = &settings.health_check;
        health_check::application(check, &about, protocol, version).unwrap_or_else(|wrong| {
            let Wrong { code, setting, message } = wrong;
            let name = match setting {
                Setting::Port => "healthcheck-port",
                Setting::SuccessCodes => "success-codes",
            };
            let key = format!("alb.ingress.kubernetes.io/{name}");
            let finding = Finding::new(code, format!("{name}: {message}"));
            findings.push(finding.at_annotation(self.annotated(&key), &key));
            let plain = annotations::HealthCheckSettings::default();
            health_check::application(&plain, &about, protocol, version).expect("the defaults are good")
        })
    }

    fn attributes(&self, settings: &TargetGroupSettings, findings: &mut Vec<Finding>) -> Attributes {
        let mut attributes = Attributes::new(Scope::ApplicationTargetGroup);
        let written = Written { object: self.annotated(ATTRIBUTES), key: ATTRIBUTES };
        attributes::set(&mut attributes, &settings.attributes, &written, findings);
        attributes::check_target_group(&attributes, &written, findings);
        attributes
    }

    /// The object whose annotation counts.
    fn annotated(&self, key: &str) -> &Object {
        let service = &*self.backend.object;
        if service.annotation(key).is_some() { service } else { self.ingress }
    }
}

/// The port of a target group as AWS sees it.
pub(super) fn group_port(target_type: TargetType, port: &ServicePort) -> u16 {
    match target_type {
        TargetType::Instance => port.node_port,
        TargetType::Ip => port.target_number().unwrap_or(1),
    }
}

/// The family of a Service's addresses: that of its first one.
pub(super) fn address_type(backend: &Backend) -> TargetAddressType {
    match backend.spec.ip_families.first() {
        Some(IpFamily::IPv6) => TargetAddressType::Ipv6,
        Some(IpFamily::IPv4) | None => TargetAddressType::Ipv4,
    }
}

/// The target groups that were made, with the checks to make where nothing listens on node ports.
#[derive(Default)]
pub(super) struct TargetGroups {
    pub(super) all: plan::TargetGroups,
    by_key: HashMap<String, TargetGroupId>,
    pub(super) pod_health_checks: BTreeMap<String, HealthCheck>,
}

impl TargetGroups {
    pub(super) fn find(&self, key: &str) -> Option<TargetGroupId> {
        self.by_key.get(key).copied()
    }

    pub(super) fn add(&mut self, made: Made) -> TargetGroupId {
        let key = made.target_group.key.clone();
        if let Some(check) = made.pod_health_check {
            self.pod_health_checks.insert(key.clone(), check);
        }
        let id = self.all.add(made.target_group);
        self.by_key.insert(key, id);
        id
    }
}
