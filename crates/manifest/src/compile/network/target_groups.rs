//! Where connections to the ports of a Service go: its own target groups, and those of Services that share with it.

use std::sync::Arc;

use plan::attributes::{self as keys, Scope};
use plan::{
    Action, Attributes, Forward, ForwardTarget, GroupStickiness, Protocol, ServicePortName, Tags,
    TargetGroupId, TargetGroupRef, TargetType,
};

use super::{Network, PREFIX, is_named};
use crate::annotations::Map;
use crate::compile::attributes::{self, Written};
use crate::compile::draft::Wanted;
use crate::compile::health_check::{self, About, Checks, Setting, Wrong};
use crate::compile::world::Backend;
use crate::kinds::service::{ServicePort, ServiceType, TransportProtocol};
use crate::{Finding, Object, Severity, codes};

impl Network<'_> {
    /// Where connections to a port go: to the Service itself, and to others by their shares.
    pub(super) fn forward(&mut self, port: &ServicePort, protocol: Protocol, tags: &Tags) -> Action {
        let shares = self.settings.actions.get(&(port.port, protocol)).cloned();
        let own = self.target_group(self.backend, port, protocol, tags);
        let Some(shares) = shares else { return Action::forward_to(own) };
        let mut targets = vec![(own, shares.own_weight)];
        let action_key = format!("service.beta.kubernetes.io/actions.{}-{}", protocol.as_str(), port.port);
        for (name, port, weight) in &shares.others {
            let world = self.draft.world;
            let found = world.service(&self.backend.object.namespace, name);
            let backend_port = found.and_then(|it| it.spec.ports.iter().find(|it| is_named(it, port)));
            match found.zip(backend_port) {
                Some((backend, port)) => {
                    targets.push((self.target_group(backend, port, protocol, tags), *weight));
                }
                None => {
                    let message =
                        format!("there is no Service `{name}` with a port `{port}` in the namespace");
                    let code = if found.is_some() {
                        &codes::BACKEND_PORT_MISSING
                    } else {
                        &codes::BACKEND_SERVICE_MISSING
                    };
                    let finding =
                        Finding::new(code, message).at_annotation(&self.backend.object, &action_key);
                    self.draft.findings.push(finding);
                }
            }
        }
        let targets = targets.into_iter().map(|(target_group, weight)| {
            let target_group = TargetGroupRef::Group(target_group);
            ForwardTarget { target_group, weight }
        });
        let stickiness = shares.is_sticky.then_some(GroupStickiness::SourceIp);
        Action::Forward(Forward { targets: targets.collect(), stickiness })
    }

    /// The target group of a Service's port, made when it is not there yet.
    fn target_group(
        &mut self,
        backend: &Backend,
        port: &ServicePort,
        listener: Protocol,
        tags: &Tags,
    ) -> TargetGroupId {
        let service = &backend.object;
        let key = format!("{}/{}:{}", service.namespace, service.name, port.port);
        if let Some(id) = self.draft.target_group(&key) {
            return id;
        }
        let is_ssl = self.settings.backend_protocol.as_deref() == Some("ssl");
        let protocol = match listener {
            Protocol::Udp | Protocol::TcpUdp => listener,
            Protocol::Tls if is_ssl => Protocol::Tls,
            _ => Protocol::Tcp,
        };
        let target_type = self.target_type(backend);
        let wanted = Wanted {
            key,
            backend,
            port,
            port_name: ServicePortName::Number(port.port),
            annotated: &[service, &self.backend.object],
            target_type,
            protocol,
            protocol_version: None,
            target_control_port: None,
            container_concurrency: None,
            checks: self.health_check(backend, port, target_type),
            attributes: self.target_group_attributes(port, target_type, protocol),
            tags: tags.clone(),
        };
        self.draft.make(wanted)
    }

    fn target_type(&mut self, backend: &Backend) -> TargetType {
        let is_nlb_ip = self.settings.controller.as_deref() == Some("nlb-ip");
        let said = if is_nlb_ip { Some(TargetType::Ip) } else { self.settings.target_type };
        let target_type = said.unwrap_or(self.draft.world.defaults.target_type);
        let problem = match target_type {
            TargetType::Ip if !self.draft.world.defaults.enable_ip_target_type => {
                "target type ip is switched off in this environment".to_owned()
            }
            TargetType::Instance if backend.spec.service_type == ServiceType::ClusterIP => {
                format!("Service `{}` is of type ClusterIP and has no node port", backend.object.name)
            }
            _ => return target_type,
        };
        self.push(Finding::new(&codes::TARGET_TYPE_UNSUPPORTED, problem), "nlb-target-type");
        target_type
    }

    fn health_check(&mut self, backend: &Backend, port: &ServicePort, target_type: TargetType) -> Checks {
        let about = About { backend, port, target_type };
        let follows_intent = !self.draft.world.defaults.strict_aws;
        let object = &self.backend.object;
        self.draft.checks(
            &self.settings.health_check,
            |check| health_check::network(check, &about, follows_intent),
            |Wrong { code, setting, message }| {
                let name = match setting {
                    Setting::Port => "healthcheck-port",
                    Setting::SuccessCodes => "healthcheck-success-codes",
                };
                let key = format!("{PREFIX}{name}");
                Finding::new(code, format!("{name}: {message}")).at_annotation(object, &key)
            },
        )
    }

    fn target_group_attributes(
        &mut self,
        port: &ServicePort,
        target_type: TargetType,
        protocol: Protocol,
    ) -> Attributes {
        let mut attributes = Attributes::new(Scope::NetworkTargetGroup);
        if target_type == TargetType::Ip {
            attributes.set_default(keys::PRESERVE_CLIENT_IP, "false");
        }
        if protocol.carries_datagrams() {
            // `CreateTargetGroup` does so ("TargetGroupAttribute", ELB API).
            attributes.set_default(keys::CONNECTION_TERMINATION, "true");
        }
        let by_port = self.settings.attributes_by_port.get(&port.port).filter(|map| !map.is_empty());
        let (key, values) = match by_port {
            Some(values) => (format!("{PREFIX}target-group-attributes.{}", port.port), values),
            None => (format!("{PREFIX}target-group-attributes"), &self.settings.target_group_attributes),
        };
        let object: &Arc<Object> = &self.backend.object;
        let written = Written { object, key: &key };
        attributes::set(&mut attributes, values, &written, &mut self.draft.findings);
        if values.get(keys::PRESERVE_CLIENT_IP).is_some_and(|value| value == "true") {
            let text = "preserve_client_ip.enabled: targets see connections from this machine, for no process can take the \
                        address of another here";
            let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, text)
                .suggest("aws-load-balancer-proxy-protocol: \"*\", where targets read the header")
                .with_severity(Severity::Warning);
            self.draft.findings.push(finding.at_annotation(object, &key));
        }
        if port.protocol == TransportProtocol::Udp && self.settings.proxy_protocol {
            let text = format!("port {}: datagrams get no PROXY protocol header, connections do", port.port);
            let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, text).with_severity(Severity::Warning);
            self.draft.findings.push(finding.at_annotation(object, &format!("{PREFIX}proxy-protocol")));
        }
        let listed = self.settings.proxy_protocol_ports.as_ref().map(|ports| ports.contains(&port.port));
        let told = if self.settings.proxy_protocol { Some(true) } else { listed };
        let in_attributes = attributes.is_on(keys::PROXY_PROTOCOL_V2);
        let key = match self.settings.proxy_protocol {
            true => format!("{PREFIX}proxy-protocol"),
            false => format!("{PREFIX}proxy-protocol-per-target-group"),
        };
        // The controller always writes this one, so it always counts as set.
        let written = Written { object, key: &key };
        let value =
            Map::from([(keys::PROXY_PROTOCOL_V2.to_owned(), told.unwrap_or(in_attributes).to_string())]);
        let mut said = Vec::new();
        attributes::set(&mut attributes, &value, &written, &mut said);
        self.draft.findings.extend(said.into_iter().filter(|_| told.is_some()));
        attributes
    }
}
