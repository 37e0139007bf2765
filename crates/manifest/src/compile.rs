//! Objects to a plan.
//!
//! The order of [`compile`] is the order in which things depend on each other: InferenceServices stand for Deployments and
//! Services, load balancers lead to Services, and lints look at what came out.

mod actions;
mod application;
mod attributes;
mod certificates;
mod children;
mod cluster_network;
mod concurrency;
mod domains;
mod doors;
mod draft;
mod gateway;
mod health_check;
mod here;
mod inference;
pub(crate) mod ingress;
pub(crate) mod memo;
mod mirror;
pub(crate) mod names;
pub(crate) mod network;
mod optimise;
mod own_certificates;
mod profile;
mod protection;
mod redirects;
mod revisions;
mod rules;
mod secret_certificates;
pub(crate) mod serving_options;
mod target_group;
mod tls_policies;
pub(crate) mod tokens;
mod trust;
mod trust_stores;
mod unauthorized;
mod uncovered;
pub(crate) mod world;
mod zonal_shift;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use plan::{LoadBalancer, LoadBalancerId, ObjectRef, Plan, Tags};

pub(crate) use inference::MODEL_KEYS;
pub use own_certificates::hosts_of;
pub use protection::deletion_protection;
pub use secret_certificates::PlacedCertificate;
pub(crate) use serving_options::is_switch as is_serving_switch;
pub use serving_options::{names as serving_option_names, serve_option_names};

use draft::Built;
use here::Here;
use memo::Memo;
use world::World;

use crate::{Defaults, Finding, KINDS, Kind, Object, Objects, Severity, codes, finding, kinds, lints, unmet};

/// What a set of objects means.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compiled {
    /// What traffic is to do.
    pub plan: Plan,
    /// The same as AWS would do it, through nodes and prefix lists of an account; this is what `plan_json` prints.
    pub plan_on_aws: Plan,
    /// The objects that InferenceServices stand for: Deployments and Services, with `ownerReferences`; and the Service
    /// `knative-serving/kourier` that shows the address of the load balancer in front of them.
    pub children: Vec<Object>,
    /// How each InferenceService is reached.
    pub routes: Vec<Route>,
    /// The certificates in Secrets, and those of folders that somebody is shown.
    pub certificates: Vec<PlacedCertificate>,
    /// What is wrong, and what has no effect, in order.
    pub findings: Vec<Finding>,
    /// What is otherwise on this machine than on AWS, or not done here at all; `plan_json` does not print it.
    pub findings_here: Vec<Finding>,
}

/// How an InferenceService is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The InferenceService.
    pub object: ObjectRef,
    /// The hosts that lead to it, the one of `url` first.
    pub hosts: Vec<String>,
    /// Its URL, for `status.url`.
    pub url: String,
    /// Id of the load balancer in front of it.
    pub load_balancer: LoadBalancerId,
}

/// Compiles objects to a plan. What is wrong costs the load balancer it belongs to, and nothing else.
#[must_use]
pub fn compile(objects: &Objects, defaults: &Defaults) -> Compiled {
    compile_with(&Memo::default(), objects, defaults)
}

/// Compiles objects again and again: to the same as [`compile`], and the sooner, the more of them are the same `Arc`s as the
/// last times. Clones know what the others do.
#[derive(Debug, Clone, Default)]
pub struct Compiler {
    memo: Memo,
    /// What was compiled last, and of what.
    last: Rc<RefCell<Option<Last>>>,
}

#[derive(Debug)]
struct Last {
    objects: Objects,
    defaults: Defaults,
    compiled: Rc<Compiled>,
}

impl Compiler {
    /// Compiles objects to a plan.
    #[must_use]
    pub fn compile(&self, objects: &Objects, defaults: &Defaults) -> Rc<Compiled> {
        if let Some(last) = &*self.last.borrow()
            && last.objects.are_the_same(objects)
            && last.defaults == *defaults
        {
            return Rc::clone(&last.compiled);
        }
        self.memo.begin(defaults);
        let compiled = Rc::new(compile_with(&self.memo, objects, defaults));
        self.memo.end();
        let last =
            Last { objects: objects.clone(), defaults: defaults.clone(), compiled: Rc::clone(&compiled) };
        self.last.replace(Some(last));
        compiled
    }
}

