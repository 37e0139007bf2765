//! Who can reach the load balancers, in one line: people should not have to guess it.

use std::collections::BTreeMap;

use plan::{ListenerKey, ListenerState, Observed, Plan};

/// What is open to whom.
pub(crate) fn line(plan: &Plan, observed: &Observed, is_public: bool) -> String {
    if !is_public {
        return "only this machine can reach these addresses; up --public opens the ports to others"
            .to_owned();
    }
    let (open, loopback) = ports(plan, observed);
    let listed = |names: &[String]| names.join(", ");
    let mut line = match open.as_slice() {
        [] => "nothing is open to other machines".to_owned(),
        open => format!("open to other machines, on all interfaces: {}", listed(open)),
    };
    if !loopback.is_empty() {
        line.push_str(&format!("; only this machine can reach {}", listed(&loopback)));
    }
    line
}

/// Ports that are open on all interfaces, and those that are not, with whose they are.
fn ports(plan: &Plan, observed: &Observed) -> (Vec<String>, Vec<String>) {
    let mut open: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    let mut loopback = Vec::new();
    for balancer in &plan.load_balancers {
        let whose = balancer.sources.first().map_or_else(|| balancer.id.to_string(), ToString::to_string);
        for listener in &balancer.listeners {
            let key = ListenerKey { load_balancer: balancer.id.clone(), port: listener.port };
            let is_open = observed.listeners.get(&key) == Some(&ListenerState::Open);
            let public = listener.addresses.iter().find(|address| address.ip().is_unspecified());
            match public {
                Some(address) if is_open => {
                    open.entry(address.port()).or_default().push(whose.clone());
                }
                _ => loopback.push(format!("port {} of {whose}", listener.port)),
            }
        }
    }
    let open = open.into_iter().map(|(port, whose)| format!("port {port} ({})", whose.join(", ")));
    (open.collect(), loopback)
}
