//! One worker, on a core of its own: its listeners, and its view of the snapshot with connections and turns of its own.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use net::{ClientConnection, Drain, DrainWatch, Limits, LiveLimits};
use plan::health::TargetState;
use plan::{Action, ListenerKey, TargetKey};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::access_log::{AccessLog, Lines};
use crate::director::Command;
use crate::exchange::Exchanges;
use crate::metrics::{ListenerMetrics, Metrics};
use crate::random::Random;
use crate::snapshot::{Group, ListenerSnapshot, Snapshot};
use crate::target::SharedTarget;
use crate::tcp;

/// Runs one worker until its commands end.
pub(crate) async fn run(
    index: usize,
    mut commands: mpsc::Receiver<Command>,
    metrics: Metrics,
    access_log: Option<AccessLog>,
    drain: DrainWatch,
) {
    let lines = access_log.map(Lines::new).map(Rc::new);
    let worker = Rc::new(Worker { index, random: Random::default(), lines: lines.clone() });
    let mut listeners = Listeners {
        worker,
        metrics,
        known: HashMap::new(),
        open: HashMap::new(),
        closing: Vec::new(),
        targets: HashMap::new(),
    };
    let mut sweeps = tokio::time::interval(POOL_SWEEP);
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => listeners.obey(command),
                None => break,
            },
            _ = sweeps.tick() => listeners.sweep_pools(),
        }
    }
    for closing in listeners.open.into_values().chain(listeners.closing) {
        closing.finish(crate::DRAIN_PATIENCE).await;
    }
    if let Some(lines) = lines {
        lines.finish().await;
    }
    drop(drain);
}

/// How often connections to targets that have been idle for too long are closed.
const POOL_SWEEP: Duration = Duration::from_secs(5);

/// What all listeners of a worker share.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) random: Random,
    /// Lines of the access log, if there is one.
    pub(crate) lines: Option<Rc<Lines>>,
}

/// The listeners of a worker.
struct Listeners {
    worker: Rc<Worker>,
    metrics: Metrics,
    known: HashMap<ListenerKey, Rc<ListenerSlot>>,
    open: HashMap<SocketAddr, Drain>,
    /// Drains of listeners that are closed, while connections of theirs are open.
    closing: Vec<Drain>,
    targets: HashMap<TargetKey, Rc<WorkerTarget>>,
}

/// A listener's place: what stands in it changes with the plan, while connections hold the place.
pub(crate) struct ListenerSlot {
    listener: RefCell<Rc<WorkerListener>>,
    limits: LiveLimits,
}

/// A listener as this worker sees it.
pub(crate) struct WorkerListener {
    pub(crate) snapshot: Arc<ListenerSnapshot>,
    /// What each rule's forward action leads to, by the rule's index; the default action's is last.
    forwards: Vec<Option<WorkerForward>>,
    groups: HashMap<String, Rc<WorkerGroup>>,
    pub(crate) metrics: ListenerMetrics,
    pub(crate) worker: Rc<Worker>,
}

/// A forward action with its target groups found.
pub(crate) struct WorkerForward {
    weights: Vec<u16>,
    groups: Vec<Option<Rc<WorkerGroup>>>,
    /// The state of smooth weighted round robin.
    current: RefCell<Vec<i32>>,
}

/// A target group as this worker sees it.
pub(crate) struct WorkerGroup {
    pub(crate) group: Arc<Group>,
    pub(crate) targets: Vec<Rc<WorkerTarget>>,
    turn: Cell<usize>,
}

/// A target with this worker's idle connections to it.
pub(crate) struct WorkerTarget {
    pub(crate) shared: Arc<SharedTarget>,
    idle: RefCell<Vec<(ClientConnection, Instant)>>,
}

/// Idle connections kept per target and worker.
const POOL_SIZE: usize = 256;

/// An idle connection older than this is closed: most servers keep theirs a little longer.
const POOL_AGE: Duration = Duration::from_secs(50);

