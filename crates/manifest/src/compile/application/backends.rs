//! What backends of a group lead to: target groups of its own, and some outside.

use plan::{ServicePortName, TargetGroupRef};

use super::{Group, LeadsTo, Member};
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
            self.ways.leads_nowhere = true;
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
        let Some(service_port) = backend.port(port) else {
            self.ways.leads_nowhere = true;
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
        let id = self.draft.target_group(&key).unwrap_or_else(|| {
            let others = std::mem::take(&mut self.draft.findings);
            let id = source.make(&mut self.draft);
            self.of_target_groups.append(&mut self.draft.findings);
            self.draft.findings = others;
            id
        });
        let leads_to = LeadsTo { service: service.to_owned(), port: port.clone(), id };
        // Paths of one Service follow each other.
        if self.ways.leads_to.last() != Some(&leads_to) {
            self.ways.leads_to.push(leads_to);
        }
        Found::Group(id)
    }

    /// Whether a backend leads to a Service that is there.
    pub(in crate::compile) fn is_there(
        &self,
        member: &Member,
        service: &str,
        port: &ServicePortName,
    ) -> bool {
        let backend = self.draft.world.service(&member.object.namespace, service);
        backend.is_some_and(|backend| backend.port(port).is_some())
    }

    /// A target group that no manifest makes.
    pub(in crate::compile) fn outside(
        &mut self,
        member: &Member,
        key: &str,
        name: &str,
        unknown: fn(String) -> TargetGroupRef,
    ) -> TargetGroupRef {
        self.ways.leads_nowhere = true;
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
