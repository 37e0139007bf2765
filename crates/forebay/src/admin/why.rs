//! What became of the requests with a trace id, as the cores remember it.

use proxy::Past;
use reqwest::Url;
use serde_json::{Value, json};

use super::Admin;

/// Requests that are told where no trace id is asked for.
const LAST: usize = 20;

/// The requests of a query (`trace=1-6530a1b2-…`), the newest last; without one the last of all.
pub(super) async fn json(admin: &Admin, query: &str) -> Value {
    let parsed = Url::parse(&format!("http://localhost/?{query}"));
    let trace = parsed.ok().and_then(|url| {
        url.query_pairs().find_map(|(name, value)| (name == "trace").then(|| value.into_owned()))
    });
    // A short text would be found in ids of others.
    const SHORTEST: usize = 8;
    if trace.as_ref().is_some_and(|trace| trace.len() < SHORTEST) {
        return json!({"problem": format!("a trace id has {SHORTEST} characters or more")});
    }
    let mut all = admin.recall.about(trace.as_deref().unwrap_or_default()).await;
    if trace.is_none() {
        all.drain(..all.len().saturating_sub(LAST));
    }
    json!({"requests": all.iter().map(|past| of(admin, past)).collect::<Value>()})
}

fn of(admin: &Admin, past: &Past) -> Value {
    let [id, name] = &past.load_balancer;
    let [method, host, target] = &past.asked;
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "time": past.time.to_string(),
        "client": past.client.to_string(),
        "method": method,
        "host": host,
        "target": target,
        "tls": past.is_tls,
        "loadBalancerId": id,
        "loadBalancer": name,
        "port": past.port,
        "traceId": past.trace,
        "rule": past.rule,
        "conditions": conditions(admin, past),
        "action": past.act,
        "location": Some(&past.location).filter(|location| !location.is_empty()),
        "targetGroup": past.target_group,
        "targetAddress": past.target.map(|target| target.to_string()),
        "targetsAsked": past.n_asked,
        "secondsUntilAsked": seconds(past.until_asked),
        "targetSeconds": seconds(past.target_took),
        "targetStatus": past.target_status,
        "status": past.status,
        "reason": past.reason,
        "cache": past.cache,
        "seconds": past.took.as_secs_f64(),
    })
}

/// The conditions of the rule as it is now, which may be another than it was.
fn conditions(admin: &Admin, past: &Past) -> Option<Vec<String>> {
    let plan = admin.plan.borrow().clone();
    let balancer =
        plan.load_balancers.iter().find(|balancer| balancer.id.to_string() == past.load_balancer[0])?;
    let listener = balancer.listeners.iter().find(|listener| listener.port == past.port)?;
    let rule = listener.rules.get(past.rule?.checked_sub(1)?)?;
    Some(rule.conditions.iter().map(ToString::to_string).collect())
}
