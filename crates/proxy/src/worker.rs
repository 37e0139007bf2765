//! One worker, on a core of its own: what it does on command, and what all of its listeners share.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use net::{Drain, DrainWatch, Gate, Limits};
use plan::{ListenerKey, TargetKey};
use tokio::sync::mpsc;
use traces::Tracer;

use crate::Settings;
use crate::cache::Flights;
use crate::director::{Command, Endpoint, Socket, endpoints_of};
use crate::door::Door;
use crate::exchange::Exchanges;
use crate::listener::{ListenerSlot, WorkerListener};
use crate::logs::Lines;
use crate::metrics::Metrics;
use crate::pool::WorkerTarget;
use crate::random::Random;
use crate::rates::Rates;
use crate::record::Records;
use crate::replay::Keeping;
use crate::snapshot::Snapshot;
use crate::stickiness::Seal;
use crate::{tcp, udp};

/// Runs one worker until its commands end.
pub(crate) async fn run(
    index: usize,
    mut commands: mpsc::Receiver<Command>,
    metrics: Metrics,
    settings: Settings,
    Shared { seal, rates }: Shared,
    drain: DrainWatch,
) {
    let Settings { logs, traces, limits, gate, .. } = settings;
    let lines = logs.map(Lines::new).map(Rc::new);
    let worker = Rc::new(Worker {
        index,
        random: Random::default(),
        scratch: RefCell::default(),
        lines: lines.clone(),
        traces,
        records: Records::default(),
        limits,
        gate,
        keeping: metrics.keeping(&limits),
        seal,
        rates,
        flights: Flights::default(),
    });
    let mut listeners = Listeners {
        worker,
        metrics,
        known: HashMap::new(),
        behind: HashMap::new(),
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
    let open = listeners.open.into_values().map(|(drain, _)| drain);
    for closing in open.chain(listeners.closing) {
        closing.finish(crate::DRAIN_PATIENCE).await;
    }
    if let Some(lines) = lines {
        lines.finish().await;
    }
    drop(drain);
}

/// How often connections to targets that have been idle for too long are closed.
const POOL_SWEEP: Duration = Duration::from_secs(5);

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) seal: Seal,
    pub(crate) rates: Rates,
}

/// What all listeners of a worker share.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) random: Random,
    /// Where a request's new fields are put together, no longer than a head may be.
    pub(crate) scratch: RefCell<Vec<u8>>,
    /// Lines of logs, if there are any.
    pub(crate) lines: Option<Rc<Lines>>,
    /// Who records traces, if anybody does.
    pub(crate) traces: Option<Tracer>,
    /// What is known of the last requests.
    pub(crate) records: Records,
    /// What clients may ask, unless a load balancer says otherwise.
    pub(crate) limits: Limits,
    /// Where connections of all listeners are counted.
    pub(crate) gate: Gate,
    /// How much of bodies may be kept.
    pub(crate) keeping: Keeping,
    /// What sticky cookies are sealed with.
    pub(crate) seal: Seal,
    /// How often clients have asked lately.
    pub(crate) rates: Rates,
    /// What is asked at the moment for those who wait for the same.
    pub(crate) flights: Flights,
}

/// The listeners of a worker.
struct Listeners {
    worker: Rc<Worker>,
    metrics: Metrics,
    known: HashMap<ListenerKey, Rc<ListenerSlot>>,
    /// The listeners behind each endpoint, in the order of the plan.
    behind: HashMap<Endpoint, Vec<Rc<ListenerSlot>>>,
    open: HashMap<Endpoint, (Drain, Rc<Door>)>,
    /// Drains of listeners that are closed, while connections of theirs are open.
    closing: Vec<Drain>,
    targets: HashMap<TargetKey, Rc<WorkerTarget>>,
}

// === impl Listeners ===

impl Listeners {
    fn obey(&mut self, command: Command) {
        match command {
            Command::Follow { snapshot, done } => {
                self.follow(&snapshot);
                drop(done);
            }
            Command::Recall { trace, answer } => {
                // Who asked may have gone.
                let _ = answer.try_send(self.worker.records.about(&trace));
            }
            Command::Close { endpoint } => {
                self.closing.retain(|closing| closing.n_watches() > 0);
                if let Some((drain, _)) = self.open.remove(&endpoint) {
                    drain.begin();
                    self.closing.push(drain);
                }
            }
            Command::Open { endpoint, socket } => {
                let Some(slots) = self.behind.get(&endpoint) else { return };
                let Some(first) = slots.first().cloned() else { return };
                let (drain, watch) = Drain::new();
                let door = Rc::new(Door::new(slots.as_slice().into(), self.worker.gate.clone()));
                self.open.insert(endpoint, (drain, Rc::clone(&door)));
                let socket = match socket {
                    Socket::Connections(socket) => socket,
                    Socket::Datagrams(socket) => {
                        tokio::task::spawn_local(udp::serve(socket, first, watch));
                        return;
                    }
                };
                if !first.current().snapshot.listener.protocol.is_http() {
                    let limits = first.limits.clone();
                    tokio::task::spawn_local(tcp::serve(socket, first, limits, watch));
                    return;
                }
                let (limits, tls) = (door.limits.clone(), door.tls.clone());
                let handler = Exchanges::new(door);
                match tls {
                    None => tokio::task::spawn_local(net::serve(socket, handler, limits, watch)),
                    Some(tls) => {
                        tokio::task::spawn_local(net::serve_tls(socket, tls, handler, limits, watch))
                    }
                };
            }
        }
    }

    fn follow(&mut self, snapshot: &Snapshot) {
        let core = self.worker.index;
        let targets = snapshot.groups.iter().flat_map(|group| {
            group.targets.iter().map(|target| {
                let is_same = |kept: &&Rc<WorkerTarget>| {
                    Arc::ptr_eq(&kept.shared, target) && kept.speech == group.speech
                };
                let kept = self.targets.get(&target.key).filter(is_same).cloned();
                let worker_target = kept.unwrap_or_else(|| Rc::new(WorkerTarget::new(target, group, core)));
                (target.key.clone(), worker_target)
            })
        });
        self.targets = targets.collect();
        let before = std::mem::take(&mut self.known);
        self.behind.clear();
        for snapshot in &snapshot.listeners {
            let current = || WorkerListener::new(snapshot, &self.targets, &self.metrics, &self.worker);
            let is_same_kind = |slot: &&Rc<ListenerSlot>| slot.tls.is_some() == snapshot.tls.is_some();
            let slot = match before.get(&snapshot.key).filter(is_same_kind) {
                Some(slot) if Arc::ptr_eq(&slot.current().snapshot, snapshot) => Rc::clone(slot),
                Some(slot) => {
                    slot.set(current());
                    Rc::clone(slot)
                }
                None => Rc::new(ListenerSlot::new(current())),
            };
            for endpoint in endpoints_of(snapshot) {
                self.behind.entry(endpoint).or_default().push(Rc::clone(&slot));
            }
            self.known.insert(snapshot.key.clone(), slot);
        }
        for (endpoint, (_, door)) in &self.open {
            // What is to be closed goes on as it was until then.
            if let Some(slots) = self.behind.get(endpoint) {
                door.set(slots.as_slice().into());
            }
        }
    }

    fn sweep_pools(&self) {
        self.targets.values().for_each(|target| target.sweep());
    }
}
