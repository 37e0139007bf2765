use std::path::Path;

use manifest::{Probe, ProbeHandler, Program, RestartPolicy};
use tokio::task::LocalSet;

use super::*;
use crate::local::environment::{Identity, launch};
use crate::store::{Query, Store};

/// A container that runs a shell script in a folder of its own.
struct Case {
    folder: tempfile::TempDir,
    container: Container,
    store: Rc<Store>,
    grace: Duration,
    restart: RestartPolicy,
    n_starts: u32,
}

impl Case {
    fn new(script: &str) -> Self {
        let command = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let container = Container {
            name: "main".to_owned(),
            program: Program::Command { command },
            stdin: manifest::Stdin::Nobody,
            environment: Vec::new(),
            pod_fields: Vec::new(),
            ports: Vec::new(),
            startup: None,
            readiness: None,
            liveness: None,
            cpu_limit: None,
            memory_limit: None,
        };
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            container,
            store: Rc::new(Store::in_memory()),
            grace: Duration::from_secs(10),
            restart: RestartPolicy::Always,
            n_starts: 0,
        }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Handle {
        let address = "127.0.0.1".parse().unwrap();
        let (namespace, name) = ("default".to_owned(), "api-1".to_owned());
        let pod = ObjectRef::new("Pod", &namespace, &name);
        let identity = Identity { namespace, name, uid: String::new(), address, node: String::new() };
        let path = [("PATH".to_owned(), std::env::var("PATH").unwrap())].into_iter();
        let launch = launch(&self.container, &identity, Some(self.folder.path()), path, Path::new(""));
        let platform = Rc::new(Platform {
            logs: Logs::new(self.file("logs")),
            recorder: Recorder::new(Rc::clone(&self.store)),
            leftovers: Leftovers::new(self.file("processes")),
            mark: String::new(),
            running: Running::new(Leftovers::new(self.file("processes"))),
            wake: watch::Sender::default(),
        });
        let container = self.container.clone();
        let (grace, restart, n_starts) = (self.grace, self.restart, self.n_starts);
        Handle::start(Runner {
            container,
            pod,
            launch,
            mark: None,
            address,
            grace,
            restart,
            n_starts,
            platform,
        })
    }

    /// What was told, as `reason message`.
    fn events(&self) -> Vec<String> {
        let events = self.store.list(&Query::of("Event")).objects;
        let text = |event: &serde_json::Value, field: &str| event[field].as_str().unwrap().to_owned();
        let told =
            events.iter().map(|event| text(&event.value, "reason") + " " + &text(&event.value, "message"));
        told.collect::<BTreeSet<_>>().into_iter().collect()
    }

    async fn run<F: Future>(&self, test: impl FnOnce(Handle) -> F) -> F::Output {
        LocalSet::new().run_until(async { test(self.start()).await }).await
    }
}

/// Asks with a command whether a file is there.
fn probe_for(file: &str) -> Option<Probe> {
    Some(Probe {
        handler: ProbeHandler::Exec { command: ["test", "-e", file].map(ToOwned::to_owned).to_vec() },
        initial_delay: Duration::ZERO,
        period: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold: 2,
    })
}

