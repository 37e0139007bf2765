//! Controllers played on objects alone: pods live as the tests say, and time passes when they say so.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::json;

use super::*;
use crate::store::{Mode, Query};

struct Play {
    store: Rc<Store>,
    now: Timestamp,
    events: Vec<String>,
    look_again: Option<Timestamp>,
    refusals: Refusals,
}

impl Play {
    fn new(objects: &[Value]) -> Self {
        let play = Self {
            store: Rc::new(Store::in_memory()),
            now: Timestamp::now(),
            events: Vec::new(),
            look_again: None,
            refusals: Refusals::default(),
        };
        objects.iter().for_each(|object| play.apply(object));
        play
    }

    fn apply(&self, object: &Value) {
        self.store.apply(vec![Object::from_value(object.clone()).unwrap()]).remove(0).unwrap();
    }

    /// Has controllers do what they want until that is nothing any more; pods that are deleted go meanwhile.
    fn settle(&mut self) {
        for _ in 0..50 {
            let before = self.store.revision();
            let followed = follow(&self.store, &Arc::clone, &mut self.refusals, (self.now, Instant::now()));
            self.look_again = followed.look_again;
            let told = followed.events.into_iter();
            self.events
                .extend(told.map(|(about, event)| format!("{about}: {} {}", event.reason, event.message)));
            for pod in self.store.objects().of_kind("Pod").filter(|pod| made::is_ending(pod)) {
                if !crate::store::has_finalizers(pod) {
                    self.store.take_away(&pod.reference());
                }
            }
            if self.store.revision() == before {
                return;
            }
        }
        panic!("controllers never come to rest: {:#?}", self.events);
    }

    fn pods(&self) -> Vec<Arc<Object>> {
        self.store.list(&Query::of("Pod")).objects
    }

    /// All pods by name, with their phases.
    fn shown(&self) -> String {
        let pods = self.pods().into_iter().map(|pod| {
            let phase = pod.value["status"]["phase"].as_str().unwrap_or_default().to_owned();
            let ready = if made::is_ready(&pod) { "+" } else { "" };
            format!("{} {phase}{ready}", pod.name)
        });
        pods.collect::<Vec<_>>().join(", ")
    }

    fn set(&self, pod: &str, phase: &str, code: i64) {
        let now = metadata::time(self.now);
        let ready = if phase == "Running" { "True" } else { "False" };
        let status = json!({
            "phase": phase,
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": now}],
            "containerStatuses": [{"name": "main", "restartCount": 0,
                "state": {"terminated": {"exitCode": code, "finishedAt": now}}}],
        });
        self.store.set_status(&ObjectRef::new("Pod", "default", pod), status);
    }

    /// All pods that are not over become so.
    fn set_all(&self, phase: &str) {
        for pod in self.pods().iter().filter(|pod| made::is_active(pod)) {
            if pod.value["status"]["phase"] != phase {
                self.set(&pod.name, phase, i64::from(phase == "Failed"));
            }
        }
    }

    fn run(&mut self) {
        for _ in 0..20 {
            self.settle();
            self.set_all("Running");
        }
        self.settle();
    }

    fn pass_time(&mut self, seconds: u64) {
        self.now = later(self.now, seconds).unwrap();
    }

    fn status(&self, kind: &str, name: &str) -> Value {
        self.store.objects().get(kind, "default", name).unwrap().value["status"].clone()
    }

    fn patch(&self, kind: &str, name: &str, patch: &Value) {
        let kind = manifest::kind_named(kind).unwrap();
        let change = |value: &Value| {
            let mut value = value.clone();
            crate::store::merge_patch(&mut value, patch);
            Ok(value)
        };
        self.store.modify((kind, "default", name), crate::store::Part::Object, Mode::Commit, change).unwrap();
    }

    fn delete(&self, kind: &str, name: &str) {
        let kind = manifest::kind_named(kind).unwrap();
        self.store.delete((kind, "default", name), &DeleteOptions::default(), Mode::Commit).unwrap();
    }

    fn has_told(&self, text: &str) -> bool {
        self.events.iter().any(|event| event.contains(text))
    }
}

fn template(labels: &Value) -> Value {
    json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "forebay", "command": ["true"]}]}})
}

