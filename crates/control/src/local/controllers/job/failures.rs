//! What the failure of a pod means for its Job, and how long the next try waits.

use jiff::Timestamp;
use manifest::Object;
use serde_json::Value;

use crate::conditions;
use crate::local::controllers::{later, time};
use crate::local::pod::{has_ended, was_lost};

/// The wait after a first failure; each further one doubles it.
const FIRST_SECONDS: u64 = 10;
/// The longest wait.
const LONGEST_SECONDS: u64 = 360;

/// What a failure means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is one of those that are allowed.
    Counts,
    /// Nothing.
    Ignored,
    /// No other try is worth it, for this reason.
    FailsJob(String),
}

/// What a Job's `podFailurePolicy` says of a pod that has failed: the first rule that is about it.
pub(super) fn judge(job: &Object, pod: &Object) -> Judgement {
    let rules = job.value["spec"]["podFailurePolicy"]["rules"].as_array().into_iter().flatten();
    for (index, rule) in rules.enumerate() {
        let Some(why) = by_exit_code(rule, pod).or_else(|| by_condition(rule, pod)) else { continue };
        return match rule["action"].as_str() {
            Some("FailJob") => Judgement::FailsJob(format!("{why} matching FailJob rule at index {index}")),
            Some("Ignore") => Judgement::Ignored,
            _ => Judgement::Counts,
        };
    }
    Judgement::Counts
}

fn by_exit_code(rule: &Value, pod: &Object) -> Option<String> {
    let asked = rule.get("onExitCodes").filter(|asked| asked.is_object())?;
    let values = asked["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    let statuses = pod.value["status"]["containerStatuses"].as_array().into_iter().flatten();
    let named = statuses.filter(|status| {
        asked["containerName"].as_str().is_none_or(|name| name.is_empty() || status["name"] == *name)
    });
    let mut codes = named.filter_map(|status| {
        let code = &status["state"]["terminated"]["exitCode"];
        (code.as_i64()? != 0).then_some((status["name"].as_str().unwrap_or_default(), code))
    });
    let (name, code) = match asked["operator"].as_str() {
        Some("In") => codes.find(|(_, code)| values.contains(code)),
        Some("NotIn") => codes.find(|(_, code)| !values.contains(code)),
        _ => None,
    }?;
    Some(format!("Container {name} for pod {}/{} failed with exit code {code}", pod.namespace, pod.name))
}

fn by_condition(rule: &Value, pod: &Object) -> Option<String> {
    let mut asked = rule["onPodConditions"].as_array()?.iter();
    asked.find_map(|asked| {
        let kind = asked["type"].as_str()?;
        let known = conditions::find(&pod.value["status"]["conditions"], kind)?;
        let is_so = known["status"] == *asked["status"].as_str().unwrap_or("True");
        is_so.then(|| format!("Pod {}/{} has condition {kind}", pod.namespace, pod.name))
    })
}

/// Until when no new pod is made: 10 seconds after a failure, 20 after the second in a row, and so on. That a platform ended while a
/// pod ran says nothing of the pod.
pub(super) fn back_off_until(pods: &[&Object]) -> Option<Timestamp> {
    let ended = pods.iter().filter(|pod| has_ended(pod) && !was_lost(pod));
    let mut ends: Vec<(Timestamp, bool)> =
        ended.filter_map(|pod| Some((end_of(pod)?, pod.value["status"]["phase"] == "Failed"))).collect();
    ends.sort_unstable();
    let n_failures = ends.iter().rev().take_while(|(_, has_failed)| *has_failed).count();
    let (last, _) = ends.last().filter(|_| n_failures > 0)?;
    let doublings = u32::try_from(n_failures - 1).unwrap_or(u32::MAX).min(16);
    later(*last, (FIRST_SECONDS << doublings).min(LONGEST_SECONDS))
}

fn end_of(pod: &Object) -> Option<Timestamp> {
    let status = &pod.value["status"];
    let statuses = status["containerStatuses"].as_array().into_iter().flatten();
    let ends = statuses.filter_map(|container| time(&container["state"]["terminated"]["finishedAt"]));
    ends.max().or_else(|| time(&conditions::find(&status["conditions"], "Ready")?["lastTransitionTime"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(phase: &str, finished: &str, code: i64) -> Object {
        let terminated = json!({"terminated": {"exitCode": code, "finishedAt": finished}});
        let status = json!({"phase": phase, "containerStatuses": [{"name": "main", "state": terminated}]});
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j-1", "namespace": "ml"}, "status": status});
        Object::from_value(value).unwrap()
    }

    /// The seconds after noon at which ends came, `f` failed or `s` succeeded, and until when is waited.
    #[track_caller]
    fn check(ends: &str, until: Option<i64>) {
        let noon: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let ends = ends.split_ascii_whitespace().map(|end| {
            let (kind, second) = end.split_at(1);
            let at = later(noon, second.parse().unwrap()).unwrap().to_string();
            pod(if kind == "f" { "Failed" } else { "Succeeded" }, &at, i64::from(kind == "f"))
        });
        let pods: Vec<Object> = ends.collect();
        let pods: Vec<&Object> = pods.iter().collect();
        let waits = back_off_until(&pods).map(|at| at.as_second() - noon.as_second());
        assert_eq!(waits, until);
    }

    #[test]
    fn waits_double_from_ten_seconds_to_six_minutes() {
        check("", None);
        check("s5", None);
        check("f5", Some(15));
        check("f5 f15", Some(35));
        check("f35 f5 f15", Some(75));
        check("f5 s10", None);
        check("f5 s10 f20", Some(30));
        check(&"f0 ".repeat(7), Some(360));
        check(&"f0 ".repeat(200), Some(360));
        let mut lost = pod("Failed", "2026-12-01T12:00:00Z", 137);
        lost.value["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] =
            json!("ContainerStatusUnknown");
        assert_eq!(back_off_until(&[&lost, &lost]), None, "the platform ended, and not the pod");
    }

    #[test]
    fn a_policy_says_what_failures_mean() {
        let job = |rules: Value| {
            Object::from_value(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
                "spec": {"podFailurePolicy": {"rules": rules}}}))
            .unwrap()
        };
        let failed = pod("Failed", "2026-12-01T12:00:00Z", 42);
        let rule = |action: &str, operator: &str, name: &str| json!([{"action": action, "onExitCodes": {"containerName": name, "operator": operator, "values": [42, 43]}}]);
        assert_eq!(judge(&job(json!([])), &failed), Judgement::Counts);
        assert_eq!(judge(&job(rule("Ignore", "In", "")), &failed), Judgement::Ignored);
        assert_eq!(judge(&job(rule("Ignore", "NotIn", "")), &failed), Judgement::Counts);
        assert_eq!(judge(&job(rule("Ignore", "In", "other")), &failed), Judgement::Counts);
        let why = "Container main for pod ml/j-1 failed with exit code 42 matching FailJob rule at index 0";
        assert_eq!(judge(&job(rule("FailJob", "In", "main")), &failed), Judgement::FailsJob(why.to_owned()));
    }
}
