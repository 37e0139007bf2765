//! A target as one worker sees it, with the connections that the worker keeps to it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use net::{ClientConnection, ConnectError, StatusCode};
use tokio::time::Instant;
use tracing::debug;

use crate::metrics::GroupMetrics;
use crate::multiplexed::Multiplexed;
use crate::pace::Pace;
use crate::silence::Silence;
use crate::snapshot::Group;
use crate::speech::{Link, Speech};
use crate::target::{SharedTarget, Standing};

/// A target with this worker's connections to it.
pub(crate) struct WorkerTarget {
    pub(crate) shared: Arc<SharedTarget>,
    pub(crate) speech: Speech,
    /// How long it takes to answer.
    pub(crate) pace: Pace,
    /// Whether it says anything to those who wait for it.
    pub(crate) silence: Silence,
    /// Answers in a row with a status of the server's fault.
    streak: Cell<u32>,
    /// Answers that broke off or never began, as far as good ones since have not made up for them.
    broken: Cell<u32>,
    metrics: GroupMetrics,
    core: usize,
    idle: RefCell<Idle<ClientConnection>>,
    multiplexed: Multiplexed,
}

/// Connections that wait for a request, since when each. The last one waits for the shortest time, and is taken first.
struct Idle<C>(Vec<(C, Instant)>);

/// Idle connections kept per target and worker for as long as they last.
const POOL_SIZE: usize = 256;

/// Idle connections kept per target and worker for a moment. What is on its way at once, say over connections of HTTP/2, ends
/// at once, and is soon followed by as much: whoever closed what is too much then would open it anew a millisecond later.
const PEAK_SIZE: usize = 4096;

/// An idle connection beyond the size of the pool that is older than this is closed.
const PEAK_AGE: Duration = Duration::from_secs(5);

/// How long it may take to show that it is still there.
const SIGN_OF_LIFE: Duration = Duration::from_millis(250);

/// After so many bad answers in a row to one core others are asked in its place.
const LONGEST_STREAK: u32 = 5;

/// How many good answers make up for one that broke off, and how much of that is too much: three in a row, or every other one of eight.
const BREAK: u32 = 4;
const MOST_BROKEN: u32 = 12;

/// An idle connection older than this is closed: most servers keep theirs a little longer.
const POOL_AGE: Duration = Duration::from_secs(50);

// === impl WorkerTarget ===

impl WorkerTarget {
    pub(crate) fn new(shared: &Arc<SharedTarget>, group: &Group, core: usize) -> Self {
        Self {
            shared: Arc::clone(shared),
            speech: group.speech.clone(),
            metrics: group.metrics.clone(),
            pace: Pace::default(),
            silence: Silence::default(),
            streak: Cell::new(0),
            broken: Cell::new(0),
            core,
            idle: RefCell::default(),
            multiplexed: Multiplexed::default(),
        }
    }

    /// Takes in that it began an answer, and how long that took. After many bad ones others are asked in its place.
    pub(crate) fn answered(&self, status: StatusCode, took: Duration) {
        self.said_something(took);
        self.shared.count(self.core, status.is_server_error());
        if !matches!(status.as_u16(), 500 | 502..=504) {
            self.streak.set(0);
            self.broken.set(self.broken.get().saturating_sub(1));
            return self.shared.does_well();
        }
        self.streak.set(self.streak.get() + 1);
        if self.streak.get() >= LONGEST_STREAK {
            self.rest(false);
        }
    }

    /// Takes in that it ended a connection instead of answering. No client makes it do that, so it weighs more than a bad answer,
    /// and one that does it every other time has others asked in its place, too.
    pub(crate) fn broke_off(&self) {
        self.broken.set(self.broken.get() + BREAK);
        if self.broken.get() >= MOST_BROKEN {
            self.rest(true);
        }
    }

    fn rest(&self, has_broken_off: bool) {
        self.streak.set(0);
        self.broken.set(0);
        self.shared.fails(has_broken_off);
        self.metrics.failing.inc();
        debug!(target = %self.shared.address(), "target answers badly, and others are asked in its place");
    }

    /// Takes in that it said something to one who waited so long for it.
    pub(crate) fn said_something(&self, took: Duration) {
        let now = net::recently();
        self.pace.observe(took, now);
        self.silence.ended(now);
        self.shared.speaks();
    }

