//! A health check port by number with instance targets: AWS asks the node there, not the pod.

use plan::{HealthCheckPort, LoadBalancer, TargetType};

use super::{Context, aws};
use crate::{Finding, Object, codes};

const INGRESS_KEY: &str = "alb.ingress.kubernetes.io/healthcheck-port";

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (object, load_balancer) in context.ingresses() {
        let text = object.annotation(INGRESS_KEY);
        findings.extend(finding(load_balancer, object, INGRESS_KEY, text));
    }
    for (backend, load_balancer) in context.network() {
        if let Some((key, text)) = aws(&backend.object, "healthcheck-port") {
            findings.extend(finding(load_balancer, &backend.object, &key, Some(text)));
        }
    }
}

fn finding(load_balancer: &LoadBalancer, object: &Object, key: &str, text: Option<&str>) -> Option<Finding> {
    let number: u16 = text?.trim().parse().ok()?;
    load_balancer.target_groups.iter().find(|it| {
        it.target_type == TargetType::Instance && it.health_check.port == HealthCheckPort::Port(number)
    })?;
    let message = format!(
        "healthcheck-port: with targets of type instance AWS asks port {number} of the node, not of the pod"
    );
    let finding = Finding::new(&codes::HEALTHCHECK_PORT_INSTANCE, message).at_annotation(object, key);
    Some(finding.suggest("target type ip, or the port `traffic-port`"))
}
