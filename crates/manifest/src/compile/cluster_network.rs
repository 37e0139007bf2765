//! What answers at the address that a Service has within the cluster, and at its node ports on this machine: connections and
//! datagrams are passed to its ready endpoints, one after the other, as kube-proxy does it.
//!
//! An address that is not a loopback address is nowhere on this machine; nothing is made of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use plan::attributes::{self as keys, Scope};
use plan::{
    Action, Attributes, HealthCheck, HealthCheckPort, Listener, LoadBalancer, LoadBalancerId,
    LoadBalancerKind, Matcher, Protocol, ServicePort as PlanPort, ServicePortName, TargetGroup,
};

use super::names;
use super::world::{Backend, World};
use crate::kinds::service::{ServicePort, ServiceType, TransportProtocol};

/// All that answers for Services.
pub(super) fn all(world: &World<'_>) -> Vec<LoadBalancer> {
    let backends = world.services.values();
    backends.flat_map(|backend| [false, true].map(|is_udp| of(backend, is_udp, world))).flatten().collect()
}

/// What answers for the ports of one Service that carry connections, or datagrams.
fn of(backend: &Backend, is_udp: bool, world: &World<'_>) -> Option<LoadBalancer> {
    let spec = &backend.spec;
    if spec.service_type == ServiceType::ExternalName {
        return None;
    }
    let (namespace, name) = (&backend.object.namespace, &backend.object.name);
    let id = LoadBalancerId::Cluster { namespace: namespace.clone(), name: name.clone(), is_udp };
    let generated = names::generated(namespace, name, &[&id.to_string()]);
    let mut balancer = LoadBalancer {
        name_generated: true,
        sources: vec![backend.object.reference()],
        ..LoadBalancer::new(id, LoadBalancerKind::Network, &generated)
    };
    let carried = if is_udp { TransportProtocol::Udp } else { TransportProtocol::Tcp };
    for port in spec.ports.iter().filter(|port| port.protocol == carried) {
        let addresses = addresses(backend, port, world);
        if addresses.is_empty() {
            continue;
        }
        let protocol = if is_udp { Protocol::Udp } else { Protocol::Tcp };
        let group = balancer.target_groups.add(target_group(backend, port, protocol, world));
        let mut listener = Listener::new(port.port, protocol);
        listener.addresses = addresses;
        listener.default_action = Some(Action::forward_to(group));
        balancer.listeners.push(listener);
    }
    balancer.listeners.sort_by_key(|listener| listener.port);
    (!balancer.listeners.is_empty()).then_some(balancer)
}

/// Where a port of a Service is reached.
fn addresses(backend: &Backend, port: &ServicePort, world: &World<'_>) -> Vec<SocketAddr> {
    let (spec, object) = (&backend.spec, &backend.object);
    // What follows from an InferenceService has its address only where it is kept.
    let kept = world.objects.get("Service", &object.namespace, &object.name).unwrap_or(object);
    let address = kept.value["spec"]["clusterIP"].as_str();
    let address: Option<IpAddr> = address.and_then(|address| address.parse().ok());
    let within = address.filter(IpAddr::is_loopback).map(|address| SocketAddr::new(address, port.port));
    let is_outside = [ServiceType::NodePort, ServiceType::LoadBalancer].contains(&spec.service_type);
    let at_node = (is_outside && port.node_port > 0)
        .then(|| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.node_port));
    within.into_iter().chain(at_node).collect()
}

fn target_group(backend: &Backend, port: &ServicePort, protocol: Protocol, world: &World<'_>) -> TargetGroup {
    let (namespace, name) = (&backend.object.namespace, &backend.object.name);
    let key = format!("{namespace}/{name}:{}", port.port);
    let service = PlanPort::new(namespace, name, ServicePortName::Number(port.port));
    let mut attributes = Attributes::new(Scope::NetworkTargetGroup);
    if backend.object.value["spec"]["sessionAffinity"] == "ClientIP" {
        attributes.set_default(keys::STICKINESS, "true");
        attributes.set_default(keys::STICKINESS_TYPE, "source_ip");
    }
    TargetGroup {
        port: port.target_number().unwrap_or(1),
        name: names::generated(namespace, name, &[&key, protocol.as_str()]),
        name_generated: true,
        targets: world.targets(backend, port),
        origin: world.origin(backend),
        attributes,
        ..TargetGroup::new(&key, service, protocol, check())
    }
}

