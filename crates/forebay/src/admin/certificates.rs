//! The certificates that load balancers show: for metrics, and for `forebay cert`.

use manifest::CertificateFacts;
use plan::{Listener, LoadBalancer, Plan};
use serde_json::{Value, json};

use super::Admin;
use crate::certificate::Shown;

/// When each certificate ends, in the OpenMetrics text format.
pub(super) fn metrics(shown: &Shown) -> String {
    const NAME: &str = "forebay_certificate_expiry_timestamp_seconds";
    let mut text = format!(
        "# HELP {NAME} When a certificate that a load balancer shows ends, in seconds since 1970.\n# TYPE {NAME} gauge\n"
    );
    for (name, facts) in shown {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let host = facts.names.first().map_or("", String::as_str);
        let (name, host, until) = (escaped(name), escaped(host), facts.until.as_second());
        text.push_str(&format!("{NAME}{{certificate=\"{name}\",host=\"{host}\"}} {until}\n"));
    }
    text
}

/// What is shown, by whom, and what is kept besides. What is wrong with one is told with it: that it is for none of the hosts of
/// those who show it, or that it stands in for one that did not come.
pub(super) fn json(admin: &Admin) -> Value {
    let (shown, plan) = (admin.shown.borrow().clone(), admin.plan.borrow().clone());
    let challenges = admin.challenges.borrow().clone();
    let mut all: Vec<Value> = shown
        .iter()
        .map(|(name, facts)| {
            let listeners = plan.load_balancers.iter().flat_map(|balancer| {
                balancer.listeners.iter().filter_map(|listener| used(balancer, listener, name))
            });
            let mut value = one(name, facts, None, listeners.collect());
            let acme = name.strip_prefix("local:").and_then(|host| challenges.problems.get(host).cloned());
            value["problem"] = json!(acme.or_else(|| for_none(&plan, name, facts)));
            value
        })
        .collect();
    let kept = admin.defaults.kept();
    let is_unused = |name: &String| {
        let is_shown = |shown: &String| kept.pair(shown).is_some_and(|pair| pair.kept.name == *name);
        !shown.keys().any(is_shown)
    };
    let unused = kept.pairs.values().filter(|pair| is_unused(&pair.kept.name));
    all.extend(unused.map(|pair| one(&pair.kept.name, &pair.kept.facts, Some(&pair.kept.file), Vec::new())));
    Value::Array(all)
}

/// That somebody's own certificate is for none of the hosts of the listeners that show it.
fn for_none(plan: &Plan, name: &str, facts: &CertificateFacts) -> Option<String> {
    if !(name.starts_with("arn:") || name.starts_with("secret:")) {
        return None;
    }
    let listeners = plan.load_balancers.iter().flat_map(|balancer| &balancer.listeners);
    let shows = |listener: &&Listener| listener.certificates.iter().any(|it| it.arn == name);
    let hosts: Vec<String> = listeners.filter(shows).flat_map(manifest::hosts_of).collect();
    let is_for_none = !hosts.is_empty() && !hosts.iter().any(|host| facts.covers(host));
    is_for_none
        .then(|| format!("{name} is for none of the hosts of those who show it ({})", hosts.join(", ")))
}

fn used(balancer: &LoadBalancer, listener: &Listener, name: &str) -> Option<Value> {
    let index = listener.certificates.iter().position(|certificate| certificate.arn == name)?;
    let sources: Vec<String> = balancer.sources.iter().map(ToString::to_string).collect();
    Some(
        json!({"loadBalancer": balancer.name, "objects": sources, "port": listener.port, "default": index == 0}),
    )
}

fn one(name: &str, facts: &CertificateFacts, file: Option<&str>, used_by: Vec<Value>) -> Value {
    let mut value = described(facts);
    value["certificate"] = json!(name);
    value["file"] = json!(file);
    value["usedBy"] = Value::Array(used_by);
    value
}

/// What a certificate says of itself, for programs.
pub(crate) fn described(facts: &CertificateFacts) -> Value {
    json!({
        "names": facts.names,
        "subject": facts.subject,
        "issuer": facts.issuer,
        "serial": facts.serial,
        "notBefore": facts.from.to_string(),
        "notAfter": facts.until.to_string(),
        "key": facts.key,
        "sha256": facts.fingerprint,
    })
}
