//! Where listeners listen: the addresses and ports of a plan. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use plan::{
    Action, HostClaims, IpAddressType, Listener, LoadBalancer, LoadBalancerId, Origin, Plan, Protocol,
    RedirectPart, SourceRanges, has_everybody,
};

use super::load_balancer::shown_by;

/// Where listeners listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Binding {
    /// Also on all interfaces.
    pub is_public: bool,
    /// All interfaces have IPv6 too.
    pub has_ipv6: bool,
    /// Ports below 1024 may not be bound: 8000 is added to them.
    pub shifts_low_ports: bool,
}

/// What is added to a port that may not be bound.
const SHIFT: u16 = 8000;
/// What is added further when that port is taken by another listener of the load balancer.
const STEP: u16 = 100;

/// A load balancer that is not quite where it should be, by its id.
pub(super) type Problem = (LoadBalancerId, String);

/// Gives every listener its addresses.
pub(super) fn place(
    mut plan: Plan,
    binding: Binding,
    mut address_of: impl FnMut(&str) -> Result<IpAddr, String>,
) -> (Plan, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut public_ports: BTreeMap<u16, Vec<Sharer>> = BTreeMap::new();
    let unshared = if binding.is_public { unshared_ports(&plan) } else { BTreeSet::new() };
    for balancer in &mut plan.load_balancers {
        let address = match address_of(&balancer.id.to_string()) {
            Ok(address) => address,
            Err(problem) => {
                problems.push((balancer.id.clone(), problem));
                continue;
            }
        };
        let written: Vec<u16> = balancer.listeners.iter().map(|listener| listener.port).collect();
        for (n, port) in bound_ports(&written, binding).into_iter().enumerate() {
            let mut addresses = vec![SocketAddr::new(address, port)];
            if binding.is_public {
                let sharer = Sharer::of(balancer, &balancer.listeners[n]);
                let others = public_ports.entry(port).or_default();
                let conflict = others.iter().find_map(|other| other.conflict_with(&sharer));
                let problem = if unshared.contains(&port) {
                    Some(format!(
                        "port {port} is not open on all interfaces, because containers on this machine listen at it: give the load balancer another port"
                    ))
                } else {
                    conflict.map(|why| {
                        format!("port {port} of all interfaces leads to {why}: this one is only at {address}, until it has another port")
                    })
                };
                match problem {
                    Some(problem) => problems.push((balancer.id.clone(), problem)),
                    None => {
                        others.push(sharer);
                        addresses.extend(all_interfaces(balancer.ip_address_type, port, binding));
                    }
                }
            }
            balancer.listeners[n].addresses = addresses;
        }
        redirect_to_bound_ports(balancer);
        if let Err(problem) = place_frontend(balancer, binding, &mut address_of) {
            problems.push((balancer.id.clone(), problem));
        }
    }
    (plan, problems)
}

/// Opens listeners at the address of the load balancer in front, too. The error says where that is not what was asked for.
fn place_frontend(
    balancer: &mut LoadBalancer,
    binding: Binding,
    address_of: &mut impl FnMut(&str) -> Result<IpAddr, String>,
) -> Result<(), String> {
    let Some(frontend) = &mut balancer.frontend else { return Ok(()) };
    let address = address_of(&name_of_frontend(&balancer.id))?;
    frontend.address = Some(address);
    let mut only_here = Vec::new();
    let written: Vec<u16> = frontend.ports.keys().copied().collect();
    for ((from, to), bound) in frontend.ports.iter().zip(bound_ports(&written, binding)) {
        let Some(listener) = balancer.listeners.iter_mut().find(|it| it.port == *to) else { continue };
        listener.addresses.push(SocketAddr::new(address, bound));
        if binding.is_public && from != to {
            only_here.push(from.to_string());
        }
    }
    match only_here.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "port {} of the load balancer in front is only at {address}: all interfaces have the ports of the Ingress itself",
            only_here.join(", ")
        )),
    }
}

/// What the address of the load balancer in front is known by.
pub(super) fn name_of_frontend(id: &LoadBalancerId) -> String {
    format!("frontend-nlb:{id}")
}

/// A listener that is open on all interfaces, perhaps together with others.
struct Sharer {
    shown: String,
    protocol: Protocol,
    claims: HostClaims,
    source_ranges: Option<SourceRanges>,
    has_ipv6: bool,
}

impl Sharer {
    fn of(balancer: &LoadBalancer, listener: &Listener) -> Self {
        Self {
            shown: shown(balancer),
            protocol: listener.protocol,
            claims: HostClaims::of(balancer, listener),
            source_ranges: listener.source_ranges.clone(),
            has_ipv6: balancer.ip_address_type != IpAddressType::Ipv4,
        }
    }