/// Endpoints are ready as their probes say. That they are asked besides is to notice one that has gone without a word.
fn check() -> HealthCheck {
    HealthCheck {
        protocol: Protocol::Tcp,
        port: HealthCheckPort::TrafficPort,
        path: None,
        interval: Duration::from_secs(300),
        timeout: Duration::from_secs(10),
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        matcher: Matcher::Connection,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::{Defaults, Object, Objects, compile};
    use serde_json::{Value, json};

    fn told(spec: &Value) -> String {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec});
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "a-0", "labels": {"kubernetes.io/service-name": "a"}}, "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080}],
            "endpoints": [{"addresses": ["127.78.0.1"], "conditions": {"ready": true}},
                {"addresses": ["127.78.0.2"], "conditions": {"ready": false}}]});
        let objects: Objects =
            [service, slice].map(|value| Object::from_value(value).unwrap()).into_iter().collect();
        let compiled = compile(&objects, &Defaults::default());
        assert!(compiled.plan.load_balancers.is_empty(), "it is told of nowhere else");
        let lines = compiled.plan.services.iter().flat_map(|balancer| {
            balancer.listeners.iter().zip(&balancer.target_groups).map(|(listener, group)| {
                let addresses: Vec<String> = listener.addresses.iter().map(ToString::to_string).collect();
                let targets: Vec<String> =
                    group.targets.iter().map(|it| format!("{}:{}", it.address, it.port)).collect();
                format!("{} {} -> {}", listener.protocol.as_str(), addresses.join(" "), targets.join(" "))
            })
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn services_answer_at_their_address_and_at_their_node_ports() {
        let ports = json!([{"port": 80, "targetPort": 8080, "nodePort": 30080}]);
        expect!["TCP 127.96.0.2:80 127.0.0.1:30080 -> 127.78.0.1:8080"]
            .assert_eq(&told(&json!({"type": "NodePort", "clusterIP": "127.96.0.2", "ports": ports})));
        expect!["TCP 127.96.0.2:80 -> 127.78.0.1:8080"]
            .assert_eq(&told(&json!({"clusterIP": "127.96.0.2", "ports": ports})));
        expect!["TCP 127.96.0.2:80 -> 127.78.0.1:8080 127.78.0.2:8080"].assert_eq(&told(
            &json!({"clusterIP": "127.96.0.2", "ports": ports, "publishNotReadyAddresses": true}),
        ));
        let datagrams = json!([{"port": 53, "protocol": "UDP", "targetPort": 8080}]);
        expect!["UDP 127.96.0.2:53 -> 127.78.0.1:8080"]
            .assert_eq(&told(&json!({"clusterIP": "127.96.0.2", "ports": datagrams})));
    }

    #[test]
    fn what_follows_from_an_inference_service_answers_where_it_is_kept() {
        let model = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": "iris", "namespace": "staging"},
            "spec": {"predictor": {"model":
                {"modelFormat": {"name": "sklearn"}, "storageUri": "file:///srv/models/iris"}}}});
        let kept = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "iris-predictor", "namespace": "staging"},
            "spec": {"clusterIP": "127.96.0.7", "ports": [{"port": 80}]}});
        let objects: Objects =
            [model, kept].map(|value| Object::from_value(value).unwrap()).into_iter().collect();
        let services = compile(&objects, &Defaults::default()).plan.services;
        let listeners = services.iter().flat_map(|balancer| &balancer.listeners);
        let addresses: Vec<String> =
            listeners.flat_map(|listener| &listener.addresses).map(ToString::to_string).collect();
        assert_eq!(addresses, ["127.96.0.7:80"]);
    }

    #[test]
    fn what_has_no_address_on_this_machine_answers_nowhere() {
        let ports = json!([{"port": 80}]);
        expect![""].assert_eq(&told(&json!({"clusterIP": "10.96.0.2", "ports": ports})));
        expect![""].assert_eq(&told(&json!({"clusterIP": "None", "ports": ports})));
        expect![""].assert_eq(&told(&json!({"type": "ExternalName", "externalName": "example.com"})));
        expect![""].assert_eq(&told(&json!({"ports": ports})));
    }
}
