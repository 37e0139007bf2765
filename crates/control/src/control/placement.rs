//! Where listeners listen: the addresses and ports of a plan. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use plan::{LoadBalancer, Plan};

/// Where listeners listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Binding {
    /// Also on all interfaces.
    pub is_public: bool,
    /// Ports below 1024 may not be bound: 8000 is added to them.
    pub shifts_low_ports: bool,
}

/// What is added to a port that may not be bound.
const SHIFT: u16 = 8000;
/// What is added further when that port is taken by another listener of the load balancer.
const STEP: u16 = 100;

/// A load balancer that is not quite where it should be, by its id.
pub(super) type Problem = (String, String);

/// Gives every listener its addresses.
pub(super) fn place(
    mut plan: Plan,
    binding: Binding,
    mut address_of: impl FnMut(&str) -> Result<IpAddr, String>,
) -> (Plan, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut public_ports: BTreeSet<u16> = BTreeSet::new();
    for balancer in &mut plan.load_balancers {
        let address = match address_of(&balancer.id) {
            Ok(address) => address,
            Err(problem) => {
                problems.push((balancer.id.clone(), problem));
                continue;
            }
        };
        for (n, port) in ports(balancer, binding).into_iter().enumerate() {
            let mut addresses = vec![SocketAddr::new(address, port)];
            if binding.is_public && !address.is_unspecified() {
                if public_ports.insert(port) {
                    addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
                } else {
                    let message = format!(
                        "port {port} of all interfaces has another load balancer already: this one is only at {address}"
                    );
                    problems.push((balancer.id.clone(), message));
                }
            }
            balancer.listeners[n].addresses = addresses;
        }
    }
    (plan, problems)
}

/// The port that each listener is bound to.
fn ports(balancer: &LoadBalancer, binding: Binding) -> Vec<u16> {
    let is_low = |port: u16| binding.shifts_low_ports && port < 1024;
    let written = balancer.listeners.iter().map(|listener| listener.port);
    let mut taken: BTreeSet<u16> = written.clone().filter(|port| !is_low(*port)).collect();
    written
        .map(|port| {
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
        let load_balancers =
            ports.iter().enumerate().map(|(n, ports)| balancer(&format!("service:a/{n}"), ports)).collect();
        let (plan, problems) = place(Plan { load_balancers }, binding, |id| {
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
    fn without_an_address_there_is_a_problem_and_no_listener() {
        let mut all: Vec<&[u16]> = vec![&[]; 9];
        all.push(&[80]);
        let (listeners, problems) = placed(&all, Binding::default());
        assert_eq!(listeners, ["80: "]);
        assert_eq!(problems, 1);
    }
}