    /// Whether it has said nothing for too long to those of this core who wait for it. Then all cores ask others in its place.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        let is_silent = self.silence.is_too_long(now, || self.pace.p99());
        if is_silent && self.shared.falls_silent() {
            self.metrics.silent.inc();
            debug!(target = %self.shared.address(), "target says nothing, and others are asked in its place");
        }
        is_silent
    }

    /// How it stands beside the others of its group.
    pub(crate) fn standing(&self, now: Instant) -> Standing {
        if self.is_silent(now) { Standing::Silent } else { self.shared.standing() }
    }

    /// Takes in that a request failed through its fault.
    pub(crate) fn failed(&self) {
        self.shared.count(self.core, true);
    }

    /// A connection that is kept, is still open and can carry a request.
    pub(crate) fn take_kept(&self) -> Option<Link> {
        if self.speech.is_http2() {
            return self.multiplexed.find().map(Link::Http2);
        }
        let taken = self.idle.borrow_mut().take(net::recently(), ClientConnection::is_open);
        taken.map(Link::Http1)
    }

    /// A connection where none is kept.
    pub(crate) async fn open(&self, timeout: Duration) -> Result<Link, ConnectError> {
        let address = self.shared.address();
        if self.speech.is_http2() {
            return self.multiplexed.get(&self.speech, address, timeout).await.map(Link::Http2);
        }
        self.speech.open(address, timeout).await
    }

    /// Whether it has gone, now that it closed a connection with a request on it: then it takes no other.
    pub(crate) async fn has_gone(&self) -> bool {
        match self.open(SIGN_OF_LIFE).await {
            Ok(Link::Http1(connection)) => {
                self.keep(connection);
                false
            }
            Ok(Link::Http2(_)) => false,
            Err(error) => matches!(error, ConnectError::Refused { .. }) && !error.is_ours(),
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, connection: ClientConnection) {
        self.idle.borrow_mut().keep(connection, net::recently());
    }

    /// Closes connections that have been idle for too long, or that the target has closed.
    pub(crate) fn sweep(&self) {
        self.idle.borrow_mut().sweep(Instant::now(), ClientConnection::is_open);
        self.multiplexed.sweep(POOL_AGE);
    }
}

// === impl Idle ===

impl<C> Default for Idle<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C> Idle<C> {
    fn keep(&mut self, connection: C, now: Instant) {
        if self.0.len() < PEAK_SIZE {
            self.0.push((connection, now));
        }
    }

    fn take(&mut self, now: Instant, is_open: impl Fn(&C) -> bool) -> Option<C> {
        while let Some((connection, since)) = self.0.pop() {
            if now < since + POOL_AGE && is_open(&connection) {
                return Some(connection);
            }
        }
        None
    }

    fn sweep(&mut self, now: Instant, is_open: impl Fn(&C) -> bool) {
        let n_of_peak = self.0.len().saturating_sub(POOL_SIZE);
        let mut index = 0;
        self.0.retain(|(connection, since)| {
            let age = if index < n_of_peak { PEAK_AGE } else { POOL_AGE };
            index += 1;
            now < *since + age && is_open(connection)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peak_needed_is_there_for_the_next_and_goes_when_none_comes() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut idle = Idle::default();
        (0..2 * PEAK_SIZE).for_each(|number| idle.keep(number, start));
        assert_eq!(idle.0.len(), PEAK_SIZE);
        let taken: Vec<_> = (0..PEAK_SIZE).filter_map(|_| idle.take(start + second, |_| true)).collect();
        assert_eq!((taken.len(), taken[0]), (PEAK_SIZE, PEAK_SIZE - 1));
        taken.into_iter().take(1000).for_each(|number| idle.keep(number, start + second));
        idle.sweep(start + 2 * second, |_| true);
        assert_eq!(idle.0.len(), 1000);
        let last = idle.take(start + 3 * second, |_| true).unwrap();
        idle.keep(last, start + 3 * second);
        idle.sweep(start + 6 * second, |_| true);
        assert_eq!(idle.0.len(), POOL_SIZE);
        idle.sweep(start + second + POOL_AGE, |_| true);
        assert_eq!(idle.0, [(last, start + 3 * second)]);
    }

    #[test]
    fn what_has_waited_for_too_long_or_is_closed_is_not_taken() {
        let start = Instant::now();
        let mut idle = Idle::default();
        for number in 0..3 {
            idle.keep(number, start);
        }
        assert_eq!(idle.take(start, |number| *number != 2), Some(1));
        assert_eq!(idle.take(start + POOL_AGE, |_| true), None);
        assert!(idle.0.is_empty());
    }
}
