//! The director: from one plan to the next, and what is told of it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use net::{DrainWatch, KeyRing};
use plan::health::{Reason, TargetHealth, TargetState, Tracker};
use plan::{ListenerKey, ListenerState, LoadBalancerId, Observed, Plan, TargetKey};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::health::{self, Healths};
use crate::logs::{Lines, Logs};
use crate::metrics::Metrics;
use crate::recall::Past;
use crate::snapshot::{ListenerSnapshot, Snapshot};
use crate::target::SharedTarget;
use crate::weigh;

/// What a core is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Accept connections on a socket for the listeners of the snapshot that are behind it.
    Open { endpoint: Endpoint, socket: Socket },
    /// Stop accepting there; connections finish the request they are at.
    Close { endpoint: Endpoint },
    /// From now on, do as this snapshot says. `done` is dropped when no request will be sent by an earlier one.
    Follow { snapshot: Arc<Snapshot>, done: oneshot::Sender<()> },
    /// Tell what became of the requests whose trace id has this text in it.
    Recall { trace: Arc<str>, answer: mpsc::Sender<Vec<Past>> },
}

/// Where connections come, or datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    is_udp: bool,
}

/// A core's socket there.
#[derive(Debug)]
pub(crate) enum Socket {
    Connections(TcpListener),
    Datagrams(UdpSocket),
}

/// Owns what only one may own: listening sockets, and the step from one snapshot to the next.
pub(crate) struct Director {
    cores: Vec<mpsc::Sender<Command>>,
    metrics: Metrics,
    /// Lines of logs, if there are any.
    lines: Option<Rc<Lines>>,
    wake: Arc<Notify>,
    snapshot: Arc<Snapshot>,
    /// Where the cores accept.
    open: HashMap<Endpoint, OpenAs>,
    listeners: BTreeMap<ListenerKey, ListenerState>,
    draining: Vec<Draining>,
    /// Load balancer and target group of the targets that were counted last.
    counted: BTreeSet<(String, String)>,
    /// What was told last.
    told: Arc<Observed>,
    /// Hands snapshots on to whoever checks the health of their targets.
    snapshots: watch::Sender<Arc<Snapshot>>,
}

/// What an open address serves.
#[derive(Debug, Clone)]
struct OpenAs {
    /// One, or those of several Application Load Balancers; the first is the one that is told of.
    listeners: Vec<ListenerKey>,
    is_http: bool,
    is_tls: bool,
}

impl OpenAs {
    /// Whether the socket can stay when this becomes that. Requests find their listener anew each time, connections do not.
    fn goes_on_as(&self, wanted: &Self) -> bool {
        let is_same_kind = (self.is_http, self.is_tls) == (wanted.is_http, wanted.is_tls);
        is_same_kind && (self.is_http || self.listeners == wanted.listeners)
    }
}

/// A target that was taken out and finishes what it has.
struct Draining {
    target: Arc<SharedTarget>,
    until: Instant,
    /// Whether its flows are cut then.
    is_cut: bool,
}

/// How often it is looked whether targets that drain are done, while there are any.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);

/// How often loads that changed are told, and listeners that could not be opened are tried again.
const SLOW_INTERVAL: Duration = Duration::from_secs(1);

// === impl Director ===

impl Director {
    pub(crate) fn new(
        cores: Vec<mpsc::Sender<Command>>,
        metrics: Metrics,
        wake: Arc<Notify>,
        logs: Option<Logs>,
    ) -> Self {
        Self {
            lines: logs.map(Lines::new).map(Rc::new),
            cores,
            metrics,
            wake,
            snapshot: Arc::default(),
            open: HashMap::new(),
            listeners: BTreeMap::new(),
            draining: Vec::new(),
            counted: BTreeSet::new(),
            told: Arc::default(),
            snapshots: watch::Sender::default(),
        }
    }

