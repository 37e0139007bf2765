//! The type `nlb`, which names the older controller inside Kubernetes.

use super::{Context, aws};
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (backend, _) in context.network() {
        let Some((key, text)) = aws(&backend.object, "type") else { continue };
        if text.trim() == "nlb" && backend.spec.load_balancer_class.is_none() {
            let message = "type `nlb` asks for the controller inside Kubernetes: the AWS controller takes `external`, or a Service with its class";
            let finding = Finding::new(&codes::NLB_CONTROLLER, message).at_annotation(&backend.object, &key);
            findings.push(finding.suggest("spec.loadBalancerClass: service.k8s.aws/nlb"));
        }
    }
}
