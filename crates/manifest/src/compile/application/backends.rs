//! What backends of a group lead to: target groups of its own, and some outside.

use plan::{ServicePortName, TargetGroupRef};

use super::{Group, Member};
use crate::compile::actions::{At, Found};
use crate::compile::similar_services;
use crate::compile::target_group::Source;
use crate::{Finding, Severity, codes};

impl Group<'_> {
    /// The target group of a backend, made when it is not there yet.
    pub(in crate::compile) fn target_group(
        &mut self,
        member: &Member,
        service: &str,
        port: &ServicePortName,
        at: &At<'_>,
    ) -> Found {
        let world = self.draft.world;
        let namespace = &member.object.namespace;
        let Some(backend) = world.service(namespace, service) else {
            let tolerated = world.defaults.tolerate_missing_service;
            let severity = if tolerated { Severity::Warning } else { Severity::Error };
            let message =
                format!("Service {namespace}/{service} does not exist: requests to it are answered with 503");
            let finding =
                at.put(Finding::new(&codes::BACKEND_SERVICE_MISSING, message), &member.object, "name");
            let similar = similar_services(world, namespace, service);
            self.draft.findings.push(finding.maybe_suggest(similar).with_severity(severity));
            return Found::NoService;
        };
        let found = match port {
            ServicePortName::Number(number) => backend.port_number(*number),
            ServicePortName::Name(name) => backend.port_name(name),
        };
        let Some(service_port) = found else {
            let message = format!("Service {namespace}/{service} has no port `{port}`");
            let finding = at.put(Finding::new(&codes::BACKEND_PORT_MISSING, message), &member.object, "port");
            let ports = backend.spec.ports.iter().map(|port| port.port.to_string());
            let known = format!("it has {}", ports.collect::<Vec<_>>().join(", "));
            self.draft.findings.push(finding.suggest(known));
            return Found::Wrong;
        };
        let source = Source {
            ingress: &member.object,
            backend,
            port: service_port,
            port_name: port.clone(),
            target_type: member.class.target_type,
            class_tags: &member.class.tags,
            is_dualstack: self.is_dualstack,
        };
        let key = source.key();
        Found::Group(match self.draft.target_group(&key) {
            Some(id) => id,
            None => source.make(&mut self.draft),
        })
    }

    /// A target group that no manifest makes.
    pub(in crate::compile) fn outside(
        &mut self,
        member: &Member,
        key: &str,
        name: &str,
        unknown: fn(String) -> TargetGroupRef,
    ) -> TargetGroupRef {
        let known = self.draft.world.defaults.target_groups.as_deref();
        let is_it = |group: &&crate::Named| group.arn == name || group.name == name;
        let found = known.into_iter().flatten().find(is_it);
        let finding = match (known, found) {
            (Some(_), None) => {
                Finding::new(&codes::TARGET_GROUP_UNKNOWN, format!("target group `{name}` is not known"))
            }
            _ => {
                let message =
                    format!("target group `{name}` is outside: requests to it are answered with 503 here");
                Finding::new(&codes::ANNOTATION_NO_EFFECT, message).with_severity(Severity::Warning)
            }
        };
        self.draft.findings.push(finding.at_annotation(&member.object, key));
        match found {
            Some(group) => TargetGroupRef::Arn(group.arn.clone()),
            None => unknown(name.to_owned()),
        }
    }
}
