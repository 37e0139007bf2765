//! What all cores and the director share about one target.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use plan::TargetKey;
use plan::health::TargetState;
use tokio::sync::Notify;

/// A target's state and load, without a lock.
#[derive(Debug)]
pub(crate) struct SharedTarget {
    pub(crate) key: TargetKey,
    state: AtomicU8,
    /// Requests in flight, by core, so that cores do not fight over one number.
    in_flight: Box<[Counter]>,
    /// When a core last could not connect, in milliseconds since [`START`]; 0 for never.
    ejected_at: AtomicU64,
    /// Whether a core could not connect since the director last looked.
    unreachable: AtomicBool,
    wake: Arc<Notify>,
}

/// A counter on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicU32);

impl SharedTarget {
    pub(crate) fn new(key: TargetKey, n_cores: usize, wake: Arc<Notify>) -> Self {
        Self {
            key,
            state: AtomicU8::new(encode(TargetState::Initial)),
            in_flight: (0..n_cores).map(|_| Counter::default()).collect(),
            ejected_at: AtomicU64::new(0),
            unreachable: AtomicBool::new(false),
            wake,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.key.address
    }

    pub(crate) fn state(&self) -> TargetState {
        decode(self.state.load(Ordering::Relaxed))
    }

    /// Says how the target is. One that drains does so to its end, whatever a late check says.
    pub(crate) fn set_state(&self, state: TargetState) {
        let unless_draining = |now| (decode(now) != TargetState::Draining).then_some(encode(state));
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, unless_draining);
    }

    /// All requests in flight.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum()
    }

    /// Tells the director, at once, that nobody answers at the target's address.
    pub(crate) fn report_unreachable(&self) {
        if self.state() == TargetState::Healthy {
            self.set_state(TargetState::Unhealthy);
            self.ejected_at.store(milliseconds_since_start(), Ordering::Relaxed);
        }
        if !self.unreachable.swap(true, Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// Whether traffic found the target unreachable, after it had been healthy, within this time.
    pub(crate) fn was_ejected_within(&self, time: Duration) -> bool {
        let ejected_at = self.ejected_at.load(Ordering::Relaxed);
        let ago = milliseconds_since_start().saturating_sub(ejected_at);
        ejected_at > 0 && Duration::from_millis(ago) < time
    }

    /// Whether somebody reported the target unreachable since the last call.
    pub(crate) fn take_unreachable(&self) -> bool {
        self.unreachable.swap(false, Ordering::Relaxed)
    }
}

/// A request in flight, counted as long as this lives.
#[derive(Debug)]
pub(crate) struct InFlight {
    target: Arc<SharedTarget>,
    core: usize,
}

impl InFlight {
    pub(crate) fn begin(target: &Arc<SharedTarget>, core: usize) -> Self {
        target.in_flight[core].0.fetch_add(1, Ordering::Relaxed);
        Self { target: Arc::clone(target), core }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.target.in_flight[self.core].0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The moment that [`SharedTarget::ejected_at`] counts from: a little in the past, so that no moment is 0.
static START: LazyLock<Instant> = LazyLock::new(|| Instant::now() - Duration::from_millis(1));

fn milliseconds_since_start() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

const STATES: [TargetState; 5] = [
    TargetState::Initial,
    TargetState::Healthy,
    TargetState::Unhealthy,
    TargetState::Unused,
    TargetState::Draining,
];

fn encode(state: TargetState) -> u8 {
    let index = STATES.iter().position(|known| *known == state).unwrap_or_default();
    u8::try_from(index).unwrap_or_default()
}

fn decode(index: u8) -> TargetState {
    STATES.get(usize::from(index)).copied().unwrap_or(TargetState::Initial)
}