fn job(name: &str, spec: &Value) -> Value {
    let mut all = json!({"template": template(&json!({}))});
    all["template"]["spec"]["restartPolicy"] = json!("Never");
    crate::store::merge_patch(&mut all, spec);
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": all})
}

fn set(kind: &str, spec: &Value) -> Value {
    let labels = json!({"app": "web"});
    let selector =
        if kind == "ReplicationController" { labels.clone() } else { json!({"matchLabels": labels}) };
    let mut all = json!({"selector": selector, "template": template(&labels)});
    crate::store::merge_patch(&mut all, spec);
    let kind = manifest::kind_named(kind).unwrap();
    json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "web"}, "spec": all})
}

fn conditions_of(status: &Value) -> String {
    let all = status["conditions"].as_array().into_iter().flatten();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let all = all.map(|it| format!("{}={} {}", text(it, "type"), text(it, "status"), text(it, "reason")));
    all.collect::<Vec<_>>().join(", ")
}

fn numbers(status: &Value, fields: &[&str]) -> Vec<u64> {
    fields.iter().map(|field| status[*field].as_u64().unwrap_or(0)).collect()
}

// === Job ===

const JOB: &[&str] = &["active", "succeeded", "failed"];

#[test]
fn a_job_is_complete_when_its_pods_have_succeeded() {
    let mut play = Play::new(&[job("j", &json!({"completions": 3, "parallelism": 2}))]);
    play.settle();
    assert_eq!(numbers(&play.status("Job", "j"), JOB), [2, 0, 0]);
    let pod = &play.pods()[0];
    assert_eq!(pod.value["metadata"]["labels"]["batch.kubernetes.io/job-name"], "j");
    assert!(pod.name.starts_with("j-") && is_tracked(pod));
    play.set_all("Succeeded");
    play.settle();
    assert_eq!(numbers(&play.status("Job", "j"), JOB), [1, 2, 0]);
    play.set_all("Succeeded");
    play.settle();
    let status = play.status("Job", "j");
    assert_eq!(numbers(&status, JOB), [0, 3, 0]);
    assert_eq!(
        conditions_of(&status),
        "SuccessCriteriaMet=True CompletionsReached, Complete=True CompletionsReached"
    );
    assert!(status["completionTime"].is_string() && status["startTime"].is_string());
    assert!(play.pods().iter().all(|pod| !is_tracked(pod)), "nobody waits for anything any more");
    assert!(play.has_told("Completed Job completed"));
}

#[test]
fn a_job_that_fails_again_and_again_waits_longer_and_gives_up() {
    let mut play = Play::new(&[job("j", &json!({"backoffLimit": 2}))]);
    for (n_failed, wait) in [(1, 10), (2, 20)] {
        play.settle();
        play.set_all("Failed");
        play.settle();
        assert_eq!(numbers(&play.status("Job", "j"), JOB), [0, 0, n_failed]);
        play.pass_time(wait - 1);
        play.settle();
        assert_eq!(numbers(&play.status("Job", "j"), JOB)[0], 0, "too early after failure {n_failed}");
        play.pass_time(1);
    }
    play.settle();
    play.set_all("Failed");
    play.settle();
    let status = play.status("Job", "j");
    assert_eq!(numbers(&status, JOB), [0, 0, 3]);
    assert_eq!(
        conditions_of(&status),
        "FailureTarget=True BackoffLimitExceeded, Failed=True BackoffLimitExceeded"
    );
    assert!(status["completionTime"].is_null());
    assert_eq!(play.pods().len(), 3, "pods that failed stay to be looked at");
    assert!(play.has_told("BackoffLimitExceeded Job has reached the specified backoff limit"));
}