    /// Why another one cannot have the same port: what came in could not be told apart.
    fn conflict_with(&self, other: &Self) -> Option<String> {
        let shown = &self.shown;
        let both = |carries: fn(Protocol) -> bool| carries(self.protocol) && carries(other.protocol);
        if !both(Protocol::carries_connections) && !both(Protocol::carries_datagrams) {
            return None;
        }
        if !self.protocol.is_http() || !other.protocol.is_http() {
            return Some(format!("{shown}, and connections that are passed through name no host"));
        }
        if self.protocol != other.protocol {
            return Some(format!("{shown}, which speaks {} there", self.protocol.as_str()));
        }
        let lets_in_others = |is_ipv4| self.admitted(is_ipv4) != other.admitted(is_ipv4);
        if lets_in_others(true) || (self.has_ipv6 && other.has_ipv6 && lets_in_others(false)) {
            return Some(format!("{shown}, which lets in other addresses"));
        }
        self.claims.conflict_with(&other.claims).map(|conflict| format!("{shown}, and {conflict}"))
    }

    /// The clients of one family of addresses that are let in; all where there is nothing.
    fn admitted(&self, is_ipv4: bool) -> Option<Vec<String>> {
        let cidrs = &self.source_ranges.as_ref()?.cidrs;
        let of_family = cidrs.iter().filter(|range| range.addr().is_ipv4() == is_ipv4);
        if of_family.clone().any(has_everybody) {
            return None;
        }
        let mut ranges: Vec<String> = of_family.map(ToString::to_string).collect();
        ranges.sort_unstable();
        Some(ranges)
    }
}

/// Leads redirects to a listener of the same load balancer to the port that it is bound to.
fn redirect_to_bound_ports(balancer: &mut LoadBalancer) {
    let bound = |listener: &Listener| listener.addresses.first().map(SocketAddr::port);
    let shifted: BTreeMap<String, String> = balancer
        .listeners
        .iter()
        .filter_map(|listener| Some((listener.port, bound(listener)?)))
        .filter(|(written, bound)| written != bound)
        .map(|(written, bound)| (written.to_string(), bound.to_string()))
        .collect();
    if shifted.is_empty() {
        return;
    }
    for listener in &mut balancer.listeners {
        let rules = listener.rules.iter_mut().filter(|rule| matches!(rule.action, Action::Redirect(_)));
        let rules = rules.map(|rule| &mut Arc::make_mut(rule).action);
        for action in rules.chain(&mut listener.default_action) {
            if let Action::Redirect(redirect) = action
                && let RedirectPart::Set(port) = &mut redirect.port
                && let Some(bound) = shifted.get(port)
            {
                port.clone_from(bound);
            }
        }
    }
}

/// All interfaces, with those of IPv6 where the load balancer is to have them too.
fn all_interfaces(wanted: IpAddressType, port: u16, binding: Binding) -> impl Iterator<Item = SocketAddr> {
    let has_ipv6 = binding.has_ipv6 && wanted != IpAddressType::Ipv4;
    let ipv6 = has_ipv6.then_some(Ipv6Addr::UNSPECIFIED.into());
    [IpAddr::from(Ipv4Addr::UNSPECIFIED)].into_iter().chain(ipv6).map(move |ip| SocketAddr::new(ip, port))
}

/// Ports of this machine's containers that could not start beside a listener on all interfaces: our own model server
/// shares its port, others do not know how.
fn unshared_ports(plan: &Plan) -> BTreeSet<u16> {
    let groups = plan.load_balancers.iter().flat_map(|balancer| &balancer.target_groups);
    groups.filter(|group| group.origin != Origin::Ours).map(|group| group.port).collect()
}

/// A load balancer as people know it.
fn shown(balancer: &LoadBalancer) -> String {
    shown_by(balancer).first().map_or_else(|| balancer.id.to_string(), ToString::to_string)
}

