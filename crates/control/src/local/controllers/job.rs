//! Job: pods that run to their end, until enough of them have done so well ("Jobs", Kubernetes documentation).
//!
//! A pod that has ended waits, by a finalizer, until its end is in the status; both are changed in one write, so that it is
//! counted once, whatever happens.

mod failures;
mod indexes;

use std::cmp::Reverse;
use std::sync::Arc;

use manifest::Object;
use serde_json::{Value, json};

use super::made::{self, is_active, is_ending, is_ready};
use super::{Wanted, World, count, is_tracked, later, number, time};
use crate::conditions::{self, Condition};
use crate::events::Event;
use crate::local::pod::has_ended;
use crate::store::{DeleteOptions, Propagation, Step, TRACKING};
use failures::{Judgement, back_off_until, judge};
use indexes::{INDEX, Indexes, index_of};

/// What a Job has come to, and asks for.
struct Course<'a> {
    job: &'a Arc<Object>,
    pods: Vec<&'a Object>,
    succeeded: usize,
    failed: usize,
    /// The indexes that are done, of a Job that has some.
    done: Option<Indexes>,
    conditions: Vec<Condition>,
}

/// The finalizer of every pod of a Job, as it is made.
fn tracked(mut pod: Object) -> Object {
    let finalizers = &mut pod.value["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(finalizers) => finalizers.push(json!(TRACKING)),
        None => *finalizers = json!([TRACKING]),
    }
    pod
}

pub(super) fn wanted(job: &Arc<Object>, world: &World<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    let status = &job.value["status"];
    let pods: Vec<&Object> = world.of(job, "Pod").into_iter().map(AsRef::as_ref).collect();
    if is_ending(job) {
        return wanted;
    }
    if let Some(end) = ended_at(status) {
        clear(job, &pods, &mut wanted);
        forget_in_time(job, end, world, &mut wanted);
        return wanted;
    }
    let mut course = Course::of(job, pods, &mut wanted);
    course.go_on(world, &mut wanted);
    wanted
}

/// When a Job was over, if it is.
fn ended_at(status: &Value) -> Option<&Value> {
    let condition = ["Complete", "Failed"].iter().find(|condition| conditions::holds(status, condition))?;
    Some(&conditions::find(&status["conditions"], condition)?["lastTransitionTime"])
}

/// What still runs of a Job that is over ends, and waits for nothing.
fn clear(job: &Object, pods: &[&Object], wanted: &mut Wanted) {
    for pod in pods {
        if is_tracked(pod) {
            wanted.steps.push(Step::Counted(pod.reference()));
        }
        if is_active(pod) {
            wanted.delete(job, pod);
        }
    }
}

fn forget_in_time(job: &Object, end: &Value, world: &World<'_>, wanted: &mut Wanted) {
    let lives_for = number(&job.value["spec"]["ttlSecondsAfterFinished"]);
    let Some(at) = lives_for.zip(time(end)).and_then(|(seconds, end)| later(end, seconds)) else { return };
    if at <= world.now {
        let options =
            DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
        wanted.steps.push(Step::Delete(job.reference(), options));
    } else {
        wanted.look_again(Some(at));
    }
}

impl<'a> Course<'a> {
    /// Counts what has ended since it was looked the last time.
    fn of(job: &'a Arc<Object>, pods: Vec<&'a Object>, wanted: &mut Wanted) -> Self {
        let (spec, status) = (&job.value["spec"], &job.value["status"]);
        let has_indexes = spec["completionMode"] == "Indexed";
        let mut course = Self {
            job,
            succeeded: count(&status["succeeded"], 0),
            failed: count(&status["failed"], 0),
            done: has_indexes.then(|| Indexes::read(&status["completedIndexes"])),
            conditions: Vec::new(),
            pods: Vec::new(),
        };
        let waits_for_end = spec["podReplacementPolicy"] == "Failed";
        for pod in pods.iter().filter(|pod| is_tracked(pod)) {
            let has_succeeded = pod.value["status"]["phase"] == "Succeeded";
            let has_failed = !has_succeeded && (has_ended(pod) || (is_ending(pod) && !waits_for_end));
            if has_succeeded {
                match (&mut course.done, index_of(pod)) {
                    (Some(done), Some(index)) => done.add(index),
                    (Some(_), None) => {}
                    (None, _) => course.succeeded = course.succeeded.saturating_add(1),
                }
            } else if has_failed {
                match judge(job, pod) {
                    Judgement::Counts => course.failed = course.failed.saturating_add(1),
                    Judgement::Ignored => {}
                    Judgement::FailsJob(why) => {
                        course.failed = course.failed.saturating_add(1);
                        course.fail("PodFailurePolicy", &why);
                    }
                }
            }
            if has_succeeded || has_failed {
                wanted.steps.push(Step::Counted(pod.reference()));
                wanted.is_counted = true;
            }
        }
        if let Some(done) = &course.done {
            course.succeeded = done.len();
        }
        course.pods = pods;
        course
    }

