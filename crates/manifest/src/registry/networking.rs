//! Ways in, ways that are closed, and where Services lead.

use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, NONE, column, items, number, selector, text_or};
use super::service::{fill_load_balancer, load_balancer_addresses};
use super::{CORE, Effect, Kind, STATUS, Words, cluster, namespaced};
use crate::Object;
use crate::kinds::validation::{Rules, ingress};

const NETWORKING: &str = "networking.k8s.io";

pub(super) static ENDPOINTS: Kind = Kind {
    short_names: &["ep"],
    columns: ENDPOINTS_COLUMNS,
    rules: Rules { addresses: &["subsets[].addresses[].ip"], ..Rules::NONE },
    ..namespaced(CORE, "v1", "Endpoints", "endpoints")
};

pub(super) static ENDPOINT_SLICE: Kind = Kind {
    columns: ENDPOINT_SLICE_COLUMNS,
    rules: Rules { addresses: &["endpoints[].addresses[]"], ..Rules::NONE },
    ..namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
};

pub(super) static INGRESS: Kind = Kind {
    short_names: &["ing"],
    subresources: STATUS,
    columns: INGRESS_COLUMNS,
    fill: |ingress, _, _| fill_load_balancer(ingress),
    rules: Rules { doubts: ingress::check, ..Rules::NONE },
    ..namespaced(NETWORKING, "v1", "Ingress", "ingresses")
};

pub(super) static INGRESS_CLASS: Kind =
    Kind { columns: INGRESS_CLASS_COLUMNS, ..cluster(NETWORKING, "v1", "IngressClass", "ingressclasses") };

pub(super) static NETWORK_POLICY: Kind = Kind {
    short_names: &["netpol"],
    columns: NETWORK_POLICY_COLUMNS,
    effect: Effect::Unprotecting(Words {
        words: "connections between pods are not filtered on one machine, so nobody is kept from those it selects",
        advice: "keep the platform on loopback, or put a firewall in front of it",
    }),
    ..namespaced(NETWORKING, "v1", "NetworkPolicy", "networkpolicies")
};

const INGRESS_COLUMNS: &[Column] = &[
    NAME,
    column("Class", |ingress, _| json!(text_or(&ingress.value["spec"]["ingressClassName"], NONE))),
    column("Hosts", |ingress, _| json!(hosts(ingress))),
    column("Address", |ingress, _| {
        let addresses = load_balancer_addresses(&ingress.value["status"]["loadBalancer"]);
        json!(addresses.into_iter().collect::<Vec<_>>().join(","))
    }),
    column("Ports", |ingress, _| {
        let has_tls = items(&ingress.value["spec"]["tls"]).next().is_some();
        json!(if has_tls { "80, 443" } else { "80" })
    }),
    AGE,
];

const INGRESS_CLASS_COLUMNS: &[Column] = &[
    NAME,
    column("Controller", |class, _| json!(text_or(&class.value["spec"]["controller"], ""))),
    column("Parameters", |class, _| json!(parameters(&class.value["spec"]["parameters"]))),
    AGE,
];

const NETWORK_POLICY_COLUMNS: &[Column] =
    &[NAME, column("Pod-Selector", |policy, _| selector(&policy.value["spec"]["podSelector"])), AGE];

const ENDPOINTS_COLUMNS: &[Column] =
    &[NAME, column("Endpoints", |endpoints, _| endpoint_list(endpoints)), AGE];

const ENDPOINT_SLICE_COLUMNS: &[Column] = &[
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

/// The hosts of an Ingress: at most three, then how many rules more; `*` for none.
fn hosts(ingress: &Object) -> String {
    const SHOWN: usize = 3;
    let rules = &ingress.value["spec"]["rules"];
    let hosts: Vec<&str> =
        items(rules).filter_map(|rule| rule["host"].as_str()).filter(|host| !host.is_empty()).collect();
    match hosts.len() {
        0 => "*".to_owned(),
        1..=SHOWN => hosts.join(","),
        _ => format!("{} + {} more...", hosts[..SHOWN].join(","), items(rules).count() - SHOWN),
    }
}

/// `IngressClassParams.elbv2.k8s.aws/alb`
fn parameters(parameters: &Value) -> String {
    if !parameters.is_object() {
        return NONE.to_owned();
    }
    let part = |field: &str| text_or(&parameters[field], "");
    match part("apiGroup") {
        "" => format!("{}/{}", part("kind"), part("name")),
        group => format!("{}.{group}/{}", part("kind"), part("name")),
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
