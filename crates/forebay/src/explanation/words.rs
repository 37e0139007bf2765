//! An explanation for people.

use super::{Act, Explanation, Group, TriedRule};

/// Rules that are shown one by one, the last of those that were tried.
const SHOWN: usize = 20;

/// What becomes of the request, in a sentence.
pub(super) fn verdict(explanation: &Explanation, knows_health: bool) -> String {
    if !explanation.is_admitted {
        return format!("the connection is closed: the listener does not let {} in", explanation.from);
    }
    if let Some(problem) = explanation.rewritten.as_ref().and_then(|rewritten| rewritten.problem.as_ref()) {
        return format!("500: {problem}");
    }
    match &explanation.action {
        Act::Refused { status, reason, meaning } => format!("{status}, {reason}: {meaning}"),
        Act::Preflight { status, problem: None } => {
            format!("{status}, cors-preflight: the browser may send its request")
        }
        Act::Preflight { status, problem: Some(problem) } => format!("{status}, cors-refused: {problem}"),
        Act::NoRoute => "404, no-route: no rule matches, and nothing is configured for that".to_owned(),
        Act::FixedResponse { status } => format!("{status}, a fixed response"),
        Act::Redirect { status, location } => format!("{status} to {location}"),
        Act::Forward { target_groups } => {
            let turns: Vec<&Group> = target_groups.iter().filter(|group| group.weight > 0).collect();
            match turns[..] {
                [] => "503, no-weight: all target groups have weight 0".to_owned(),
                [only] => to_group(only, knows_health),
                _ => {
                    let each = turns.iter().map(|group| {
                        format!("{:.0} %: {} {}", group.share, group.key, to_group(group, knows_health))
                    });
                    each.collect::<Vec<_>>().join("; ")
                }
            }
        }
    }
}

fn to_group(group: &Group, knows_health: bool) -> String {
    match (group.targets.len(), group.n_healthy()) {
        (0, _) => "503, no-targets: nothing is registered in the target group".to_owned(),
        (n_targets, _) if !knows_health => {
            format!("to one of {n_targets} targets, which nobody asks how they are")
        }
        (n_targets, 0) => format!("to any of {n_targets} targets, because none is healthy"),
        (1, _) => "to its one target, which is healthy".to_owned(),
        (n_targets, n_healthy) => format!("to one of {n_healthy} healthy targets of {n_targets}"),
    }
}

pub(super) fn text(explanation: &Explanation) -> String {
    let Explanation { method, host, path, query, from, load_balancer, others, rules, priority, .. } =
        explanation;
    let query = query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let mut lines = vec![
        format!("request        {method} {path}{query} for host {host} from {from}"),
        format!("load balancer  {} ({}, {})", load_balancer.name, load_balancer.id, load_balancer.kind),
    ];
    let at = match load_balancer.addresses.join(", ") {
        addresses if addresses.is_empty() => String::new(),
        addresses => format!(" at {addresses}"),
    };
    lines.push(format!("listener       {} {}{at}", load_balancer.protocol, load_balancer.port));
    if !others.is_empty() {
        lines.push(format!("               others at this port: {}", others.join(", ")));
    }
    lines.extend(rule_lines(rules));
    let is_refused = matches!(explanation.action, Act::Refused { .. });
    if *priority == 0 && !is_refused && load_balancer.kind == "application" {
        lines.push("default rule   is followed".to_owned());
    }
    if let Some(rewritten) = &explanation.rewritten {
        let parts = [&rewritten.host, &rewritten.url, &rewritten.problem];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        lines.push(format!("rewritten      {}", parts.join(" ")));
    }
    for asked in &explanation.handling {
        lines.push(format!("handling       {asked}"));
    }
    if let Act::Forward { target_groups } = &explanation.action {
        for group in target_groups {
            lines.push(format!("target group   {} (weight {})", group.key, group.weight));
            for target in &group.targets {
                let state = target.state.as_deref().unwrap_or("-");
                let zone = target.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
                let reason = target.reason.as_ref();
                let reason =
                    reason.map(|reason| format!(" {reason}: {}", target.description)).unwrap_or_default();
                let rest = target.rest.as_ref().map(|rest| format!(", {rest}")).unwrap_or_default();
                let of_zone = target.zone_description.as_ref();
                let of_zone = of_zone.map(|words| format!("; {words}")).unwrap_or_default();
                lines
                    .push(format!("               {}{zone}  {state}{reason}{rest}{of_zone}", target.address));
            }
        }
    }
    lines.push(format!("verdict        {}", explanation.verdict));
    lines.into_iter().map(|line| line + "\n").collect()
}

fn rule_lines(rules: &[TriedRule]) -> Vec<String> {
    let n_left_out = rules.len().saturating_sub(SHOWN);
    let mut lines = Vec::new();
    if n_left_out > 0 {
        lines.push(format!("rules          1 to {n_left_out} do not match (-o json has them)"));
    }
    for rule in &rules[n_left_out..] {
        let place = format!("rule {}", rule.priority);
        let source = rule.source.as_ref().map(|source| format!("{source}: ")).unwrap_or_default();
        lines.push(match &rule.fails {
            Some(condition) => format!("{place:14} {source}does not match: {condition}"),
            None => format!("{place:14} {source}matches: {}", rule.conditions.join(" and ")),
        });
    }
    lines
}
