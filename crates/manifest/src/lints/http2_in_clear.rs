//! Targets of HTTP/2 behind a listener without TLS: on AWS such a listener speaks HTTP/1.1 only, which cannot ask them.

use plan::{Action, Listener, LoadBalancer, Protocol, TargetGroup, TargetGroupRef};

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let key = "alb.ingress.kubernetes.io/backend-protocol-version";
    for (object, load_balancer) in context.ingresses() {
        if !load_balancer.target_groups.iter().any(speaks_http2) {
            continue;
        }
        let in_clear = load_balancer.listeners.iter().filter(|listener| listener.protocol == Protocol::Http);
        let Some(listener) = in_clear.into_iter().find(|listener| asks_in_http2(listener, load_balancer))
        else {
            continue;
        };
        let message = format!(
            "its targets speak HTTP/2, and the listener of port {} has no TLS: on AWS all that comes there is HTTP/1.1 and gets \
             464. Here clients that speak HTTP/2 from their first byte are served",
            listener.port
        );
        let finding = Finding::new(&codes::HTTP2_IN_CLEAR, message).on(object);
        let finding =
            if object.annotation(key).is_some() { finding.at_annotation(object, key) } else { finding };
        findings.push(finding.suggest("alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\":443}]'"));
    }
}

/// Whether a listener leads to targets that speak HTTP/2.
fn asks_in_http2(listener: &Listener, load_balancer: &LoadBalancer) -> bool {
    let leads_there = |target_group: &TargetGroupRef| match target_group {
        TargetGroupRef::Group(id) => load_balancer.target_groups.get(*id).is_some_and(speaks_http2),
        TargetGroupRef::Arn(_) | TargetGroupRef::Name(_) => false,
    };
    let actions = listener.rules.iter().map(|rule| &rule.action).chain(&listener.default_action);
    actions.into_iter().any(|action| match action {
        Action::Forward(forward) => forward.targets.iter().any(|target| leads_there(&target.target_group)),
        Action::Redirect(_) | Action::FixedResponse(_) => false,
    })
}

fn speaks_http2(target_group: &TargetGroup) -> bool {
    target_group.protocol_version.is_some_and(plan::ProtocolVersion::is_http2)
}