async fn until(handle: &Handle, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
    for _ in 0..12_000 {
        if is_so(&handle.status()) {
            return handle.status();
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("never {what}: {:?}", handle.status());
}

#[tokio::test]
async fn a_container_without_probes_is_ready_when_it_runs_and_stops_when_told() {
    let case = Case::new("exec sleep 1000");
    case.run(async |handle| {
        let status = until(&handle, "ready", |status| status.is_ready).await;
        assert!(matches!(status.state, State::Running { .. }) && status.has_started);
        handle.stop(case.grace);
        let status = until(&handle, "gone", |status| status.is_gone).await;
        let State::Terminated(end) = status.state else { panic!("{:?}", status.state) };
        assert_eq!((end.exit_code, end.signal), (143, Some(15)));
    })
    .await;
    assert_eq!(case.events(), ["Killing Stopping container main", "Started Started container main"]);
    assert_eq!(std::fs::read_dir(case.file("processes")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_runs_to_its_end_is_started_again_only_where_its_policy_says_so() {
    for (restart, script, code) in [
        (RestartPolicy::Never, "exit 3", 3),
        (RestartPolicy::Never, "exit 0", 0),
        (RestartPolicy::OnFailure, "exit 0", 0),
    ] {
        let case = Case { restart, ..Case::new(script) };
        case.run(async |handle| {
            let status = until(&handle, "gone", |status| status.is_gone).await;
            let State::Terminated(end) = &status.state else { panic!("{:?}", status.state) };
            assert_eq!((end.exit_code, status.restarts, status.ended_well()), (code, 0, code == 0));
        })
        .await;
    }
    let case = Case { restart: RestartPolicy::OnFailure, n_starts: 4, ..Case::new("exit 3") };
    case.run(async |handle| {
        let waits =
            |status: &Status| matches!(status.state, State::Waiting { reason: "CrashLoopBackOff", .. });
        let status = until(&handle, "waiting", waits).await;
        assert_eq!(status.restarts, 4, "it goes on counting");
    })
    .await;
}

#[tokio::test]
async fn acc_s4_112_a_container_that_fails_waits_and_says_why() {
    let case = Case::new("echo loading; echo no such model >&2; exit 3");
    case.run(async |handle| {
        let waiting =
            |status: &Status| matches!(status.state, State::Waiting { reason: "CrashLoopBackOff", .. });
        let status = until(&handle, "waiting", waiting).await;
        let last = status.last.unwrap();
        assert_eq!((last.exit_code, last.reason), (3, "Error"));
        assert_eq!(last.message, "loading\nno such model");
        handle.stop(case.grace);
        until(&handle, "gone", |status| status.is_gone).await;
    })
    .await;
    let told = case.events();
    assert!(
        told.contains(&"BackOff Back-off restarting failed container main in pod api-1".to_owned()),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told() {
    let mut case = Case::new("");
    case.container.program = Program::Command { command: vec!["/does/not/exist".to_owned()] };
    case.run(async |handle| {
        let status = until(&handle, "failed", |status| status.last.is_some()).await;
        let last = status.last.unwrap();
        assert_eq!((last.exit_code, last.reason), (128, "StartError"));
        assert!(last.message.contains("cannot run `/does/not/exist`"), "{}", last.message);
        handle.stop(case.grace);
        until(&handle, "gone", |status| status.is_gone).await;
    })
    .await;
}

#[tokio::test]
async fn acc_s4_64_a_killed_container_that_was_ready_is_back_at_once() {
    let mut case = Case::new("echo $$ > pid; touch ready; exec sleep 1000");
    case.container.readiness = probe_for("ready");
    case.run(async |handle| {
        until(&handle, "ready", |status| status.is_ready).await;
        let pid: i32 = std::fs::read_to_string(case.file("pid")).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        let status = until(&handle, "ready again", |status| status.restarts == 1 && status.is_ready).await;
        let told = case.events();
        assert!(!told.iter().any(|event| event.starts_with("BackOff")), "{told:#?}");
        let last = status.last.unwrap();
        assert_eq!((last.exit_code, last.signal, last.reason), (137, Some(9), "Error"));
        assert_eq!(last.message, "ended by SIGKILL, without a word");
    })
    .await;
}

#[tokio::test]
async fn acc_s4_49_readiness_follows_its_probe() {
    let mut case = Case::new("exec sleep 1000");
    case.container.readiness = probe_for("ready");
    case.run(async |handle| {
        until(&handle, "running", |status| matches!(status.state, State::Running { .. })).await;
        assert!(!handle.status().is_ready);
        std::fs::write(case.file("ready"), "").unwrap();
        until(&handle, "ready", |status| status.is_ready).await;
        std::fs::remove_file(case.file("ready")).unwrap();
        let status = until(&handle, "not ready", |status| !status.is_ready).await;
        assert_eq!(status.restarts, 0, "readiness restarts nothing");
    })
    .await;
    let told = case.events();
    assert!(
        told.contains(&"Unhealthy Readiness probe failed: command `test` exited with 1".to_owned()),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_probe_command_may_write_what_it_wants() {
    let mut case = Case::new("exec sleep 1000");
    let command = ["sh", "-c", "head -c 200000 /dev/zero; echo errors >&2"].map(ToOwned::to_owned).to_vec();
    case.container.readiness =
        probe_for("").map(|probe| Probe { handler: ProbeHandler::Exec { command }, ..probe });
    case.run(async |handle| {
        until(&handle, "ready", |status| status.is_ready).await;
    })
    .await;
}

#[tokio::test]
async fn acc_s4_64_a_container_that_is_no_longer_alive_is_restarted() {
    let mut case = Case::new("touch alive; exec sleep 1000");
    case.container.liveness = probe_for("alive");
    case.run(async |handle| {
        until(&handle, "running", |status| matches!(status.state, State::Running { .. })).await;
        while !case.file("alive").exists() {
            sleep(Duration::from_millis(1)).await;
        }
        std::fs::remove_file(case.file("alive")).unwrap();
        until(&handle, "ended", |status| {
            matches!(status.state, State::Terminated(_)) || status.last.is_some()
        })
        .await;
    })
    .await;
    let told = case.events();
    assert!(
        told.contains(&"Killing Container main failed liveness probe, will be restarted".to_owned()),
        "{told:?}"
    );
}

#[tokio::test]
async fn acc_s4_49_the_other_probes_wait_for_the_startup_probe() {
    let mut case = Case::new("exec sleep 1000");
    case.container.startup = probe_for("started").map(|probe| Probe { failure_threshold: 10_000, ..probe });
    case.container.readiness = probe_for("ready");
    case.container.liveness = probe_for("never");
    std::fs::write(case.file("ready"), "").unwrap();
    case.run(async |handle| {
        until(&handle, "running", |status| matches!(status.state, State::Running { .. })).await;
        sleep(Duration::from_millis(200)).await;
        let status = handle.status();
        assert!(!status.is_ready && status.restarts == 0 && !status.has_started, "{status:?}");
        std::fs::write(case.file("started"), "").unwrap();
        until(&handle, "ready", |status| status.is_ready).await;
        until(&handle, "restarted for its liveness", |status| status.last.is_some() || status.restarts > 0)
            .await;
    })
    .await;
}

#[tokio::test]
async fn acc_s4_49_a_container_that_never_starts_is_restarted() {
    let mut case = Case::new("exec sleep 1000");
    case.container.startup = probe_for("started");
    case.run(async |handle| {
        until(&handle, "ended", |status| status.last.is_some()).await;
    })
    .await;
    let told = case.events();
    assert!(
        told.contains(&"Killing Container main failed startup probe, will be restarted".to_owned()),
        "{told:?}"
    );
}

#[tokio::test]
async fn who_does_not_listen_is_killed_after_the_grace_period() {
    let mut case = Case::new("trap '' TERM; touch deaf; while :; do sleep 1000; done");
    case.grace = Duration::from_millis(50);
    case.run(async |handle| {
        while !case.file("deaf").exists() {
            sleep(Duration::from_millis(1)).await;
        }
        handle.stop(case.grace);
        let status = until(&handle, "gone", |status| status.is_gone).await;
        let State::Terminated(end) = status.state else { panic!("{:?}", status.state) };
        assert_eq!(end.signal, Some(9));
    })
    .await;
}

#[tokio::test]
async fn acc_s4_28_a_container_above_its_memory_limit_is_killed_and_says_so() {
    let mut case = Case::new("exec sleep 1000");
    case.container.memory_limit = Some(4096);
    case.run(async |handle| {
        let status = until(&handle, "killed", |status| status.last.is_some()).await;
        assert_eq!(status.last.unwrap().reason, "OOMKilled");
    })
    .await;
}
