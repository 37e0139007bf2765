//! An access log of a Network Load Balancer without TLS: AWS writes TLS connections only.

use plan::Protocol;

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (backend, load_balancer) in context.network() {
        let has_tls = load_balancer.listeners.iter().any(|listener| listener.protocol == Protocol::Tls);
        if load_balancer.attributes.is_on("access_logs.s3.enabled") && !has_tls {
            let message =
                "the access log stays empty on AWS: it holds TLS connections, and no listener ends TLS";
            findings.push(Finding::new(&codes::NLB_ACCESS_LOG_WITHOUT_TLS, message).on(&backend.object));
        }
    }
}
