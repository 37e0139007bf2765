//! The rules of one Ingress, in the order in which they are tried.

use plan::{
    Action, Condition, FixedResponse, Forward, ForwardTarget, Pattern, Protocol, Redirect, Rule, RuleSource,
    ServicePortName, TargetGroupRef, Values,
};

use super::application::Group;
use super::ingress::Member;
use crate::annotations::actions::{ActionDraft, TargetName, numeric_if_possible};
use crate::annotations::conditions::{Subject, regex, wildcard};
use crate::kinds::ingress::{Backend, BackendPort, PathType, Rule as RuleBlock};
use crate::wire::IntOrString;
use crate::{Finding, Object, Severity, codes};

/// Port name of a backend whose action stands in an annotation.
const USE_ANNOTATION: &str = "use-annotation";
const ACTIONS: &str = "alb.ingress.kubernetes.io/actions.";
const CONDITIONS: &str = "alb.ingress.kubernetes.io/conditions.";

/// The rules of an Ingress on a listener of this protocol. What is wrong becomes findings, and its rule is left out.
pub(super) fn of_member(group: &mut Group<'_>, member: &Member, protocol: Protocol) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (rule_index, block) in member.spec.rules.iter().enumerate() {
        for path_index in order(block) {
            let place = Place { member, block, rule_index, path_index };
            let conditions = place.conditions().map_err(|finding| group.findings.push(*finding));
            let action = action(
                group,
                member,
                &block.http.paths[path_index].backend,
                &place.path("backend"),
                protocol,
            );
            if let (Ok(conditions), Some(action)) = (conditions, action) {
                let source = RuleSource { object: member.object.reference(), rule_index, path_index };
                let tags = group.tags_of(member);
                rules.push(Rule { conditions, action, source: Some(source), tags });
            }
        }
    }
    rules
}

/// The order in which the paths of one block are tried: exact ones, prefixes from the longest, then the others.
fn order(block: &RuleBlock) -> Vec<usize> {
    let paths = &block.http.paths;
    let mut order: Vec<usize> = (0..paths.len()).collect();
    order.sort_by_key(|index| match paths[*index].path_type {
        PathType::Exact => (0, 0),
        PathType::Prefix => (1, usize::MAX - paths[*index].path.len()),
        PathType::ImplementationSpecific => (2, 0),
    });
    order
}

/// The place of a path in its Ingress.
struct Place<'a> {
    member: &'a Member,
    block: &'a RuleBlock,
    rule_index: usize,
    path_index: usize,
}

