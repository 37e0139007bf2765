//! The rules of one Ingress, in the order in which they are tried.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use plan::{Condition, Handling, Protocol, Rule, RuleSource, Subject, Tags, Values};

use super::actions::{At, Found, action};
use super::application::{Group, LeadsTo, Ways};
use super::ingress::Member;
use crate::annotations::conditions::{regex, wildcard};
use crate::kinds::ingress::{PathType, Rule as RuleBlock};
use crate::{Finding, Object, codes};

const CONDITIONS: &str = "alb.ingress.kubernetes.io/conditions.";

/// The rules of an Ingress as they were made, and what besides the Ingress they go by.
struct Made {
    protocol: Protocol,
    params: Option<Arc<Object>>,
    handling: Option<Arc<Handling>>,
    tags: Tags,
    leads_to: Vec<LeadsTo>,
    rules: Vec<Arc<Rule>>,
    findings: Vec<Finding>,
}

/// Those that were made lately.
#[derive(Default)]
struct Lately {
    made: RefCell<Vec<Rc<Made>>>,
    /// Those of the version of the Ingress before.
    before: RefCell<Vec<Rc<Made>>>,
}

/// As many are kept of one Ingress: for two protocols, each beside an Ingress of the group that is broken and beside its last good
/// version.
const LATELY: usize = 4;

/// The rules of an Ingress on a listener of this protocol. What is wrong becomes findings, and its rule is left out. Rules that
/// would come out as they did lately are the same ones.
pub(super) fn of_member(group: &mut Group<'_>, member: &Member, protocol: Protocol) -> Vec<Arc<Rule>> {
    let lately = group.draft.world.memo.about_version(&member.object, |before| Lately {
        before: before.map(|before: Rc<Lately>| before.made.borrow().clone()).unwrap_or_default().into(),
        ..Lately::default()
    });
    let known = lately.made.borrow().iter().find(|made| made.holds(group, member, protocol)).map(Rc::clone);
    let made = known.unwrap_or_else(|| {
        let (mut made, is_lasting) = make(group, member, protocol);
        made.go_on_with(&lately);
        let made = Rc::new(made);
        if is_lasting {
            let mut lately = lately.made.borrow_mut();
            lately.truncate(LATELY - 1);
            lately.insert(0, Rc::clone(&made));
        }
        made
    });
    group.draft.findings.extend(made.findings.iter().cloned());
    made.rules.clone()
}

impl Made {
    /// Has rules that are the same as before be the same ones.
    fn go_on_with(&mut self, lately: &Lately) {
        let is_like = |made: &mut Rc<Self>| made.protocol == self.protocol;
        let of_version: Vec<Rc<Self>> = lately.before.borrow_mut().extract_if(.., is_like).collect();
        let made = lately.made.borrow();
        let before = of_version.iter().chain(&*made).find(|made| made.protocol == self.protocol);
        for (rule, before) in self.rules.iter_mut().zip(before.into_iter().flat_map(|before| &before.rules)) {
            if rule == before {
                rule.clone_from(before);
            }
        }
    }

    /// Whether the rules would be the same now. Has the target groups made that they lead to, which are those that would be made in
    /// any case, in the same order.
    fn holds(&self, group: &mut Group<'_>, member: &Member, protocol: Protocol) -> bool {
        let is_same_class = match (&self.params, &member.params) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        is_same_class
            && self.protocol == protocol
            && self.handling == group.handling_of(member)
            && self.tags == group.tags_of(member)
            && self.leads_to.iter().all(|it| group.is_there(member, &it.service, &it.port))
            && self.leads_to.iter().all(|it| {
                let found = group.target_group(member, &it.service, &it.port, &At::Backend(""));
                matches!(found, Found::Group(id) if id == it.id)
            })
    }
}

/// Makes the rules, and tells whether they follow from nothing else than what is kept with them.
fn make(group: &mut Group<'_>, member: &Member, protocol: Protocol) -> (Made, bool) {
    let others = std::mem::take(&mut group.draft.findings);
    group.ways = Ways::default();
    let rules = rules(group, member, protocol);
    let Ways { leads_to, leads_nowhere } = std::mem::take(&mut group.ways);
    let made = Made {
        protocol,
        params: member.params.clone(),
        handling: group.handling_of(member),
        tags: group.tags_of(member),
        leads_to,
        rules,
        findings: std::mem::replace(&mut group.draft.findings, others),
    };
    (made, !leads_nowhere)
}

fn rules(group: &mut Group<'_>, member: &Member, protocol: Protocol) -> Vec<Arc<Rule>> {
    let (handling, tags) = (group.handling_of(member), group.tags_of(member));
    let mut rules = Vec::new();
    for (rule_index, block) in member.spec().rules.iter().enumerate() {
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
                let service = block.http.paths[path_index].backend.service.as_ref();
                let transforms = service.and_then(|service| member.settings.transforms.get(&service.name));
                let transforms = transforms.cloned().unwrap_or_default();
                let (source, handling, tags) = (Some(source), handling.clone(), tags.clone());
                rules.push(Arc::new(Rule { conditions, transforms, action, handling, source, tags }));
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
