//! Pods that run to their end, and what has them made, as processes.

use std::path::Path;

use control::Settings;
use control::store::{DeleteOptions, Mode};
use manifest::Objects;
use serde_json::{Value, json};

use crate::control::{Platform, at};
use crate::machine::on_one_thread;

fn pod(name: &str, spec: &str, script: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: mlops, labels: {{app: {name}}}}}
spec: {{{spec} containers: [{{name: main, image: forebay, command: [/bin/sh, -c, {}]}}]}}
",
        json!(script)
    )
}

fn job(name: &str, spec: &str, script: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, namespace: mlops}}
spec:
  {spec}
  template:
    spec: {{restartPolicy: Never, containers: [{{name: main, image: forebay, command: [/bin/sh, -c, {}]}}]}}
",
        json!(script)
    )
}

fn field(objects: &Objects, kind: &str, name: &str, pointer: &str) -> Value {
    at(objects, kind, "mlops", name, pointer).clone()
}

fn n_pods(objects: &Objects, labels: (&str, &str), phase: &str) -> usize {
    let pods = objects.of_kind("Pod").filter(|pod| pod.labels().get(labels.0) == Some(&labels.1));
    pods.filter(|pod| pod.value["status"]["phase"] == phase).count()
}

#[tokio::test]
async fn pods_that_ended_stay_and_say_how() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        platform.apply(&pod("bad", "restartPolicy: Never,", "echo no such file; exit 3"));
        platform.apply(&pod("good", "restartPolicy: OnFailure,", "exit 0"));
        platform.apply(&pod("long", "restartPolicy: Never, activeDeadlineSeconds: 1,", "exec sleep 1000"));
        let phase = |objects: &Objects, name: &str| field(objects, "Pod", name, "/status/phase");
        let (objects, _) = platform
            .until("ended", |objects, _| {
                phase(objects, "bad") == "Failed"
                    && phase(objects, "good") == "Succeeded"
                    && phase(objects, "long") == "Failed"
            })
            .await;
        let end = field(&objects, "Pod", "bad", "/status/containerStatuses/0/state/terminated");
        assert_eq!((&end["exitCode"], &end["reason"]), (&json!(3), &json!("Error")));
        assert_eq!(end["message"], "no such file");
        let end = field(&objects, "Pod", "good", "/status/containerStatuses/0/state/terminated");
        assert_eq!((&end["exitCode"], &end["reason"]), (&json!(0), &json!("Completed")));
        assert_eq!(field(&objects, "Pod", "good", "/status/conditions/3/reason"), "PodCompleted");
        assert_eq!(field(&objects, "Pod", "long", "/status/reason"), "DeadlineExceeded");
        drop(objects);
        let before = platform.store.objects();
        platform.crash().await;

        let mut again = Platform::start(folder.path(), Settings::default()).await;
        again.apply(&pod("last", "restartPolicy: Never,", "exit 0"));
        let (objects, _) = again.until("last", |objects, _| phase(objects, "last") == "Succeeded").await;
        for name in ["bad", "good", "long"] {
            let of = |objects: &Objects| field(objects, "Pod", name, "/status");
            assert_eq!(of(&objects), of(&before), "{name} has ended, and is not begun anew");
        }
        drop(objects);
        again.delete("Pod", "bad");
        again.until("gone", |objects, _| objects.get("Pod", "mlops", "bad").is_none()).await;
        again.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_ignores_its_end_is_killed_after_the_grace_that_was_said() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        let deaf = "trap '' TERM; (trap '' TERM; exec setsid sleep 1000) & while :; do sleep 1000; done";
        platform.apply(&pod("deaf", "restartPolicy: Never, terminationGracePeriodSeconds: 600,", deaf));
        platform
            .until("running", |objects, _| field(objects, "Pod", "deaf", "/status/phase") == "Running")
            .await;
        let kind = manifest::kind_named("Pod").unwrap();
        let options = DeleteOptions { grace_period_seconds: Some(1), ..DeleteOptions::default() };
        platform.store.delete((kind, "mlops", "deaf"), &options, Mode::Commit).unwrap();
        platform.until("gone", |objects, _| objects.get("Pod", "mlops", "deaf").is_none()).await;
        platform.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_run_says_so_in_its_pod() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        platform.apply(
            "apiVersion: v1
kind: Pod
metadata: {name: db, namespace: mlops}
spec: {restartPolicy: Never, containers: [{name: main, image: postgres}]}
",
        );
        let waiting = "/status/containerStatuses/0/state/waiting";
        let (objects, _) = platform
            .until("told", |objects, _| field(objects, "Pod", "db", waiting)["reason"] == "ErrImagePull")
            .await;
        let message =
            field(&objects, "Pod", "db", waiting)["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("image `postgres` cannot be run here"), "{message}");
        assert!(message.contains("or a command that this machine has"), "{message}");
        drop(objects);
        platform.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_runs_its_pods_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        let spec = "completionMode: Indexed\n  completions: 3\n  parallelism: 2";
        platform.apply(&job("sum", spec, "test $JOB_COMPLETION_INDEX -lt 3"));
        let done = |objects: &Objects, _: &_| {
            field(objects, "Job", "sum", "/status/conditions/1/type") == "Complete"
        };
        let (objects, _) = platform.until("complete", done).await;
        assert_eq!(field(&objects, "Job", "sum", "/status/succeeded"), 3);
        assert_eq!(field(&objects, "Job", "sum", "/status/completedIndexes"), "0-2");
        assert_eq!(n_pods(&objects, ("job-name", "sum"), "Succeeded"), 3);
        drop(objects);
        platform.delete("Job", "sum");
        platform.until("gone", |objects, _| objects.of_kind("Pod").next().is_none()).await;
        platform.stop().await;
    })
    .await;
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_pod_of_a_job_that_a_platform_left_behind_is_counted_once_and_not_begun_twice() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let runs = folder.path().join("runs");
        let script = format!("echo >> {0}; test $(wc -l < {0}) != 2 || exec sleep 1000", runs.display());
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        platform.apply(&job("two", "completions: 2", &script));
        let succeeded = |objects: &Objects| field(objects, "Job", "two", "/status/succeeded");
        platform.until("the second runs", |objects, _| succeeded(objects) == 1 && lines(&runs) == 2).await;
        platform.crash().await;
        for restart in 0..2 {
            let mut again = Platform::start(folder.path(), Settings::default()).await;
            let is_complete =
                |objects: &Objects| field(objects, "Job", "two", "/status/conditions/1/type") == "Complete";
            let (objects, _) = again.until("complete", |objects, _| is_complete(objects)).await;
            assert_eq!(succeeded(&objects), 2, "restart {restart}");
            assert_eq!(field(&objects, "Job", "two", "/status/failed"), 1, "restart {restart}");
            assert_eq!(n_pods(&objects, ("job-name", "two"), "Failed"), 1);
            let lost = objects.of_kind("Pod").find(|pod| pod.value["status"]["phase"] == "Failed").unwrap();
            let end = &lost.value["status"]["containerStatuses"][0]["state"]["terminated"];
            assert_eq!(end["reason"], "ContainerStatusUnknown");
            assert_eq!(lines(&runs), 3, "one try more, and none after the end");
            drop(objects);
            again.crash().await;
        }
    })
    .await;
}

#[tokio::test]
async fn sets_of_ones_own_have_pods_that_get_traffic_and_go_with_them() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        for (kind, group) in [("ReplicaSet", "apps/v1"), ("StatefulSet", "apps/v1")] {
            let name = kind.to_lowercase();
            platform.apply(&format!(
                "apiVersion: {group}
kind: {kind}
metadata: {{name: {name}, namespace: mlops}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main, image: forebay, command: [/bin/sh, -c, exec sleep 1000]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: mlops}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
"
            ));
            let ready = |objects: &Objects| {
                let addresses = field(objects, "Endpoints", &name, "/subsets/0/addresses");
                field(objects, kind, &name, "/status/readyReplicas") == 2
                    && addresses.as_array().is_some_and(|addresses| addresses.len() == 2)
            };
            platform.until("ready", |objects, _| ready(objects)).await;
            platform.delete(kind, &name);
            platform.until("gone", |objects, _| objects.of_kind("Pod").next().is_none()).await;
        }
        platform.stop().await;
    })
    .await;
}
