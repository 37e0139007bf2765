//! Lints: what people write that does not do what they think.
//!
//! A lint looks at the manifests and at the plan they compiled to, and only ever adds warnings and notes. What makes a plan
//! impossible is found where it is compiled.

mod action_unused;
mod auto_mode;
mod aws_limits;
mod class_params;
mod desync_mode;
mod health_check_port_instance;
mod health_check_timeout;
mod http2_in_clear;
mod log_without_bucket;
mod metrics_public;
mod nlb_access_log;
mod nlb_backend_protocol;
mod nlb_controller;
mod nlb_health_check_path;
mod nlb_health_check_timeout;
mod nlb_plaintext;
mod nlb_scheme;
mod open_to_everybody;
mod rate_limit_comment;
pub(crate) mod rule_shadowed;
mod selector;
mod separate_load_balancers;
mod ssl_redirect;
mod target_port;
mod tls_unused;
mod token_weak;
mod unguarded_way;
mod zones;

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{LoadBalancer, LoadBalancerKind, ObjectRef, Plan};

use crate::compile::world::{Backend, World};
use crate::{Finding, Object};

/// What lints look at.
struct Context<'a> {
    world: &'a World<'a>,
    plan: &'a Plan,
    /// Load balancers by the objects that they were compiled from.
    by_source: BTreeMap<&'a ObjectRef, &'a LoadBalancer>,
}

/// Every lint, in the order of the documentation.
const LINTS: &[fn(&Context<'_>, &mut Vec<Finding>)] = &[
    ssl_redirect::check,
    action_unused::check,
    tls_unused::check,
    http2_in_clear::check,
    rule_shadowed::check,
    token_weak::check,
    metrics_public::check,
    rate_limit_comment::check,
    separate_load_balancers::check,
    aws_limits::check,
    health_check_port_instance::check,
    health_check_timeout::check,
    nlb_health_check_path::check,
    nlb_health_check_timeout::check,
    nlb_backend_protocol::check,
    nlb_plaintext::check,
    log_without_bucket::check,
    desync_mode::check,
    nlb_access_log::check,
    nlb_controller::check,
    nlb_scheme::check,
    open_to_everybody::check,
    unguarded_way::check,
    zones::check,
    selector::check,
    target_port::check,
    auto_mode::check,
];

/// What all lints have to say.
pub(crate) fn all<'a>(world: &'a World<'a>, plan: &'a Plan) -> Vec<Finding> {
    let of_sources = |it: &'a LoadBalancer| it.sources.iter().map(move |source| (source, it));
    let by_source = plan.load_balancers.iter().flat_map(of_sources).collect();
    let context = Context { world, plan, by_source };
    let mut findings = Vec::new();
    for check in LINTS {
        check(&context, &mut findings);
    }
    findings
}

/// What is to be said of this machine only, where all pods there are stand in the same objects.
pub(crate) fn here(world: &World<'_>) -> Vec<Finding> {
    let mut findings = selector::without_pods(world);
    findings.extend(class_params::check(world));
    findings
}

impl<'a> Context<'a> {
    /// The Ingresses that made it into the plan, with their load balancers.
    fn ingresses(&self) -> impl Iterator<Item = (&'a Arc<Object>, &'a LoadBalancer)> {
        let all = self.world.objects.of_kind("Ingress");
        all.filter_map(|object| Some((object, *self.by_source.get(&object.reference())?)))
    }

    /// The Services that are load balancers themselves, with those.
    fn network(&self) -> impl Iterator<Item = (&'a Backend, &'a LoadBalancer)> {
        let network = self.plan.load_balancers.iter().filter(|it| it.kind == LoadBalancerKind::Network);
        network.filter_map(|load_balancer| {
            let source = load_balancer.sources.first()?;
            Some((self.world.service(&source.namespace, &source.name)?, load_balancer))
        })
    }

    fn object(&self, reference: &ObjectRef) -> Option<&'a Arc<Object>> {
        self.world.objects.find(reference)
    }
}

/// A Service's annotation of the AWS controller, by the end of its name.
fn aws<'a>(object: &'a Object, name: &str) -> Option<(String, &'a str)> {
    let key = format!("service.beta.kubernetes.io/aws-load-balancer-{name}");
    object.annotation(&key).map(|text| (key, text))
}

#[cfg(test)]
mod tests;
