//! A health check path at a Network Load Balancer without the protocol: AWS then only makes a connection.

use plan::Protocol;

use super::{Context, aws};
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for (backend, load_balancer) in context.network() {
        let object = &backend.object;
        let Some((key, path)) = aws(object, "healthcheck-path") else { continue };
        let is_asked = load_balancer.target_groups.iter().any(|it| it.health_check.protocol != Protocol::Tcp);
        let protocol = aws(object, "healthcheck-protocol").map(|(_, text)| text.to_ascii_lowercase());
        let is_local = backend.spec.external_traffic_policy.as_deref() == Some("Local");
        let message = match protocol.as_deref() {
            Some("tcp") => format!("healthcheck-path `{path}` is not asked for: the protocol is TCP"),
            Some(_) => continue,
            None if is_asked && is_local && context.world.defaults.strict_aws => continue,
            None if is_asked => {
                format!("healthcheck-path `{path}` is asked for here; AWS would only make a connection")
            }
            None => {
                format!("healthcheck-path `{path}` is not asked for: without a protocol a connection is made")
            }
        };
        let finding = Finding::new(&codes::HEALTHCHECK_PATH_UNUSED, message).at_annotation(object, &key);
        findings
            .push(finding.suggest("service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: http"));
    }
}
