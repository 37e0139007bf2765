//! Ways in, and ways that are closed.

use manifest::Object;
use serde_json::{Value, json};

use super::service::load_balancer_addresses;
use super::{AGE, Column, NAME, NONE, column, items, selector, text_or};

pub(super) const INGRESS: &[Column] = &[
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

pub(super) const INGRESS_CLASS: &[Column] = &[
    NAME,
    column("Controller", |class, _| json!(text_or(&class.value["spec"]["controller"], ""))),
    column("Parameters", |class, _| json!(parameters(&class.value["spec"]["parameters"]))),
    AGE,
];

pub(super) const NETWORK_POLICY: &[Column] =
    &[NAME, column("Pod-Selector", |policy, _| selector(&policy.value["spec"]["podSelector"])), AGE];

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
