//! Jobs and CronJobs: what runs to its end is not started again and again, and what runs at times says when.

use serde_json::{Value, json};

use super::{Violation, at, text};
use crate::Schedule;

/// Why pods of a Job cannot be always restarted.
const ENDS: &str = "valid values: \"OnFailure\", \"Never\"";

pub(crate) fn check_job(job: &Value, found: &mut Vec<Violation>) {
    check_restarts(job, "spec.template.spec", found);
    if job["spec"]["completionMode"] == "Indexed" && job["spec"]["completions"].is_null() {
        let why = "when completion mode is Indexed";
        found.push(Violation::required("spec.completions", why));
    }
}

pub(crate) fn check_cron_job(job: &Value, found: &mut Vec<Violation>) {
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    /// The name of a Job has ten letters more, which must be a label.
    const LONGEST: usize = 52;
    if name.len() > LONGEST {
        found.push(Violation::invalid("metadata.name", &json!(name), "must be no more than 52 characters"));
    }
    check_restarts(job, "spec.jobTemplate.spec.template.spec", found);
    if let Some(written) = text(&job["spec"], "schedule")
        && let Err(why) = written.parse::<Schedule>()
    {
        found.push(Violation::invalid("spec.schedule", &json!(written), why.to_string()));
    }
    if let Some(zone) = text(&job["spec"], "timeZone")
        && crate::time_zone(zone).is_none()
    {
        let why = format!("unknown time zone {zone}");
        found.push(Violation::invalid("spec.timeZone", &json!(zone), why));
    }
}

fn check_restarts(job: &Value, pod: &str, found: &mut Vec<Violation>) {
    let Some(spec) = at(job, pod) else { return };
    if !matches!(text(spec, "restartPolicy"), Some("OnFailure" | "Never")) {
        found.push(Violation::required(format!("{pod}.restartPolicy"), ENDS));
    }
}