    fn fail(&mut self, reason: &'static str, why: &str) {
        if self.conditions.is_empty() {
            self.conditions.push(Condition::new("FailureTarget", true).because(reason, why));
        }
    }

    fn go_on(&mut self, world: &World<'_>, wanted: &mut Wanted) {
        let (spec, status) = (&self.job.value["spec"], &self.job.value["status"]);
        let is_suspended = spec["suspend"] == true;
        let start = match is_suspended {
            true => None,
            false => Some(time(&status["startTime"]).unwrap_or(world.now)),
        };
        let active: Vec<&Object> = self.pods.iter().copied().filter(|pod| is_active(pod)).collect();
        self.find_failure(start, &active, world, wanted);
        let is_failing = !self.conditions.is_empty();
        let is_complete = !is_failing && self.is_complete(&active);
        if is_complete {
            self.conditions.push(reached("SuccessCriteriaMet"));
        }
        let n_active = match (is_failing, is_complete || is_suspended) {
            (true, _) => self.end_all(&active, wanted),
            (_, true) => self.shrink(&active, 0, wanted),
            _ => self.fit(&active, world, wanted),
        };
        let terminating = self.pods.iter().filter(|pod| is_ending(pod) && !has_ended(pod)).count();
        if terminating == 0 && active.is_empty() {
            self.finish(wanted);
        }
        self.say_whether_suspended(is_suspended, wanted);

        let mut written = json!({
            "ready": active.iter().filter(|pod| is_ready(pod)).count(),
            "terminating": terminating,
            "uncountedTerminatedPods": {},
        });
        let counts = [("active", n_active), ("succeeded", self.succeeded), ("failed", self.failed)];
        made::counted(&mut written, &counts);
        if let Some(start) = start {
            written["startTime"] = json!(crate::store::metadata::time(start));
        }
        if self.conditions.iter().any(|condition| condition.kind == "Complete") {
            written["completionTime"] = json!(world.now());
        }
        if let Some(done) = self.done.as_ref().filter(|done| done.len() > 0) {
            written["completedIndexes"] = json!(done.to_string());
        }
        if !self.conditions.is_empty() {
            written["conditions"] = conditions::list(&self.conditions, &status["conditions"], &world.now());
        }
        wanted.status = Some(written);
    }

    /// Whether a Job is to fail: because it was found before, or because of failures or its time.
    fn find_failure(
        &mut self,
        start: Option<jiff::Timestamp>,
        active: &[&Object],
        world: &World<'_>,
        wanted: &mut Wanted,
    ) {
        let (spec, status) = (&self.job.value["spec"], &self.job.value["status"]);
        let known = conditions::find(&status["conditions"], "FailureTarget");
        if let Some(known) = known.filter(|known| known["status"] == "True") {
            let reason = REASONS.iter().find(|reason| known["reason"] == **reason);
            let why = known["message"].as_str().unwrap_or_default().to_owned();
            return self.fail(reason.unwrap_or(&REASONS[0]), &why);
        }
        let limit = count(&spec["backoffLimit"], 6);
        let restarts = active.iter().map(|pod| made::restarts(pod)).fold(0, u64::saturating_add);
        let restarts = usize::try_from(restarts).unwrap_or(usize::MAX);
        let is_restarted = spec["template"]["spec"]["restartPolicy"] == "OnFailure";
        let is_past_restarts = is_restarted && restarts > 0 && restarts >= limit;
        if self.failed > limit || is_past_restarts {
            self.fail(REASONS[0], "Job has reached the specified backoff limit");
        }
        let deadline = start.zip(number(&spec["activeDeadlineSeconds"]));
        let deadline = deadline.and_then(|(start, seconds)| later(start, seconds));
        if deadline.is_some_and(|deadline| deadline <= world.now) {
            self.fail(REASONS[1], "Job was active longer than specified deadline");
        }
        wanted.look_again(deadline);
    }

    fn is_complete(&self, active: &[&Object]) -> bool {
        match number(&self.job.value["spec"]["completions"]) {
            None => self.succeeded > 0 && active.is_empty(),
            Some(completions) => {
                u64::try_from(self.succeeded).is_ok_and(|succeeded| succeeded >= completions)
            }
        }
    }

    /// Ends all pods; they have failed with their Job. Gives how many are left.
    fn end_all(&self, active: &[&Object], wanted: &mut Wanted) -> usize {
        active.iter().for_each(|pod| wanted.delete(self.job, pod));
        0
    }

