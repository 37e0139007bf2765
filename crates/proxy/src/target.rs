//! What all cores and the director share about one target.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, UNIX_EPOCH};

use plan::TargetKey;
use plan::balance::FULL_WEIGHT;
use plan::balance::anomaly::Record;
use plan::health::{Rest, RestReason, TargetState};
use tokio::sync::{Notify, watch};

use crate::line::Line;

/// A target's state and load, without a lock.
#[derive(Debug)]
pub(crate) struct SharedTarget {
    pub(crate) key: TargetKey,
    /// Where requests of its group wait when all targets have as many as they take.
    line: Arc<Line>,
    state: AtomicU8,
    /// What the cores ask of it.
    loads: Box<[Load]>,
    /// What was known of its requests when weights were last set.
    weighed: Weighed,
    /// Its weight beside the others of its group.
    weight: AtomicU32,
    /// Requests in flight, exactly, where there may be only so many.
    n_bounded: Arc<AtomicU32>,
    /// Until when others are asked in its place, in milliseconds since [`START`]: [`UNTIL_IT_ANSWERS`], or 0 for now.
    passed_over_until: AtomicU64,
    /// Why it was passed over last because of what it answers: whether it ended connections.
    has_broken_off: AtomicBool,
    /// How often in a row it was passed over because of what it answers.
    n_passed_over: AtomicU32,
    /// Whether it fell silent since its health was last looked at.
    is_suspect: AtomicBool,
    /// When its share began to grow, in milliseconds since [`START`]; 0 for one that has all of it.
    growing_since: AtomicU64,
    /// When a core last could not connect, in milliseconds since [`START`]; 0 for never.
    ejected_at: AtomicU64,
    /// Whether a core could not connect since the director last looked.
    unreachable: AtomicBool,
    wake: Arc<Notify>,
    /// How often its flows were cut; whoever carries one watches.
    cuts: watch::Sender<u32>,
}

/// What one core asks of a target, on a cache line of its own, so that cores do not fight over it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Load {
    in_flight: AtomicU32,
    /// All requests so far, and those that failed through the target's fault.
    n_requests: AtomicU32,
    n_failures: AtomicU32,
}

/// What [`SharedTarget::record`] begins at.
#[derive(Debug, Default)]
struct Weighed {
    n_requests: AtomicU32,
    n_failures: AtomicU32,
}

