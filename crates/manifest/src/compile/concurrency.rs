//! How many requests a target takes at a time: what an annotation of ours says, the InferenceService whose replicas the targets are
//! ("containerConcurrency", Knative's Service), or the ALBTargetControlConfig of their namespace. Beyond it requests wait for a while, unless AWS is followed exactly, whose load
//! balancers refuse them at once ("Target Optimizer", ALB user guide).

use std::num::NonZeroU32;

use plan::{Concurrency, Protocol};

use crate::annotations::MAX_CONCURRENCY;
use crate::{Finding, Object, Severity, codes};

/// As many as AWS takes for a target.
const MOST: u32 = 1000;

/// What the first of these objects that says it says of the targets, or else what is said of their replicas.
pub(super) fn of(
    objects: &[&Object],
    of_replicas: Option<NonZeroU32>,
    protocol: Protocol,
    strict_aws: bool,
    findings: &mut Vec<Finding>,
) -> Option<Concurrency> {
    let bounded = |most| Concurrency { most, waits: !strict_aws };
    let written = objects.iter().find_map(|object| Some((*object, object.annotation(MAX_CONCURRENCY)?)));
    let Some((object, text)) = written else { return of_replicas.map(bounded) };
    let mut push = |code, severity, message: String| {
        let finding = Finding::new(code, format!("max-concurrency: {message}"));
        findings.push(finding.at_annotation(object, MAX_CONCURRENCY).with_severity(severity));
    };
    if !protocol.is_http() {
        let message = "what passes through a Network Load Balancer are connections, not requests".to_owned();
        push(&codes::ANNOTATION_NO_EFFECT, Severity::Warning, message);
        return None;
    }
    let most = text.trim().parse().ok().filter(|most| (1..=MOST).contains(most)).and_then(NonZeroU32::new);
    match most {
        Some(_) => {
            push(&codes::OURS_ONLY, Severity::Info, "a load balancer of AWS does nothing of it".to_owned());
        }
        None => {
            let message = format!("`{text}` is not a number between 1 and {MOST}");
            push(&codes::ANNOTATION_INVALID, Severity::Error, message);
        }
    }
    most.map(bounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Defaults;
    use crate::compile::fixture::{TO_WEB, compiled, compiled_with, web};

    /// What a target group of an Ingress has whose annotation says this, and the findings about it.
    fn said(text: &str, strict_aws: bool) -> (Option<Concurrency>, Vec<String>) {
        let manifests = web(&format!("{MAX_CONCURRENCY}: '{text}'"), TO_WEB);
        let compiled = compiled_with(&manifests, &Defaults { strict_aws, ..Defaults::default() });
        let about = compiled.findings.iter().filter(|finding| finding.message.starts_with("max-concurrency"));
        let about = about.map(|finding| format!("{} {}", finding.code, finding.message)).collect();
        let group = compiled.plan.load_balancers.first().and_then(|balancer| balancer.target_groups.first());
        (group.and_then(|group| group.concurrency), about)
    }

    #[test]
    fn requests_beyond_it_wait_unless_aws_is_followed_exactly() {
        let most = NonZeroU32::new(4).unwrap();
        let ours = vec!["ours-only max-concurrency: a load balancer of AWS does nothing of it".to_owned()];
        assert_eq!(said("4", false), (Some(Concurrency { most, waits: true }), ours.clone()));
        assert_eq!(said("4", true), (Some(Concurrency { most, waits: false }), ours));
        for wrong in ["0", "1001", "many", ""] {
            let message =
                format!("annotation-invalid max-concurrency: `{wrong}` is not a number between 1 and 1000");
            assert_eq!(said(wrong, false).1, [message]);
        }
    }

    #[test]
    fn targets_with_a_control_port_take_what_the_config_of_their_namespace_says() {
        let most = |config: &str| {
            let port = "alb.ingress.kubernetes.io/target-control-port.web.80: '3000'";
            let compiled = compiled(&(web(port, TO_WEB) + config));
            let told = compiled
                .findings
                .iter()
                .any(|finding| finding.message.starts_with("target-control-port: no"));
            let group = &compiled.plan.load_balancers[0].target_groups[0];
            (group.concurrency.map(|concurrency| concurrency.most.get()), told)
        };
        let config = |spec: &str| {
            format!(
                "apiVersion: elbv2.k8s.aws/v1beta1\nkind: ALBTargetControlConfig\nmetadata: {{name: c}}\nspec: {spec}\n"
            )
        };
        assert_eq!(most(""), (None, true));
        assert_eq!(most(&config("{maxConcurrency: 8, image: agent}")), (Some(8), false));
        assert_eq!(most(&config("{}")), (Some(1), false));
        assert_eq!(most(&config("{maxConcurrency: 0}")), (None, false));
    }
}
