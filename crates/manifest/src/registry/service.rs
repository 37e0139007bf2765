//! Services: what is shown of them, and the address of the virtual service network, and the node ports when they are reached
//! from outside, that they get.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::ops::Range;

use serde_json::{Map, Value, json};

use super::columns::{AGE, Column, NAME, NONE, column, items as each, joined, labels, number, text_or, wide};
use super::fill::{fields, items, set_missing};
use super::{ALL, CORE, Kind, STATUS, fixed, namespaced};
use crate::kinds::validation::numbers::{Or, PORTS, number as bounded};
use crate::kinds::validation::{Rules, service};
use crate::{Object, Objects};

pub(super) static SERVICE: Kind = Kind {
    short_names: &["svc"],
    categories: ALL,
    subresources: STATUS,
    columns: COLUMNS,
    fields: &["spec.clusterIP", "spec.type"],
    fill,
    fixed: &[fixed("/spec/clusterIP", "spec.clusterIPs[0]", "may not change once set")],
    rules: Rules {
        numbers: &[
            bounded("spec.ports[].port", PORTS.0, PORTS.1),
            bounded("spec.ports[].targetPort", PORTS.0, PORTS.1).or(Or::Name),
            bounded("spec.ports[].nodePort", 0, PORTS.1),
            bounded("spec.healthCheckNodePort", 0, PORTS.1),
        ],
        doubts: service::check,
        ..Rules::NONE
    },
    ..namespaced(CORE, "v1", "Service", "services")
};

const COLUMNS: &[Column] = &[
    NAME,
    column("Type", |service, _| json!(kind(service))),
    column("Cluster-IP", |service, _| json!(text_or(&service.value["spec"]["clusterIP"], NONE))),
    column("External-IP", |service, _| external_ip(service)),
    column("Port(s)", |service, _| joined(each(&service.value["spec"]["ports"]).map(port))),
    AGE,
    wide("Selector", |service, _| labels(&service.value["spec"]["selector"])),
];

/// The network of Services where there is no cluster that has one: 10.96.0.0/12, without its first addresses. Nothing listens
/// there: a cluster IP is what people and tools expect to read.
const CLUSTER_IPS: Range<u32> = 0x0a60_0100..0x0a6f_ff00;
/// How many addresses the network of a platform has: it begins with that of its API, and is one of loopback addresses, which all
/// processes of this machine reach.
const NETWORK: u32 = 1 << 12;
/// The first of them are for the platform's own.
const RESERVED: u32 = 16;
/// The node ports that Kubernetes gives out.
const NODE_PORTS: Range<u32> = 30000..32768;

fn kind(service: &Object) -> &str {
    text_or(&service.value["spec"]["type"], "ClusterIP")
}

fn external_ip(service: &Object) -> Value {
    let spec = &service.value["spec"];
    let external = each(&spec["externalIPs"]).filter_map(Value::as_str);
    match kind(service) {
        "ExternalName" => json!(text_or(&spec["externalName"], "")),
        "LoadBalancer" => {
            let given = load_balancer_addresses(&service.value["status"]["loadBalancer"]);
            let all: Vec<&str> = given.into_iter().chain(external).collect();
            json!(if all.is_empty() { "<pending>".to_owned() } else { all.join(",") })
        }
        _ => joined(external),
    }
}

/// The addresses of a `status.loadBalancer`, each once, in order.
pub(super) fn load_balancer_addresses<'a>(load_balancer: &'a Value) -> BTreeSet<&'a str> {
    let address =
        |ingress: &'a Value| [&ingress["ip"], &ingress["hostname"]].into_iter().find_map(Value::as_str);
    each(&load_balancer["ingress"]).filter_map(address).collect()
}

/// `80/TCP`, or `80:31626/TCP`.
fn port(port: &Value) -> String {
    let protocol = text_or(&port["protocol"], "TCP");
    match number(&port["nodePort"]) {
        0 => format!("{}/{protocol}", number(&port["port"])),
        node_port => format!("{}:{node_port}/{protocol}", number(&port["port"])),
    }
}

