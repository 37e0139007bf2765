//! The director: from one plan to the next, and the health of every target.

use std::cell::{Cell, RefCell};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use net::DrainWatch;
use plan::health::{Reason, TargetHealth, TargetState, Tracker};
use plan::{HealthCheck, ListenerKey, ListenerState, Observed, Plan, TargetKey};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::check;
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::target::SharedTarget;

/// What a core is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Accept connections on a socket for a listener of the snapshot.
    Open { listener: ListenerKey, socket: TcpListener },
    /// Stop accepting at an address; connections finish the request they are at.
    Close { address: SocketAddr },
    /// From now on, do as this snapshot says. `done` is dropped when no request will be sent by an earlier one.
    Follow { snapshot: Arc<Snapshot>, done: oneshot::Sender<()> },
}

/// Owns what only one may own: listening sockets, health checks, and the step from one snapshot to the next.
pub(crate) struct Director {
    cores: Vec<mpsc::Sender<Command>>,
    metrics: Metrics,
    wake: Arc<Notify>,
    snapshot: Arc<Snapshot>,
    /// Addresses at which the cores accept.
    open: HashMap<SocketAddr, OpenAs>,
    listeners: BTreeMap<ListenerKey, ListenerState>,
    watched: HashMap<TargetKey, Watched>,
    draining: Vec<Draining>,
    /// Load balancer and target group of the targets that were counted last.
    counted: BTreeSet<(String, String)>,
    /// The states of targets, as they were told last.
    told_states: BTreeMap<TargetKey, TargetState>,
    /// Told by the checks when the health of a target is another.
    health_changed: Rc<Notify>,
}

/// What an open address serves. When that changes, the address is closed and opened anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OpenAs {
    listener: ListenerKey,
    is_http: bool,
}

/// A target whose health is being watched.
struct Watched {
    target: Arc<SharedTarget>,
    check: Rc<HealthCheck>,
    tracker: Rc<RefCell<Tracker>>,
    checking: JoinHandle<()>,
    /// Wakes the checking task before its interval is over.
    hurry: Rc<Notify>,
    /// Whether traffic found nobody at the target's address, so that it is asked again soon.
    is_ejected: Rc<Cell<bool>>,
    /// Requests in flight, as it was told last.
    told_load: u32,
}

/// A target that was taken out and finishes what it has.
struct Draining {
    target: Arc<SharedTarget>,
    until: Instant,
    /// Requests in flight, as it was told last.
    told_load: u32,
}

/// How often it is looked whether targets that drain are done, while there are any.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

/// How often loads that changed are told, and listeners that could not be opened are tried again.
const SLOW_INTERVAL: Duration = Duration::from_secs(1);

/// How long a target that is new, or that traffic could not reach, waits for its next check, at most.
const SOON: Duration = Duration::from_secs(1);

impl Director {
    pub(crate) fn new(cores: Vec<mpsc::Sender<Command>>, metrics: Metrics, wake: Arc<Notify>) -> Self {
        Self {
            cores,
            metrics,
            wake,
            snapshot: Arc::default(),
            open: HashMap::new(),
            listeners: BTreeMap::new(),
            watched: HashMap::new(),
            draining: Vec::new(),
            counted: BTreeSet::new(),
            told_states: BTreeMap::new(),
            health_changed: Rc::default(),
        }
    }

    /// Follows plans until `drain` says to end, then closes every listener. When nobody makes plans any more, the last
    /// one holds.
    pub(crate) async fn run(
        mut self,
        mut plans: watch::Receiver<Arc<Plan>>,
        observed: watch::Sender<Arc<Observed>>,
        mut drain: DrainWatch,
    ) {
        plans.mark_changed();
        let mut drain_ticks = tokio::time::interval(DRAIN_INTERVAL);
        drain_ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut slow_ticks = tokio::time::interval(SLOW_INTERVAL);
        slow_ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (wake, health_changed) = (Arc::clone(&self.wake), Rc::clone(&self.health_changed));
        loop {
            // Most of the time nothing happens, and then nothing is done: looking at everything costs more than traffic.
            let is_news = tokio::select! {
                () = drain.draining() => break,
                plan = next(&mut plans) => {
                    self.follow(&plan).await;
                    self.look_at_draining();
                    true
                }
                () = wake.notified() => {
                    self.eject_unreachable();
                    true
                }
                () = health_changed.notified() => true,
                _ = drain_ticks.tick(), if !self.draining.is_empty() => self.look_at_draining(),
                _ = slow_ticks.tick() => {
                    let listeners_changed = self.open_new_listeners().await;
                    listeners_changed || self.has_other_loads()
                }
            };
            if is_news {
                let now = self.observe();
                self.count(&now);
                tell(&observed, now);
            }
        }
        self.close_all().await;
    }

