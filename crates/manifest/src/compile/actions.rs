//! What a backend of an Ingress does: forward to its Service, or what an annotation says.

use plan::{
    Action, FixedResponse, Forward, ForwardTarget, GroupStickiness, Protocol, RedirectPart, ServicePortName,
    TargetGroupId, TargetGroupRef,
};

use super::application::Group;
use super::ingress::Member;
use crate::annotations::actions::{ActionDraft, TargetName};
use crate::kinds::ingress::{Backend, BackendPort};
use crate::wire::IntOrString;
use crate::{Finding, Object, Severity, codes};

/// Port name of a backend whose action stands in an annotation.
const USE_ANNOTATION: &str = "use-annotation";
const ACTIONS: &str = "alb.ingress.kubernetes.io/actions.";
const NO_SERVICE: &str = "Backend service does not exist";
const NO_ACTION: &str = "Backend action does not exist";

/// Where a Service and its port are named: in a backend at a path, or in an annotation.
pub(super) enum At<'a> {
    Backend(&'a str),
    Annotation(&'a str),
}

/// What became of a backend's target group.
pub(super) enum Found {
    Group(TargetGroupId),
    /// It has been said; whether it matters is the caller's to decide.
    NoService,
    /// It has been said.
    Wrong,
}

/// The action of a backend; `path` is where the backend stands in its Ingress. What is wrong becomes findings.
pub(super) fn action(
    group: &mut Group<'_>,
    member: &Member,
    backend: &Backend,
    path: &str,
    protocol: Protocol,
) -> Option<Action> {
    let Some(service) = &backend.service else {
        let is_resource = backend.resource.is_some();
        let what = if is_resource { "is a resource" } else { "names no Service" };
        let code = if is_resource { &codes::BACKEND_RESOURCE } else { &codes::FIELD_INVALID };
        let message = format!("the backend {what}: a backend is a Service with a port");
        group.draft.findings.push(Finding::new(code, message).at(&member.object, path));
        return None;
    };
    if service.port.name.as_deref() == Some(USE_ANNOTATION) {
        return annotated(group, member, &service.name, path, protocol);
    }
    let Some(port) = port_name(&service.port) else {
        let message = format!("the backend `{}` names no port", service.name);
        group
            .draft
            .findings
            .push(Finding::new(&codes::BACKEND_PORT_MISSING, message).at(&member.object, path));
        return None;
    };
    match group.target_group(member, &service.name, &port, &At::Backend(path)) {
        Found::Group(id) => Some(Action::forward_to(id)),
        Found::NoService if group.draft.world.defaults.tolerate_missing_service => {
            Some(unavailable(NO_SERVICE))
        }
        Found::NoService | Found::Wrong => None,
    }
}

fn port_name(port: &BackendPort) -> Option<ServicePortName> {
    let number = port.number.filter(|number| *number > 0).map(ServicePortName::Number);
    number.or_else(|| port.name.clone().map(ServicePortName::Name))
}

fn unavailable(body: &str) -> Action {
    Action::FixedResponse(FixedResponse {
        status: 503,
        content_type: Some("text/plain".to_owned()),
        message_body: Some(body.to_owned()),
    })
}

/// The action in the annotation `actions.<name>`.
fn annotated(
    group: &mut Group<'_>,
    member: &Member,
    name: &str,
    path: &str,
    protocol: Protocol,
) -> Option<Action> {
    let key = format!("{ACTIONS}{name}");
    match member.settings.actions.get(name) {
        Some(ActionDraft::FixedResponse(response)) => Some(Action::FixedResponse(response.clone())),
        Some(ActionDraft::Redirect(redirect)) => {
            if protocol == Protocol::Https && redirect.protocol == RedirectPart::set("HTTP") {
                let message = format!("actions.{name}: a redirect from HTTPS to HTTP");
                let finding = Finding::new(&codes::ACTION_INVALID, message);
                group.draft.findings.push(finding.at_annotation(&member.object, &key));
            }
            Some(Action::Redirect(redirect.clone()))
        }
        Some(ActionDraft::Forward { targets, stickiness }) => {
            let resolved: Option<Vec<ForwardTarget>> = targets
                .iter()
                .map(|draft| match resolve(group, member, &key, &draft.target) {
                    Ok(target_group) => Some(ForwardTarget { target_group, weight: draft.weight }),
                    Err(NoTarget::NoService) if targets.len() > 1 => {
                        let message = format!("actions.{name}: one of several target groups has no Service");
                        let finding = Finding::new(&codes::BACKEND_SERVICE_MISSING, message);
                        group.draft.findings.push(finding.at_annotation(&member.object, &key));
                        None
                    }
                    Err(_) => None,
                })
                .collect();
            let forward = |targets| {
                let stickiness = stickiness.map(GroupStickiness::Cookie);
                Action::Forward(Forward { targets, stickiness })
            };
            Some(resolved.map_or_else(|| unavailable(NO_SERVICE), forward))
        }
        None => {
            // A broken annotation has been reported where it stands.
            if member.object.annotation(&key).is_none() {
                let tolerated = group.draft.world.defaults.tolerate_missing_action;
                let severity = if tolerated { Severity::Warning } else { Severity::Error };
                let message =
                    format!("the annotation actions.{name} is missing: the backend has nothing to do");
                let finding = Finding::new(&codes::ACTION_MISSING, message).at(&member.object, path);
                group.draft.findings.push(finding.with_severity(severity));
            }
            Some(unavailable(NO_ACTION))
        }
    }
}

/// Why there is no target group; it has been said.
enum NoTarget {
    NoService,
    Wrong,
}

/// The target group that an action names in the annotation with this key.
fn resolve(
    group: &mut Group<'_>,
    member: &Member,
    key: &str,
    target: &TargetName,
) -> Result<TargetGroupRef, NoTarget> {
    match target {
        TargetName::Arn(arn) => Ok(group.outside(member, key, arn, TargetGroupRef::Arn)),
        TargetName::Name(name) => Ok(group.outside(member, key, name, TargetGroupRef::Name)),
        TargetName::Service { name, port } => {
            let port = match port {
                // No Service has port 0, so a number that is no port is reported as a missing one.
                IntOrString::Int(number) => ServicePortName::Number(u16::try_from(*number).unwrap_or(0)),
                IntOrString::String(name) => ServicePortName::Name(name.clone()),
            };
            match group.target_group(member, name, &port, &At::Annotation(key)) {
                Found::Group(id) => Ok(TargetGroupRef::Group(id)),
                Found::NoService => Err(NoTarget::NoService),
                Found::Wrong => Err(NoTarget::Wrong),
            }
        }
    }
}

// === impl At ===

impl At<'_> {
    /// A finding about the `name` or the `port`.
    pub(super) fn put(&self, finding: Finding, object: &Object, what: &str) -> Finding {
        match self {
            Self::Backend(path) => finding.at(object, &format!("{path}.service.{what}")),
            Self::Annotation(key) => finding.at_annotation(object, key),
        }
    }
}
