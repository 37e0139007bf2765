//! What is otherwise on this machine than on AWS, for load balancers that are built: one pass after the other.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;
use plan::{HealthCheck, IpAddressType, LoadBalancer, has_everybody};

use super::world::World;
use super::{
    Route, doors, gateway, own_certificates, redirects, revisions, tokens, trust_stores, unauthorized,
    zonal_shift,
};
use crate::Finding;

/// What passes go by.
pub(super) struct Here<'a> {
    pub(super) world: &'a World<'a>,
    /// Our own load balancer in front of InferenceServices.
    pub(super) gateway: Option<&'a LoadBalancer>,
    /// How InferenceServices are reached.
    pub(super) routes: &'a [Route],
    /// The checks to make where nothing listens on node ports, by the keys of their target groups.
    pub(super) pod_health_checks: &'a BTreeMap<String, HealthCheck>,
}

type Pass = fn(&mut LoadBalancer, &Here<'_>, &mut Vec<Finding>);

/// In this order: certificates are found for listeners that are there.
const PASSES: &[Pass] = &[
    ask_pods,
    let_in,
    doors::open,
    tokens::guard,
    unauthorized::answer,
    zonal_shift::shift,
    redirects::set_status,
    |load_balancer, here, _| revisions::put_in(load_balancer, here),
    |load_balancer, here, _| gateway::add_paths(load_balancer, here.routes),
    |load_balancer, here, _| gateway::add_tls(load_balancer, here.routes, here.world),
    |load_balancer, here, findings| own_certificates::replace(load_balancer, here.world, findings),
    |load_balancer, here, findings| trust_stores::fill(load_balancer, here.world, findings),
];

/// The load balancer as it is on this machine.
pub(super) fn make(
    load_balancer: &LoadBalancer,
    here: &Here<'_>,
    findings: &mut Vec<Finding>,
) -> LoadBalancer {
    let mut load_balancer = load_balancer.clone();
    PASSES.iter().for_each(|pass| pass(&mut load_balancer, here, findings));
    load_balancer
}

/// Targets are reached directly: what AWS asks the nodes is asked of the pods.
fn ask_pods(load_balancer: &mut LoadBalancer, here: &Here<'_>, _: &mut Vec<Finding>) {
    for target_group in &mut load_balancer.target_groups {
        if let Some(check) = here.pod_health_checks.get(&target_group.key) {
            target_group.health_check = check.clone();
        }
    }
}

/// Prefix lists are the addresses in them, and where everybody of IPv4 may connect to an address of IPv4, nobody is left: a
/// client of IPv6 came to a proxy in front of it, which tells of it.
fn let_in(load_balancer: &mut LoadBalancer, here: &Here<'_>, _: &mut Vec<Finding>) {
    let prefix_lists = &here.world.defaults.prefix_lists;
    for ranges in load_balancer.listeners.iter_mut().filter_map(|listener| listener.source_ranges.as_mut()) {
        let lists = ranges.prefix_lists.iter().filter_map(|id| prefix_lists.get(id));
        ranges.cidrs.extend(lists.flatten());
        let is_open = ranges.cidrs.iter().any(|range| range.addr().is_ipv4() && has_everybody(range));
        if is_open && load_balancer.ip_address_type == IpAddressType::Ipv4 {
            ranges.cidrs.push(Ipv6Net::default().into());
        }
    }
}
