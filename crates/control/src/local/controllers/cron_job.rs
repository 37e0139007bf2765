//! CronJob: a Job at each time of a schedule ("CronJob", Kubernetes documentation).
//!
//! The name of a Job is that of its time, and the last time is in the status: no time comes twice, neither after a crash nor when
//! the clock is set back.

mod due;

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use manifest::{Object, Schedule};
use serde_json::{Value, json};

use super::made::is_ending;
use super::{Wanted, World, count, number, time};
use crate::conditions;
use crate::events::Event;
use crate::local::pod::owner;
use crate::store::metadata;
use due::Due;

/// When a Job was to begin.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// More times than these cannot all have been missed by chance.
const MANY: usize = 100;

pub(super) fn wanted(cron_job: &Arc<Object>, world: &World<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    if is_ending(cron_job) {
        return wanted;
    }
    let mut status = cron_job.value["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    let jobs: Vec<&Object> = world.of(cron_job, "Job").into_iter().map(AsRef::as_ref).collect();
    tell_of_ends(cron_job, &jobs, &mut status, &mut wanted);
    let running: Vec<&Object> = jobs.iter().copied().filter(|job| end(job).is_none()).collect();
    let active: Vec<Value> = running.iter().map(|job| reference(job)).collect();
    forget_old(cron_job, &jobs, &mut wanted);
    if cron_job.value["spec"]["suspend"] != true {
        begin(cron_job, &running, &mut status, world, &mut wanted);
    }
    status["active"] = json!(active);
    if active.is_empty()
        && let Some(status) = status.as_object_mut()
    {
        status.remove("active");
    }
    wanted.status = Some(status);
    wanted
}

/// How a Job ended, if it has.
fn end(job: &Object) -> Option<&'static str> {
    ["Complete", "Failed"].into_iter().find(|condition| conditions::holds(&job.value["status"], condition))
}

fn reference(job: &Object) -> Value {
    let text = |field: &str| metadata::text(job, field).unwrap_or_default();
    json!({"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "namespace": job.namespace, "uid": text("uid"),
        "resourceVersion": text("resourceVersion")})
}

/// Tells of Jobs that ran when it was looked the last time, and have ended.
fn tell_of_ends(cron_job: &Object, jobs: &[&Object], status: &mut Value, wanted: &mut Wanted) {
    let ran = |job: &&&Object| {
        let mut active = cron_job.value["status"]["active"].as_array().into_iter().flatten();
        active.any(|it| it["uid"].as_str() == metadata::text(job, "uid"))
    };
    for job in jobs.iter().filter(ran) {
        if let Some(condition) = end(job) {
            let message = format!("Saw completed job: {}, condition: {condition}", job.name);
            wanted.tell(cron_job, Event::normal("SawCompletedJob", message));
        }
    }
    let well = jobs.iter().filter_map(|job| time(&job.value["status"]["completionTime"])).max();
    if let Some(at) = well.filter(|at| time(&status["lastSuccessfulTime"]).is_none_or(|last| last < *at)) {
        status["lastSuccessfulTime"] = json!(metadata::time(at));
    }
}

/// Lets old Jobs go that have ended, beyond as many as are kept of each sort.
fn forget_old(cron_job: &Object, jobs: &[&Object], wanted: &mut Wanted) {
    for (condition, field, default) in
        [("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)]
    {
        let kept = count(&cron_job.value["spec"][field], default);
        let mut ended: Vec<&&Object> =
            jobs.iter().filter(|job| end(job) == Some(condition) && !is_ending(job)).collect();
        ended.sort_by_key(|job| Reverse((time(&job.value["status"]["startTime"]), &job.name)));
        ended.into_iter().skip(kept).for_each(|job| wanted.delete(cron_job, job));
    }
}

/// Has a Job made, if it is time.
fn begin(cron_job: &Object, running: &[&Object], status: &mut Value, world: &World<'_>, wanted: &mut Wanted) {
    let spec = &cron_job.value["spec"];
    let zone = spec["timeZone"].as_str().map_or(Some(TimeZone::UTC), manifest::time_zone);
    let schedule = spec["schedule"].as_str().and_then(|written| written.parse::<Schedule>().ok());
    let (Some(zone), Some(schedule)) = (zone, schedule) else { return };
    let created = time(&cron_job.value["metadata"]["creationTimestamp"]).unwrap_or(world.now);
    let last = time(&status["lastScheduleTime"]);
    let patience = number(&spec["startingDeadlineSeconds"]);
    let Due { at, n_missed, next } =
        Due::find(&schedule, &zone, last.unwrap_or(created), patience, world.now);
    wanted.look_again(next);
    let Some(at) = at else { return };
    if patience.and_then(|seconds| super::later(at, seconds)).is_some_and(|deadline| deadline < world.now) {
        return;
    }
    let Some(job) = job(cron_job, at, &zone) else { return };
    let is_there = world.objects.find(&job.reference()).is_some();
    if !is_there {
        match spec["concurrencyPolicy"].as_str() {
            Some("Forbid") if !running.is_empty() => {
                let message =
                    "Not starting job because prior execution is running and concurrency policy is Forbid";
                return tell_seldom(cron_job, Event::normal("JobAlreadyActive", message), world, wanted);
            }
            Some("Replace") => {
                running.iter().filter(|job| !is_ending(job)).for_each(|job| wanted.delete(cron_job, job));
            }
            _ => {}
        }
        if n_missed > MANY {
            let message = format!(
                "too many missed start times: {n_missed}. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            );
            tell_seldom(cron_job, Event::warning("TooManyMissedTimes", message), world, wanted);
        }
        // When it is there, its time has come: had it been refused, it would be tried again.
        return wanted.make_for_good(job);
    }
    status["lastScheduleTime"] = json!(metadata::time(at));
    wanted.is_counted = true;
}

/// Tells of something unless the like was told within the last minute: it is looked at more often than it is worth saying.
fn tell_seldom(cron_job: &Object, event: Event, world: &World<'_>, wanted: &mut Wanted) {
    let events = world.objects.of_kind("Event").filter(|told| {
        told.namespace == cron_job.namespace
            && told.value["reason"] == *event.reason
            && told.value["involvedObject"]["uid"].as_str() == metadata::text(cron_job, "uid")
    });
    let last = events.filter_map(|told| time(&told.value["lastTimestamp"])).max();
    if last.is_none_or(|last| world.now.duration_since(last).as_secs() >= 60) {
        wanted.tell(cron_job, event);
    }
}

/// The Job of a time.
fn job(cron_job: &Object, at: Timestamp, zone: &TimeZone) -> Option<Object> {
    let template = &cron_job.value["spec"]["jobTemplate"];
    let scheduled = at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let scheduled = scheduled.strip_suffix("+00:00").map_or(scheduled.clone(), |utc| format!("{utc}Z"));
    let mut annotations = template["metadata"]["annotations"].clone();
    annotations[SCHEDULED] = json!(scheduled);
    let mut metadata = json!({
        "name": format!("{}-{}", cron_job.name, at.as_second().div_euclid(60)),
        "namespace": cron_job.namespace,
        "annotations": annotations,
        "ownerReferences": [owner(cron_job)],
    });
    if template["metadata"]["labels"].is_object() {
        metadata["labels"] = template["metadata"]["labels"].clone();
    }
    let value =
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]});
    Object::from_value(value).ok()
}