#[test]
fn a_job_ends_in_its_time_and_is_forgotten_after_it() {
    let mut play =
        Play::new(&[job("j", &json!({"activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 100}))]);
    play.run();
    assert!(play.look_again.is_some());
    play.pass_time(61);
    play.settle();
    let status = play.status("Job", "j");
    assert_eq!(conditions_of(&status), "FailureTarget=True DeadlineExceeded, Failed=True DeadlineExceeded");
    assert_eq!((numbers(&status, JOB), play.shown()), (vec![0, 0, 1], String::new()));
    play.pass_time(99);
    play.settle();
    assert!(play.store.objects().get("Job", "default", "j").is_some());
    play.pass_time(3);
    play.settle();
    assert!(play.store.objects().get("Job", "default", "j").is_none());
}

#[test]
fn a_job_that_is_suspended_runs_nothing_until_it_goes_on() {
    let mut play = Play::new(&[job("j", &json!({"suspend": true}))]);
    play.settle();
    assert_eq!((play.shown(), play.status("Job", "j")["startTime"].is_null()), (String::new(), true));
    assert_eq!(conditions_of(&play.status("Job", "j")), "Suspended=True JobSuspended");
    play.patch("Job", "j", &json!({"spec": {"suspend": false}}));
    play.run();
    assert_eq!(numbers(&play.status("Job", "j"), JOB), [1, 0, 0]);
    assert_eq!(conditions_of(&play.status("Job", "j")), "Suspended=False JobResumed");
    play.patch("Job", "j", &json!({"spec": {"suspend": true}}));
    play.settle();
    assert_eq!((play.shown(), numbers(&play.status("Job", "j"), JOB)), (String::new(), vec![0, 0, 0]));
    assert!(play.has_told("Resumed Job resumed") && play.has_told("Suspended Job suspended"));
}

#[test]
fn pods_of_an_indexed_job_have_each_a_number_of_their_own() {
    let spec = json!({"completionMode": "Indexed", "completions": 3, "parallelism": 2});
    let mut play = Play::new(&[job("j", &spec)]);
    play.settle();
    let pods = play.pods();
    assert!(pods[0].name.starts_with("j-0-") && pods[1].name.starts_with("j-1-"), "{}", play.shown());
    assert_eq!(pods[1].value["spec"]["hostname"], "j-1");
    assert_eq!(pods[1].value["spec"]["containers"][0]["env"][0]["name"], "JOB_COMPLETION_INDEX");
    play.set(&pods[1].name, "Succeeded", 0);
    play.set(&pods[0].name, "Failed", 1);
    play.settle();
    assert_eq!(play.status("Job", "j")["completedIndexes"], "1");
    play.pass_time(10);
    play.settle();
    play.set_all("Succeeded");
    play.settle();
    let status = play.status("Job", "j");
    assert_eq!((numbers(&status, JOB), &status["completedIndexes"]), (vec![0, 3, 1], &json!("0-2")));
}

#[test]
fn a_pod_that_somebody_deletes_is_a_failure_and_counted_once() {
    let mut play = Play::new(&[job("j", &json!({}))]);
    play.run();
    let pod = play.pods().remove(0);
    play.delete("Pod", &pod.name);
    play.settle();
    assert_eq!(numbers(&play.status("Job", "j"), JOB), [1, 0, 1], "{}", play.shown());
    play.run();
    assert_eq!(numbers(&play.status("Job", "j"), JOB), [1, 0, 1]);
}

#[test]
fn pods_of_a_job_that_is_deleted_wait_for_nobody() {
    let mut play = Play::new(&[job("j", &json!({"parallelism": 2, "completions": 2}))]);
    play.run();
    play.set(&play.pods()[0].name, "Succeeded", 0);
    play.delete("Job", "j");
    play.settle();
    assert_eq!(play.shown(), "");
}

#[test]
fn a_job_that_is_made_smaller_lets_pods_go_that_did_not_fail() {
    let mut play = Play::new(&[job("j", &json!({"parallelism": 3, "completions": 5}))]);
    play.run();
    play.patch("Job", "j", &json!({"spec": {"parallelism": 1}}));
    play.settle();
    assert_eq!((play.pods().len(), numbers(&play.status("Job", "j"), JOB)), (1, vec![1, 0, 0]));
}

// === CronJob ===

fn cron_job(spec: &Value) -> Value {
    let mut all = json!({"schedule": "* * * * *", "jobTemplate": {"spec": job("x", &json!({}))["spec"]}});
    crate::store::merge_patch(&mut all, spec);
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": all})
}

fn jobs(play: &Play) -> usize {
    play.store.list(&Query::of("Job")).objects.len()
}

#[test]
fn a_cron_job_begins_a_job_each_time_and_keeps_the_last_of_them() {
    let mut play = Play::new(&[cron_job(&json!({}))]);
    play.settle();
    assert_eq!(jobs(&play), 0);
    assert!(play.look_again.is_some_and(|at| at > play.now));
    for n in 1..6 {
        play.pass_time(60);
        play.settle();
        let status = play.status("CronJob", "c");
        assert_eq!(status["active"].as_array().map(Vec::len), Some(1), "{status}");
        assert_eq!(jobs(&play), (n).min(4), "the one that runs, and three of before");
        play.set_all("Succeeded");
        play.settle();
        assert!(play.status("CronJob", "c")["lastSuccessfulTime"].is_string());
    }
    assert!(play.has_told("SawCompletedJob Saw completed job: c-"));
    play.patch("CronJob", "c", &json!({"spec": {"suspend": true}}));
    let n_jobs = jobs(&play);
    play.pass_time(600);
    play.settle();
    assert_eq!(jobs(&play), n_jobs);
}

#[test]
fn what_still_runs_is_joined_awaited_or_replaced() {
    for (policy, n_jobs) in [("Allow", 3), ("Forbid", 1), ("Replace", 1)] {
        let mut play = Play::new(&[cron_job(&json!({"concurrencyPolicy": policy}))]);
        for _ in 0..3 {
            play.pass_time(60);
            play.run();
        }
        assert_eq!(jobs(&play), n_jobs, "{policy}");
        assert_eq!(play.has_told("JobAlreadyActive"), policy == "Forbid");
    }
}

#[test]
fn a_cron_job_that_missed_many_times_says_so_and_begins_the_last_of_them() {
    let mut play = Play::new(&[cron_job(&json!({}))]);
    play.pass_time(60 * 500);
    play.settle();
    assert_eq!(jobs(&play), 1);
    assert!(play.has_told("TooManyMissedTimes too many missed start times: 500"), "{:#?}", play.events);
    let last = play.status("CronJob", "c")["lastScheduleTime"].clone();
    play.now = play.now.checked_sub(jiff::SignedDuration::from_hours(2)).unwrap();
    play.settle();
    assert_eq!(
        (jobs(&play), &play.status("CronJob", "c")["lastScheduleTime"]),
        (1, &last),
        "a clock that is set back"
    );
}

// === ReplicaSet, ReplicationController ===

#[test]
fn a_set_has_as_many_pods_as_it_wants_and_adopts_those_of_nobody() {
    for kind in ["ReplicaSet", "ReplicationController"] {
        let free = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "free", "labels": {"app": "web"}},
            "spec": template(&json!({}))["spec"]});
        let mut play = Play::new(&[free, set(kind, &json!({"replicas": 3}))]);
        play.run();
        let fields = &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"];
        assert_eq!(numbers(&play.status(kind, "web"), fields), [3, 3, 3, 3]);
        assert_eq!(play.pods().len(), 3);
        assert_eq!(play.pods()[0].value["metadata"]["ownerReferences"][0]["kind"], kind);

        play.patch(kind, "web", &json!({"spec": {"replicas": 1}}));
        play.settle();
        assert_eq!(play.pods().len(), 1);
        let left = play.pods().remove(0).name.clone();
        play.patch("Pod", &left, &json!({"metadata": {"labels": {"app": "other"}}}));
        play.run();
        let released = play.store.objects().get("Pod", "default", &left).cloned().unwrap();
        assert!(
            released.value["metadata"].get("ownerReferences").is_none(),
            "what it selects no longer is let go of"
        );
        assert_eq!(play.pods().len(), 2, "and another one made");
    }
}

#[test]
fn pods_that_are_of_least_use_go_first() {
    let mut play = Play::new(&[set("ReplicaSet", &json!({"replicas": 4}))]);
    play.settle();
    let pods = play.pods();
    pods[..3].iter().for_each(|pod| play.set(&pod.name, "Running", 0));
    let cost = json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}});
    play.patch("Pod", &pods[1].name, &cost);
    play.patch("ReplicaSet", "web", &json!({"spec": {"replicas": 3}}));
    play.settle();
    let names = |play: &Play| play.pods().iter().map(|pod| pod.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&play), [&pods[0], &pods[1], &pods[2]].map(|pod| pod.name.clone()));
    play.patch("ReplicaSet", "web", &json!({"spec": {"replicas": 2}}));
    play.settle();
    assert_eq!(names(&play), [&pods[0], &pods[2]].map(|pod| pod.name.clone()));
}