    /// Takes the step to another plan.
    async fn follow(&mut self, plan: &Plan) {
        let snapshot = Snapshot::new(plan, &self.snapshot, self.cores.len(), &self.metrics, &self.wake);
        let snapshot = Arc::new(snapshot);
        self.snapshot = Arc::clone(&snapshot);
        self.watch_targets();
        // Connections that are accepted from here on must find the listener they came to.
        // And before a target is told to drain, no core may choose it any more.
        let mut followed = Vec::new();
        for core in &self.cores {
            let (done, is_done) = oneshot::channel();
            if core.send(Command::Follow { snapshot: Arc::clone(&snapshot), done }).await.is_ok() {
                followed.push(is_done);
            }
        }
        for is_done in followed {
            let _ = is_done.await;
        }
        self.close_gone_listeners().await;
        self.open_new_listeners().await;
    }

    // === Listeners ===

    async fn close_gone_listeners(&mut self) {
        let wanted: HashMap<SocketAddr, OpenAs> = wanted_addresses(&self.snapshot).collect();
        let gone = self.open.extract_if(|address, open_as| wanted.get(address) != Some(open_as));
        for (address, open_as) in gone.collect::<Vec<_>>() {
            info!(%address, load_balancer = open_as.listener.load_balancer, "listener closed");
            for core in &self.cores {
                if core.send(Command::Close { address }).await.is_err() {
                    warn!("a core has ended");
                }
            }
        }
    }

    /// Tries what is not open. Returns whether anything came of it.
    async fn open_new_listeners(&mut self) -> bool {
        let (snapshot, mut is_news) = (Arc::clone(&self.snapshot), false);
        self.listeners.retain(|key, _| snapshot.listeners.iter().any(|listener| listener.key == *key));
        let mut states: BTreeMap<ListenerKey, (SocketAddr, ListenerState)> = BTreeMap::new();
        for (address, open_as) in wanted_addresses(&snapshot) {
            let key = open_as.listener.clone();
            let state = if self.open.contains_key(&address) {
                ListenerState::Open
            } else {
                match self.open_listener(address, open_as).await {
                    Ok(()) => ListenerState::Open,
                    Err(problem) => ListenerState::Failed(problem),
                }
            };
            // A listener is open when it is at all of its addresses.
            match states.entry(key) {
                Entry::Vacant(vacant) => drop(vacant.insert((address, state))),
                Entry::Occupied(mut known) if known.get().1 == ListenerState::Open => {
                    known.insert((address, state));
                }
                Entry::Occupied(_) => {}
            }
        }
        for (key, (address, state)) in states {
            let is_new = self.listeners.get(&key) != Some(&state);
            if let ListenerState::Failed(problem) = &state
                && is_new
            {
                warn!(%address, load_balancer = key.load_balancer, problem, "listener cannot be opened");
            }
            is_news |= is_new;
            self.listeners.insert(key, state);
        }
        is_news
    }

    async fn open_listener(&mut self, address: SocketAddr, open_as: OpenAs) -> Result<(), String> {
        let sockets = bind_patiently(address, self.cores.len()).await.map_err(|error| error.to_string())?;
        for (core, socket) in self.cores.iter().zip(sockets) {
            let command = Command::Open { listener: open_as.listener.clone(), socket };
            core.send(command).await.map_err(|_| "a core has ended".to_owned())?;
        }
        info!(%address, load_balancer = open_as.listener.load_balancer, "listener open");
        self.open.insert(address, open_as);
        Ok(())
    }