    /// Follows plans until `drain` says to end, then closes every listener. When nobody makes plans any more, the last
    /// one holds.
    pub(crate) async fn run(
        mut self,
        mut plans: watch::Receiver<Arc<Plan>>,
        mut keys: watch::Receiver<Arc<KeyRing>>,
        observed: watch::Sender<Arc<Observed>>,
        mut drain: DrainWatch,
    ) {
        plans.mark_changed();
        let mut drain_ticks = tokio::time::interval(DRAIN_INTERVAL);
        drain_ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut slow_ticks = tokio::time::interval(SLOW_INTERVAL);
        slow_ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (healths, mut known_healths) = watch::channel(Arc::<Healths>::default());
        let (snapshots, wake) = (self.snapshots.subscribe(), Arc::clone(&self.wake));
        let watching = health::watch(snapshots, wake, healths, self.lines.clone());
        tokio::task::spawn_local(watching);
        loop {
            // Most of the time nothing happens, and then nothing is done: looking at everything costs more than traffic.
            let is_news = tokio::select! {
                () = drain.draining() => break,
                plan = next(&mut plans) => {
                    self.follow(&plan, &keys).await;
                    self.look_at_draining();
                    true
                }
                Ok(()) = keys.changed() => {
                    show_keys(&self.snapshot, &keys.borrow_and_update());
                    false
                }
                Ok(()) = known_healths.changed() => true,
                _ = drain_ticks.tick(), if !self.draining.is_empty() => self.look_at_draining(),
                _ = slow_ticks.tick() => {
                    weigh::weigh(&self.snapshot);
                    let listeners_changed = self.open_new_listeners().await;
                    listeners_changed || self.has_other_loads()
                }
            };
            if is_news {
                let now = self.observe(&known_healths.borrow_and_update());
                self.count(&now);
                self.told = Arc::new(now);
                tell(&observed, &self.told);
            }
        }
        self.close_all().await;
        if let Some(lines) = &self.lines {
            lines.finish().await;
        }
    }

    /// Takes the step to another plan.
    async fn follow(&mut self, plan: &Arc<Plan>, keys: &watch::Receiver<Arc<KeyRing>>) {
        let snapshot = Snapshot::new(plan, &self.snapshot, self.cores.len(), &self.metrics, &self.wake);
        let snapshot = Arc::new(snapshot);
        show_keys(&snapshot, &keys.borrow());
        let before = std::mem::replace(&mut self.snapshot, Arc::clone(&snapshot));
        self.drain_gone_targets(&before);
        self.snapshots.send_replace(Arc::clone(&snapshot));
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
        self.metrics.forget_gone(&self.snapshot);
        self.metrics.plan_changes.inc();
    }

    // === Listeners ===

