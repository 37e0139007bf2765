//! What Ingresses and Services say of their load balancer. Pure.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use manifest::Objects;
use plan::{ListenerKey, ListenerState, LoadBalancer, LoadBalancerId, ObjectRef, Observed, Plan, Protocol};
use serde_json::{Value, json};

/// The objects that show a load balancer's address.
pub(super) fn shown_by(balancer: &LoadBalancer) -> Vec<ObjectRef> {
    let sources =
        balancer.sources.iter().filter(|source| ["Ingress", "Service"].contains(&source.kind.as_str()));
    let all: BTreeSet<ObjectRef> = sources.cloned().chain(balancer.id.object()).collect();
    all.into_iter().collect()
}

/// Whether the data plane has opened one of a load balancer's listeners, or all of them.
pub(super) fn states<'a>(
    balancer: &'a LoadBalancer,
    observed: &'a Observed,
) -> impl Iterator<Item = (u16, Option<&'a ListenerState>)> {
    balancer.listeners.iter().map(|listener| {
        let key = ListenerKey { load_balancer: balancer.id.clone(), port: listener.port };
        (listener.port, observed.listeners.get(&key))
    })
}

/// Whether a load balancer can be reached.
pub(super) fn is_open(plan: &Plan, id: &LoadBalancerId, observed: &Observed) -> bool {
    let balancer = plan.load_balancer(id);
    balancer.is_some_and(|balancer| {
        states(balancer, observed).any(|(_, state)| state == Some(&ListenerState::Open))
    })
}

/// The status of every Ingress and Service that has a load balancer, or had one.
pub(super) fn statuses(objects: &Objects, plan: &Plan, observed: &Observed) -> Vec<(ObjectRef, Value)> {
    let reachable = plan.load_balancers.iter().filter(|balancer| is_open(plan, &balancer.id, observed));
    let shown =
        reachable.flat_map(|balancer| shown_by(balancer).into_iter().map(move |object| (object, balancer)));
    let mut statuses: Vec<(ObjectRef, Value)> = shown
        .map(|(object, balancer)| (object, json!({"loadBalancer": {"ingress": addresses(balancer)}})))
        .collect();
    let has_address: BTreeSet<ObjectRef> = statuses.iter().map(|(object, _)| object.clone()).collect();
    let others = objects.of_kind("Ingress").chain(objects.of_kind("Service"));
    let had = others.filter(|object| object.value["status"]["loadBalancer"]["ingress"].is_array());
    let lost = had.map(|object| object.reference()).filter(|object| !has_address.contains(object));
    statuses.extend(lost.map(|object| (object, json!({"loadBalancer": {}}))));
    statuses
}

/// The address of a load balancer, and that of the one in front of it.
fn addresses(balancer: &LoadBalancer) -> Value {
    let own = balancer.listeners.iter().filter_map(|listener| Some((listener, listener.addresses.first()?)));
    let front = balancer.frontend.as_ref().and_then(|frontend| frontend.address);
    let in_front = front.map(|front| {
        let at_front = |listener: &'_ plan::Listener| {
            listener.addresses.iter().find(|address| address.ip() == front).copied()
        };
        let bound = balancer.listeners.iter().filter_map(|listener| Some((listener, at_front(listener)?)));
        address(&bound.collect::<Vec<_>>())
    });
    let own = address(&own.map(|(listener, address)| (listener, *address)).collect::<Vec<_>>());
    std::iter::once(own).chain(in_front).collect()
}

/// `hostname` is the literal address, too: names under `localhost` do not resolve everywhere, addresses do.
fn address(bound: &[(&plan::Listener, SocketAddr)]) -> Value {
    let ports = bound.iter().map(|(listener, address)| {
        let protocol = if listener.protocol == Protocol::Udp { "UDP" } else { "TCP" };
        json!({"port": address.port(), "protocol": protocol})
    });
    let ip = bound.first().map(|(_, address)| address.ip().to_string());
    json!({"ip": ip, "hostname": ip, "ports": ports.collect::<Value>()})
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use plan::{Listener, LoadBalancerKind};

    /// A network load balancer with these ports.
    pub(in crate::control) fn balancer(id: &LoadBalancerId, ports: &[u16]) -> LoadBalancer {
        LoadBalancer {
            sources: id.object().into_iter().collect(),
            listeners: ports.iter().map(|port| Listener::new(*port, Protocol::Tcp)).collect(),
            ..LoadBalancer::new(id.clone(), LoadBalancerKind::Network, "k8s")
        }
    }

    /// A plan of one load balancer at an address.
    pub(in crate::control) fn plan(id: &LoadBalancerId, ports: &[u16]) -> Plan {
        let mut balancer = balancer(id, ports);
        for listener in &mut balancer.listeners {
            listener.addresses = vec![format!("127.77.0.2:{}", listener.port).parse().unwrap()];
        }
        Plan { load_balancers: vec![balancer], ..Plan::default() }
    }

    pub(in crate::control) fn observed(id: &LoadBalancerId, states: &[(u16, ListenerState)]) -> Observed {
        let key = |port: u16| ListenerKey { load_balancer: id.clone(), port };
        let listeners = states.iter().map(|(port, state)| (key(*port), state.clone())).collect();
        Observed { listeners, ..Observed::default() }
    }

    #[test]
    fn acc_s0_35_the_hostname_is_an_address_that_resolves_everywhere() {
        let id = LoadBalancerId::service("mlops", "api");
        let plan = plan(&id, &[80, 443]);
        let observed = observed(&id, &[(80, ListenerState::Open)]);
        let statuses = statuses(&Objects::default(), &plan, &observed);
        assert_eq!(statuses[0].0, ObjectRef::new("Service", "mlops", "api"));
        assert_eq!(
            statuses[0].1["loadBalancer"]["ingress"],
            json!([{"ip": "127.77.0.2", "hostname": "127.77.0.2",
                "ports": [{"port": 80, "protocol": "TCP"}, {"port": 443, "protocol": "TCP"}]}])
        );
    }

    #[test]
    fn acc_s0_23_nobody_shows_an_address_at_which_nothing_answers() {
        let id = LoadBalancerId::service("mlops", "api");
        let plan = plan(&id, &[80]);
        assert!(statuses(&Objects::default(), &plan, &Observed::default()).is_empty());
        let failed = [(80, ListenerState::Failed("nginx has the port".to_owned()))];
        assert!(statuses(&Objects::default(), &plan, &observed(&id, &failed)).is_empty());
    }

    #[test]
    fn who_lost_its_load_balancer_shows_none() {
        let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api", "namespace": "mlops"},
            "status": {"loadBalancer": {"ingress": [{"ip": "127.77.0.2"}]}}});
        let objects: Objects = [manifest::Object::from_value(value).unwrap()].into_iter().collect();
        let statuses = statuses(&objects, &Plan::default(), &Observed::default());
        assert_eq!(statuses, [(ObjectRef::new("Service", "mlops", "api"), json!({"loadBalancer": {}}))]);
    }

    #[test]
    fn acc_s0_22_the_gateway_is_shown_by_its_service() {
        let mut balancer = balancer(&LoadBalancerId::gateway("knative-serving", "kourier"), &[80]);
        balancer.sources = vec![ObjectRef::new("InferenceService", "staging", "iris")];
        assert_eq!(shown_by(&balancer), [ObjectRef::new("Service", "knative-serving", "kourier")]);
    }
}