    async fn close_all(&mut self) {
        for watched in self.watched.values() {
            watched.checking.abort();
        }
        self.snapshot = Arc::default();
        self.close_gone_listeners().await;
    }

    // === Targets ===

    /// Begins to watch targets that are new, and lets those drain that are gone.
    fn watch_targets(&mut self) {
        let mut before = std::mem::take(&mut self.watched);
        let snapshot = Arc::clone(&self.snapshot);
        for group in &snapshot.groups {
            for target in &group.targets {
                let watched = match before.remove(&target.key) {
                    Some(kept) if *kept.check == group.health_check => kept,
                    Some(kept) => {
                        kept.checking.abort();
                        Watched::begin(target, &group.health_check, kept.tracker, &self.health_changed)
                    }
                    None => Watched::begin(target, &group.health_check, Rc::default(), &self.health_changed),
                };
                self.watched.insert(target.key.clone(), watched);
            }
        }
        for watched in before.into_values() {
            watched.checking.abort();
            watched.target.set_state(TargetState::Draining);
            let delay = self.delay_of(&watched.target.key);
            self.draining.push(Draining {
                until: Instant::now() + delay,
                told_load: 0,
                target: watched.target,
            });
        }
    }

    /// How long targets of a group may take to finish. A group that is gone gives them the default.
    fn delay_of(&self, key: &TargetKey) -> Duration {
        let same_group = |group: &&Arc<crate::snapshot::Group>| {
            group.load_balancer == key.load_balancer && group.key == key.target_group
        };
        let group = self.snapshot.groups.iter().find(same_group);
        group.map_or(DEFAULT_DELAY, |group| group.deregistration_delay)
    }

    fn eject_unreachable(&mut self) {
        for watched in self.watched.values() {
            if watched.target.take_unreachable() {
                let is_new = watched
                    .tracker
                    .borrow_mut()
                    .eject("Connections are refused, or its model is still loading".to_owned());
                if is_new {
                    warn!(target = %watched.target.address(), "target ejected: it takes no connections, or no requests yet");
                }
                watched.target.set_state(watched.tracker.borrow().state());
                watched.is_ejected.set(true);
                watched.hurry.notify_one();
            }
        }
    }

    /// Forgets targets that are done. Returns whether anything is other than it was told.
    fn look_at_draining(&mut self) -> bool {
        let (now, before) = (Instant::now(), self.draining.len());
        self.draining.retain(|draining| draining.target.in_flight() > 0 && now < draining.until);
        let is_other = |draining: &Draining| draining.target.in_flight() != draining.told_load;
        self.draining.len() != before || self.draining.iter().any(is_other)
    }

    /// Whether the load of any target is other than it was told.
    fn has_other_loads(&self) -> bool {
        self.watched.values().any(|watched| watched.target.in_flight() != watched.told_load)
    }

    /// What is to be told now.
    fn observe(&mut self) -> Observed {
        let watched = self.watched.iter_mut().map(|(key, watched)| {
            watched.told_load = watched.target.in_flight();
            (key.clone(), watched.tracker.borrow().health(watched.told_load))
        });
        let draining = self.draining.iter_mut().map(|draining| {
            draining.told_load = draining.target.in_flight();
            let health = TargetHealth {
                state: TargetState::Draining,
                reason: Some(Reason::DeregistrationInProgress),
                description: "Target deregistration is in progress".to_owned(),
                in_flight: draining.told_load,
            };
            (draining.target.key.clone(), health)
        });
        Observed { targets: draining.chain(watched).collect(), listeners: self.listeners.clone() }
    }
}

impl Director {
    /// Counts targets by their states, and changes of their health.
    fn count(&mut self, now: &Observed) {
        let told =
            |(key, health): (&TargetKey, &TargetHealth)| self.told_states.get(key) == Some(&health.state);
        if self.told_states.len() == now.targets.len() && now.targets.iter().all(told) {
            return;
        }
        let snapshot = Arc::clone(&self.snapshot);
        let names: HashMap<&str, &str> = snapshot
            .groups
            .iter()
            .map(|group| (group.load_balancer.as_str(), group.load_balancer_name.as_str()))
            .collect();
        let name = |key: &TargetKey| names.get(key.load_balancer.as_str()).copied();
        for (key, health) in &now.targets {
            let before = self.told_states.get(key).copied();
            let is_change = before != Some(health.state) && health.state != TargetState::Initial;
            if let (true, Some(load_balancer)) = (is_change, name(key)) {
                self.metrics.health_changed(load_balancer, &key.target_group, health.state);
            }
        }
        self.told_states = now.targets.iter().map(|(key, health)| (key.clone(), health.state)).collect();
        let targets = now.targets.iter();
        let counted =
            targets.filter_map(|(key, health)| Some((name(key)?, key.target_group.as_str(), health.state)));
        self.metrics.set_targets(counted, &mut self.counted);
    }
}

