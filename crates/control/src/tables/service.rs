//! Services, and what is behind them.

use std::collections::BTreeSet;

use manifest::Object;
use serde_json::{Value, json};

use super::{AGE, Column, NAME, NONE, column, items, joined, labels, number, text_or, wide};

pub(super) const SERVICE: &[Column] = &[
    NAME,
    column("Type", |service, _| json!(kind(service))),
    column("Cluster-IP", |service, _| json!(text_or(&service.value["spec"]["clusterIP"], NONE))),
    column("External-IP", |service, _| external_ip(service)),
    column("Port(s)", |service, _| joined(items(&service.value["spec"]["ports"]).map(port))),
    AGE,
    wide("Selector", |service, _| labels(&service.value["spec"]["selector"])),
];

pub(super) const ENDPOINTS: &[Column] =
    &[NAME, column("Endpoints", |endpoints, _| endpoint_list(endpoints)), AGE];

pub(super) const ENDPOINT_SLICE: &[Column] = &[
    NAME,
    column("AddressType", |slice, _| json!(text_or(&slice.value["addressType"], ""))),
    column("Ports", |slice, _| {
        unset_or_some(items(&slice.value["ports"]).map(|port| number(&port["port"]).to_string()))
    }),
    column("Endpoints", |slice, _| {
        let addresses = items(&slice.value["endpoints"]).flat_map(|endpoint| items(&endpoint["addresses"]));
        unset_or_some(addresses.map(|address| text_or(address, "").to_owned()))
    }),
    AGE,
];

/// How many ports or addresses are written out before the rest is counted.
const SHOWN: usize = 3;

fn kind(service: &Object) -> &str {
    text_or(&service.value["spec"]["type"], "ClusterIP")
}

fn external_ip(service: &Object) -> Value {
    let spec = &service.value["spec"];
    let external = items(&spec["externalIPs"]).filter_map(Value::as_str);
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
    items(&load_balancer["ingress"]).filter_map(address).collect()
}

/// `80/TCP`, or `80:31626/TCP`.
fn port(port: &Value) -> String {
    let protocol = text_or(&port["protocol"], "TCP");
    match number(&port["nodePort"]) {
        0 => format!("{}/{protocol}", number(&port["port"])),
        node_port => format!("{}:{node_port}/{protocol}", number(&port["port"])),
    }
}

/// `127.78.0.1:8080,127.78.0.2:8080 + 2 more...`
fn endpoint_list(endpoints: &Object) -> Value {
    let all: Vec<String> = items(&endpoints.value["subsets"])
        .flat_map(|subset| {
            let ports = items(&subset["ports"]).map(|port| number(&port["port"]));
            ports.flat_map(|port| items(&subset["addresses"]).map(move |address| (address, port)))
        })
        .map(|(address, port)| format!("{}:{port}", text_or(&address["ip"], "")))
        .collect();
    shortened(&all).unwrap_or_else(|| json!(NONE))
}

/// As endpoint slices have it: `<unset>` for nothing.
fn unset_or_some(texts: impl Iterator<Item = String>) -> Value {
    shortened(&texts.collect::<Vec<_>>()).unwrap_or_else(|| json!("<unset>"))
}

fn shortened(all: &[String]) -> Option<Value> {
    match all.len() {
        0 => None,
        n @ 1..=SHOWN => Some(json!(all[..n].join(","))),
        n => Some(json!(format!("{} + {} more...", all[..SHOWN].join(","), n - SHOWN))),
    }
}
