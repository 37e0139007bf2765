//! Services by which an Ingress leads to all InferenceServices at once: those that stand in front of them on a cluster with
//! Knative. Nobody has to have them here, and whoever has one has nothing behind it. What such an Ingress gets, our gateway would answer by its host, and so do the rules
//! that it stands for.

use std::sync::Arc;

use plan::{
    Action, Condition, Handling, LoadBalancer, LoadBalancerKind, Rule, TargetGroup, TargetGroupId,
    TargetGroupRef, TargetGroups, TransformPart,
};
use serde_json::json;

use super::here::Here;
use super::world::{Name, World};
use crate::registry::kind_of;
use crate::{Finding, Object, Severity, codes};

/// Namespaces and names.
const DOORS: &[(&str, &str)] = &[
    ("knative-serving", "kourier"),
    ("kourier-system", "kourier"),
    ("istio-system", "istio-ingressgateway"),
];

/// The Services as they would be, for who looks up their ports.
pub(super) fn services() -> impl Iterator<Item = (Name, Object)> {
    let kind = kind_of("", "Service").expect("Services are known");
    DOORS.iter().map(move |(namespace, name)| {
        let value = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "type": "LoadBalancer",
                "ports": [
                    { "name": "http2", "port": 80, "targetPort": 8080 },
                    { "name": "https", "port": 443, "targetPort": 8443 },
                    { "name": "status-port", "port": 15021, "targetPort": 15021 },
                ],
            },
        });
        let name = ((*namespace).to_owned(), (*name).to_owned());
        (name.clone(), Object { kind, namespace: name.0, name: name.1, value, source: None })
    })
}

/// Puts the rules of our gateway in the places of what leads to such a Service.
pub(super) fn open(load_balancer: &mut LoadBalancer, here: &Here<'_>, findings: &mut Vec<Finding>) {
    let is_door = |group: &TargetGroup| here.world.is_door(&group.service.namespace, &group.service.name);
    // One that carries connections cannot tell hosts apart.
    let is_application = load_balancer.kind == LoadBalancerKind::Application;
    if !is_application || !load_balancer.target_groups.iter().any(is_door) {
        return;
    }
    let mut kept = TargetGroups::default();
    let ids =
        load_balancer.target_groups.iter().map(|group| (!is_door(group)).then(|| kept.add(group.clone())));
    let ids: Vec<Option<TargetGroupId>> = ids.collect();
    let behind = behind(here.gateway, &mut kept);
    for listener in &mut load_balancer.listeners {
        let mut rules = Vec::with_capacity(listener.rules.len());
        for mut rule in std::mem::take(&mut listener.rules) {
            match lead(&mut Arc::make_mut(&mut rule).action, &ids) {
                Lead::Elsewhere => rules.push(rule),
                Lead::Door => {
                    if rewrites_host(&rule) {
                        let message = "the gateway of InferenceServices goes by the host as it came, not as it is rewritten";
                        findings.extend(finding(&rule, here.world, message));
                    }
                    rules.extend(behind.iter().map(|behind| Arc::new(behind.behind(&rule))));
                    rules.push(Arc::new(Rule { action: Action::not_found().clone(), ..Rule::clone(&rule) }));
                }
                Lead::Partly => {
                    let message = "a share of its requests leads to the gateway of InferenceServices, which takes all or none";
                    findings.extend(finding(&rule, here.world, message));
                    rules.push(rule);
                }
            }
        }
        listener.rules = rules;
        let default = listener.default_action.as_mut();
        if default.is_some_and(|action| matches!(lead(action, &ids), Lead::Door)) {
            let handling = listener.default_handling.clone();
            let rule = Rule { handling, ..Rule::new(Vec::new(), Action::not_found().clone()) };
            listener.rules.extend(behind.iter().map(|behind| Arc::new(behind.behind(&rule))));
            listener.default_action = Some(Action::not_found().clone());
        }
    }
    load_balancer.target_groups = kept;
}

/// What is behind our gateway.
struct Behind {
    hosts: Condition,
    /// What is done with requests for them.
    action: Action,
    handling: Option<Arc<Handling>>,
}

fn behind(gateway: Option<&LoadBalancer>, kept: &mut TargetGroups) -> Vec<Behind> {
    let Some(gateway) = gateway else { return Vec::new() };
    let rules = gateway.listeners.first().into_iter().flat_map(|listener| &listener.rules);
    let behind = rules.filter_map(|rule| {
        let Action::Forward(forward) = &rule.action else { return None };
        let TargetGroupRef::Group(id) = &forward.targets.first()?.target_group else { return None };
        let group = gateway.target_groups.get(*id)?;
        let id = kept.find(&group.key).unwrap_or_else(|| kept.add(group.clone()));
        let (hosts, handling) = (rule.conditions.first()?.clone(), rule.handling.clone());
        Some(Behind { hosts, action: Action::forward_to(id), handling })
    });
    behind.collect()
}

impl Behind {
    /// The part of a rule that is for one InferenceService. What the rule says of requests goes before what the
    /// service says.
    fn behind(&self, rule: &Rule) -> Rule {
        let mut conditions = rule.conditions.clone();
        conditions.push(self.hosts.clone());
        let handling = rule.handling.clone().or_else(|| self.handling.clone());
        Rule { conditions, action: self.action.clone(), handling, ..rule.clone() }
    }
}

/// Where an action leads.
enum Lead {
    /// To all InferenceServices.
    Door,
    /// There with a share.
    Partly,
    Elsewhere,
}

/// Where an action leads, whose target groups get their new ids; shares of those that go, go.
fn lead(action: &mut Action, ids: &[Option<TargetGroupId>]) -> Lead {
    let Action::Forward(forward) = action else { return Lead::Elsewhere };
    let n_targets = forward.targets.len();
    forward.targets.retain_mut(|target| match &mut target.target_group {
        TargetGroupRef::Group(id) => match ids.get(id.place()).copied().flatten() {
            Some(kept) => {
                *id = kept;
                true
            }
            None => false,
        },
        TargetGroupRef::Arn(_) | TargetGroupRef::Name(_) => true,
    });
    match forward.targets.len() {
        0 => Lead::Door,
        n if n < n_targets => Lead::Partly,
        _ => Lead::Elsewhere,
    }
}

fn rewrites_host(rule: &Rule) -> bool {
    rule.transforms.iter().any(|transform| transform.part == TransformPart::HostHeader)
}

fn finding(rule: &Rule, world: &World<'_>, message: &str) -> Option<Finding> {
    let source = rule.source.as_ref()?;
    let object = world.objects.get(&source.object.kind, &source.object.namespace, &source.object.name)?;
    let path = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
    let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at(object, &path);
    Some(finding.with_severity(Severity::Warning))
}
