//! Replicas: started, kept, rolled, drained, ended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use control::Cluster;
use control::local::LogQuery;
use control::store::{DeleteOptions, Mode};
use manifest::{Object, Objects, Program, Rollout, Workload};
use plan::health::{TargetHealth, TargetState};
use plan::{ObjectRef, TargetKey};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;

use crate::machine::{
    Machine, ask, deployment, endpoints, field, is_ready, on_one_thread, ready_pods, script, service,
    workload,
};

const PLATFORM: &str = "TEST_PLATFORM";

fn address(pod: &Object) -> &str {
    pod.value["status"]["podIP"].as_str().unwrap()
}

pub(crate) fn last_number(address: std::net::IpAddr) -> String {
    address.to_string().rsplit('.').next().unwrap().to_owned()
}

fn pid_in(file: &Path) -> Pid {
    Pid::from_raw(std::fs::read_to_string(file).unwrap().trim().parse().unwrap()).unwrap()
}

/// The processes that a platform remembers, in the order of their numbers.
fn processes(folder: &Path) -> Vec<Pid> {
    let entries = std::fs::read_dir(folder.join("state/processes")).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

#[tokio::test]
async fn acc_s4_24_acc_s4_27_a_deployment_is_processes_with_addresses_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        machine.apply(&service("api"));
        let mut workloads = [workload("api", 3, "aaaaaaaaaabbbb")];
        workloads[0].containers[0].cpu_limit = Some(0.25);
        let objects =
            machine.until(&workloads, "ready", |objects| endpoints(objects, "api").len() == 3).await;

        let pods = ready_pods(&objects);
        for pod in &pods {
            assert!(pod.name.starts_with("api-aaaaaaaaaa-"), "{}", pod.name);
            assert!(address(pod).starts_with("127.78."), "{}", address(pod));
            assert_eq!(ask(address(pod)).unwrap(), pod.name, "each listens where it was told to");
            assert_eq!(pod.labels()["pod-template-hash"], "aaaaaaaaaa");
            assert_eq!(pod.value["metadata"]["ownerReferences"][0]["kind"], "ReplicaSet");
        }
        assert_eq!(*field(&objects, "ReplicaSet", "api-aaaaaaaaaa", "/status/readyReplicas"), 3);
        assert_eq!(*field(&objects, "Deployment", "api", "/status/availableReplicas"), 3);
        assert_eq!(*field(&objects, "Deployment", "api", "/status/observedGeneration"), 1);
        assert_eq!(
            *field(&objects, "Deployment", "api", "/status/conditions/1/reason"),
            "NewReplicaSetAvailable"
        );
        assert_eq!(field(&objects, "Endpoints", "api", "/subsets/0/addresses").as_array().unwrap().len(), 3);
        let told = machine.events();
        let has = |text: &str| told.iter().any(|event| event.starts_with(text));
        assert!(has("ScalingReplicaSet Scaled up replica set api-aaaaaaaaaa from 0 to 3"), "{told:#?}");
        assert!(has("SuccessfulCreate Created pod: api-"), "{told:#?}");
        assert!(has("Scheduled Successfully assigned mlops/api-"), "{told:#?}");
        assert!(has("Started Started container main"), "{told:#?}");
        assert!(has("LimitNotEnforced CPU limits are not enforced"), "{told:#?}");
        let created =
            "NamespaceCreated the namespace was not there and has been created for Deployment mlops/api";
        assert!(has(created), "{told:#?}");

        let running = processes(folder.path());
        assert_eq!(running.len(), 3);
        machine.local.stop().await;
        assert!(running.iter().all(|pid| test_kill_process(*pid).is_err()), "nothing is left behind");
    })
    .await;
}

#[tokio::test]
async fn f_01_a_killed_replica_is_ready_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        machine.apply(&service("api"));
        let workloads = [workload("api", 2, "a")];
        machine.until(&workloads, "ready", |objects| endpoints(objects, "api").len() == 2).await;
        kill_process(processes(folder.path())[0], Signal::KILL).unwrap();
        machine.until(&workloads, "noticed", |objects| endpoints(objects, "api").len() == 1).await;
        let objects = machine.until(&workloads, "back", |objects| endpoints(objects, "api").len() == 2).await;
        let told = machine.events();
        assert!(!told.iter().any(|event| event.starts_with("BackOff")), "{told:#?}");
        let pods = ready_pods(&objects);
        let restarted: Vec<_> = pods
            .iter()
            .filter(|pod| pod.value["status"]["containerStatuses"][0]["restartCount"] == 1)
            .collect();
        assert_eq!(restarted.len(), 1);
        let last = &restarted[0].value["status"]["containerStatuses"][0]["lastState"]["terminated"];
        assert_eq!(
            (&last["exitCode"], &last["signal"], &last["reason"]),
            (&json!(137), &json!(9), &json!("Error"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_deleted_pod_is_replaced_by_another() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        let workloads = [workload("api", 1, "a")];
        let objects = machine.until(&workloads, "ready", |objects| ready_pods(objects).len() == 1).await;
        let pod = ready_pods(&objects).remove(0);
        let kind = manifest::kind_named("Pod").unwrap();
        let options = DeleteOptions::default();
        machine.local.store().delete((kind, "mlops", &pod.name), &options, Mode::Commit).unwrap();
        let objects = machine
            .until(&workloads, "replaced", |objects| {
                let pods = ready_pods(objects);
                pods.len() == 1
                    && pods[0].name != pod.name
                    && objects.get("Pod", "mlops", &pod.name).is_none()
            })
            .await;
        assert_ne!(address(&ready_pods(&objects)[0]), address(&pod), "addresses are given in turns");
    })
    .await;
}

