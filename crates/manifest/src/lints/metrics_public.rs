//! Metrics that everybody can read.

use plan::{Action, Scheme, Subject};

use super::Context;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    let public = context.plan.load_balancers.iter().filter(|it| it.scheme == Scheme::InternetFacing);
    for rule in public.flat_map(|it| &it.listeners).flat_map(|listener| &listener.rules) {
        let mut paths = rule.patterns(&Subject::PATH_PATTERN);
        let leads_to_metrics = paths.any(|pattern| pattern.as_str() == "/metrics");
        let guards = |subject: &Subject| subject.is_http_header() || *subject == Subject::SOURCE_IP;
        let is_guarded = rule.conditions.iter().any(|condition| guards(&condition.subject));
        let Some(source) = &rule.source else { continue };
        if leads_to_metrics
            && !is_guarded
            && matches!(rule.action, Action::Forward(_))
            && let Some(object) = context.object(&source.object)
        {
            let message = "the metrics are public: everybody who reaches the load balancer can read them";
            let path = format!("spec.rules[{}].http.paths[{}].path", source.rule_index, source.path_index);
            findings.push(Finding::new(&codes::METRICS_PUBLIC, message).at(object, &path));
        }
    }
}