// === impl Listeners ===

impl Listeners {
    fn obey(&mut self, command: Command) {
        match command {
            Command::Follow { snapshot, done } => {
                self.follow(&snapshot);
                drop(done);
            }
            Command::Close { address } => {
                self.closing.retain(|closing| closing.n_watches() > 0);
                if let Some(drain) = self.open.remove(&address) {
                    drain.begin();
                    self.closing.push(drain);
                }
            }
            Command::Open { listener, socket } => {
                let Some(slot) = self.known.get(&listener).cloned() else { return };
                let Ok(address) = socket.local_addr() else { return };
                let (drain, watch) = Drain::new();
                self.open.insert(address, drain);
                let limits = slot.limits.clone();
                if slot.current().snapshot.listener.protocol.is_http() {
                    tokio::task::spawn_local(net::serve(socket, Exchanges::new(slot), limits, watch));
                } else {
                    tokio::task::spawn_local(tcp::serve(socket, slot, limits, watch));
                }
            }
        }
    }

    fn follow(&mut self, snapshot: &Snapshot) {
        self.targets = snapshot
            .groups
            .iter()
            .flat_map(|group| &group.targets)
            .map(|target| {
                let kept =
                    self.targets.get(&target.key).filter(|kept| Arc::ptr_eq(&kept.shared, target)).cloned();
                let new = || Rc::new(WorkerTarget { shared: Arc::clone(target), idle: RefCell::default() });
                (target.key.clone(), kept.unwrap_or_else(new))
            })
            .collect();
        let before = std::mem::take(&mut self.known);
        for listener in &snapshot.listeners {
            let current = Rc::new(self.worker_listener(listener));
            let limits = limits_of(listener);
            let slot = match before.get(&listener.key) {
                Some(slot) => {
                    slot.limits.set(limits);
                    slot.listener.replace(current);
                    Rc::clone(slot)
                }
                None => Rc::new(ListenerSlot { listener: RefCell::new(current), limits: limits.into() }),
            };
            self.known.insert(listener.key.clone(), slot);
        }
    }

    fn worker_listener(&self, snapshot: &Arc<ListenerSnapshot>) -> WorkerListener {
        let groups: HashMap<String, Rc<WorkerGroup>> = snapshot
            .groups
            .iter()
            .map(|group| (group.key.clone(), Rc::new(self.worker_group(group))))
            .collect();
        let rules = snapshot.listener.rules.iter().map(|rule| &rule.action);
        let actions = rules.chain([&snapshot.listener.default_action]);
        let forward = |action: &Action| match action {
            Action::Forward(forward) => Some(WorkerForward {
                weights: forward.targets.iter().map(|target| target.weight).collect(),
                groups: forward
                    .targets
                    .iter()
                    .map(|target| match &target.target_group {
                        plan::TargetGroupRef::Key(key) => groups.get(key.as_str()).cloned(),
                        plan::TargetGroupRef::Arn(_) | plan::TargetGroupRef::Name(_) => None,
                    })
                    .collect(),
                current: RefCell::new(vec![0; forward.targets.len()]),
            }),
            Action::Redirect(_) | Action::FixedResponse(_) => None,
        };
        WorkerListener {
            forwards: actions.map(forward).collect(),
            groups,
            metrics: self.metrics.listener(&snapshot.load_balancer, snapshot.key.port),
            snapshot: Arc::clone(snapshot),
            worker: Rc::clone(&self.worker),
        }
    }

    fn worker_group(&self, group: &Arc<Group>) -> WorkerGroup {
        let targets = group.targets.iter().filter_map(|target| self.targets.get(&target.key).cloned());
        // Cores begin at different targets, so that few requests spread evenly too.
        WorkerGroup {
            group: Arc::clone(group),
            targets: targets.collect(),
            turn: Cell::new(self.worker.index),
        }
    }