impl SharedTarget {
    pub(crate) fn new(
        key: TargetKey,
        n_cores: usize,
        n_bounded: Arc<AtomicU32>,
        line: Arc<Line>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            key,
            line,
            state: AtomicU8::new(encode(TargetState::Initial)),
            loads: (0..n_cores).map(|_| Load::default()).collect(),
            weighed: Weighed::default(),
            weight: AtomicU32::new(FULL_WEIGHT),
            n_bounded,
            passed_over_until: AtomicU64::new(0),
            has_broken_off: AtomicBool::new(false),
            n_passed_over: AtomicU32::new(0),
            is_suspect: AtomicBool::new(false),
            growing_since: AtomicU64::new(0),
            ejected_at: AtomicU64::new(0),
            unreachable: AtomicBool::new(false),
            wake,
            cuts: watch::Sender::default(),
        }
    }

    /// Ends the flows that it has. Whoever carries one hears of it.
    pub(crate) fn cut_flows(&self) {
        self.cuts.send_modify(|n_cuts| *n_cuts = n_cuts.wrapping_add(1));
    }

    /// Tells when flows that begin now are cut.
    pub(crate) fn cuts(&self) -> watch::Receiver<u32> {
        self.cuts.subscribe()
    }

    /// How many requests it works on of those that are bounded, whichever group they came by.
    pub(crate) fn bounded(&self) -> &Arc<AtomicU32> {
        &self.n_bounded
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
        self.loads.iter().map(|load| load.in_flight.load(Ordering::Relaxed)).sum()
    }

    /// Takes in what became of a request of a core.
    pub(crate) fn count(&self, core: usize, has_failed: bool) {
        let load = &self.loads[core];
        load.n_requests.fetch_add(1, Ordering::Relaxed);
        if has_failed {
            load.n_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of its requests since [`Self::set_weight`].
    pub(crate) fn record(&self) -> Record {
        let (n_requests, n_failures) = self.counted();
        Record {
            n_requests: n_requests.wrapping_sub(self.weighed.n_requests.load(Ordering::Relaxed)),
            n_failures: n_failures.wrapping_sub(self.weighed.n_failures.load(Ordering::Relaxed)),
        }
    }

    fn counted(&self) -> (u32, u32) {
        let sum = |of: fn(&Load) -> &AtomicU32| {
            self.loads.iter().fold(0_u32, |sum, load| sum.wrapping_add(of(load).load(Ordering::Relaxed)))
        };
        (sum(|load| &load.n_requests), sum(|load| &load.n_failures))
    }

    /// Its weight beside the others of its group.
    pub(crate) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Gives it a weight, and begins to record anew.
    pub(crate) fn set_weight(&self, weight: u32) {
        let (n_requests, n_failures) = self.counted();
        self.weighed.n_requests.store(n_requests, Ordering::Relaxed);
        self.weighed.n_failures.store(n_failures, Ordering::Relaxed);
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Has its share grow from now on, or be a full one.
    pub(crate) fn set_growing(&self, is_growing: bool) {
        let since = if is_growing { milliseconds_since_start() } else { 0 };
        self.growing_since.store(since, Ordering::Relaxed);
    }

    /// How long its share has been growing, if it does not yet have all of it.
    pub(crate) fn growing_for(&self, slow_start: Option<Duration>) -> Option<Duration> {
        let lasts = slow_start?;
        let since = match self.growing_since.load(Ordering::Relaxed) {
            0 => return None,
            since => Duration::from_millis(milliseconds_since_start().saturating_sub(since)),
        };
        (since < lasts).then_some(since)
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

    /// Whether it has fewer requests that are bounded than so many.
    pub(crate) fn has_room(&self, most: u32) -> bool {
        self.n_bounded.load(Ordering::Relaxed) < most
    }

    /// How it stands beside the others of its group, as traffic itself found it.
    pub(crate) fn standing(&self) -> Standing {
        match self.passed_over_until.load(Ordering::Relaxed) {
            0 => Standing::Good,
            UNTIL_IT_ANSWERS => Standing::Silent,
            until if until > milliseconds_since_start() => Standing::Failing,
            _ => Standing::Good,
        }
    }

    /// Has others be asked in its place until it says something. Returns whether that is news.
    pub(crate) fn falls_silent(&self) -> bool {
        let is_news = self.passed_over_until.swap(UNTIL_IT_ANSWERS, Ordering::Relaxed) != UNTIL_IT_ANSWERS;
        if is_news && !self.is_suspect.swap(true, Ordering::Relaxed) {
            self.wake.notify_one();
        }
        is_news
    }

    /// Takes in that it says something.
    pub(crate) fn speaks(&self) {
        if self.passed_over_until.load(Ordering::Relaxed) == UNTIL_IT_ANSWERS {
            self.passed_over_until.store(0, Ordering::Relaxed);
        }
    }

    /// What is told of it while others are asked in its place.
    pub(crate) fn rest(&self) -> Option<Rest> {
        match self.passed_over_until.load(Ordering::Relaxed) {
            0 => None,
            UNTIL_IT_ANSWERS => Some(Rest { because: RestReason::Silence, until: None }),
            until if until <= milliseconds_since_start() => None,
            until => {
                let because = match self.has_broken_off.load(Ordering::Relaxed) {
                    true => RestReason::BrokenConnections,
                    false => RestReason::BadAnswers,
                };
                Some(Rest { because, until: Some(*START_SINCE_EPOCH + Duration::from_millis(until)) })
            }
        }
    }

    /// Has others be asked in its place for a time, each time in a row for twice as long; because it ended connections, or
    /// because of what it answered.
    pub(crate) fn fails(&self, has_broken_off: bool) {
        self.has_broken_off.store(has_broken_off, Ordering::Relaxed);
        let n_before = self.n_passed_over.fetch_add(1, Ordering::Relaxed);
        let time = FIRST_REST.saturating_mul(1 << n_before.min(8)).min(LONGEST_REST);
        let until = milliseconds_since_start() + u64::try_from(time.as_millis()).unwrap_or_default();
        let unless_silent = |before| (before != UNTIL_IT_ANSWERS).then_some(until);
        let _ = self.passed_over_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, unless_silent);
    }

    /// Takes in that what it answers is good.
    pub(crate) fn does_well(&self) {
        if self.n_passed_over.load(Ordering::Relaxed) != 0 {
            self.n_passed_over.store(0, Ordering::Relaxed);
        }
    }

    /// Whether it fell silent since the last call.
    pub(crate) fn take_suspect(&self) -> bool {
        self.is_suspect.swap(false, Ordering::Relaxed)
    }

    /// Whether somebody reported the target unreachable since the last call.
    pub(crate) fn take_unreachable(&self) -> bool {
        self.unreachable.swap(false, Ordering::Relaxed)
    }
}

/// How a target stands beside the others of its group: the later ones are asked where there is no earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Good,
    /// It answered one request after the other with a status of the server's fault.
    Failing,
    /// It says nothing to those who wait for it.
    Silent,
}

const UNTIL_IT_ANSWERS: u64 = u64::MAX;

/// How long others are asked in the place of a target that fails, at first and at most.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A request in flight, counted as long as this lives.
#[derive(Debug)]
pub(crate) struct InFlight {
    target: Arc<SharedTarget>,
    core: u32,
    /// Whether its target takes only so many, and others may wait for its end.
    is_bounded: bool,
}

impl InFlight {
    pub(crate) fn begin(target: &Arc<SharedTarget>, core: usize) -> Self {
        target.loads[core].in_flight.fetch_add(1, Ordering::Relaxed);
        Self { target: Arc::clone(target), core: u32::try_from(core).unwrap_or_default(), is_bounded: false }
    }

    /// Begins one at a target that takes so many, if it has room.
    pub(crate) fn begin_within(most: u32, target: &Arc<SharedTarget>, core: usize) -> Option<Self> {
        let one_more = |taken: u32| (taken < most).then_some(taken + 1);
        target.n_bounded.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more).ok()?;
        let mut begun = Self::begin(target, core);
        begun.is_bounded = true;
        Some(begun)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.target.loads[self.core as usize].in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.is_bounded {
            self.target.n_bounded.fetch_sub(1, Ordering::AcqRel);
            self.target.line.one_is_free();
        }
    }
}

/// The moment that [`SharedTarget::ejected_at`] counts from: a little in the past, so that no moment is 0.
static START: LazyLock<Instant> = LazyLock::new(|| Instant::now() - Duration::from_millis(1));

/// The same moment, since the beginning of 1970.
static START_SINCE_EPOCH: LazyLock<Duration> =
    LazyLock::new(|| UNIX_EPOCH.elapsed().unwrap_or_default().saturating_sub(START.elapsed()));

pub(crate) fn milliseconds_since_start() -> u64 {
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
