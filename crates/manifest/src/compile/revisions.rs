//! Of which revision of its Deployment a target is, where answers of a rule are to tell it: the `pod-template-hash`
//! of its pod.

use std::collections::BTreeMap;
use std::net::IpAddr;

use plan::{LoadBalancer, LoadBalancerKind};

use super::here::Here;

const LABEL: &str = "pod-template-hash";

/// Puts the revisions of all targets in, if a rule is to tell them.
pub(super) fn put_in(load_balancer: &mut LoadBalancer, here: &Here<'_>) {
    let listeners = load_balancer.listeners.iter();
    let mut handlings = listeners.flat_map(|listener| {
        listener.rules.iter().filter_map(|rule| rule.handling.as_ref()).chain(&listener.default_handling)
    });
    let is_application = load_balancer.kind == LoadBalancerKind::Application;
    if !is_application || !handlings.any(|handling| handling.tells_target) {
        return;
    }
    let revisions = here.world.objects.of_kind("Pod").filter_map(|pod| {
        let address: IpAddr = pod.value.pointer("/status/podIP")?.as_str()?.parse().ok()?;
        Some(((pod.namespace.as_str(), address), (*pod.labels().get(LABEL)?).to_owned()))
    });
    let revisions: BTreeMap<(&str, IpAddr), String> = revisions.collect();
    for group in &mut load_balancer.target_groups {
        let namespace = group.service.namespace.as_str();
        let known = group.targets.iter().filter_map(|target| {
            Some((target.address, revisions.get(&(namespace, target.address))?.clone()))
        });
        group.revisions = known.collect();
    }
}
