//! A backend protocol that a Network Load Balancer does not know: it is of the older Classic Load Balancer.

use super::{Context, aws};
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (backend, _) in context.network() {
        let Some((key, text)) = aws(&backend.object, "backend-protocol") else { continue };
        if !matches!(text.trim(), "ssl" | "tcp") {
            let message =
                format!("backend-protocol `{text}` means tcp: a Network Load Balancer knows ssl and tcp");
            findings.push(
                Finding::new(&codes::NLB_BACKEND_PROTOCOL, message).at_annotation(&backend.object, &key),
            );
        }
    }
}