    /// Lets pods go that are not wanted, without counting that as a failure of theirs.
    fn shrink(&self, active: &[&Object], n_wanted: usize, wanted: &mut Wanted) -> usize {
        let mut by_worth = active.to_vec();
        by_worth.sort_by_cached_key(|pod| {
            let created = time(&pod.value["metadata"]["creationTimestamp"]);
            (pod.value["status"]["phase"] == "Running", is_ready(pod), Reverse(created))
        });
        for pod in by_worth.into_iter().take(active.len().saturating_sub(n_wanted)) {
            wanted.steps.push(Step::Counted(pod.reference()));
            wanted.delete(self.job, pod);
        }
        n_wanted.min(active.len())
    }

    /// Has as many pods as are wanted. Gives how many there are then.
    fn fit(&self, active: &[&Object], world: &World<'_>, wanted: &mut Wanted) -> usize {
        let spec = &self.job.value["spec"];
        let parallelism = count(&spec["parallelism"], 1);
        let n_wanted = match number(&spec["completions"]) {
            // The first that succeeds tells the others to come to an end.
            None if self.succeeded > 0 => active.len().min(parallelism),
            None => parallelism,
            Some(_) => parallelism.min(count(&spec["completions"], 1).saturating_sub(self.succeeded)),
        };
        if active.len() > n_wanted {
            return self.shrink(active, n_wanted, wanted);
        }
        let waits_for_end = spec["podReplacementPolicy"] == "Failed";
        let ending = self.pods.iter().filter(|pod| waits_for_end && is_ending(pod) && !has_ended(pod));
        let n_new = n_wanted.saturating_sub(active.len() + ending.count());
        if n_new == 0 {
            return active.len();
        }
        if let Some(at) = back_off_until(&self.pods).filter(|at| *at > world.now) {
            wanted.look_again(Some(at));
            return active.len();
        }
        wanted.is_counted = true;
        let new: Vec<Object> = match &self.done {
            None => (0..n_new).map(|_| self.pod(None)).collect(),
            Some(done) => {
                let taken: Vec<u32> = active.iter().filter_map(|pod| index_of(pod)).collect();
                let end = u32::try_from(count(&spec["completions"], 0)).unwrap_or(u32::MAX);
                done.missing(end, &taken).take(n_new).map(|index| self.pod(Some(index))).collect()
            }
        };
        let n_made = new.len();
        new.into_iter().for_each(|pod| wanted.make_for_good(pod));
        active.len() + n_made
    }

    fn pod(&self, index: Option<u32>) -> Object {
        let template = &self.job.value["spec"]["template"];
        let Some(index) = index else {
            let name = made::name(&format!("{}-", self.job.name));
            return tracked(made::pod(self.job, template, &name, &[]));
        };
        let host = format!("{}-{index}", self.job.name);
        let (name, index) = (made::name(&format!("{host}-")), index.to_string());
        let mut pod = made::pod(self.job, template, &name, &[(INDEX, &index)]);
        pod.value["metadata"]["annotations"][INDEX] = json!(index);
        pod.value["spec"]["hostname"] = json!(host);
        indexes::tell_containers(&mut pod.value["spec"]);
        tracked(pod)
    }

    /// Says that a Job is over, which nothing runs of any more.
    fn finish(&mut self, wanted: &mut Wanted) {
        let Some(Condition { kind, reason, message, .. }) = self.conditions.first() else { return };
        let (reason, message) = (*reason, message.clone());
        if *kind == "SuccessCriteriaMet" {
            self.conditions.push(reached("Complete"));
            wanted.tell(self.job, Event::normal("Completed", "Job completed"));
        } else {
            self.conditions.push(Condition::new("Failed", true).because(reason, message.clone()));
            wanted.tell(self.job, Event::warning(reason, message));
        }
        wanted.is_counted = true;
    }

    fn say_whether_suspended(&mut self, is_suspended: bool, wanted: &mut Wanted) {
        let before = conditions::find(&self.job.value["status"]["conditions"], "Suspended");
        let was = before.map(|before| before["status"] == "True");
        let (reason, message, event) = match (is_suspended, was) {
            (false, None) => return,
            (true, _) => ("JobSuspended", "Job suspended", "Suspended"),
            (false, _) => ("JobResumed", "Job resumed", "Resumed"),
        };
        if was != Some(is_suspended) {
            wanted.tell(self.job, Event::normal(event, message));
        }
        self.conditions.push(Condition::new("Suspended", is_suspended).because(reason, message));
    }
}

/// Why Jobs fail.
const REASONS: [&str; 3] = ["BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy"];

fn reached(condition: &'static str) -> Condition {
    Condition::new(condition, true).because("CompletionsReached", "Reached expected number of succeeded pods")
}
