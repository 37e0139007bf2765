//! A target that one way guards and another leads to without that guard. Every way to it is looked at, through all rules,
//! listeners and load balancers: a guard is worth what its weakest way is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::mem::Discriminant;

use plan::{
    Action, Listener, LoadBalancer, LoadBalancerKind, ObjectRef, Rule, Subject, Values, has_everybody,
};

use super::Context;
use crate::{Finding, Object, Severity, codes};

/// What keeps requests from a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Guard {
    Header(String),
    SourceRanges,
    ClientCertificate,
    WebAcl,
    Authentication,
}

/// A way that requests take to a target.
struct Way<'a> {
    object: &'a Object,
    /// The field that opens it.
    field: String,
    listener: u16,
    guards: BTreeSet<Guard>,
    /// Whether it is for paths that are named one by one, say that of a health check.
    is_narrow: bool,
}

/// What is behind a Service: pods by their labels, or the Service where it selects none.
type Behind = (String, BTreeMap<String, String>, Option<String>);

/// By object and what it leaves out: a way, one that does not leave it out, and the fields of the object that open ways.
type Told<'w, 'o> = BTreeMap<(ObjectRef, Vec<&'w Guard>), (&'w Way<'o>, &'w Way<'o>, BTreeSet<&'w str>)>;

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let mut ways: BTreeMap<Behind, Vec<Way<'_>>> = BTreeMap::new();
    for load_balancer in &context.plan.load_balancers {
        for listener in &load_balancer.listeners {
            let by_rule = listener.rules.iter().map(|rule| (Some(&**rule), &rule.action));
            let by_default = listener.default_action.iter().map(|action| (None, action));
            for (rule, action) in by_rule.chain(by_default) {
                let Some((object, field)) = opened_at(context, load_balancer, rule) else { continue };
                for behind in reached(context, load_balancer, action) {
                    let guards = guards(load_balancer, listener, rule, object);
                    let (field, listener) = (field.clone(), listener.port);
                    let is_narrow = rule.is_some_and(names_its_paths);
                    ways.entry(behind).or_default().push(Way { object, field, listener, guards, is_narrow });
                }
            }
        }
    }
    for ways in ways.values() {
        // Of those with the same sorts of guards the first stands for all: there may be ten thousand ways.
        let mut sorts = HashSet::new();
        let firsts: Vec<&Way<'_>> = ways.iter().filter(|way| sorts.insert(way.sorts_of_guards())).collect();
        // One object that leaves out one thing is told once, however many of its rules do.
        let mut told = Told::new();
        for way in ways {
            let Some(guarded) = firsts.iter().find(|other| way.lacks(other).next().is_some()) else {
                continue;
            };
            let key = (way.object.reference(), way.lacks(guarded).collect());
            told.entry(key).or_insert((way, guarded, BTreeSet::new())).2.insert(&way.field);
        }
        findings.extend(told.values().map(|(way, guarded, fields)| finding(way, guarded, fields.len() - 1)));
    }
}

impl Way<'_> {
    fn sorts_of_guards(&self) -> Vec<Discriminant<Guard>> {
        let mut sorts: Vec<_> = self.guards.iter().map(std::mem::discriminant).collect();
        sorts.dedup();
        sorts
    }

    /// The guards of another way that this one has nothing like.
    fn lacks<'w>(&'w self, other: &'w Way<'_>) -> impl Iterator<Item = &'w Guard> {
        other.guards.iter().filter(|guard| !self.guards.iter().any(|own| own.is_like(guard)))
    }
}