#[test]
fn what_is_not_admitted_is_told_and_tried_again_later() {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "2"}}});
    for (kind, owner) in [
        ("ReplicaSet", set("ReplicaSet", &json!({"replicas": 3}))),
        ("StatefulSet", set("StatefulSet", &json!({"replicas": 3}))),
        ("Job", job("web", &json!({"completions": 3, "parallelism": 3}))),
    ] {
        let mut play = Play::new(&[quota.clone(), owner]);
        play.run();
        assert_eq!(play.pods().len(), 2, "{kind}");
        let refused = |event: &&String| event.contains("FailedCreate Error creating: pods ");
        assert_eq!(play.events.iter().filter(refused).count(), 1, "{:#?}", play.events);
        assert!(play.has_told("exceeded quota: few"), "{:#?}", play.events);
        play.patch("ResourceQuota", "few", &json!({"spec": {"hard": {"pods": "3"}}}));
        play.refusals = Refusals::default();
        play.run();
        assert_eq!(play.pods().len(), 3, "{kind}");
    }
}

// === StatefulSet ===

const STATEFUL: &[&str] = &["replicas", "readyReplicas", "currentReplicas", "updatedReplicas"];

#[test]
fn pods_of_a_stateful_set_come_one_after_the_other_and_go_backwards() {
    let mut play = Play::new(&[set("StatefulSet", &json!({"replicas": 3, "serviceName": "web"}))]);
    play.settle();
    assert_eq!(play.shown(), "web-0 Pending");
    play.set_all("Running");
    play.settle();
    assert_eq!(play.shown(), "web-0 Running+, web-1 Pending");
    play.run();
    assert_eq!(play.shown(), "web-0 Running+, web-1 Running+, web-2 Running+");
    assert_eq!(numbers(&play.status("StatefulSet", "web"), STATEFUL), [3, 3, 3, 3]);
    let pod = play.pods().remove(2);
    assert_eq!(
        (&pod.value["spec"]["hostname"], &pod.value["spec"]["subdomain"]),
        (&json!("web-2"), &json!("web"))
    );
    assert_eq!(pod.labels()["apps.kubernetes.io/pod-index"], "2");
    play.patch("StatefulSet", "web", &json!({"spec": {"replicas": 1}}));
    play.settle();
    assert_eq!(play.shown(), "web-0 Running+");
    play.delete("Pod", "web-0");
    play.settle();
    assert_eq!(play.shown(), "web-0 Pending", "it comes back by its name");

    let mut parallel =
        Play::new(&[set("StatefulSet", &json!({"replicas": 3, "podManagementPolicy": "Parallel"}))]);
    parallel.settle();
    assert_eq!(parallel.shown(), "web-0 Pending, web-1 Pending, web-2 Pending");
}

