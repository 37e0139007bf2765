//! A health check that may take as long as the time between two, which the ELB API refuses for an Application Load Balancer.

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (object, load_balancer) in context.ingresses() {
        let mut checks = load_balancer.target_groups.iter().map(|it| &it.health_check);
        let Some(check) = checks.find(|check| check.timeout >= check.interval) else { continue };
        let (timeout, interval) = (check.timeout.as_secs(), check.interval.as_secs());
        let message = format!(
            "a check may take {timeout} s, and the next one comes after {interval} s: AWS would refuse it"
        );
        let finding = Finding::new(&codes::HEALTHCHECK_TIMEOUT, message).on(object);
        let shorter = interval.saturating_sub(1).clamp(2, 5);
        findings.push(
            finding.suggest(format!("alb.ingress.kubernetes.io/healthcheck-timeout-seconds: '{shorter}'")),
        );
    }
}