/// The status of a Service or Ingress always has the field.
pub(super) fn fill_load_balancer(object: &mut Object) {
    if let Some(status) = object.value.as_object_mut().and_then(|object| fields(object, "status")) {
        set_missing(status, [("loadBalancer", json!({}))]);
    }
}

fn fill(object: &mut Object, old: Option<&Object>, all: &Objects) {
    let owner = (object.namespace.clone(), object.name.clone());
    fill_load_balancer(object);
    let Some(spec) = object.value.as_object_mut().and_then(|service| fields(service, "spec")) else { return };
    set_missing(spec, [("type", json!("ClusterIP")), ("sessionAffinity", json!("None"))]);
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if kind == "ExternalName" {
        return;
    }
    let old_spec = old.map_or(&Value::Null, |old| &old.value["spec"]);
    let cluster_ip = match &old_spec["clusterIP"] {
        Value::String(kept) => json!(kept),
        _ => json!(free_cluster_ip(&owner, all)),
    };
    set_missing(spec, [("clusterIP", cluster_ip)]);
    let cluster_ips = json!([spec["clusterIP"]]);
    set_missing(
        spec,
        [
            ("clusterIPs", cluster_ips),
            ("ipFamilies", json!(["IPv4"])),
            ("ipFamilyPolicy", json!("SingleStack")),
            ("internalTrafficPolicy", json!("Cluster")),
        ],
    );
    let is_outside = ["LoadBalancer", "NodePort"].contains(&kind.as_str());
    if is_outside {
        set_missing(spec, [("externalTrafficPolicy", json!("Cluster"))]);
    }
    if kind == "LoadBalancer" {
        set_missing(spec, [("allocateLoadBalancerNodePorts", json!(true))]);
    }
    let wants_node_ports = is_outside && spec.get("allocateLoadBalancerNodePorts") != Some(&json!(false));
    let mut taken = if wants_node_ports { node_ports(all, &owner) } else { BTreeSet::new() };
    for port in items(spec, "ports") {
        fill_port(port);
        if wants_node_ports && port.get("nodePort").and_then(Value::as_u64).unwrap_or(0) == 0 {
            let kept = old_port(old_spec, port).and_then(|old| old["nodePort"].as_u64()?.try_into().ok());
            let kept = kept.filter(|kept| !taken.contains(kept));
            let key = (&owner, port["port"].as_u64(), port["protocol"].as_str());
            let is_taken = |number| taken.contains(&number);
            let node_port = kept.unwrap_or_else(|| match network(all) {
                network if network == CLUSTER_IPS => first_free(NODE_PORTS, &key, is_taken),
                // Those of platforms beside each other on one machine are others.
                own => first_free(NODE_PORTS, &(key, own.start), is_taken),
            });
            taken.insert(node_port);
            port.insert("nodePort".to_owned(), json!(node_port));
        }
    }
}

fn fill_port(port: &mut Map<String, Value>) {
    let number = port.get("port").cloned().unwrap_or(json!(0));
    set_missing(port, [("port", json!(0)), ("protocol", json!("TCP")), ("targetPort", number)]);
}

fn old_port<'a>(old_spec: &'a Value, port: &Map<String, Value>) -> Option<&'a Value> {
    let ports = old_spec["ports"].as_array()?;
    ports.iter().find(|old| old["port"] == port["port"] && old["protocol"] == port["protocol"])
}

fn free_cluster_ip(owner: &(String, String), all: &Objects) -> String {
    let taken: BTreeSet<u32> = all.of_kind("Service").filter_map(|service| cluster_ip(service)).collect();
    Ipv4Addr::from_bits(first_free(network(all), owner, |address| taken.contains(&address))).to_string()
}

fn cluster_ip(service: &Object) -> Option<u32> {
    Some(service.value["spec"]["clusterIP"].as_str()?.parse::<Ipv4Addr>().ok()?.to_bits())
}

