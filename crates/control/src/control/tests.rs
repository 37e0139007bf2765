//! The loop itself, with a cluster that only counts.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use manifest::{Object, Workload};
use plan::LoadBalancerId;
use plan::health::TargetHealth;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;

/// What the loop did to a cluster.
#[derive(Debug, Default)]
struct Log {
    passes: Cell<u32>,
    has_stopped: Cell<bool>,
    objects: Arc<Objects>,
    observed: RefCell<Observed>,
    change: watch::Sender<()>,
}

struct Counting(Rc<Log>, watch::Receiver<()>);

impl Cluster for Counting {
    fn objects(&mut self) -> Arc<Objects> {
        Arc::clone(&self.0.objects)
    }
    async fn changed(&mut self) {
        let _ = self.1.changed().await;
    }
    fn apply(&mut self, _: Vec<Object>) {}
    fn delete(&mut self, _: &ObjectRef) {}
    fn write_status(&mut self, _: &ObjectRef, _: Value) {}
    fn record_event(&mut self, _: &ObjectRef, _: &Event) {}
    fn earlier_versions(&self) -> Vec<Object> {
        Vec::new()
    }
    fn settle(&mut self, _: &dyn Fn(&ObjectRef) -> bool) {}
    fn load_balancers(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
    fn remember_load_balancers(&mut self, _: &BTreeSet<String>) {}
    fn go_on_with(&mut self, _: BTreeMap<ObjectRef, Earlier>, _: &BTreeMap<ObjectRef, String>) {}
    fn keep_workloads(&mut self, _: &[Workload], observed: &Observed) {
        self.1.mark_unchanged();
        self.0.passes.set(self.0.passes.get() + 1);
        *self.0.observed.borrow_mut() = observed.clone();
    }
    fn load_balancer_address(&mut self, _: &str, _: &dyn Fn(&str) -> bool) -> Result<IpAddr, String> {
        Err("none".to_owned())
    }
    async fn stop(self) {
        self.0.has_stopped.set(true);
    }
}

struct Case {
    log: Rc<Log>,
    observed: watch::Sender<Arc<Observed>>,
    drain: Rc<Notify>,
    loop_: tokio::task::JoinHandle<()>,
}

impl Case {
    fn start() -> Self {
        let (log, drain) = (Rc::new(Log::default()), Rc::new(Notify::new()));
        let (observed, receiver) = watch::channel(Arc::default());
        let (plan, _) = watch::channel(Arc::default());
        let (cluster, draining) = (Counting(Rc::clone(&log), log.change.subscribe()), Rc::clone(&drain));
        // The loop makes its objects on the other side of the task, as the binary does.
        let loop_ = tokio::task::spawn_local(async move {
            let drain = async move { draining.notified().await };
            let channels = Channels {
                plan,
                keys: watch::Sender::default(),
                observed: receiver,
                challenges: watch::Sender::default().subscribe(),
            };
            Control::run(cluster, Settings::default(), None, channels, drain).await;
        });
        Self { log, observed, drain, loop_ }
    }

    /// The passes after everything that is due was done.
    async fn passes(&self) -> u32 {
        sleep(Duration::from_secs(1)).await;
        self.log.passes.get()
    }

    fn observe(&self, in_flight: u32, state: TargetState) {
        let key = TargetKey {
            load_balancer: LoadBalancerId::service("a", "b"),
            target_group: "a/b:80".to_owned(),
            address: "127.78.0.1:80".parse().unwrap(),
        };
        let health = TargetHealth { state, reason: None, description: String::new(), in_flight, rest: None };
        let observed = Observed { targets: [(key, health)].into(), ..Observed::default() };
        self.observed.send_replace(Arc::new(observed));
    }
}

async fn on_paused_time(test: impl AsyncFnOnce(Case)) {
    tokio::task::LocalSet::new().run_until(async { test(Case::start()).await }).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_changes_is_one_pass() {
    on_paused_time(async |case| {
        assert_eq!(case.passes().await, 1, "the first needs no change");
        for _ in 0..100 {
            case.log.change.send_replace(());
        }
        assert_eq!(case.passes().await, 2);
        let changed = Instant::now();
        case.log.change.send_replace(());
        while case.log.passes.get() < 3 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(changed.elapsed() < Duration::from_millis(10), "{:?}", changed.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn load_alone_is_no_reason_to_look_at_everything() {
    on_paused_time(async |case| {
        case.observe(1, TargetState::Healthy);
        let before = case.passes().await;
        for in_flight in 0..20 {
            case.observe(in_flight, TargetState::Healthy);
            tokio::task::yield_now().await;
        }
        case.observe(3, TargetState::Draining);
        assert_eq!(case.passes().await, before);
        case.observe(0, TargetState::Draining);
        assert_eq!(case.passes().await, before + 1, "a replica that leaves may wait for this");
        assert_eq!(case.log.observed.borrow().targets.len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_data_plane_that_is_gone_does_not_keep_the_loop_busy() {
    on_paused_time(async |case| {
        let Case { log, observed, .. } = case;
        drop(observed);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(log.passes.get(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn draining_ends_the_replicas() {
    on_paused_time(async |case| {
        assert_eq!(case.passes().await, 1);
        assert!(!case.log.has_stopped.get());
        case.drain.notify_one();
        case.loop_.await.unwrap();
        assert!(case.log.has_stopped.get());
    })
    .await;
}