/// The ports that those of one address are bound to.
fn bound_ports(written: &[u16], binding: Binding) -> Vec<u16> {
    let is_low = |port: u16| binding.shifts_low_ports && port < 1024;
    let mut taken: BTreeSet<u16> = written.iter().copied().filter(|port| !is_low(*port)).collect();
    written
        .iter()
        .map(|&port| {
            let shifted = (port.saturating_add(SHIFT)..=u16::MAX).step_by(usize::from(STEP));
            let free =
                if is_low(port) { shifted.into_iter().find(|port| !taken.contains(port)) } else { None };
            taken.extend(free);
            free.unwrap_or(port)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::load_balancer::tests::balancer;

    fn placed(ports: &[&[u16]], binding: Binding) -> (Vec<String>, usize) {
        let load_balancers = ports
            .iter()
            .enumerate()
            .map(|(n, ports)| balancer(&LoadBalancerId::service("a", &n.to_string()), ports))
            .collect();
        let (plan, problems) = place(Plan { load_balancers, ..Plan::default() }, binding, |id| {
            let n: u8 = id.rsplit('/').next().unwrap().parse().unwrap();
            if n < 9 { Ok(Ipv4Addr::new(127, 77, 0, n + 1).into()) } else { Err("full".to_owned()) }
        });
        let listeners = plan.load_balancers.iter().flat_map(|balancer| &balancer.listeners);
        let written = listeners.map(|listener| {
            let addresses: Vec<_> = listener.addresses.iter().map(ToString::to_string).collect();
            format!("{}: {}", listener.port, addresses.join(" "))
        });
        (written.collect(), problems.len())
    }

    #[test]
    fn every_load_balancer_has_the_ports_of_its_manifest() {
        let (listeners, problems) = placed(&[&[80, 443], &[80]], Binding::default());
        assert_eq!(listeners, ["80: 127.77.0.1:80", "443: 127.77.0.1:443", "80: 127.77.0.2:80"]);
        assert_eq!(problems, 0);
    }

    #[test]
    fn a_load_balancer_in_front_has_an_address_of_its_own() {
        let of = |binding| {
            let mut behind = balancer(&LoadBalancerId::service("a", "0"), &[80, 8443]);
            let ports = BTreeMap::from([(80, 80), (443, 8443), (90, 9090)]);
            behind.frontend = Some(plan::Frontend { ports, address: None });
            let plan = Plan { load_balancers: vec![behind], ..Plan::default() };
            let (plan, problems) = place(plan, binding, |id| {
                let is_front = id == "frontend-nlb:service:a/0";
                Ok(Ipv4Addr::new(127, 77, 0, if is_front { 2 } else { 1 }).into())
            });
            let balancer = &plan.load_balancers[0];
            let addresses = balancer.listeners.iter().flat_map(|listener| &listener.addresses);
            let addresses: Vec<String> = addresses.map(ToString::to_string).collect();
            let at = balancer.frontend.as_ref().unwrap().address.unwrap();
            (addresses.join(" "), at.to_string(), problems.len())
        };
        let here = "127.77.0.1:80 127.77.0.2:80 127.77.0.1:8443 127.77.0.2:443".to_owned();
        assert_eq!(of(Binding::default()), (here, "127.77.0.2".to_owned(), 0));
        let shifted = Binding { shifts_low_ports: true, ..Binding::default() };
        assert_eq!(of(shifted).0, "127.77.0.1:8080 127.77.0.2:8080 127.77.0.1:8443 127.77.0.2:8443");
        let public = Binding { is_public: true, ..Binding::default() };
        assert_eq!(of(public).2, 1);
    }

    #[test]
    fn low_ports_are_shifted_to_where_nobody_is() {
        let binding = Binding { shifts_low_ports: true, ..Binding::default() };
        let (listeners, _) = placed(&[&[80, 443, 8080], &[9000, 80]], binding);
        assert_eq!(
            listeners,
            [
                "80: 127.77.0.1:8180",
                "443: 127.77.0.1:8443",
                "8080: 127.77.0.1:8080",
                "9000: 127.77.0.2:9000",
                "80: 127.77.0.2:8080",
            ]
        );
    }

    #[test]
    fn acc_s0_01_only_public_ones_are_on_all_interfaces() {
        let binding = Binding { is_public: true, ..Binding::default() };
        let (listeners, problems) = placed(&[&[80], &[80, 81]], binding);
        assert_eq!(
            listeners,
            ["80: 127.77.0.1:80 0.0.0.0:80", "80: 127.77.0.2:80", "81: 127.77.0.2:81 0.0.0.0:81"]
        );
        assert_eq!(problems, 1);
    }

    #[test]
    fn application_load_balancers_share_a_port_as_long_as_their_hosts_are_others() {
        use plan::{Condition, Rule};
        /// One load balancer: protocol, port, hosts; without hosts it answers for all.
        type Written<'a> = (Protocol, u16, &'a [&'a str]);
        let placed = |all: &[Written<'_>]| {
            let load_balancers = all.iter().enumerate().map(|(n, (protocol, port, hosts))| {
                let mut balancer = balancer(&LoadBalancerId::ingress("a", &n.to_string()), &[*port]);
                let mut listener = Listener::new(*port, *protocol);
                let rule = |host: &&str| {
                    Rule::new(vec![Condition::hosts(&[host])], Action::not_found().clone()).into()
                };
                listener.rules = hosts.iter().map(rule).collect();
                if hosts.is_empty() {
                    listener.default_action = Some(Action::not_found().clone());
                }
                balancer.listeners = vec![listener];
                balancer
            });
            let binding = Binding { is_public: true, ..Binding::default() };
            let plan = Plan { load_balancers: load_balancers.collect(), ..Plan::default() };
            let (plan, problems) = place(plan, binding, |_| Ok(Ipv4Addr::new(127, 77, 0, 1).into()));
            let is_public = |balancer: &LoadBalancer| balancer.listeners[0].addresses.len() == 2;
            let public: Vec<bool> = plan.load_balancers.iter().map(is_public).collect();
            let problems: Vec<String> = problems.into_iter().map(|(_, problem)| problem).collect();
            (public, problems.join("; "))
        };
        use Protocol::{Http, Https, Tcp};
        let cases: &[(&[Written<'_>], &[bool], &str)] = &[
            (
                &[(Https, 443, &["a.example"]), (Https, 443, &["b.example"]), (Https, 443, &[])],
                &[true; 3],
                "",
            ),
            (&[(Http, 80, &["a.example"]), (Http, 80, &["A.example"])], &[true, false], "host `a.example`"),
            (&[(Http, 80, &[]), (Http, 80, &[])], &[true, false], "for every host"),
            (&[(Http, 80, &["a"]), (Https, 80, &["b"])], &[true, false], "speaks HTTP there"),
            (&[(Http, 80, &["a"]), (Tcp, 80, &[])], &[true, false], "name no host"),
            (&[(Tcp, 80, &[]), (Tcp, 80, &[])], &[true, false], "name no host"),
            (&[(Tcp, 80, &[]), (Tcp, 81, &[])], &[true; 2], ""),
            (&[(Tcp, 80, &[]), (Protocol::Udp, 80, &[])], &[true; 2], ""),
        ];
        for (all, public, said) in cases {
            let (found, problems) = placed(all);
            assert_eq!(found, *public, "{problems}");
            assert!(problems.contains(said) && problems.is_empty() == said.is_empty(), "{problems}");
        }
    }

    #[test]
    fn a_public_load_balancer_has_ipv6_when_it_is_to_have_both() {
        let n_addresses = |wanted, has_ipv6| {
            let balancer = LoadBalancer {
                ip_address_type: wanted,
                ..balancer(&LoadBalancerId::service("a", "0"), &[80])
            };
            let binding = Binding { is_public: true, has_ipv6, shifts_low_ports: false };
            let plan = Plan { load_balancers: vec![balancer], ..Plan::default() };
            let (plan, _) = place(plan, binding, |_| Ok(Ipv4Addr::new(127, 77, 0, 1).into()));
            plan.load_balancers[0].listeners[0].addresses.len()
        };
        assert_eq!(n_addresses(IpAddressType::Ipv4, true), 2);
        assert_eq!(n_addresses(IpAddressType::Dualstack, true), 3);
        assert_eq!(n_addresses(IpAddressType::Dualstack, false), 2);
    }

    #[test]
    fn a_port_of_other_people_s_containers_stays_on_loopback() {
        let group = |origin| {
            let mut balancer = balancer(&LoadBalancerId::service("a", "0"), &[8080]);
            balancer.target_groups.add(target_group(8080, origin));
            let binding = Binding { is_public: true, ..Binding::default() };
            let plan = Plan { load_balancers: vec![balancer], ..Plan::default() };
            let (plan, problems) = place(plan, binding, |_| Ok(Ipv4Addr::new(127, 77, 0, 1).into()));
            (plan.load_balancers[0].listeners[0].addresses.len(), problems.len())
        };
        assert_eq!(group(Origin::Ours), (2, 0));
        assert_eq!(group(Origin::Others), (1, 1));
    }

    fn target_group(port: u16, origin: Origin) -> plan::TargetGroup {
        let service = plan::ServicePort::new("a", "b", plan::ServicePortName::Number(80));
        let health_check = plan::HealthCheck {
            protocol: Protocol::Tcp,
            port: plan::HealthCheckPort::TrafficPort,
            path: None,
            interval: std::time::Duration::from_secs(10),
            timeout: std::time::Duration::from_secs(5),
            healthy_threshold: 3,
            unhealthy_threshold: 3,
            matcher: plan::Matcher::Connection,
        };
        let target_group = plan::TargetGroup::new("a/b:80", service, Protocol::Tcp, health_check);
        plan::TargetGroup { port, origin, ..target_group }
    }

    #[test]
    fn without_an_address_there_is_a_problem_and_no_listener() {
        let mut all: Vec<&[u16]> = vec![&[]; 9];
        all.push(&[80]);
        let (listeners, problems) = placed(&all, Binding::default());
        assert_eq!(listeners, ["80: "]);
        assert_eq!(problems, 1);
    }
}