fn compile_with(memo: &Memo, objects: &Objects, defaults: &Defaults) -> Compiled {
    let mut findings = Vec::new();
    say_what_has_no_effect(objects, &mut findings);
    say_what_is_no_text(objects, &mut findings);
    let domains = domains::of(objects, defaults, &mut findings);
    let mut findings_here = unmet::all(objects, defaults, memo);
    let refused: BTreeSet<ObjectRef> = findings_here
        .iter()
        .filter(|finding| finding.is_error())
        .filter_map(|it| it.object.clone())
        .collect();
    let mut inferences = inference::all(objects, &mut findings);
    inferences.retain(|inference| !refused.contains(&inference.object.reference()));
    let mut children: Vec<Object> = inferences.iter().flat_map(|it| it.children.clone()).collect();
    children.extend(gateway::synthetic_service(objects, &inferences));

    let world = World::new(objects, &children, defaults, memo, &mut findings);
    children.extend(profile::children(objects, &mut findings));
    let mut built: Vec<Built> = Vec::new();
    for (id, members) in ingress::groups(&world, &mut findings) {
        built.push(application::build(id, &members, &world));
    }
    built.extend(network::all(&world, &mut findings));
    let (gateway, routes) = gateway::build(&inferences, &domains, &world, &mut findings);

    let in_front = gateway.as_ref().filter(|built| !built.findings.iter().any(Finding::is_error));
    let in_front = in_front.map(|built| built.load_balancer.clone());
    let (mut plan, mut plan_on_aws) = (Plan::default(), Plan::default());
    built.extend(gateway);
    built.sort_by(|a, b| a.load_balancer.id.cmp(&b.load_balancer.id));
    for built in built {
        let is_broken = built.findings.iter().any(Finding::is_error);
        findings.extend(built.findings);
        if !is_broken {
            let mut own = Vec::new();
            let here = Here {
                world: &world,
                gateway: in_front.as_ref(),
                routes: &routes,
                pod_health_checks: &built.pod_health_checks,
            };
            let here = here::make(&built.load_balancer, &here, &mut own);
            let asks_in_vain = |object: &ObjectRef| refused.contains(object);
            let is_refused = own.iter().any(Finding::is_error)
                || here.sources.iter().any(asks_in_vain)
                || services_of(&here).any(|service| asks_in_vain(&service));
            findings_here.extend(own);
            if !is_refused {
                plan.load_balancers.push(here);
            }
            plan_on_aws.load_balancers.push(built.load_balancer);
        }
    }
    plan.services = cluster_network::all(&world);
    plan.services.retain(|balancer| !balancer.sources.iter().any(|object| refused.contains(object)));
    findings.extend(lints::all(&world, &plan_on_aws));
    findings_here.extend(lints::here(&world));
    let certificates = secret_certificates::check(&world, &plan, &mut findings_here);
    findings_here.extend(kinds::validation::doubts(objects, memo));
    finding::sort(&mut findings);
    finding::sort(&mut findings_here);
    Compiled { plan, plan_on_aws, children, routes, certificates, findings, findings_here }
}

/// The Services that a load balancer leads to.
fn services_of(load_balancer: &LoadBalancer) -> impl Iterator<Item = ObjectRef> {
    let groups = load_balancer.target_groups.iter();
    groups.map(|group| ObjectRef::new("Service", &group.service.namespace, &group.service.name))
}

/// A warning for each object that would run or route something elsewhere, and one note for each other kind that is kept
/// without effect, at the first object of it.
fn say_what_has_no_effect(objects: &Objects, findings: &mut Vec<Finding>) {
    findings.extend(objects.iter().filter_map(|object| kinds::elsewhere::missing_of(object)));
    let is_note = |kind: &&&Kind| !kind.has_effect() && !kinds::elsewhere::is_told(kind.group, kind.kind);
    findings.extend(KINDS.iter().filter(is_note).filter_map(|kind| kept_without_effect(kind, objects)));
    let mut declared: Vec<&Kind> =
        objects.iter().map(|it| it.kind).filter(|kind| kind.is_declared()).collect();
    declared.dedup();
    let declared = declared.iter().filter(|kind| is_note(kind));
    findings.extend(declared.filter_map(|kind| kept_without_effect(kind, objects)));
}

/// The note about a kind that is kept without effect, at the first object of it.
pub(crate) fn kept_without_effect(kind: &Kind, objects: &Objects) -> Option<Finding> {
    let mut of_kind = objects.of_kind(kind.key);
    let first = of_kind.next()?;
    let message = match of_kind.count() {
        0 => format!("a {} is kept, and has no effect on one machine yet", kind.kind),
        more => format!("{} {} are kept, and have no effect on one machine yet", more + 1, kind.plural),
    };
    Some(Finding { location: first.locate("kind"), ..Finding::new(&codes::KIND_IGNORED, message) })
}

/// What is wrong with ConfigMaps and Secrets, also with those that nobody refers to yet.
fn say_what_is_no_text(objects: &Objects, findings: &mut Vec<Finding>) {
    for object in objects.of_kind("ConfigMap").chain(objects.of_kind("Secret")) {
        let mut own = Vec::new();
        let _ = kinds::config::texts(object, &mut own);
        findings.extend(own.into_iter().filter(Finding::is_error));
    }
}

/// All tags in one; where a key stands twice the later one wins.
fn merged_tags(all: &[&Tags]) -> Tags {
    all.iter().copied().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Warns of prefix lists that nobody knows: nothing is let in from them.
fn check_prefix_lists<'a>(
    lists: impl Iterator<Item = &'a String>,
    object: &Object,
    key: &str,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) {
    for list in lists.filter(|list| !world.defaults.prefix_lists.contains_key(*list)) {
        let message = format!("prefix list `{list}` is not known here: nobody is let in by it");
        let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at_annotation(object, key);
        findings.push(finding.with_severity(Severity::Warning));
    }
}

/// Names of Services that begin like a missing one, the most alike first.
fn similar_services(world: &World<'_>, namespace: &str, missing: &str) -> Option<String> {
    /// Names that share fewer letters are not alike.
    const ALIKE: usize = 4;
    /// More of them are no help.
    const MOST: usize = 3;
    let in_common = |name: &str| name.bytes().zip(missing.bytes()).take_while(|(a, b)| a == b).count();
    let in_namespace = world.services.keys().filter(|(other, _)| other == namespace);
    let mut alike: BTreeMap<(usize, &str), &str> = BTreeMap::new();
    for (_, name) in in_namespace {
        let common = in_common(name);
        if common >= ALIKE {
            alike.insert((usize::MAX - common, name), name);
        }
    }
    let names: Vec<&str> = alike.into_values().take(MOST).collect();
    (!names.is_empty()).then(|| format!("similar: {}", names.join(", ")))
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