fn versions(play: &Play) -> BTreeMap<String, String> {
    let shown = |pod: Arc<Object>| (pod.name.clone(), pod.labels()["controller-revision-hash"].to_owned());
    play.pods().into_iter().map(shown).collect()
}

fn changed(word: &str) -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {"version": word}}}}})
}

#[test]
fn a_stateful_set_rolls_backwards_down_to_its_partition() {
    let strategy = json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}});
    let mut play = Play::new(&[set("StatefulSet", &strategy)]);
    play.run();
    let old = versions(&play)["web-0"].clone();
    play.patch("StatefulSet", "web", &changed("2"));
    play.settle();
    assert_eq!(play.shown(), "web-0 Running+, web-1 Running+, web-2 Pending");
    play.run();
    let of = versions(&play);
    assert!(of["web-0"] == old && of["web-1"] == old && of["web-2"] != old, "{of:?}");
    let status = play.status("StatefulSet", "web");
    assert_eq!(numbers(&status, STATEFUL), [3, 3, 2, 1]);
    assert_ne!(status["currentRevision"], status["updateRevision"]);
    play.delete("Pod", "web-1");
    play.run();
    assert_eq!(versions(&play)["web-1"], old, "below the partition it stays as it was");

    play.patch(
        "StatefulSet",
        "web",
        &json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}),
    );
    play.run();
    let status = play.status("StatefulSet", "web");
    assert_eq!(
        (numbers(&status, STATEFUL), &status["currentRevision"]),
        (vec![3, 3, 3, 3], &status["updateRevision"])
    );
    let revisions = play.store.list(&Query::of("ControllerRevision")).objects;
    assert_eq!(revisions.iter().map(|it| it.value["revision"].as_u64().unwrap()).max(), Some(2));
    assert_eq!(revisions[0].value["data"]["spec"]["template"]["$patch"], "replace");
}

