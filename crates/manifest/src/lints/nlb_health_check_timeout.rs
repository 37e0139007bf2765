//! A health check timeout at a Network Load Balancer, which older AWS controllers do not pass on.

use super::{Context, aws};
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (backend, _) in context.network() {
        if let Some((key, text)) = aws(&backend.object, "healthcheck-timeout") {
            let message = format!(
                "healthcheck-timeout {text} is followed; older AWS controllers keep 10 s for TCP and 6 s for HTTP"
            );
            findings.push(
                Finding::new(&codes::HEALTHCHECK_TIMEOUT_FIXED, message).at_annotation(&backend.object, &key),
            );
        }
    }
}