    async fn close_gone_listeners(&mut self) {
        let wanted = wanted_endpoints(&self.snapshot);
        let goes_on = |endpoint: &Endpoint, open_as: &OpenAs| {
            wanted.get(endpoint).is_some_and(|wanted| open_as.goes_on_as(wanted))
        };
        let gone = self.open.extract_if(|endpoint, open_as| !goes_on(endpoint, open_as));
        for (endpoint, open_as) in gone.collect::<Vec<_>>() {
            info!(address = %endpoint.address, load_balancer = %open_as.listeners[0].load_balancer, "listener closed");
            for core in &self.cores {
                if core.send(Command::Close { endpoint }).await.is_err() {
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
        for (endpoint, open_as) in wanted_endpoints(&snapshot) {
            let (keys, address) = (open_as.listeners.clone(), endpoint.address);
            let state = if let Some(open) = self.open.get_mut(&endpoint) {
                *open = open_as;
                ListenerState::Open
            } else {
                match self.open_listener(endpoint, open_as).await {
                    Ok(()) => ListenerState::Open,
                    Err(problem) => ListenerState::Failed(problem),
                }
            };
            // A listener is open when it is at all of its addresses.
            for key in keys {
                match states.entry(key) {
                    Entry::Vacant(vacant) => drop(vacant.insert((address, state.clone()))),
                    Entry::Occupied(mut known) if known.get().1 == ListenerState::Open => {
                        known.insert((address, state.clone()));
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        for listener in &snapshot.listeners {
            if let (Some(problem), Some(address)) = (&listener.problem, listener.listener.addresses.first()) {
                states.insert(listener.key.clone(), (*address, ListenerState::Failed(problem.clone())));
            }
        }
        for (key, (address, state)) in states {
            let is_new = self.listeners.get(&key) != Some(&state);
            if let ListenerState::Failed(problem) = &state
                && is_new
            {
                warn!(%address, load_balancer = %key.load_balancer, problem, "listener cannot be opened");
            }
            is_news |= is_new;
            self.listeners.insert(key, state);
        }
        is_news
    }

    async fn open_listener(&mut self, endpoint: Endpoint, open_as: OpenAs) -> Result<(), String> {
        let (address, n_cores) = (endpoint.address, self.cores.len());
        let sockets = bind_patiently(endpoint, n_cores).await.map_err(|error| error.to_string())?;
        for (core, socket) in self.cores.iter().zip(sockets) {
            let command = Command::Open { endpoint, socket };
            core.send(command).await.map_err(|_| "a core has ended".to_owned())?;
        }
        info!(%address, load_balancer = %open_as.listeners[0].load_balancer, "listener open");
        self.open.insert(endpoint, open_as);
        Ok(())
    }

    async fn close_all(&mut self) {
        self.snapshot = Arc::default();
        self.close_gone_listeners().await;
    }

    // === Targets ===

    /// Lets targets drain that are gone.
    fn drain_gone_targets(&mut self, before: &Snapshot) {
        let targets = |snapshot: &Snapshot| -> Vec<Arc<SharedTarget>> {
            snapshot.groups.iter().flat_map(|group| &group.targets).map(Arc::clone).collect()
        };
        let now = targets(&self.snapshot);
        let now: HashSet<&TargetKey> = now.iter().map(|target| &target.key).collect();
        for target in targets(before).into_iter().filter(|target| !now.contains(&target.key)) {
            target.set_state(TargetState::Draining);
            let (delay, is_cut) = self.end_of(&target.key);
            self.draining.push(Draining { until: Instant::now() + delay, is_cut, target });
        }
    }

    /// How long targets of a group may take to finish, and whether their flows are cut then. A group that is gone gives them the
    /// default.
    fn end_of(&self, key: &TargetKey) -> (Duration, bool) {
        let same_group = |group: &&Arc<crate::snapshot::Group>| {
            group.load_balancer == key.load_balancer && group.key == key.target_group
        };
        let group = self.snapshot.groups.iter().find(same_group);
        group.map_or((DEFAULT_DELAY, false), |group| {
            (group.settings.deregistration_delay, group.settings.cuts_deregistered)
        })
    }

    /// Forgets targets that are done, or whose time is over. Returns whether anything is other than it was told.
    fn look_at_draining(&mut self) -> bool {
        let (now, before) = (Instant::now(), self.draining.len());
        let ends = |draining: &mut Draining| draining.target.in_flight() == 0 || now >= draining.until;
        for ended in self.draining.extract_if(.., ends).filter(|ended| ended.is_cut) {
            ended.target.cut_flows();
        }
        self.draining.len() != before
            || self.draining.iter().any(|draining| self.has_other_load(&draining.target))
    }

    /// Whether the load of any target is other than it was told, or whether it rests.
    fn has_other_loads(&self) -> bool {
        let mut targets = self.snapshot.groups.iter().flat_map(|group| &group.targets);
        targets.any(|target| self.has_other_load(target))
    }

    fn has_other_load(&self, target: &SharedTarget) -> bool {
        let is_same =
            |told: &TargetHealth| told.in_flight == target.in_flight() && told.rest == target.rest();
        !self.told.targets.get(&target.key).is_some_and(is_same)
    }

    /// What is to be told now.
    fn observe(&self, healths: &Healths) -> Observed {
        let targets = self.snapshot.groups.iter().flat_map(|group| &group.targets).map(|target| {
            let known = healths.get(&target.key).cloned();
            let health = known.unwrap_or_else(|| Tracker::default().health(0));
            let (in_flight, rest) = (target.in_flight(), target.rest());
            (target.key.clone(), TargetHealth { in_flight, rest, ..health })
        });
        let draining = self.draining.iter().map(|draining| {
            let health = TargetHealth {
                state: TargetState::Draining,
                reason: Some(Reason::DeregistrationInProgress),
                description: "Target deregistration is in progress".to_owned(),
                in_flight: draining.target.in_flight(),
                rest: None,
            };
            (draining.target.key.clone(), health)
        });
        Observed { targets: draining.chain(targets).collect(), listeners: self.listeners.clone() }
    }

    /// Counts targets by their states, and changes of their health.
    fn count(&mut self, now: &Observed) {
        let states = |observed: &Observed| -> Vec<TargetState> {
            observed.targets.values().map(|health| health.state).collect()
        };
        if self.told.targets.keys().eq(now.targets.keys()) && states(&self.told) == states(now) {
            return;
        }
        let snapshot = Arc::clone(&self.snapshot);
        let names: HashMap<&LoadBalancerId, &str> = snapshot
            .groups
            .iter()
            .filter(|group| !group.load_balancer.is_cluster())
            .map(|group| (&group.load_balancer, group.load_balancer_name.as_str()))
            .collect();
        let name = |key: &TargetKey| names.get(&key.load_balancer).copied();
        for (key, health) in &now.targets {
            let before = self.told.targets.get(key).map(|told| told.state.settled());
            let state = health.state.settled();
            let is_change = before != Some(state) && state != TargetState::Initial;
            if let (true, Some(load_balancer)) = (is_change, name(key)) {
                self.metrics.health_changed(load_balancer, &key.target_group, state);
            }
        }
        let targets = now.targets.iter();
        let counted = targets.filter_map(|(key, health)| {
            Some((name(key)?, key.target_group.as_str(), health.state.settled()))
        });
        self.metrics.set_targets(counted, &mut self.counted);
    }
}

/// How long targets of a group that is gone may take to finish.
const DEFAULT_DELAY: Duration = Duration::from_secs(300);

/// Has every listener with TLS show its certificates.
fn show_keys(snapshot: &Snapshot, keys: &KeyRing) {
    snapshot.listeners.iter().filter_map(|listener| listener.tls.as_ref()).for_each(|tls| tls.follow(keys));
}

/// Everything that is to be opened, with the listeners behind it.
fn wanted_endpoints(snapshot: &Snapshot) -> BTreeMap<Endpoint, OpenAs> {
    let mut wanted: BTreeMap<Endpoint, OpenAs> = BTreeMap::new();
    for listener in &snapshot.listeners {
        let protocol = listener.listener.protocol;
        let (is_http, is_tls) = (protocol.is_http(), protocol.is_tls());
        for endpoint in endpoints_of(listener) {
            let open_as = wanted.entry(endpoint);
            let open_as = open_as.or_insert_with(|| OpenAs { listeners: Vec::new(), is_http, is_tls });
            open_as.listeners.push(listener.key.clone());
        }
    }
    wanted
}

/// Where a listener is opened: nowhere when it cannot be.
pub(crate) fn endpoints_of(snapshot: &ListenerSnapshot) -> impl Iterator<Item = Endpoint> {
    let protocol = snapshot.listener.protocol;
    let carries = [(false, protocol.carries_connections()), (true, protocol.carries_datagrams())];
    let is_sound = snapshot.problem.is_none();
    let kinds = carries.into_iter().filter(move |(_, is_carried)| *is_carried && is_sound);
    kinds.flat_map(move |(is_udp, _)| {
        snapshot.listener.addresses.iter().map(move |address| Endpoint { address: *address, is_udp })
    })
}

/// Opens sockets at an address that our own cores may only just have left. Another process is not waited for.
async fn bind_patiently(endpoint: Endpoint, n_sockets: usize) -> Result<Vec<Socket>, net::BindError> {
    const TRIES: usize = 20;
    let Endpoint { address, is_udp } = endpoint;
    let bind = || match is_udp {
        false => net::bind(address, n_sockets).map(|all| all.into_iter().map(Socket::Connections).collect()),
        true => net::bind_udp(address, n_sockets).map(|all| all.into_iter().map(Socket::Datagrams).collect()),
    };
    let this = format!("(pid {})", std::process::id());
    for _ in 1..TRIES {
        match bind() {
            Err(net::BindError::InUse { owner, .. })
                if owner.as_ref().is_none_or(|it| it.ends_with(&this)) =>
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            bound => return bound,
        }
    }
    bind()
}

/// The next plan. When nobody makes plans any more, there never is one.
async fn next(plans: &mut watch::Receiver<Arc<Plan>>) -> Arc<Plan> {
    if plans.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    Arc::clone(&plans.borrow_and_update())
}

/// Tells what is observed, if it is news.
fn tell(observed: &watch::Sender<Arc<Observed>>, now: &Arc<Observed>) {
    observed.send_if_modified(|before| {
        let is_news = *before != *now;
        if is_news {
            before.clone_from(now);
        }
        is_news
    });
}