/// How long targets of a group that is gone may take to finish.
const DEFAULT_DELAY: Duration = Duration::from_secs(300);

impl Watched {
    fn begin(
        target: &Arc<SharedTarget>,
        health_check: &HealthCheck,
        tracker: Rc<RefCell<Tracker>>,
        health_changed: &Rc<Notify>,
    ) -> Self {
        target.set_state(tracker.borrow().state());
        let check = Rc::new(health_check.clone());
        let (hurry, is_ejected) = (Rc::new(Notify::new()), Rc::new(Cell::new(false)));
        let checking = tokio::task::spawn_local(watch_target(
            Arc::clone(target),
            Rc::clone(&check),
            Rc::clone(&tracker),
            Rc::clone(&hurry),
            Rc::clone(&is_ejected),
            Rc::clone(health_changed),
        ));
        Self { target: Arc::clone(target), check, tracker, checking, hurry, is_ejected, told_load: 0 }
    }
}

/// Checks one target for as long as it is registered, at a fixed rate.
async fn watch_target(
    target: Arc<SharedTarget>,
    health_check: Rc<HealthCheck>,
    tracker: Rc<RefCell<Tracker>>,
    hurry: Rc<Notify>,
    is_ejected: Rc<Cell<bool>>,
    health_changed: Rc<Notify>,
) {
    loop {
        let next = Instant::now() + health_check.interval;
        let result = check::check(target.address(), &health_check).await;
        let before = tracker.borrow().health(0);
        let changed = tracker.borrow_mut().record(&health_check, result);
        let state = tracker.borrow().state();
        target.set_state(state);
        // The reason may be another although the state is not.
        if tracker.borrow().health(0) != before {
            health_changed.notify_one();
        }
        if changed {
            info!(target = %target.address(), state = state.as_str(), "target health changed");
        }
        if state == TargetState::Healthy {
            is_ejected.set(false);
        }
        let is_urgent = state == TargetState::Initial || is_ejected.get();
        let next = if is_urgent { next.min(Instant::now() + SOON) } else { next };
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = hurry.notified() => tokio::time::sleep(SOON.min(health_check.interval)).await,
        }
    }
}

/// Every address of every listener.
fn wanted_addresses(snapshot: &Snapshot) -> impl Iterator<Item = (SocketAddr, OpenAs)> {
    snapshot.listeners.iter().flat_map(|snapshot| {
        let is_http = snapshot.listener.protocol.is_http();
        let open_as = move || OpenAs { listener: snapshot.key.clone(), is_http };
        snapshot.listener.addresses.iter().map(move |address| (*address, open_as()))
    })
}

/// Opens sockets at an address that our own cores may only just have left.
async fn bind_patiently(address: SocketAddr, n_sockets: usize) -> Result<Vec<TcpListener>, net::BindError> {
    const TRIES: usize = 20;
    for _ in 1..TRIES {
        match net::bind(address, n_sockets) {
            Err(net::BindError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            bound => return bound,
        }
    }
    net::bind(address, n_sockets)
}

/// The next plan. When nobody makes plans any more, there never is one.
async fn next(plans: &mut watch::Receiver<Arc<Plan>>) -> Arc<Plan> {
    if plans.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    Arc::clone(&plans.borrow_and_update())
}

/// Tells what is observed, if it is news.
fn tell(observed: &watch::Sender<Arc<Observed>>, now: Observed) {
    observed.send_if_modified(|before| {
        let is_news = **before != now;
        if is_news {
            *before = Arc::new(now);
        }
        is_news
    });
}
