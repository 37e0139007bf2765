//! Services get an address of the virtual service network, and node ports when they are reached from outside.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::ops::Range;

use manifest::{Object, Objects};
use serde_json::{Map, Value, json};

use super::{fields, items, set_missing};

/// The virtual service network, 10.96.0.0/12, without its first addresses (which clusters give to their own services).
/// Nothing listens there: a cluster IP is what people and tools expect to read.
const CLUSTER_IPS: Range<u32> = 0x0a60_0100..0x0a6f_ff00;
/// The node ports that Kubernetes gives out.
const NODE_PORTS: Range<u32> = 30000..32768;

pub(super) fn fill(object: &mut Object, old: Option<&Object>, all: &Objects) {
    let owner = (object.namespace.clone(), object.name.clone());
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
            let node_port = kept.unwrap_or_else(|| first_free(NODE_PORTS, &key, |n| taken.contains(&n)));
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
    let services = all.of_kind("Service").filter_map(|service| service.value["spec"]["clusterIP"].as_str());
    let taken: BTreeSet<u32> =
        services.filter_map(|address| Some(address.parse::<Ipv4Addr>().ok()?.to_bits())).collect();
    Ipv4Addr::from_bits(first_free(CLUSTER_IPS, owner, |address| taken.contains(&address))).to_string()
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