#[tokio::test]
async fn a_new_template_takes_over_replica_by_replica() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        machine.apply(&service("api"));
        let old = [workload("api", 3, "old")];
        machine.until(&old, "ready", |objects| endpoints(objects, "api").len() == 3).await;
        let new = [workload("api", 3, "new")];
        let fewest = std::cell::Cell::new(usize::MAX);
        let objects = machine
            .until(&new, "rolled", |objects| {
                fewest.set(fewest.get().min(endpoints(objects, "api").len()));
                let is_new = |pod: &Object| pod.labels()["pod-template-hash"] == "new";
                let pods: Vec<_> = objects.of_kind("Pod").collect();
                pods.len() == 3 && pods.iter().all(|pod| is_new(pod) && is_ready(pod))
            })
            .await;
        assert_eq!(fewest.get(), 3, "never fewer than wanted get traffic");
        assert_eq!(*field(&objects, "ReplicaSet", "api-old", "/spec/replicas"), 0);
        assert_eq!(
            *field(&objects, "Deployment", "api", "/metadata/annotations/deployment.kubernetes.io~1revision"),
            "2"
        );
        // And back again: the old set is used once more, as a new revision.
        let back = machine
            .until(&old, "rolled back", |objects| {
                *field(objects, "Deployment", "api", "/status/conditions/1/reason")
                    == "NewReplicaSetAvailable"
                    && objects.of_kind("Pod").all(|pod| pod.labels()["pod-template-hash"] == "old")
            })
            .await;
        assert_eq!(
            *field(&back, "Deployment", "api", "/metadata/annotations/deployment.kubernetes.io~1revision"),
            "3"
        );
    })
    .await;
}

#[tokio::test]
async fn a_version_that_never_gets_ready_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        machine.apply(&service("api"));
        machine
            .until(&[workload("api", 2, "good")], "ready", |objects| endpoints(objects, "api").len() == 2)
            .await;
        let mut broken = workload("api", 2, "broken");
        let command = ["/bin/sh", "-c", "echo no such model; exit 1"].map(ToOwned::to_owned).to_vec();
        broken.containers[0].program = Program::Command { command };
        let objects = machine
            .until(&[broken], "failed", |objects| {
                objects.of_kind("Pod").any(|pod| {
                    pod.value["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                        == "CrashLoopBackOff"
                })
            })
            .await;
        assert_eq!(endpoints(&objects, "api").len(), 2);
        let pod = objects.of_kind("Pod").find(|pod| pod.name.starts_with("api-broken-")).unwrap();
        let last = &pod.value["status"]["containerStatuses"][0]["lastState"]["terminated"];
        assert_eq!(last["message"], "no such model");
    })
    .await;
}