#[test]
fn a_version_that_never_gets_ready_stops_a_stateful_set_at_its_first_pod() {
    let mut play = Play::new(&[set("StatefulSet", &json!({"replicas": 3}))]);
    play.run();
    play.patch("StatefulSet", "web", &changed("2"));
    (0..5).for_each(|_| play.settle());
    assert_eq!(play.shown(), "web-0 Running+, web-1 Running+, web-2 Pending");
}

#[test]
fn on_delete_changes_pods_only_where_somebody_deletes_them() {
    for kind in ["StatefulSet", "DaemonSet"] {
        let spec = json!({"updateStrategy": {"type": "OnDelete"}});
        let mut play = Play::new(&[node("a", &json!({})), set(kind, &spec)]);
        play.run();
        let before = versions(&play);
        play.patch(kind, "web", &changed("2"));
        play.run();
        assert_eq!(versions(&play), before, "{kind}");
        play.delete("Pod", before.keys().next().unwrap());
        play.run();
        assert_ne!(versions(&play).into_values().next(), before.into_values().next(), "{kind}");
    }
}

// === DaemonSet ===

fn node(name: &str, more: &Value) -> Value {
    let mut node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"zone": name}}, "spec": {}});
    crate::store::merge_patch(&mut node, more);
    node
}

const DAEMON: &[&str] = &[
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "updatedNumberScheduled",
    "numberMisscheduled",
];

fn nodes_of(play: &Play) -> String {
    let pods = play.pods();
    let mut nodes: Vec<&str> = pods.iter().filter_map(|pod| pod.value["spec"]["nodeName"].as_str()).collect();
    nodes.sort_unstable();
    nodes.join(" ")
}

#[test]
fn a_daemon_set_has_one_pod_on_every_node_that_takes_it() {
    let cordoned = json!({"spec": {"unschedulable": true,
        "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}});
    let mut play = Play::new(&[node("a", &json!({})), node("b", &cordoned), set("DaemonSet", &json!({}))]);
    play.run();
    assert_eq!(nodes_of(&play), "a b", "a cordon does not keep it away");
    assert_eq!(numbers(&play.status("DaemonSet", "web"), DAEMON), [2, 2, 2, 2, 0]);

    play.patch("Node", "b", &json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}));
    play.run();
    assert_eq!(nodes_of(&play), "a b", "what is there may stay");
    assert_eq!(numbers(&play.status("DaemonSet", "web"), DAEMON), [1, 1, 1, 1, 1]);
    play.patch("Node", "b", &json!({"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}}));
    play.run();
    assert_eq!(nodes_of(&play), "a");
    play.patch("Node", "b", &json!({"spec": {"taints": null}}));
    play.patch("DaemonSet", "web", &json!({"spec": {"template": {"spec": {"nodeSelector": {"zone": "b"}}}}}));
    play.run();
    assert_eq!(nodes_of(&play), "b");
}

#[test]
fn a_daemon_set_rolls_one_node_after_the_other() {
    let mut play = Play::new(&[node("a", &json!({})), node("b", &json!({})), set("DaemonSet", &json!({}))]);
    play.run();
    let before = versions(&play);
    play.patch("DaemonSet", "web", &changed("2"));
    play.settle();
    assert_eq!(numbers(&play.status("DaemonSet", "web"), DAEMON), [2, 2, 1, 1, 0], "{}", play.shown());
    play.run();
    assert_eq!(numbers(&play.status("DaemonSet", "web"), DAEMON), [2, 2, 2, 2, 0]);
    assert!(versions(&play).values().all(|version| !before.values().any(|old| old == version)));

    let surge = json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}});
    let mut play = Play::new(&[node("a", &json!({})), node("b", &json!({})), set("DaemonSet", &surge)]);
    play.run();
    play.patch("DaemonSet", "web", &changed("2"));
    play.settle();
    assert_eq!(nodes_of(&play), "a a b", "the new one comes first");
    play.run();
    assert_eq!((nodes_of(&play).as_str(), numbers(&play.status("DaemonSet", "web"), DAEMON)[3]), ("a b", 2));
}
