//! Whether a target that was asked something still says anything, as one worker sees it.
//!
//! A request costs two readings of a number here. Only where requests may go to another target while they wait, one task for
//! each target that is asked looks now and then whether it has been silent for too long, and wakes them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::pool::WorkerTarget;

/// A target is not taken for silent sooner.
const SHORTEST_SILENCE: Duration = Duration::from_millis(250);

/// Times the time within which nearly all of its answers begin, after which a target is silent.
const TIMES_P99: u32 = 3;

/// How often those who wait for a silent target look for another.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What waits for a target's first bytes.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    n_waiting: Cell<usize>,
    /// When it last said something, or was asked while nobody waited.
    since: Cell<Option<Instant>>,
    impatient: RefCell<Impatient>,
    is_watched: Cell<bool>,
}

/// Requests that are to be woken.
#[derive(Debug, Default)]
struct Impatient {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    waker: Option<Waker>,
    is_woken: bool,
}

/// A request that waits for a target, for as long as this lives.
pub(crate) struct Wait<'a> {
    target: &'a Rc<WorkerTarget>,
    /// Where it is woken, once it has asked; [`NOWHERE`] before.
    slot: Cell<u32>,
}

/// What passes between a client and a target that answers what it is asked, where nobody here understands it. Counted as a
/// request from the client's first bytes to the target's next ones.
pub(crate) struct Talk {
    target: Rc<WorkerTarget>,
    asked: Cell<Option<Instant>>,
}

const NOWHERE: u32 = u32::MAX;

// === impl Silence ===

impl Silence {
    fn begin(&self) {
        if self.n_waiting.get() == 0 {
            self.since.set(Some(net::recently()));
        }
        self.n_waiting.set(self.n_waiting.get() + 1);
    }

    fn one_less(&self) {
        self.n_waiting.set(self.n_waiting.get().saturating_sub(1));
    }

    /// Takes in that the target said something.
    pub(crate) fn ended(&self, now: Instant) {
        self.since.set(Some(now));
    }

    /// How long the target has said nothing to those who wait for it.
    pub(crate) fn lasts(&self, now: Instant) -> Duration {
        match self.since.get() {
            Some(since) if self.n_waiting.get() > 0 => now.saturating_duration_since(since),
            _ => Duration::ZERO,
        }
    }

    /// Whether that is longer than a target takes whose answers begin within this time.
    pub(crate) fn is_too_long(&self, now: Instant, p99: impl FnOnce() -> Option<Duration>) -> bool {
        let lasts = self.lasts(now);
        lasts >= SHORTEST_SILENCE && lasts >= patience(p99())
    }

    fn wake_all(&self) {
        for slot in &mut self.impatient.borrow_mut().slots {
            slot.is_woken = true;
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }
}

/// How long a target may be silent.
fn patience(p99: Option<Duration>) -> Duration {
    SHORTEST_SILENCE.max(p99.unwrap_or_default() * TIMES_P99)
}

// === impl Wait ===

impl<'a> Wait<'a> {
    /// Begins to wait for a target.
    pub(crate) fn begin(target: &'a Rc<WorkerTarget>) -> Self {
        target.silence.begin();
        Self { target, slot: Cell::new(NOWHERE) }
    }

    /// Whether it was woken because of the target's silence since it last asked. If it was not, it will be.
    pub(crate) fn is_woken(&self, cx: &Context<'_>) -> bool {
        let silence = &self.target.silence;
        let mut impatient = silence.impatient.borrow_mut();
        if self.slot.get() == NOWHERE {
            self.slot.set(impatient.take_slot());
        }
        let Some(slot) = impatient.slots.get_mut(self.slot.get() as usize) else { return false };
        if std::mem::take(&mut slot.is_woken) {
            return true;
        }
        if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        if !silence.is_watched.replace(true) {
            tokio::task::spawn_local(watch(Rc::clone(self.target)));
        }
        false
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let silence = &self.target.silence;
        silence.one_less();
        if self.slot.get() != NOWHERE {
            silence.impatient.borrow_mut().give_back(self.slot.get());
        }
    }
}

// === impl Talk ===

impl Talk {
    pub(crate) fn with(target: &Rc<WorkerTarget>) -> Self {
        Self { target: Rc::clone(target), asked: Cell::new(None) }
    }

    /// Takes in that the client said something.
    pub(crate) fn client_said(&self) {
        if self.asked.get().is_none() {
            self.asked.set(Some(net::recently()));
            self.target.silence.begin();
        }
    }

    /// Takes in that the target said something.
    pub(crate) fn target_said(&self) {
        if let Some(asked) = self.asked.take() {
            self.target.silence.one_less();
            self.target.said_something(net::recently().saturating_duration_since(asked));
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        if self.asked.take().is_some() {
            self.target.silence.one_less();
        }
    }
}

// === impl Impatient ===

impl Impatient {
    fn take_slot(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(NOWHERE)
        })
    }

    fn give_back(&mut self, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Slot::default();
            self.free.push(index);
        }
    }
}

/// Wakes those who wait for a target whenever it has been silent for too long, until nobody waits.
async fn watch(target: Rc<WorkerTarget>) {
    let silence = &target.silence;
    while silence.n_waiting.get() > 0 {
        let left = patience(target.pace.p99()).saturating_sub(silence.lasts(Instant::now()));
        tokio::time::sleep(left).await;
        if target.is_silent(Instant::now()) {
            silence.wake_all();
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    silence.is_watched.set(false);
}
