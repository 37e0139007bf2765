//! The rules of one Ingress, in the order in which they are tried.

use std::sync::Arc;

use plan::{Condition, Protocol, Rule, RuleSource, Subject, Values};

use super::actions::action;
use super::application::Group;
use super::ingress::Member;
use crate::annotations::conditions::{regex, wildcard};
use crate::kinds::ingress::{PathType, Rule as RuleBlock};
use crate::{Finding, codes};

const CONDITIONS: &str = "alb.ingress.kubernetes.io/conditions.";

/// The rules of an Ingress on a listener of this protocol. What is wrong becomes findings, and its rule is left out.
pub(super) fn of_member(group: &mut Group<'_>, member: &Member, protocol: Protocol) -> Vec<Arc<Rule>> {
    let mut rules = Vec::new();
    for (rule_index, block) in member.spec.rules.iter().enumerate() {
        for path_index in order(block) {
            let place = Place { member, block, rule_index, path_index };
            let conditions = place.conditions().map_err(|finding| group.draft.findings.push(*finding));
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
                let service = block.http.paths[path_index].backend.service.as_ref();
                let transforms = service.and_then(|service| member.settings.transforms.get(&service.name));
                let transforms = transforms.cloned().unwrap_or_default();
                let handling = group.handling_of(member);
                let rule = Rule { conditions, transforms, action, handling, source: Some(source), tags };
                rules.push(Arc::new(rule));
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
            if condition.subject == Subject::HOST_HEADER {
                hosts.push(condition.values.clone());
            } else if condition.subject == Subject::PATH_PATTERN {
                paths.push(condition.values.clone());
            } else {
                conditions.push(condition.clone());
            }
        }
        for (subject, all) in [(Subject::HOST_HEADER, hosts), (Subject::PATH_PATTERN, paths)] {
            let values = merged(all).map_err(|()| mixed(subject.row().field))?;
            conditions.extend(values.map(|values| Condition { subject, values }));
        }
        if conditions.is_empty() {
            conditions.push(Condition::paths(&["/*"]));
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
        Ok(Some(Condition::hosts(&[host]).values))
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
            let expression = regex(&written[1..], &Subject::PATH_PATTERN);
            let expression = expression.map_err(|problem| wrong(problem.code, problem.message))?;
            return Ok(Some(Values::Regexes(vec![expression])));
        }
        let trimmed = written.strip_suffix('/').unwrap_or(written);
        let patterns = match path.path_type {
            PathType::Prefix if trimmed.is_empty() => vec!["/*".to_owned()],
            PathType::Prefix => vec![trimmed.to_owned(), format!("{trimmed}/*")],
            PathType::Exact | PathType::ImplementationSpecific => vec![written.to_owned()],
        };
        let patterns = patterns
            .iter()
            .map(|pattern| wildcard(pattern, &Subject::PATH_PATTERN))
            .collect::<Result<_, _>>();
        let patterns =
            patterns.map_err(|problem| wrong(problem.code, format!("is too long: {}", problem.message)))?;
        Ok(Some(Values::Wildcards(patterns)))
    }
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