/// The addresses that Services get.
fn network(all: &Objects) -> Range<u32> {
    let api = all.get("Service", "default", "kubernetes").and_then(|service| cluster_ip(service));
    match api.filter(|address| Ipv4Addr::from_bits(*address).is_loopback()) {
        Some(address) => {
            let first = address & !(NETWORK - 1);
            first + RESERVED..first + NETWORK - 1
        }
        None => CLUSTER_IPS,
    }
}

fn node_ports(all: &Objects, except: &(String, String)) -> BTreeSet<u32> {
    let others = all
        .of_kind("Service")
        .filter(|service| (&service.namespace, &service.name) != (&except.0, &except.1));
    let ports = others.filter_map(|service| service.value["spec"]["ports"].as_array()).flatten();
    ports.filter_map(|port| port["nodePort"].as_u64()?.try_into().ok()).collect()
}

/// The first number from a place that depends on the key only, so that numbers are the same on every machine.
fn first_free(range: Range<u32>, key: &impl Hash, is_taken: impl Fn(u32) -> bool) -> u32 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let length = range.end - range.start;
    let start = u32::try_from(hasher.finish() % u64::from(length)).expect("less than a u32");
    let candidates = (0..length).map(|step| range.start + (start + step) % length);
    candidates.into_iter().find(|number| !is_taken(*number)).unwrap_or(range.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, spec: &Value) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "mlops"}, "spec": spec});
        Object::from_value(value).unwrap()
    }

    #[test]
    fn acc_s3_128_services_have_an_address_and_a_node_port() {
        let mut api = service("api", &json!({"type": "LoadBalancer", "ports": [{"port": 80}]}));
        fill(&mut api, None, &Objects::default());
        let spec = &api.value["spec"];
        let address: Ipv4Addr = spec["clusterIP"].as_str().unwrap().parse().unwrap();
        assert!(CLUSTER_IPS.contains(&address.to_bits()));
        assert!(NODE_PORTS.contains(&u32::try_from(spec["ports"][0]["nodePort"].as_u64().unwrap()).unwrap()));
        assert_eq!(spec["ports"][0]["targetPort"], 80);
        assert_eq!(spec["ports"][0]["protocol"], "TCP");

        let filled = api.clone();
        fill(&mut api, Some(&filled), &Objects::from_iter([filled.clone()]));
        assert_eq!(api, filled, "filling twice changes nothing");
        let mut again = service("api", &json!({"type": "LoadBalancer", "ports": [{"port": 80}]}));
        fill(&mut again, Some(&filled), &Objects::from_iter([filled.clone()]));
        assert_eq!(again.value["spec"], filled.value["spec"], "what was given out is kept");
    }

    #[test]
    fn two_services_never_share_a_number() {
        let mut all = Objects::default();
        let mut seen = BTreeSet::new();
        for n in 0..200 {
            let ports = json!([{"port": 80}, {"port": 443}, {"port": 80, "protocol": "UDP"}]);
            let mut next = service(&format!("s{n}"), &json!({"type": "NodePort", "ports": ports}));
            fill(&mut next, None, &all);
            for port in next.value["spec"]["ports"].as_array().unwrap() {
                assert!(seen.insert(port["nodePort"].to_string()), "{port} given out twice");
            }
            assert!(seen.insert(next.value["spec"]["clusterIP"].to_string()));
            all.insert(next);
        }
    }

    #[test]
    fn headless_and_external_services_get_nothing() {
        let mut headless = service("a", &json!({"clusterIP": "None"}));
        fill(&mut headless, None, &Objects::default());
        assert_eq!(headless.value["spec"]["clusterIPs"], json!(["None"]));
        let mut external = service("b", &json!({"type": "ExternalName", "externalName": "example.com"}));
        fill(&mut external, None, &Objects::default());
        assert_eq!(external.value["spec"].get("clusterIP"), None);
    }
}