#[tokio::test]
async fn no_number_of_a_deployment_ends_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        for number in [json!(i64::MAX), json!(u64::MAX), json!(u32::MAX), json!(-1), json!(1e300)] {
            let mut deployment = deployment("api");
            for field in ["progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "replicas"] {
                deployment["spec"][field] = number.clone();
            }
            machine.apply(&deployment);
            let rollout = Rollout::RollingUpdate { max_surge: u32::MAX, max_unavailable: u32::MAX };
            let workloads = [Workload { rollout, ..workload("api", 1, &number.to_string()) }];
            machine
                .until(&workloads, "seen", |objects| {
                    field(objects, "Deployment", "api", "/status/conditions/0").is_object()
                })
                .await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_leaves_finishes_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        machine.apply(&service("api"));
        let objects = machine
            .until(&[workload("api", 1, "a")], "ready", |objects| endpoints(objects, "api").len() == 1)
            .await;
        let pod = ready_pods(&objects).remove(0);
        let target = TargetKey {
            load_balancer: plan::LoadBalancerId::service("mlops", "api"),
            target_group: "mlops/api:80".to_owned(),
            address: format!("{}:8080", address(&pod)).parse().unwrap(),
        };
        let busy = |in_flight| TargetHealth {
            state: TargetState::Draining,
            reason: None,
            description: String::new(),
            in_flight,
            rest: None,
        };
        machine.observed.targets.insert(target.clone(), busy(1));

        let none = [workload("api", 0, "a")];
        let objects = machine.until(&none, "out", |objects| endpoints(objects, "api").is_empty()).await;
        let slice = field(&objects, "EndpointSlice", "api-0", "/endpoints/0/conditions");
        assert_eq!(*slice, json!({"ready": false, "serving": true, "terminating": true}));
        tokio::time::sleep(Duration::from_millis(300)).await;
        machine.local.keep_workloads(&none, &machine.observed);
        assert_eq!(ask(address(&pod)).unwrap(), pod.name, "it still answers");

        machine.observed.targets.insert(target, busy(0));
        machine.until(&none, "gone", |objects| objects.of_kind("Pod").next().is_none()).await;
        assert!(ask(address(&pod)).is_err());
    })
    .await;
}

#[tokio::test]
async fn what_is_deleted_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        machine.apply(&service("api"));
        machine
            .until(&[workload("api", 2, "a")], "ready", |objects| endpoints(objects, "api").len() == 2)
            .await;
        let running = processes(folder.path());
        machine.local.delete(&ObjectRef::new("Deployment", "mlops", "api"));
        machine.local.delete(&ObjectRef::new("Service", "mlops", "api"));
        let is_left = |kind: &str, objects: &Objects| objects.of_kind(kind).next().is_some();
        let kinds = ["Pod", "ReplicaSet", "EndpointSlice", "Endpoints"];
        machine.until(&[], "gone", |objects| !kinds.iter().any(|kind| is_left(kind, objects))).await;
        assert!(running.iter().all(|pid| test_kill_process(*pid).is_err()));
        assert!(
            !folder.path().join("state/logs/mlops").read_dir().is_ok_and(|mut logs| logs.next().is_some())
        );
    })
    .await;
}

#[tokio::test]
async fn f_10_a_workload_that_cannot_be_understood_keeps_its_replicas() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        machine.until(&[workload("api", 1, "a")], "ready", |objects| ready_pods(objects).len() == 1).await;
        machine.local.keep_workloads(&[], &machine.observed);
        let objects = machine.local.objects();
        let pods = ready_pods(&objects);
        assert_eq!(pods.len(), 1);
        assert!(pods[0].value["metadata"].get("deletionTimestamp").is_none());
    })
    .await;
}

#[tokio::test]
async fn a_bare_pod_is_a_replica_until_it_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        let spec = json!({"containers": [{"name": "main", "image": "x"}]});
        let metadata = json!({"name": "debug", "namespace": "mlops"});
        machine.apply(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}));
        let mut bare = script("debug", "echo hello; exec sleep 1000");
        bare.owner = ObjectRef::new("Pod", "mlops", "debug");
        let bare = [bare];
        machine.until(&bare, "ready", |objects| ready_pods(objects).len() == 1).await;
        let query = LogQuery {
            namespace: "mlops".to_owned(),
            pod: "debug".to_owned(),
            container: "main".to_owned(),
            ..LogQuery::default()
        };
        let mut log = machine.local.machine().logs.follow(&query).unwrap();
        assert_eq!(log.next().await.unwrap(), b"hello\n");
        machine.local.delete(&ObjectRef::new("Pod", "mlops", "debug"));
        machine.until(&bare, "gone", |objects| objects.of_kind("Pod").next().is_none()).await;
        assert_eq!(log.next().await, None, "who follows the log learns that it is over");
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_is_made_anew_under_its_name_has_a_process_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        let spec = json!({"containers": [{"name": "main", "image": "x"}]});
        let metadata = json!({"name": "debug", "namespace": "mlops"});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
        machine.apply(&pod);
        let file = folder.path().join("pid");
        let mut bare =
            script("debug", &format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", file.display()));
        bare.owner = ObjectRef::new("Pod", "mlops", "debug");
        let bare = [bare];
        let written = || std::fs::read_to_string(&file).unwrap_or_default();
        let started = |objects: &Objects| ready_pods(objects).len() == 1 && !written().is_empty();
        machine.until(&bare, "ready", started).await;
        let (text, first) = (written(), pid_in(&file));
        let at_once = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        let kind = manifest::kind_named("Pod").unwrap();
        machine.local.store().delete((kind, "mlops", "debug"), &at_once, Mode::Commit).unwrap();
        machine.apply(&pod);
        machine.until(&bare, "another", |objects| started(objects) && written() != text).await;
        assert!(test_kill_process(first).is_err(), "the first has ended");
    })
    .await;
}