impl Place<'_> {
    fn path(&self, field: &str) -> String {
        format!("spec.rules[{}].http.paths[{}].{field}", self.rule_index, self.path_index)
    }

    /// Conditions of the annotation as written, then host, then path.
    fn conditions(&self) -> Result<Vec<Condition>, Box<Finding>> {
        let path = &self.block.http.paths[self.path_index];
        let service = path.backend.service.as_ref().map(|service| service.name.as_str()).unwrap_or_default();
        let written = self.member.settings.conditions.get(service).map(Vec::as_slice).unwrap_or_default();
        let key = format!("{CONDITIONS}{service}");
        let mixed = |what: &str| {
            let message = format!("a {what} condition has either values or regular expressions, not both");
            Box::new(
                Finding::new(&codes::CONDITION_INVALID, message).at_annotation(&self.member.object, &key),
            )
        };
        let (mut conditions, mut hosts, mut paths) = (Vec::new(), Vec::new(), Vec::new());
        hosts.extend(self.host()?);
        paths.extend(self.path_values()?);
        for condition in written {
            match condition {
                Condition::HostHeader(values) => hosts.push(values.clone()),
                Condition::PathPattern(values) => paths.push(values.clone()),
                other => conditions.push(other.clone()),
            }
        }
        let hosts = merged(hosts).map_err(|()| mixed("host-header"))?;
        conditions.extend(hosts.map(Condition::HostHeader));
        let paths = merged(paths).map_err(|()| mixed("path-pattern"))?;
        conditions.extend(paths.map(Condition::PathPattern));
        if conditions.is_empty() {
            conditions.push(Condition::PathPattern(wildcards(&["/*"])));
        }
        Ok(conditions)
    }

    fn host(&self) -> Result<Option<Values>, Box<Finding>> {
        let host = &self.block.host;
        if host.is_empty() {
            return Ok(None);
        }
        let is_good = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-*".contains(&byte));
        if !is_good || host.len() > 128 {
            let message = format!("host `{host}` is not a host name");
            let path = format!("spec.rules[{}].host", self.rule_index);
            return Err(Finding::new(&codes::FIELD_INVALID, message).at(&self.member.object, &path).into());
        }
        Ok(Some(Values::Wildcards(vec![Pattern::ignore_case(host)])))
    }

    fn path_values(&self) -> Result<Option<Values>, Box<Finding>> {
        let path = &self.block.http.paths[self.path_index];
        let written = path.path.as_str();
        let wrong = |code, problem: String| {
            let message = format!("path `{written}` {problem}");
            Box::new(Finding::new(code, message).at(&self.member.object, &self.path("path")))
        };
        let invalid = |problem: &str| wrong(&codes::PATH_INVALID, problem.to_owned());
        if written.is_empty() && path.path_type == PathType::ImplementationSpecific {
            return Ok(None);
        }
        if !written.starts_with('/') {
            return Err(invalid("does not begin with `/`"));
        }
        let has_wildcard = written.contains(['*', '?']);
        if has_wildcard && path.path_type != PathType::ImplementationSpecific {
            return Err(invalid("has a wildcard, which only paths of type ImplementationSpecific may have"));
        }
        if path.path_type == PathType::ImplementationSpecific && self.member.settings.regex_paths {
            let expression = regex(&written[1..], Subject::Path);
            let expression = expression.map_err(|problem| wrong(problem.code, problem.message))?;
            return Ok(Some(Values::Regexes(vec![expression])));
        }
        let trimmed = written.strip_suffix('/').unwrap_or(written);
        let patterns = match path.path_type {
            PathType::Prefix if trimmed.is_empty() => vec!["/*".to_owned()],
            PathType::Prefix => vec![trimmed.to_owned(), format!("{trimmed}/*")],
            PathType::Exact | PathType::ImplementationSpecific => vec![written.to_owned()],
        };
        let patterns =
            patterns.iter().map(|pattern| wildcard(pattern, Subject::Path)).collect::<Result<_, _>>();
        let patterns =
            patterns.map_err(|problem| wrong(problem.code, format!("is too long: {}", problem.message)))?;
        Ok(Some(Values::Wildcards(patterns)))
    }
}

fn wildcards(patterns: &[&str]) -> Values {
    Values::Wildcards(patterns.iter().map(|pattern| Pattern::case_sensitive(pattern)).collect())
}

/// All values in one, when they are of one sort.
fn merged(all: Vec<Values>) -> Result<Option<Values>, ()> {
    let mut merged: Option<Values> = None;
    for values in all {
        match (&mut merged, values) {
            (None, values) => merged = Some(values),
            (Some(Values::Wildcards(all)), Values::Wildcards(more)) => all.extend(more),
            (Some(Values::Regexes(all)), Values::Regexes(more)) => all.extend(more),
            _ => return Err(()),
        }
    }
    Ok(merged)
}

/// The action of a backend; `path` is where the backend stands in its Ingress.
pub(super) fn action(
    group: &mut Group<'_>,
    member: &Member,
    backend: &Backend,
    path: &str,
    protocol: Protocol,
) -> Option<Action> {
    let Some(service) = &backend.service else {
        let what = if backend.resource.is_some() { "is a resource" } else { "names no Service" };
        let code = if backend.resource.is_some() { &codes::BACKEND_RESOURCE } else { &codes::FIELD_INVALID };
        let message = format!("the backend {what}: a backend is a Service with a port");
        group.findings.push(Finding::new(code, message).at(&member.object, path));
        return None;
    };
    if service.port.name.as_deref() == Some(USE_ANNOTATION) {
        return annotated_action(group, member, &service.name, path, protocol);
    }
    let Some(port) = port_name(&service.port) else {
        let message = format!("the backend `{}` names no port", service.name);
        group.findings.push(Finding::new(&codes::BACKEND_PORT_MISSING, message).at(&member.object, path));
        return None;
    };
    match group.target_group(member, &service.name, &port, &At::Backend(path)) {
        Found::Key(key) => Some(Action::forward_to(&key)),
        Found::NoService if group.world.defaults.tolerate_missing_service => {
            Some(unavailable("Backend service does not exist"))
        }
        Found::NoService | Found::Wrong => None,
    }
}

