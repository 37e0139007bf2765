//! Port 443 without TLS.

use plan::Protocol;

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (backend, load_balancer) in context.network() {
        for listener in
            load_balancer.listeners.iter().filter(|it| it.port == 443 && it.protocol == Protocol::Tcp)
        {
            let index =
                backend.spec.ports.iter().position(|port| port.port == listener.port).unwrap_or_default();
            let port = &backend.spec.ports[index];
            // A pod that takes port 443 itself ends TLS itself.
            if matches!(port.target_number(), Some(443 | 8443)) {
                continue;
            }
            let message =
                "port 443 is plain TCP: nothing ends TLS here, and clients of https:// get no answer";
            let finding = Finding::new(&codes::NLB_443_PLAINTEXT, message);
            let finding = finding.at(&backend.object, &format!("spec.ports[{index}].port"));
            findings.push(finding.suggest("service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:…"));
        }
    }
}
