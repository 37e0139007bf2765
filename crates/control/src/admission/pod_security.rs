//! Pod Security: how far pods of a namespace may reach, as its labels say (Pod Security Standards, Kubernetes docs).
//!
//! `enforce` refuses a pod, `warn` and `enforce` of a pod's template tell the one who writes; what `audit` asks for goes
//! nowhere, because nothing here keeps an audit log.

mod checks;

use std::collections::BTreeMap;
use std::fmt;

use manifest::Object;
use serde_json::{Value, json};

use super::{Attempt, described_pod};
use crate::store::{Cause, Status};

/// How much pods are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// What pods are held to, and as which version of Kubernetes 1 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    level: Level,
    /// `None`: the latest.
    minor: Option<u32>,
}

const LEVELS: [(&str, Level); 3] =
    [("privileged", Level::Privileged), ("baseline", Level::Baseline), ("restricted", Level::Restricted)];
const PREFIX: &str = "pod-security.kubernetes.io/";
/// What labels may speak of.
const MODES: [&str; 3] = ["enforce", "audit", "warn"];
const PRIVILEGED: Policy = Policy { level: Level::Privileged, minor: None };
/// What counts where a label cannot be read.
const STRICTEST: Policy = Policy { level: Level::Restricted, minor: None };

pub(super) fn check(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if attempt.is_a("Namespace") {
        return check_namespace(attempt);
    }
    let Some((metadata, spec)) = described_pod(attempt.object.kind, &attempt.object.value) else {
        return Ok(());
    };
    let Some(namespace) = attempt.all.get("Namespace", "", &attempt.object.namespace) else { return Ok(()) };
    let is_pod = attempt.is_a("Pod");
    if is_pod && attempt.old.is_some_and(|old| is_like(&old.value, &attempt.object.value)) {
        return Ok(());
    }
    let enforced = policy(namespace, "enforce").0;
    if is_pod && let Some(what) = checks::violations(enforced, metadata, spec) {
        return Err(attempt.forbidden(&format!("violates PodSecurity \"{enforced}\": {what}")));
    }
    let warned = policy(namespace, "warn").0;
    if let Some(what) = checks::violations(warned, metadata, spec) {
        attempt.warnings.push(format!("would violate PodSecurity \"{warned}\": {what}"));
    }
    Ok(())
}

/// Whether a changed pod is as safe as it was: only images and annotations about profiles may be otherwise.
fn is_like(old: &Value, new: &Value) -> bool {
    old["spec"] == new["spec"] && old["metadata"]["annotations"] == new["metadata"]["annotations"]
}

/// What the labels of a namespace say in a mode, and what is wrong with them.
fn policy(namespace: &Object, mode: &str) -> (Policy, Vec<Cause>) {
    let labels = namespace.labels();
    let mut causes = Vec::new();
    let mut wrong = |label: &str, value: &str, why: &str| {
        causes.push(Cause::invalid(format!("metadata.labels[{label}]"), &json!(value), why));
    };
    let mut policy = PRIVILEGED;
    let label = format!("{PREFIX}{mode}");
    if let Some(written) = labels.get(label.as_str()) {
        match LEVELS.iter().find(|(name, _)| name == written) {
            Some((_, level)) => policy.level = *level,
            None => {
                wrong(&label, written, "must be one of privileged, baseline, restricted");
                // Whoever asks for something that nobody knows is not to get less than he meant.
                policy = if mode == "enforce" { STRICTEST } else { PRIVILEGED };
            }
        }
    }
    let label = format!("{PREFIX}{mode}-version");
    if let Some(written) = labels.get(label.as_str())
        && *written != "latest"
    {
        match written.strip_prefix("v1.").and_then(minor) {
            Some(minor) => policy.minor = Some(minor),
            None => wrong(&label, written, "must be \"latest\" or \"v1.x\""),
        }
    }
    (policy, causes)
}

/// A number without a sign or zeros before it.
fn minor(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

fn check_namespace(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    let of = |namespace: &Object| -> Vec<Cause> {
        MODES.iter().flat_map(|mode| policy(namespace, mode).1).collect()
    };
    let wrong = of(attempt.object);
    if !wrong.is_empty() && attempt.old.map(of).as_ref() != Some(&wrong) {
        return Err(Status::invalid(attempt.object.kind, &attempt.object.name, wrong));
    }
    let Some(old) = attempt.old else { return Ok(()) };
    let (before, now) = (policy(old, "enforce").0, policy(attempt.object, "enforce").0);
    let is_no_stricter = now.minor == before.minor && now.level <= before.level;
    if now == before || now.level == Level::Privileged || is_no_stricter {
        return Ok(());
    }
    let found = pods_that_violate(now, attempt);
    if !found.is_empty() {
        let name = &attempt.object.name;
        let first = format!(
            "existing pods in namespace \"{name}\" violate the new PodSecurity enforce level \"{now}\""
        );
        attempt.warnings.push(first);
        attempt.warnings.extend(found);
    }
    Ok(())
}

/// What is wrong with the pods that a namespace has, those with the same together: `a (and 2 other pods): privileged`.
fn pods_that_violate(policy: Policy, attempt: &Attempt<'_>) -> Vec<String> {
    let pods = super::in_namespace(attempt.all, "Pod", &attempt.object.name);
    let mut found: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for pod in pods {
        if let Some(what) = checks::violations(policy, &pod.value["metadata"], &pod.value["spec"]) {
            let others = found.entry(what).or_insert_with(|| (pod.name.clone(), 0));
            others.1 += 1;
        }
    }
    let mut told: Vec<String> = found
        .into_iter()
        .map(|(what, (name, count))| match count {
            1 => format!("{name}: {what}"),
            2 => format!("{name} (and 1 other pod): {what}"),
            more => format!("{name} (and {} other pods): {what}", more - 1),
        })
        .collect();
    told.sort();
    told
}

/// `restricted:latest`, `baseline:v1.24`
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = LEVELS.iter().find(|(_, level)| *level == self.level).map_or("", |(name, _)| name);
        match self.minor {
            Some(minor) => write!(f, "{level}:v1.{minor}"),
            None => write!(f, "{level}:latest"),
        }
    }
}
