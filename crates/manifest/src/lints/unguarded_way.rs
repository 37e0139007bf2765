//! A target that one way guards and another leads to without that guard. Every way to it is looked at, through all rules,
//! listeners and load balancers: a guard is worth what its weakest way is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::mem::Discriminant;
use std::rc::Rc;

use plan::{
    Action, Listener, LoadBalancer, LoadBalancerKind, ObjectRef, Rule, RuleSource, Subject, TargetGroup,
    Values, has_everybody,
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
    /// Where its rule stands; none for a default action.
    source: Option<&'a RuleSource>,
    listener: (LoadBalancerKind, u16),
    guards: BTreeSet<Guard>,
    /// Whether it is for paths that are named one by one, say that of a health check.
    is_narrow: bool,
}

/// What is behind a Service: pods by their labels, or the Service where it selects none.
type Behind = (String, BTreeMap<String, String>, Option<String>);

/// By object and what it leaves out: a way, one that does not leave it out, and the fields of the object that open ways.
type Told<'w, 'o> = BTreeMap<(ObjectRef, Vec<&'w Guard>), (&'w Way<'o>, &'w Way<'o>, BTreeSet<String>)>;

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    // Of ten thousand rules mostly none is guarded, and there is nothing to leave out.
    if !context.plan.load_balancers.iter().any(|load_balancer| has_guards(context, load_balancer)) {
        return;
    }
    let mut ways: BTreeMap<Rc<Behind>, Vec<Way<'_>>> = BTreeMap::new();
    for load_balancer in &context.plan.load_balancers {
        let groups = load_balancer.target_groups.iter();
        let behind: Vec<_> = groups.map(|group| behind(context, group).map(Rc::new)).collect();
        for listener in &load_balancer.listeners {
            let by_rule = listener.rules.iter().map(|rule| (Some(&**rule), &rule.action));
            let by_default = listener.default_action.iter().map(|action| (None, action));
            for (rule, action) in by_rule.chain(by_default) {
                let reached = reached(action, &behind);
                if reached.is_empty() {
                    continue;
                }
                let Some((object, source)) = opened_at(context, load_balancer, rule) else { continue };
                let guards = guards(load_balancer, listener, rule, object);
                let listener = (load_balancer.kind, listener.port);
                for behind in reached {
                    let (guards, is_narrow) = (guards.clone(), rule.is_some_and(names_its_paths));
                    let way = Way { object, source, listener, guards, is_narrow };
                    ways.entry(behind).or_default().push(way);
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
            told.entry(key).or_insert((way, guarded, BTreeSet::new())).2.insert(way.field());
        }
        findings.extend(told.values().map(|(way, guarded, fields)| finding(way, guarded, fields.len() - 1)));
    }
}

impl Way<'_> {
    /// The field that opens it.
    fn field(&self) -> String {
        match (self.source, self.listener.0) {
            (Some(RuleSource { rule_index, path_index, .. }), _) => {
                format!("spec.rules[{rule_index}].http.paths[{path_index}]")
            }
            (None, LoadBalancerKind::Application) => DEFAULT_BACKEND.to_owned(),
            (None, LoadBalancerKind::Network) => TYPE.to_owned(),
        }
    }

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
    let place = format!("{} of {}", guarded.field(), guarded.object.reference());
    let more = match n_more {
        0 => String::new(),
        1 => " (and so does 1 more of its rules)".to_owned(),
        n => format!(" (and so do {n} more of its rules)"),
    };
    let message = format!(
        "on port {} this leads, without {}, to the same pods as {place}, which asks for it{more}",
        way.listener.1,
        missing.join(" and ")
    );
    let severity = if way.is_narrow { Severity::Info } else { codes::WAY_UNGUARDED.severity };
    Finding::new(&codes::WAY_UNGUARDED, message).with_severity(severity).at(way.object, &way.field())
}

const DEFAULT_BACKEND: &str = "spec.defaultBackend";
const TYPE: &str = "spec.type";

/// The object that has a rule, and where in it that stands, or a default action.
fn opened_at<'a>(
    context: &Context<'a>,
    load_balancer: &LoadBalancer,
    rule: Option<&'a Rule>,
) -> Option<(&'a Object, Option<&'a RuleSource>)> {
    if let Some(rule) = rule {
        let source = rule.source.as_ref().filter(|source| source.object.kind == "Ingress")?;
        return Some((context.object(&source.object)?, Some(source)));
    }
    let field = match load_balancer.kind {
        LoadBalancerKind::Application => DEFAULT_BACKEND,
        LoadBalancerKind::Network => TYPE,
    };
    // Of several Ingresses the one that has it.
    let mut objects = load_balancer.sources.iter().filter_map(|source| context.object(source));
    let object = objects.find(|object| object.locate(field).is_some() || load_balancer.sources.len() == 1)?;
    Some((object, None))
}

/// What is behind a target group.
fn behind(context: &Context<'_>, target_group: &TargetGroup) -> Option<Behind> {
    let service = &target_group.service;
    let selector = context.world.service(&service.namespace, &service.name)?.spec.selector.clone();
    let name = selector.is_empty().then(|| service.name.clone());
    Some((service.namespace.clone(), selector, name))
}

/// What an action forwards to; `behind` is what is behind each target group.
fn reached(action: &Action, behind: &[Option<Rc<Behind>>]) -> BTreeSet<Rc<Behind>> {
    let Action::Forward(forward) = action else { return BTreeSet::new() };
    let used = forward.targets.iter().filter(|target| target.weight.get() > 0);
    let reached = used.filter_map(|target| {
        let plan::TargetGroupRef::Group(id) = &target.target_group else { return None };
        behind.get(id.place())?.clone()
    });
    reached.collect()
}

/// Whether anything of a load balancer is guarded.
fn has_guards(context: &Context<'_>, load_balancer: &LoadBalancer) -> bool {
    let mut objects = load_balancer.sources.iter().filter_map(|source| context.object(source));
    let is_guarded =
        |(listener, object): (&Listener, &Object)| !guards(load_balancer, listener, None, object).is_empty();
    let listeners = &load_balancer.listeners;
    let mut rules = listeners.iter().flat_map(|listener| &listener.rules);
    objects.any(|object| listeners.iter().any(|listener| is_guarded((listener, object))))
        || rules.any(|rule| guards_of_rule(rule).next().is_some())
}

fn guards_of_rule(rule: &Rule) -> impl Iterator<Item = Guard> {
    rule.conditions.iter().filter_map(|condition| match (condition.subject.name(), &condition.values) {
        (_, Values::Ranges(ranges)) => (!ranges.iter().any(has_everybody)).then_some(Guard::SourceRanges),
        (Some(name), values) if !takes_anything(values) => Some(Guard::Header(name.to_ascii_lowercase())),
        _ => None,
    })
}

fn guards(
    load_balancer: &LoadBalancer,
    listener: &Listener,
    rule: Option<&Rule>,
    object: &Object,
) -> BTreeSet<Guard> {
    let of_rule = rule.into_iter().flat_map(guards_of_rule);
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
