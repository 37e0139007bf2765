//! Target groups of Application Load Balancers: a Service behind an Ingress.

use plan::attributes::Scope;
use plan::{
    Attributes, Protocol, ProtocolVersion, ServicePortName, Tags, TargetAddressType, TargetGroupId,
    TargetType,
};

use super::attributes::{self, Written};
use super::draft::{Draft, Wanted, address_type};
use super::health_check::{self, About, Setting, Wrong};
use super::world::{Backend, World};
use crate::annotations::{self, TargetGroupSettings};
use crate::kinds::service::{ServicePort, ServiceType};
use crate::{Finding, Object, Severity, codes};

const ATTRIBUTES: &str = "alb.ingress.kubernetes.io/target-group-attributes";

/// What a target group is made of.
pub(super) struct Source<'a> {
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

// === impl Source ===

impl Source<'_> {
    /// Unique within the load balancer.
    pub(super) fn key(&self) -> String {
        let ingress = self.ingress;
        format!("{}/{}/{}:{}", ingress.namespace, ingress.name, self.backend.object.name, self.port_name)
    }

    pub(super) fn make(&self, draft: &mut Draft<'_>) -> TargetGroupId {
        let (world, service) = (draft.world, &*self.backend.object);
        let settings = annotations::of_target_group(self.ingress, service, &mut draft.findings);
        let target_type = self.target_type.or(settings.target_type).unwrap_or(world.defaults.target_type);
        self.check_target_type(target_type, world, &mut draft.findings);
        self.check_family(&mut draft.findings);
        let protocol = settings.backend_protocol.unwrap_or(Protocol::Http);
        let version = settings.protocol_version.unwrap_or(ProtocolVersion::Http1);
        let about = About { backend: self.backend, port: self.port, target_type };
        let checks = draft.checks(
            &settings.health_check,
            |check| health_check::application(check, &about, protocol, version),
            |wrong| self.wrong_check(wrong),
        );
        let wanted = Wanted {
            key: self.key(),
            backend: self.backend,
            port: self.port,
            port_name: self.port_name.clone(),
            annotated: &[service, self.ingress],
            target_type,
            protocol,
            protocol_version: Some(version),
            target_control_port: self.control_port(&settings, target_type, world, &mut draft.findings),
            container_concurrency: None,
            checks,
            attributes: self.attributes(&settings, world.defaults.strict_aws, &mut draft.findings),
            tags: super::merged_tags(&[&settings.tags, self.class_tags, &world.defaults.tags]),
        };
        draft.make(wanted)
    }

    fn control_port(
        &self,
        settings: &TargetGroupSettings,
        target_type: TargetType,
        world: &World<'_>,
        findings: &mut Vec<Finding>,
    ) -> Option<u16> {
        let name = format!("{}.{}", self.backend.object.name, self.port_name);
        let port = settings.control_ports.get(&name).copied()?;
        let is_ip = target_type == TargetType::Ip;
        if !is_ip {
            let message = "target-control-port goes with targets of type ip only";
            findings.push(Finding::new(&codes::TARGET_TYPE_UNSUPPORTED, message).on(self.ingress));
        } else if world.target_control(&self.backend.object.namespace).is_none() {
            let key = format!("alb.ingress.kubernetes.io/target-control-port.{name}");
            let message = "target-control-port: no ALBTargetControlConfig in the namespace says how many requests a target takes";
            let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message);
            let finding = finding.at_annotation(self.annotated(&key), &key);
            findings.push(finding.suggest(format!("{}: \"N\"", annotations::MAX_CONCURRENCY)));
        }
        is_ip.then_some(port)
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

    fn check_family(&self, findings: &mut Vec<Finding>) {
        if address_type(self.backend) == TargetAddressType::Ipv6 && !self.is_dualstack {
            let message = format!(
                "Service `{}` has IPv6 addresses and the load balancer has none",
                self.backend.object.name
            );
            let key = "alb.ingress.kubernetes.io/ip-address-type";
            let finding =
                Finding::new(&codes::IPV6_WITHOUT_DUALSTACK, message).at_annotation(self.ingress, key);
            findings.push(finding.suggest(format!("{key}: dualstack")));
        }
    }

    fn wrong_check(&self, wrong: Wrong) -> Finding {
        let Wrong { code, setting, message } = wrong;
        let name = match setting {
            Setting::Port => "healthcheck-port",
            Setting::SuccessCodes => "success-codes",
        };
        let key = format!("alb.ingress.kubernetes.io/{name}");
        Finding::new(code, format!("{name}: {message}")).at_annotation(self.annotated(&key), &key)
    }

    fn attributes(
        &self,
        settings: &TargetGroupSettings,
        strict_aws: bool,
        findings: &mut Vec<Finding>,
    ) -> Attributes {
        let mut attributes = Attributes::new(Scope::ApplicationTargetGroup);
        let written = Written { object: self.annotated(ATTRIBUTES), key: ATTRIBUTES };
        attributes::set(&mut attributes, &settings.attributes, &written, findings);
        attributes::check_target_group(&attributes, &written, findings);
        attributes::check_of_ours(&attributes, &written, strict_aws, findings);
        attributes
    }

    /// The object whose annotation counts.
    fn annotated(&self, key: &str) -> &Object {
        let service = &*self.backend.object;
        if service.annotation(key).is_some() { service } else { self.ingress }
    }
}
