//! Certificates in `spec.tls` for a load balancer that does not speak TLS.

use plan::Protocol;

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (object, load_balancer) in context.ingresses() {
        let tls = object.value.pointer("/spec/tls").and_then(serde_json::Value::as_array);
        let has_https = load_balancer.listeners.iter().any(|listener| listener.protocol == Protocol::Https);
        if tls.is_some_and(|tls| !tls.is_empty()) && !has_https {
            let message = "spec.tls has no effect: the load balancer has no HTTPS listener";
            let finding = Finding::new(&codes::TLS_WITHOUT_HTTPS, message).at(object, "spec.tls");
            let listeners = "alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\":80},{\"HTTPS\":443}]'";
            findings.push(finding.suggest(listeners));
        }
    }
}
