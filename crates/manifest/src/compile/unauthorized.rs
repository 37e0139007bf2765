//! `forebay.dev/unauthorized: "401"` on an Ingress: whoever comes to a rule that asks for a secret in a header, and has none that it
//! takes, is told so. An ALB has no rule for that, and says 404 or what its default action is.

use std::collections::BTreeSet;
use std::sync::Arc;

use plan::{Action, Condition, FixedResponse, LoadBalancer, ObjectRef, Rule};

use super::here::Here;
use super::tokens::is_secret;
use crate::annotations::UNAUTHORIZED;
use crate::lints::rule_shadowed::covers;
use crate::{Finding, Severity, codes};

/// Puts a rule with that answer behind those that ask for a secret: behind all of its Ingress, but before one that would take all its
/// requests without a secret.
pub(super) fn answer(load_balancer: &mut LoadBalancer, here: &Here<'_>, findings: &mut Vec<Finding>) {
    let chosen: BTreeSet<ObjectRef> =
        load_balancer.sources.iter().filter(|source| is_chosen(source, here, findings)).cloned().collect();
    if chosen.is_empty() {
        return;
    }
    let mut used = BTreeSet::new();
    for listener in &mut load_balancer.listeners {
        let mut behind: Vec<(usize, Arc<Rule>)> = Vec::new();
        for (place, rule) in listener.rules.iter().enumerate() {
            let Some(source) = rule.source.as_ref().filter(|it| chosen.contains(&it.object)) else {
                continue;
            };
            if !rule.conditions.iter().any(asks) {
                continue;
            }
            used.insert(source.object.clone());
            let mut conditions: Vec<Condition> =
                rule.conditions.iter().filter(|condition| !asks(condition)).cloned().collect();
            if conditions.is_empty() {
                conditions.push(Condition::paths(&["/*"]));
            }
            let (action, transforms) = (unauthorized(), Vec::new());
            let answer = Rule { conditions, action, transforms, ..Rule::clone(rule) };
            let later = listener.rules[place + 1..].iter();
            let place = place + 1 + later.take_while(|later| goes_before(later, &answer)).count();
            let is_there =
                |(at, other): &(usize, Arc<Rule>)| *at == place && other.conditions == answer.conditions;
            if !behind.iter().any(is_there) {
                behind.push((place, answer.into()));
            }
        }
        // Those behind come first, so that the places of the others stay what they are.
        behind.sort_by_key(|(place, _)| *place);
        for (place, rule) in behind.into_iter().rev() {
            listener.rules.insert(place, rule);
        }
    }
    for object in chosen.difference(&used) {
        let message = "no rule of the Ingress asks for a secret in a header";
        findings.extend(finding(object, here, &codes::ANNOTATION_NO_EFFECT, Severity::Warning, message));
    }
}

/// Whether a condition asks for a secret.
fn asks(condition: &Condition) -> bool {
    condition.subject.name().is_some_and(is_secret)
}

/// Whether a later rule is asked before the answer: it is of the same Ingress, and asks for a secret too, or leaves some requests to
/// the answer.
fn goes_before(later: &Rule, answer: &Rule) -> bool {
    let object = |rule: &Rule| rule.source.as_ref().map(|source| source.object.clone());
    object(later) == object(answer) && (later.conditions.iter().any(asks) || !covers(later, answer))
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

    /// What becomes of a request to an Ingress with these paths, each with whether it asks for the token: the action of `/a` leads to
    /// Service a, and so on.
    fn routed(chosen: &str, paths: &[(&str, bool)], url: &str, token: &str) -> String {
        let conditions = |name: &str| {
            format!(
                r#"    alb.ingress.kubernetes.io/conditions.{name}: '[{{"field":"http-header","httpHeaderConfig":{{"httpHeaderName":"x-api-key","values":["{name}-token"]}}}}]'
"#
            )
        };
        let (mut annotations, mut rules, mut services) = (String::new(), String::new(), String::new());
        for (index, (path, asks)) in paths.iter().enumerate() {
            let name = ["a", "b", "c"][index];
            annotations.push_str(&if *asks { conditions(name) } else { String::new() });
            rules.push_str(&format!(
                "{{path: '{path}', pathType: ImplementationSpecific, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}, "
            ));
            services.push_str(&format!(
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n"
            ));
        }
        let text = format!(
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    {UNAUTHORIZED}: \"{chosen}\"
{annotations}
spec: {{ingressClassName: alb, rules: [{{host: a.example, http: {{paths: [{rules}]}}}}]}}
{services}"
        );
        let objects: Objects = read("f.yaml", &text).objects.into_iter().collect();
        let compiled = compile(&objects, &Defaults::default());
        let Some(balancer) = compiled.plan.load_balancers.first() else { return "refused".to_owned() };
        let fields = vec![("x-api-key".to_owned(), token.to_owned())];
        let head = plan::RequestHead { headers: &fields, ..plan::RequestHead::get(url) };
        match plan::route(&balancer.listeners[0], &head).action {
            Some(Action::Forward(forward)) => {
                balancer.name_of(&forward.targets[0].target_group).rsplit('/').next().unwrap().to_owned()
            }
            Some(Action::FixedResponse(fixed)) => fixed.status.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn acc_s2_32_who_has_no_token_is_told_so_where_that_is_chosen() {
        let routed = |chosen: &str, host: &str, token: &str| {
            routed(chosen, &[("/*", true)], &format!("http://{host}/x"), token)
        };
        assert_eq!(routed("401", "a.example", "a-token"), "a:80");
        assert_eq!(routed("401", "a.example", "b-token"), "401");
        assert_eq!(routed("401", "b.example", "a-token"), "None");
        assert_eq!(routed("404", "a.example", "b-token"), "None");
        assert_eq!(routed("403", "a.example", "a-token"), "refused");
    }

    #[test]
    fn acc_s2_32_a_wider_rule_of_the_same_ingress_takes_nothing_of_one_that_asks_for_a_token() {
        let routed = |paths: &[(&str, bool)], path: &str, token: &str| {
            routed("401", paths, &format!("http://a.example{path}"), token)
        };
        let then_all = [("/predict", true), ("/*", false)];
        assert_eq!(routed(&then_all, "/predict", "a-token"), "a:80");
        assert_eq!(routed(&then_all, "/predict", "no"), "401");
        assert_eq!(routed(&then_all, "/docs", "no"), "b:80");
        // Whoever has another rule's token goes on to it.
        let two = [("/predict", true), ("/*", true), ("/*", false)];
        assert_eq!(routed(&two, "/predict", "b-token"), "b:80");
        assert_eq!(routed(&two, "/predict", "no"), "401");
        assert_eq!(routed(&two, "/docs", "no"), "401");
        // And what is open to all stays so.
        let open_within = [("/*", true), ("/health", false)];
        assert_eq!(routed(&open_within, "/health", "no"), "b:80");
        assert_eq!(routed(&open_within, "/predict", "no"), "401");
    }
}