    fn sweep_pools(&self) {
        for target in self.targets.values() {
            target
                .idle
                .borrow_mut()
                .retain(|(connection, since)| since.elapsed() < POOL_AGE && connection.is_open());
        }
    }
}

fn limits_of(listener: &ListenerSnapshot) -> Limits {
    let settings = &listener.settings;
    Limits { idle_timeout: settings.idle_timeout, max_age: settings.client_keep_alive, ..Limits::default() }
}

// === impl ListenerSlot ===

impl ListenerSlot {
    /// The listener as the plan of this moment has it.
    pub(crate) fn current(&self) -> Rc<WorkerListener> {
        Rc::clone(&self.listener.borrow())
    }

    /// Whether the listener lets a client in.
    pub(crate) fn admits(&self, peer: IpAddr) -> bool {
        let current = self.listener.borrow();
        current.snapshot.listener.source_ranges.as_ref().is_none_or(|ranges| ranges.admit(peer))
    }
}

// === impl WorkerListener ===

impl WorkerListener {
    /// What the forward action of a decision leads to.
    pub(crate) fn forward_of(&self, decision: &plan::Decision<'_>) -> Option<&WorkerForward> {
        let index = decision.rule.map_or(self.forwards.len() - 1, |(index, _)| index);
        self.forwards[index].as_ref()
    }

    /// The target group with this key.
    pub(crate) fn group(&self, key: &str) -> Option<Rc<WorkerGroup>> {
        self.groups.get(key).cloned()
    }

    /// What the default action leads to.
    pub(crate) fn default_forward(&self) -> Option<&WorkerForward> {
        self.forwards.last().and_then(Option::as_ref)
    }
}

// === impl WorkerForward ===

impl WorkerForward {
    /// The target group whose turn it is by weight; `None` when all weights are zero or the group is not known here.
    pub(crate) fn choose(&self) -> Option<Rc<WorkerGroup>> {
        let index = match self.groups.len() {
            1 if self.weights[0] > 0 => 0,
            _ => plan::balance::pick_weighted(&self.weights, &mut self.current.borrow_mut())?,
        };
        self.groups[index].clone()
    }
}

// === impl WorkerGroup ===

impl WorkerGroup {
    /// A target whose turn it is, other than those tried already; `None` when there is none left. Where too few are healthy
    /// to go by it, all are taken, if the group may fail open.
    pub(crate) fn choose(
        &self,
        tried: &[SocketAddr],
        random: &Random,
        fails_open: bool,
    ) -> Option<Rc<WorkerTarget>> {
        let states = || self.targets.iter().map(|target| target.shared.state());
        let all = match plan::balance::routable(states(), self.group.minimum_healthy) {
            plan::balance::Routable::Nothing => return None,
            plan::balance::Routable::All => fails_open,
            plan::balance::Routable::Healthy => false,
        };
        let usable = |target: &&Rc<WorkerTarget>| {
            let state = target.shared.state();
            let is_routable =
                if all { state != TargetState::Draining } else { state == TargetState::Healthy };
            is_routable && !tried.contains(&target.shared.address())
        };
        let turn = self.turn.get();
        let candidates = self.targets.iter().filter(usable);
        let in_flight = |target: &&Rc<WorkerTarget>| target.shared.in_flight();
        let picked = plan::balance::pick(self.group.algorithm, candidates, in_flight, turn, random.next());
        if picked.is_some() {
            self.turn.set(turn.wrapping_add(1));
        }
        picked.cloned()
    }
}

// === impl WorkerTarget ===

impl WorkerTarget {
    /// An idle connection that is still open.
    pub(crate) fn take_idle(&self) -> Option<ClientConnection> {
        let mut idle = self.idle.borrow_mut();
        while let Some((connection, since)) = idle.pop() {
            if net::recently() < since + POOL_AGE && connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, connection: ClientConnection) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < POOL_SIZE {
            idle.push((connection, net::recently()));
        }
    }
}
