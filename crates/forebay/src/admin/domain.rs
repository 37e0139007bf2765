//! Who answers for a host: the listeners with rules that a request for it may meet.

use plan::{Action, Listener, LoadBalancer, Rule, Subject, UrlPart, normalise_host};
use serde_json::{Value, json};

use super::Admin;

/// What each listener does for the host of a query (`host=api.example.com`).
pub(super) fn json(admin: &Admin, query: &str) -> Value {
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("host=")).unwrap_or_default();
    let host = normalise_host(asked);
    let plan = admin.plan.borrow().clone();
    let listeners = plan.load_balancers.iter().flat_map(|balancer| {
        balancer.listeners.iter().filter_map(|listener| answers(balancer, listener, &host))
    });
    let challenges = admin.challenges.borrow();
    let problems = challenges.problems.iter().filter(|(name, _)| manifest::covers(name, &host));
    let problem = problems.map(|(_, problem)| problem.as_str()).next();
    let with_problem = |mut listener: Value| {
        listener["acme"] = json!(problem.filter(|_| listener["tls"] == true));
        listener
    };
    listeners.map(with_problem).collect()
}

fn answers(balancer: &LoadBalancer, listener: &Listener, host: &str) -> Option<Value> {
    // Whoever asks for all hosts below a name asks for one of them.
    let host = host.replacen('*', "any", 1);
    let address = listener.addresses.first()?;
    let is_met = |rule: &Rule| {
        rule.conditions
            .iter()
            .filter(|condition| condition.subject == Subject::HOST_HEADER)
            .all(|condition| condition.values.match_any(host.as_bytes()))
    };
    let names_hosts = |rule: &Rule| rule.conditions.iter().any(|it| it.subject == Subject::HOST_HEADER);
    let rules = listener.rules.iter().enumerate().filter(|(_, rule)| is_met(rule));
    let rules: Vec<Value> = rules
        .map(|(index, rule)| {
            let conditions: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
            json!({"priority": index + 1, "conditions": conditions, "action": action(&rule.action, balancer)})
        })
        .collect();
    // A load balancer without hosts answers for every one, and says nothing about this one.
    let is_of_host = listener.rules.iter().any(|rule| names_hosts(rule) && is_met(rule));
    let has_hosts = listener.rules.iter().any(|rule| names_hosts(rule));
    let redirects = listener.rules.is_empty() && matches!(listener.default_action, Some(Action::Redirect(_)));
    if !is_of_host && (has_hosts || rules.is_empty() || redirects) {
        return None;
    }
    let objects: Vec<String> = balancer.sources.iter().map(ToString::to_string).collect();
    Some(json!({
        "loadBalancer": balancer.name,
        "objects": objects,
        "address": address.to_string(),
        "protocol": listener.protocol.as_str(),
        "tls": listener.protocol.is_tls(),
        "rules": rules,
    }))
}

fn action(action: &Action, balancer: &LoadBalancer) -> String {
    match action {
        Action::Forward(forward) => {
            let names = forward.targets.iter().map(|target| balancer.name_of(&target.target_group));
            names.collect::<Vec<_>>().join(", ")
        }
        Action::Redirect(redirect) => format!("redirect to {}", redirect.text(UrlPart::Protocol)),
        Action::FixedResponse(response) => format!("answer {}", response.status),
    }
}
