//! Giving objects to their store, which may be slow or away: those that wait are bounded, and the oldest go first.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::warn;

use super::Counters;

/// Who keeps objects.
pub trait LogStore: Send {
    /// Keeps an object of a bucket, whole or not at all. It may take its time: nobody else waits.
    ///
    /// # Errors
    /// When it cannot; it is asked again.
    fn put(&mut self, bucket: &str, key: &str, bytes: &[u8]) -> Result<(), String>;
}

/// An object that is to be kept.
pub(super) struct Object {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) bytes: Vec<u8>,
    pub(super) n_lines: u64,
}

/// Bytes of objects that may wait for their store.
const WAITING_BYTES: usize = 64 << 20;

/// How long it is waited before a store that failed is asked again: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long objects are tried at the end.
const LAST_PATIENCE: Duration = Duration::from_secs(4);

/// Objects on their way to the store, and the thread that brings them.
pub(super) struct Shipper {
    waiting: Arc<Waiting>,
    counters: Counters,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Waiting {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    objects: VecDeque<Object>,
    n_bytes: usize,
    /// Until when objects are tried once no more come.
    ends: Option<Instant>,
}

// === impl Shipper ===

impl Shipper {
    pub(super) fn start(store: Box<dyn LogStore>, counters: Counters) -> Self {
        let waiting = Arc::new(Waiting::default());
        let (theirs, counted) = (Arc::clone(&waiting), counters.clone());
        let thread = std::thread::Builder::new().name("log-objects".to_owned());
        let thread = thread.spawn(move || theirs.bring_all(store, &counted));
        if let Err(error) = &thread {
            warn!(%error, "no thread can be started that keeps logs; their lines are dropped");
        }
        Self { waiting, counters, thread: thread.ok() }
    }

    /// Has an object brought to the store. Where too much waits, the oldest is dropped.
    pub(super) fn bring(&self, object: Object) {
        let mut state = self.waiting.lock();
        state.n_bytes += object.bytes.len();
        state.objects.push_back(object);
        while state.n_bytes > WAITING_BYTES || self.thread.is_none() {
            let Some(oldest) = state.objects.pop_front() else { break };
            state.n_bytes -= oldest.bytes.len();
            self.counters.dropped.inc_by(oldest.n_lines);
        }
        self.counters.waiting.set(i64::try_from(state.n_bytes).unwrap_or(i64::MAX));
        self.waiting.news.notify_one();
    }

    /// Waits until all that there is was brought, for as long as that may take.
    pub(super) fn finish(self) {
        self.waiting.lock().ends = Some(Instant::now() + LAST_PATIENCE);
        self.waiting.news.notify_one();
        if let Some(thread) = self.thread {
            let _ = thread.join();
        }
    }
}

// === impl Waiting ===

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next object; `None` once there will be no more.
    fn next(&self) -> Option<Object> {
        let mut state = self.lock();
        loop {
            if let Some(object) = state.objects.pop_front() {
                return Some(object);
            }
            if state.ends.is_some() {
                return None;
            }
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn bring_all(&self, mut store: Box<dyn LogStore>, counters: &Counters) {
        while let Some(object) = self.next() {
            let is_kept = self.bring(store.as_mut(), &object);
            match is_kept {
                true => _ = counters.objects.inc(),
                false => _ = counters.dropped.inc_by(object.n_lines),
            }
            let mut state = self.lock();
            state.n_bytes = state.n_bytes.saturating_sub(object.bytes.len());
            counters.waiting.set(i64::try_from(state.n_bytes).unwrap_or(i64::MAX));
        }
    }

    /// Tries until an object is kept, or there is no more time. Returns whether it is kept.
    fn bring(&self, store: &mut dyn LogStore, object: &Object) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(problem) = store.put(&object.bucket, &object.key, &object.bytes) else { return true };
            if pause == FIRST_PAUSE {
                warn!(bucket = object.bucket, problem, "a log cannot be kept; it is tried again");
            }
            if self.is_over_after(pause) {
                return false;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits, and says whether there is no time left. The end is not waited for longer than it takes to try once more.
    fn is_over_after(&self, pause: Duration) -> bool {
        let began = Instant::now();
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let (until, is_end) = match state.ends {
                Some(ends) if now >= ends => return true,
                Some(ends) => (ends.min(began + FIRST_PAUSE), true),
                None => (began + pause, false),
            };
            let Some(rest) = until.checked_duration_since(now).filter(|rest| !rest.is_zero()) else {
                return is_end && state.ends.is_some_and(|ends| now >= ends);
            };
            // Objects that come meanwhile wake this up too.
            state = self.news.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
