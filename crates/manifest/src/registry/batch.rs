//! What runs to its end: once, or again and again.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::columns::{
    AGE, CONTAINERS, Column, IMAGES, NAME, NONE, column, container_images, container_names, count, holds,
    items, number, selector, text_or, wide,
};
use super::fill::{fields, set_missing};
use super::pod_spec::fill_pod_spec;
use super::time::{age, human_duration};
use super::{ALL, Kind, Pods, STATUS, fixed, namespaced, says_otherwise};
use crate::kinds::validation::numbers::{INT32, REPLICAS, number as bounded};
use crate::kinds::validation::{Rules, Violation, batch};
use crate::{Object, Objects};

const BATCH: &str = "batch";

pub(super) static JOB: Kind = Kind {
    categories: ALL,
    subresources: STATUS,
    columns: JOB_COLUMNS,
    fields: &["status.successful"],
    fill: fill_job,
    fixed: &[
        fixed("/spec/completions", "spec.completions", "field is immutable"),
        fixed("/spec/selector", "spec.selector", "field is immutable"),
        fixed("/spec/completionMode", "spec.completionMode", "field is immutable"),
    ],
    change: |new, old, found| {
        if says_otherwise(&new["spec"]["template"], &old["spec"]["template"]) {
            found.push(Violation::invalid("spec.template", &new["spec"]["template"], "field is immutable"));
        }
    },
    pods: Pods::Spec("spec.template.spec"),
    rules: Rules {
        required: &["spec.template.spec.containers"],
        numbers: &[
            bounded("spec.parallelism", 0, REPLICAS),
            bounded("spec.completions", 0, INT32),
            bounded("spec.backoffLimit", 0, INT32),
            bounded("spec.activeDeadlineSeconds", 0, INT32),
            bounded("spec.ttlSecondsAfterFinished", 0, INT32),
        ],
        check: batch::check_job,
        ..Rules::NONE
    },
    ..namespaced(BATCH, "v1", "Job", "jobs")
};

pub(super) static CRON_JOB: Kind = Kind {
    short_names: &["cj"],
    categories: ALL,
    subresources: STATUS,
    columns: CRON_JOB_COLUMNS,
    fill: fill_cron_job,
    pods: Pods::Spec("spec.jobTemplate.spec.template.spec"),
    rules: Rules {
        required: &["spec.schedule", "spec.jobTemplate.spec.template.spec.containers"],
        numbers: &[
            bounded("spec.startingDeadlineSeconds", 0, INT32),
            bounded("spec.successfulJobsHistoryLimit", 0, INT32),
            bounded("spec.failedJobsHistoryLimit", 0, INT32),
        ],
        check: batch::check_cron_job,
        ..Rules::NONE
    },
    ..namespaced(BATCH, "v1", "CronJob", "cronjobs")
};

const JOB_COLUMNS: &[Column] = &[
    NAME,
    column("Status", |job, _| json!(state(&job.value))),
    column("Completions", |job, _| json!(completions(&job.value))),
    column("Duration", |job, now| json!(duration(&job.value["status"], now))),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", |job, _| selector(&job.value["spec"]["selector"])),
];

const CRON_JOB_COLUMNS: &[Column] = &[
    NAME,
    column("Schedule", |job, _| json!(text_or(&job.value["spec"]["schedule"], ""))),
    column("Timezone", |job, _| json!(text_or(&job.value["spec"]["timeZone"], NONE))),
    column("Suspend", |job, _| json!(if job.value["spec"]["suspend"] == true { "True" } else { "False" })),
    count("Active", |job, _| json!(items(&job.value["status"]["active"]).count())),
    column("Last Schedule", |job, now| match job.value["status"]["lastScheduleTime"].as_str() {
        Some(last) => json!(age(Some(last), now)),
        None => json!(NONE),
    }),
    AGE,
    wide("Containers", |job, _| container_names(pod_spec(job))),
    wide("Images", |job, _| container_images(pod_spec(job))),
    wide("Selector", |job, _| selector(&job.value["spec"]["jobTemplate"]["spec"]["selector"])),
];

