//! Ingresses without a group: each is a load balancer of its own, and costs as much.

use plan::LoadBalancerId;

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let alone: Vec<_> =
        context.ingresses().filter(|(_, it)| matches!(it.id, LoadBalancerId::Ingress { .. })).collect();
    if let [_, (second, _), ..] = alone.as_slice() {
        let n_alone = alone.len();
        let message = format!(
            "{n_alone} Ingresses without group.name are {n_alone} load balancers, which AWS bills apart"
        );
        let finding = Finding::new(&codes::SEPARATE_LOAD_BALANCERS, message).on(second);
        findings.push(finding.suggest("alb.ingress.kubernetes.io/group.name: NAME, the same on all of them"));
    }
}
