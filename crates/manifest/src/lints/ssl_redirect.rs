//! A redirect to HTTPS where nothing listens for HTTP: certificates alone make HTTPS the only listener.

use plan::Protocol;

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let key = "alb.ingress.kubernetes.io/ssl-redirect";
    for (object, load_balancer) in context.ingresses() {
        let Some(port) = object.annotation(key) else { continue };
        if load_balancer.listeners.iter().all(|listener| listener.protocol != Protocol::Http) {
            let message = format!(
                "ssl-redirect is {port} but the load balancer has no HTTP listener: port 80 refuses connections"
            );
            let finding = Finding::new(&codes::SSL_REDIRECT_WITHOUT_HTTP, message).at_annotation(object, key);
            let listeners = format!("[{{\"HTTP\":80}},{{\"HTTPS\":{port}}}]");
            findings.push(finding.suggest(format!("alb.ingress.kubernetes.io/listen-ports: '{listeners}'")));
        }
    }
}