#[tokio::test]
async fn a_namespace_takes_its_replicas_with_it() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("api"));
        machine.apply(&service("api"));
        let workloads = [workload("api", 1, "a")];
        machine.until(&workloads, "ready", |objects| endpoints(objects, "api").len() == 1).await;
        machine.local.delete(&ObjectRef::new("Namespace", "", "mlops"));
        let objects =
            machine.until(&[], "gone", |objects| objects.get("Namespace", "", "mlops").is_none()).await;
        assert!(objects.iter().all(|object| object.namespace != "mlops"), "{objects:#?}");
    })
    .await;
}

#[tokio::test]
async fn acc_s0_50_load_balancers_keep_their_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let is_in_use = |_: &str| true;
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        let first = machine.local.load_balancer_address("service:a/b", &is_in_use).unwrap();
        let second = machine.local.load_balancer_address("service:a/c", &is_in_use).unwrap();
        assert_ne!(first, second);
        assert!(first.to_string().starts_with("127.77."));
        assert_eq!(machine.local.load_balancer_address("service:a/b", &is_in_use).unwrap(), first);

        let other_folder = tempfile::tempdir().unwrap();
        let mut other = Machine::new(other_folder.path()).await;
        assert_ne!(other.local.load_balancer_address("service:a/b", &is_in_use).unwrap(), first);
        drop(other);

        machine.local.stop().await;
        let mut machine = Machine::new(folder.path()).await;
        let again = machine.local.load_balancer_address("service:a/c", &is_in_use).unwrap();
        // Another test may have claimed the block in the meantime; the place in the block is ours.
        assert_eq!(last_number(again), last_number(second));
    })
    .await;
}

#[tokio::test]
async fn addresses_of_load_balancers_that_are_no_more_are_used_again() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        let nobody = |_: &str| false;
        let given: std::collections::BTreeSet<_> = (0..300)
            .map(|n| machine.local.load_balancer_address(&format!("service:a/s{n}"), &nobody).unwrap())
            .collect();
        assert_eq!(given.len(), 253);
        let everybody = |_: &str| true;
        assert!(machine.local.load_balancer_address("service:a/another", &everybody).is_err());
    })
    .await;
}

#[tokio::test]
async fn our_own_program_gets_what_it_needs_and_ends_with_us() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("forebay");
    let text = "#!/bin/sh\necho \"$@\" at $FOREBAY_ADDRESS > told.new; mv told.new told; cat; echo closed > closed\n";
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        machine.apply(&deployment("wine"));
        let mut wine = script("wine", "");
        wine.containers[0].program =
            Program::Forebay { arguments: vec!["serve".to_owned(), "wine=model".to_owned()] };
        wine.working_directory = Some(folder.path().to_owned());
        let told = folder.path().join("told");
        machine.until(&[wine], "told", |_| told.exists()).await;
        let told = std::fs::read_to_string(told).unwrap();
        assert!(told.starts_with("serve wine=model --stop-when-stdin-closes at 127.78."), "{told}");
    })
    .await;
}

/// Not a test by itself: a platform that is killed.
#[tokio::test]
async fn platform() {
    let Ok(folder) = std::env::var(PLATFORM) else { return };
    on_one_thread(async {
        let mut machine = Machine::new(Path::new(&folder)).await;
        machine.apply(&deployment("api"));
        let mut left = script("api", "echo $$ > pid.new; mv pid.new pid; exec sleep 1000");
        left.working_directory = Some(folder.clone().into());
        let pid = Path::new(&folder).join("pid");
        machine.until(&[left], "running", |_| pid.exists()).await;
        println!("\nrunning");
        std::future::pending::<()>().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_dead_platform_left_is_ended_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut platform = Command::new(std::env::current_exe().unwrap())
        .args(["local::platform", "--exact", "--nocapture"])
        .env(PLATFORM, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(platform.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "running"));
    platform.kill().unwrap();
    platform.wait().unwrap();
    let left = pid_in(&folder.path().join("pid"));
    assert!(test_kill_process(left).is_ok(), "a program that is not ours outlives the platform");

    on_one_thread(async {
        let mut machine = Machine::new(folder.path()).await;
        let objects = machine.local.objects();
        assert!(objects.get("Deployment", "mlops", "api").is_some(), "objects outlive it, too");
        assert!(objects.of_kind("Pod").next().is_none());
        // Whoever takes in orphans on this machine reaps it at its own pace.
        let ended = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", left.as_raw_pid()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        assert!(ended());
    })
    .await;
}
