//! `forebay.dev/redirect-status` of an Ingress: the status that its redirects have here, where an ALB has 301 and 302 only.

use std::collections::BTreeSet;
use std::sync::Arc;

use plan::{Action, Handling, LoadBalancer, ObjectRef};

use super::here::Here;
use crate::{Finding, Severity, codes};

const KEY: &str = "forebay.dev/redirect-status";

/// Has redirects the status that is asked for. Where there is none to have it, that is told.
pub(super) fn set_status(load_balancer: &mut LoadBalancer, here: &Here<'_>, findings: &mut Vec<Finding>) {
    let mut used: BTreeSet<*const Handling> = BTreeSet::new();
    for listener in &mut load_balancer.listeners {
        let default = listener.default_action.as_mut().zip(listener.default_handling.as_ref());
        let status = |handling: &Arc<Handling>| Some((handling.redirect_status?, Arc::as_ptr(handling)));
        let rules = listener.rules.iter_mut().filter(|rule| matches!(rule.action, Action::Redirect(_)));
        let rules = rules.filter_map(|rule| {
            let status = status(rule.handling.as_ref()?)?;
            Some((&mut Arc::make_mut(rule).action, status))
        });
        let default = default.and_then(|(action, handling)| Some((action, status(handling)?)));
        for (action, (status, handling)) in rules.chain(default) {
            if let Action::Redirect(redirect) = action {
                redirect.status = status;
                used.insert(handling);
            }
        }
    }
    let rules = load_balancer.listeners.iter().flat_map(|listener| &listener.rules);
    let in_vain = rules.filter_map(|rule| {
        let handling = rule.handling.as_ref().filter(|handling| handling.redirect_status.is_some())?;
        let source = rule.source.as_ref().filter(|_| !used.contains(&Arc::as_ptr(handling)))?;
        Some(&source.object)
    });
    let in_vain: BTreeSet<&ObjectRef> = in_vain.collect();
    for object in
        in_vain.into_iter().filter_map(|it| here.world.objects.get(&it.kind, &it.namespace, &it.name))
    {
        let finding =
            Finding::new(&codes::ANNOTATION_NO_EFFECT, "redirect-status: nothing of it is a redirect");
        findings.push(finding.at_annotation(object, KEY).with_severity(Severity::Warning));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::fixture::{compiled, rules_to_web, web};

    /// The statuses of the redirects of an Ingress with this annotation and `ssl-redirect` or without, and what is
    /// said of it.
    fn statuses(status: &str, redirects: bool) -> (Vec<u16>, Vec<&'static str>) {
        let mut spec = rules_to_web(&["a.example"]);
        let mut annotations = format!(
            r#"{KEY}: "{status}"
alb.ingress.kubernetes.io/listen-ports: '[{{"HTTP":80}},{{"HTTPS":443}}]'
alb.ingress.kubernetes.io/create-acm-cert: 'true'
alb.ingress.kubernetes.io/actions.moved: '{{"type":"redirect","redirectConfig":{{"host":"b.example","statusCode":"HTTP_302"}}}}'
"#
        );
        if redirects {
            annotations += "alb.ingress.kubernetes.io/ssl-redirect: '443'";
            spec = spec
                .replace("{name: web, port: {number: 80}}", "{name: moved, port: {name: use-annotation}}");
        }
        let compiled = compiled(&web(&annotations, &spec));
        let status = |action: &Action| match action {
            Action::Redirect(redirect) => Some(redirect.status),
            _ => None,
        };
        let listeners = compiled.plan.load_balancers.iter().flat_map(|it| &it.listeners);
        let actions =
            listeners.flat_map(|it| it.default_action.iter().chain(it.rules.iter().map(|rule| &rule.action)));
        let all = compiled.findings.iter().chain(&compiled.findings_here);
        let about = all.filter(|finding| finding.message.starts_with("redirect-status"));
        (actions.filter_map(status).collect(), about.map(|finding| finding.code).collect())
    }

    #[test]
    fn redirects_have_the_status_that_is_asked_for_and_on_aws_their_own() {
        assert_eq!(statuses("308", true), (vec![308, 308], vec!["ours-only"]));
        assert_eq!(statuses("307", true), (vec![307, 307], vec!["ours-only"]));
        assert_eq!(statuses("308", false), (vec![], vec!["ours-only", "annotation-no-effect"]));
        assert_eq!(statuses("303", true), (vec![], vec!["annotation-invalid"]));
    }
}