fn pod_spec(cron_job: &Object) -> &Value {
    &cron_job.value["spec"]["jobTemplate"]["spec"]["template"]["spec"]
}

/// `Complete`, `Failed`, `Suspended`, or what it is on the way to.
fn state(job: &Value) -> &'static str {
    let is_ending = job["metadata"]["deletionTimestamp"].is_string();
    let has = |condition: &str| holds(&job["status"], condition);
    let ended = ["Complete", "Failed"].into_iter().find(|condition| has(condition));
    let under_way = || {
        let known = [("SuccessCriteriaMet", "SuccessCriteriaMet"), ("FailureTarget", "FailureTarget")];
        known.into_iter().find(|(condition, _)| has(condition)).map(|(_, shown)| shown)
    };
    match ended {
        Some(ended) => ended,
        None if is_ending => "Terminating",
        None if has("Suspended") => "Suspended",
        None => under_way().unwrap_or("Running"),
    }
}

/// `1/3`, or `1/1 of 2` where any of several may succeed.
fn completions(job: &Value) -> String {
    let (spec, succeeded) = (&job["spec"], number(&job["status"]["succeeded"]));
    match (spec["completions"].as_u64(), number(&spec["parallelism"])) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism @ 2..) => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

/// How long it ran, or runs.
fn duration(status: &Value, now: Timestamp) -> String {
    let time = |field: &str| status[field].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    match (time("startTime"), time("completionTime")) {
        (Some(start), end) => human_duration(end.unwrap_or(now).as_second() - start.as_second()),
        (None, _) => String::new(),
    }
}

/// Jobs try seven times, one after another.
fn fill_job(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let uid = object.value["metadata"]["uid"].clone();
    let name = object.name.clone();
    let Some(spec) = object.value.as_object_mut().and_then(|job| fields(job, "spec")) else { return };
    fill_job_spec(spec);
    if spec.get("manualSelector") != Some(&json!(true)) && uid.is_string() {
        let labels = [
            ("batch.kubernetes.io/controller-uid", uid.clone()),
            ("batch.kubernetes.io/job-name", json!(name)),
            ("controller-uid", uid.clone()),
            ("job-name", json!(name)),
        ];
        let template = fields(spec, "template").and_then(|template| fields(template, "metadata"));
        if let Some(written) = template.and_then(|metadata| fields(metadata, "labels")) {
            set_missing(written, labels);
        }
        set_missing(
            spec,
            [("selector", json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}))],
        );
    }
}

fn fill_job_spec(spec: &mut Map<String, Value>) {
    let is_single = spec.get("completions").is_none_or(Value::is_null)
        && spec.get("parallelism").is_none_or(Value::is_null);
    if is_single {
        set_missing(spec, [("completions", json!(1))]);
    }
    set_missing(
        spec,
        [
            ("parallelism", json!(1)),
            ("backoffLimit", json!(6)),
            ("completionMode", json!("NonIndexed")),
            ("suspend", json!(false)),
        ],
    );
    let replaced = if spec.contains_key("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    set_missing(spec, [("podReplacementPolicy", json!(replaced))]);
    if let Some(pod) = fields(spec, "template").and_then(|template| fields(template, "spec")) {
        fill_pod_spec(pod);
    }
}

fn fill_cron_job(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let Some(spec) = object.value.as_object_mut().and_then(|job| fields(job, "spec")) else { return };
    set_missing(
        spec,
        [
            ("concurrencyPolicy", json!("Allow")),
            ("suspend", json!(false)),
            ("successfulJobsHistoryLimit", json!(3)),
            ("failedJobsHistoryLimit", json!(1)),
        ],
    );
    let template = fields(spec, "jobTemplate").and_then(|template| fields(template, "spec"));
    let pod = template.and_then(|job| fields(job, "template")).and_then(|template| fields(template, "spec"));
    if let Some(pod) = pod {
        fill_pod_spec(pod);
    }
}