impl Guard {
    /// Whether the two keep away the same sort of clients: one header with a secret is as good as another.
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

fn finding(way: &Way<'_>, guarded: &Way<'_>, n_more: usize) -> Finding {
    let missing: Vec<String> = way.lacks(guarded).map(ToString::to_string).collect();
    // Not by its line: what is told of files and of what was applied is one list.
    let place = format!("{} of {}", guarded.field, guarded.object.reference());
    let more = match n_more {
        0 => String::new(),
        1 => " (and so does 1 more of its rules)".to_owned(),
        n => format!(" (and so do {n} more of its rules)"),
    };
    let message = format!(
        "on port {} this leads, without {}, to the same pods as {place}, which asks for it{more}",
        way.listener,
        missing.join(" and ")
    );
    let severity = if way.is_narrow { Severity::Info } else { codes::WAY_UNGUARDED.severity };
    Finding::new(&codes::WAY_UNGUARDED, message).with_severity(severity).at(way.object, &way.field)
}

/// The object and the field that have a rule, or a default action.
fn opened_at<'a>(
    context: &Context<'a>,
    load_balancer: &LoadBalancer,
    rule: Option<&Rule>,
) -> Option<(&'a Object, String)> {
    if let Some(rule) = rule {
        let source = rule.source.as_ref().filter(|source| source.object.kind == "Ingress")?;
        let field = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
        return Some((context.object(&source.object)?, field));
    }
    let field = match load_balancer.kind {
        LoadBalancerKind::Application => "spec.defaultBackend",
        LoadBalancerKind::Network => "spec.type",
    };
    // Of several Ingresses the one that has it.
    let mut objects = load_balancer.sources.iter().filter_map(|source| context.object(source));
    let object = objects.find(|object| object.locate(field).is_some() || load_balancer.sources.len() == 1)?;
    Some((object, field.to_owned()))
}

/// What an action forwards to.
fn reached(context: &Context<'_>, load_balancer: &LoadBalancer, action: &Action) -> BTreeSet<Behind> {
    let Action::Forward(forward) = action else { return BTreeSet::new() };
    let used = forward.targets.iter().filter(|target| target.weight.get() > 0);
    let services = used.filter_map(|target| {
        let plan::TargetGroupRef::Group(id) = &target.target_group else { return None };
        let service = &load_balancer.target_groups.get(*id)?.service;
        let selector = context.world.service(&service.namespace, &service.name)?.spec.selector.clone();
        let name = selector.is_empty().then(|| service.name.clone());
        Some((service.namespace.clone(), selector, name))
    });
    services.collect()
}

fn guards(
    load_balancer: &LoadBalancer,
    listener: &Listener,
    rule: Option<&Rule>,
    object: &Object,
) -> BTreeSet<Guard> {
    let conditions = rule.into_iter().flat_map(|rule| &rule.conditions);
    let of_rule = conditions.filter_map(|condition| match (condition.subject.name(), &condition.values) {
        (_, Values::Ranges(ranges)) => (!ranges.iter().any(has_everybody)).then_some(Guard::SourceRanges),
        (Some(name), values) if !takes_anything(values) => Some(Guard::Header(name.to_ascii_lowercase())),
        _ => None,
    });
    let ranges = listener.source_ranges.as_ref();
    let verifies = listener.client_authentication.as_ref().is_some_and(|it| it.verification().is_some());
    let signs_in = object.annotation("alb.ingress.kubernetes.io/auth-type").is_some_and(|it| it != "none");
    let of_listener = [
        (ranges.is_some_and(|ranges| !ranges.cidrs.iter().any(has_everybody)), Guard::SourceRanges),
        (verifies, Guard::ClientCertificate),
        (load_balancer.web_acl.is_some(), Guard::WebAcl),
        (signs_in && load_balancer.kind == LoadBalancerKind::Application, Guard::Authentication),
    ];
    of_rule.chain(of_listener.into_iter().filter_map(|(is_there, guard)| is_there.then_some(guard))).collect()
}

fn takes_anything(values: &Values) -> bool {
    matches!(values, Values::Wildcards(patterns) if patterns.iter().any(|pattern| pattern.as_str() == "*"))
}

fn names_its_paths(rule: &Rule) -> bool {
    let mut paths = rule.conditions.iter().filter_map(|it| it.patterns(&Subject::PATH_PATTERN));
    paths.any(|paths| paths.iter().all(plan::Pattern::is_literal))
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header {name}"),
            Self::SourceRanges => f.write_str("a range of source addresses"),
            Self::ClientCertificate => f.write_str("a client certificate"),
            Self::WebAcl => f.write_str("a web ACL"),
            Self::Authentication => f.write_str("authentication"),
        }
    }
}
