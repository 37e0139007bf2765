//! Certificates and other settings of TLS for a load balancer that does not speak it.

use super::{Context, aws};
use crate::{Finding, codes};

/// Annotations of Ingresses that say something of HTTPS listeners.
const OF_INGRESSES: [&str; 2] = ["certificate-arn", "ssl-policy"];
/// Annotations of Services that say something of TLS listeners, by the ends of their names.
const OF_SERVICES: [&str; 4] = ["ssl-cert", "ssl-ports", "ssl-negotiation-policy", "alpn-policy"];

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (object, load_balancer) in context.ingresses() {
        if load_balancer.listeners.iter().any(|listener| listener.protocol.is_tls()) {
            continue;
        }
        let say = |what: &str| {
            let message = format!("{what} has no effect: the load balancer has no HTTPS listener");
            let listeners = "alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\":80},{\"HTTPS\":443}]'";
            Finding::new(&codes::TLS_WITHOUT_HTTPS, message).suggest(listeners)
        };
        let tls = object.value.pointer("/spec/tls").and_then(serde_json::Value::as_array);
        if tls.is_some_and(|tls| !tls.is_empty()) {
            findings.push(say("spec.tls").at(object, "spec.tls"));
        }
        for name in OF_INGRESSES {
            let key = format!("alb.ingress.kubernetes.io/{name}");
            if object.annotation(&key).is_some() {
                findings.push(say(name).at_annotation(object, &key));
            }
        }
    }
    for (backend, load_balancer) in context.network() {
        if load_balancer.listeners.iter().any(|listener| listener.protocol.is_tls()) {
            continue;
        }
        let has_certificate = aws(&backend.object, "ssl-cert").is_some();
        let fix = match has_certificate {
            true => {
                "a port of the Service that carries TCP, among aws-load-balancer-ssl-ports where that is there"
            }
            false => "service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:…",
        };
        for name in OF_SERVICES {
            let Some((key, text)) = aws(&backend.object, name) else { continue };
            if text.trim() != "None" {
                let message =
                    format!("aws-load-balancer-{name} has no effect: the load balancer has no TLS listener");
                let finding = Finding::new(&codes::TLS_WITHOUT_HTTPS, message);
                findings.push(finding.at_annotation(&backend.object, &key).suggest(fix));
            }
        }
    }
}
