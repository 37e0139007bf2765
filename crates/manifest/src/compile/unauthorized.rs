//! `forebay.dev/unauthorized: "401"` on an Ingress: whoever comes to a rule that asks for a secret in a header, and has none that it
//! takes, is told so. An ALB has no rule for that, and says 404 or what its default action is.

use std::collections::BTreeSet;

use plan::{Action, Condition, FixedResponse, LoadBalancer, ObjectRef, Rule};

use super::here::Here;
use super::tokens::is_secret;
use crate::annotations::UNAUTHORIZED;
use crate::{Finding, Severity, codes};

/// Puts a rule with that answer behind all others, for each that asks for a secret.
pub(super) fn answer(load_balancer: &mut LoadBalancer, here: &Here<'_>, findings: &mut Vec<Finding>) {
    let chosen: BTreeSet<ObjectRef> =
        load_balancer.sources.iter().filter(|source| is_chosen(source, here, findings)).cloned().collect();
    if chosen.is_empty() {
        return;
    }
    let mut used = BTreeSet::new();
    for listener in &mut load_balancer.listeners {
        let mut behind: Vec<Rule> = Vec::new();
        for rule in &listener.rules {
            let Some(source) = rule.source.as_ref().filter(|it| chosen.contains(&it.object)) else {
                continue;
            };
            let asks = |condition: &Condition| condition.subject.name().is_some_and(is_secret);
            if !rule.conditions.iter().any(asks) {
                continue;
            }
            used.insert(source.object.clone());
            let mut conditions: Vec<Condition> =
                rule.conditions.iter().filter(|condition| !asks(condition)).cloned().collect();
            if conditions.is_empty() {
                conditions.push(Condition::paths(&["/*"]));
            }
            if !behind.iter().any(|other| other.conditions == conditions) {
                let (action, transforms) = (unauthorized(), Vec::new());
                behind.push(Rule { conditions, action, transforms, ..rule.clone() });
            }
        }
        listener.rules.extend(behind);
    }
    for object in chosen.difference(&used) {
        let message = "no rule of the Ingress asks for a secret in a header";
        findings.extend(finding(object, here, &codes::ANNOTATION_NO_EFFECT, Severity::Warning, message));
    }
}

fn unauthorized() -> Action {
    Action::FixedResponse(FixedResponse {
        status: 401,
        content_type: Some("text/plain".to_owned()),
        message_body: Some("a header that lets requests in is missing or wrong\n".to_owned()),
    })
}

/// Whether an object wants 401.
fn is_chosen(source: &ObjectRef, here: &Here<'_>, findings: &mut Vec<Finding>) -> bool {
    let object = here.world.objects.get(&source.kind, &source.namespace, &source.name);
    let Some(text) = object.and_then(|object| object.annotation(UNAUTHORIZED)) else { return false };
    let is_strict = here.world.defaults.strict_aws;
    let (code, severity, message) = match text.trim() {
        "404" => return false,
        "401" if is_strict => {
            (&codes::ANNOTATION_NO_EFFECT, Severity::Warning, "AWS is followed exactly".to_owned())
        }
        "401" => (&codes::OURS_ONLY, Severity::Info, "a load balancer of AWS does nothing of it".to_owned()),
        _ => (&codes::ANNOTATION_INVALID, Severity::Error, format!("`{text}` is not `401` or `404`")),
    };
    let is_taken = code == &codes::OURS_ONLY;
    findings.extend(finding(source, here, code, severity, &message));
    is_taken
}

fn finding(
    object: &ObjectRef,
    here: &Here<'_>,
    code: &'static crate::finding::Code,
    severity: Severity,
    message: &str,
) -> Option<Finding> {
    let object = here.world.objects.get(&object.kind, &object.namespace, &object.name)?;
    let finding = Finding::new(code, format!("unauthorized: {message}"));
    Some(finding.at_annotation(object, UNAUTHORIZED).with_severity(severity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Defaults, Objects, compile, read};

    #[test]
    fn acc_s2_32_who_has_no_token_is_told_so_where_that_is_chosen() {
        let routed = |chosen: &str, host: &str, token: &str| {
            let text = format!(
                r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    {UNAUTHORIZED}: "{chosen}"
    alb.ingress.kubernetes.io/conditions.web: '[{{"field":"http-header","httpHeaderConfig":{{"httpHeaderName":"x-api-key","values":["token1"]}}}}]'
spec: {{ingressClassName: alb, rules: [{{host: a.example, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{port: 80}}]}}
"#
            );
            let objects: Objects = read("f.yaml", &text).objects.into_iter().collect();
            let compiled = compile(&objects, &Defaults::default());
            let Some(balancer) = compiled.plan.load_balancers.first() else { return "refused".to_owned() };
            let fields = vec![("x-api-key".to_owned(), token.to_owned())];
            let url = format!("http://{host}/x");
            let head = plan::RequestHead { headers: &fields, ..plan::RequestHead::get(&url) };
            match plan::route(&balancer.listeners[0], &head).action {
                Some(Action::Forward(_)) => "forward".to_owned(),
                Some(Action::FixedResponse(fixed)) => fixed.status.to_string(),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(routed("401", "a.example", "token1"), "forward");
        assert_eq!(routed("401", "a.example", "token2"), "401");
        assert_eq!(routed("401", "b.example", "token1"), "None");
        assert_eq!(routed("404", "a.example", "token2"), "None");
        assert_eq!(routed("403", "a.example", "token1"), "refused");
    }
}