/// Where a Service and its port are named: in a backend at a path, or in an annotation.
pub(super) enum At<'a> {
    Backend(&'a str),
    Annotation(&'a str),
}

impl At<'_> {
    /// A finding about the `name` or the `port`.
    pub(super) fn put(&self, finding: Finding, object: &Object, what: &str) -> Finding {
        match self {
            Self::Backend(path) => finding.at(object, &format!("{path}.service.{what}")),
            Self::Annotation(key) => finding.at_annotation(object, key),
        }
    }
}

/// What became of a backend's target group.
pub(super) enum Found {
    Key(String),
    /// It has been said; whether it matters is the caller's to decide.
    NoService,
    /// It has been said.
    Wrong,
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

fn annotated_action(
    group: &mut Group<'_>,
    member: &Member,
    name: &str,
    path: &str,
    protocol: Protocol,
) -> Option<Action> {
    let key = format!("{ACTIONS}{name}");
    let Some(draft) = member.settings.actions.get(name) else {
        // A broken annotation has been reported where it stands.
        if member.object.annotation(&key).is_none() {
            let tolerated = group.world.defaults.tolerate_missing_action;
            let severity = if tolerated { Severity::Warning } else { Severity::Error };
            let message = format!("the annotation actions.{name} is missing: the backend has nothing to do");
            let finding = Finding::new(&codes::ACTION_MISSING, message).at(&member.object, path);
            group.findings.push(finding.with_severity(severity));
        }
        return Some(unavailable("Backend action does not exist"));
    };
    match draft {
        ActionDraft::Redirect(redirect) => {
            if protocol == Protocol::Https && redirect.protocol == "HTTP" {
                let message = format!("actions.{name}: a redirect from HTTPS to HTTP");
                let finding =
                    Finding::new(&codes::ACTION_INVALID, message).at_annotation(&member.object, &key);
                group.findings.push(finding);
            }
            Some(Action::Redirect(Redirect::clone(redirect)))
        }
        ActionDraft::FixedResponse(response) => Some(Action::FixedResponse(response.clone())),
        ActionDraft::Forward { targets, stickiness } => {
            let is_only = targets.len() == 1;
            let mut resolved = Vec::new();
            for draft in targets {
                let target_group = match &draft.target {
                    TargetName::Arn(arn) => group.outside(member, &key, arn, TargetGroupRef::Arn),
                    TargetName::Name(name) => group.outside(member, &key, name, TargetGroupRef::Name),
                    TargetName::Service { name, port } => {
                        let port = match numeric_if_possible(port.clone()) {
                            IntOrString::Int(number) => {
                                ServicePortName::Number(u16::try_from(number).unwrap_or(0))
                            }
                            IntOrString::String(name) => ServicePortName::Name(name),
                        };
                        match group.target_group(member, name, &port, &At::Annotation(&key)) {
                            Found::Key(key) => TargetGroupRef::Key(key),
                            Found::NoService if is_only && group.world.defaults.tolerate_missing_service => {
                                return Some(unavailable("Backend service does not exist"));
                            }
                            Found::NoService => {
                                let message =
                                    format!("actions.{name}: one of several target groups has no Service");
                                let finding = Finding::new(&codes::BACKEND_SERVICE_MISSING, message);
                                group.findings.push(finding.at_annotation(&member.object, &key));
                                return None;
                            }
                            Found::Wrong => return None,
                        }
                    }
                };
                resolved.push(ForwardTarget { target_group, weight: draft.weight });
            }
            Some(Action::Forward(Forward { targets: resolved, stickiness: *stickiness }))
        }
    }
}
