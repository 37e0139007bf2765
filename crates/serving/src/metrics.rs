//! What is counted about requests: by each core for itself, and summed up when somebody asks.

mod exposition;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use net::StatusCode;

use crate::prediction_log::LogCounts;
use crate::protocols::PROTOCOLS;

pub(crate) use exposition::{Exposition, text};

/// All counts of all cores.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counts: Mutex<Vec<(String, Arc<Counts>)>>,
    log: OnceLock<Arc<LogCounts>>,
}

/// What one core counts about one model. Only that core writes, and the others read.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Requests by protocol and class of status.
    requests: Vec<[AtomicU64; STATUS_CLASSES.len()]>,
    /// Requests by how long they took; the last place is for those longer than any bound.
    durations: [AtomicU64; DURATION_BOUNDS.len() + 1],
    duration_nanoseconds: AtomicU64,
    rows: AtomicU64,
    predict_nanoseconds: AtomicU64,
    /// Batches of requests that waited to be joined, by how many rows they had.
    batches: [AtomicU64; BATCH_BOUNDS.len() + 1],
    batch_rows: AtomicU64,
    /// Answers that were kept, and those that were not.
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
}

/// The counts of all cores together, as they were at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) requests: Vec<[u64; STATUS_CLASSES.len()]>,
    pub(crate) durations: [u64; DURATION_BOUNDS.len() + 1],
    pub(crate) duration_nanoseconds: u64,
    pub(crate) rows: u64,
    pub(crate) predict_nanoseconds: u64,
    pub(crate) batches: [u64; BATCH_BOUNDS.len() + 1],
    pub(crate) batch_rows: u64,
    pub(crate) cache_hits: u64,
    pub(crate) cache_misses: u64,
}

/// What happened to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// The index of its protocol.
    pub(crate) protocol: usize,
    pub(crate) status: StatusCode,
    pub(crate) duration: Duration,
}

/// The classes of status, from 1xx on.
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds of the histogram of durations, in microseconds.
const DURATION_BOUNDS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// Upper bounds of the histogram of joined batches, in rows.
const BATCH_BOUNDS: [u64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

// === impl Metrics ===

impl Metrics {
    /// Counts of a model, for one core: those that no core has any more since the model was unloaded, else new ones.
    pub(crate) fn counts(&self, model: &str) -> Arc<Counts> {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free =
            |(name, counts): &&(String, Arc<Counts>)| name == model && Arc::strong_count(counts) == 1;
        if let Some((_, counts)) = all.iter().find(is_free) {
            return Arc::clone(counts);
        }
        let counts = Arc::new(Counts::new());
        all.push((model.to_owned(), Arc::clone(&counts)));
        counts
    }

    /// Tells what is counted of a log from now on.
    pub(crate) fn count_log(&self, log: Arc<LogCounts>) {
        let _ = self.log.set(log);
    }

    /// Predictions that were logged, and those that were to be and were not; `None` without a log.
    pub(crate) fn logged(&self) -> Option<[u64; 2]> {
        self.log.get().map(|log| [log.written.load(Relaxed), log.dropped.load(Relaxed)])
    }

    /// The sums of all cores, by the names of the models, which are in order. Requests that ask no model have no name.
    pub(crate) fn sums(&self) -> Vec<(String, Sums)> {
        let all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: Vec<(String, Sums)> = Vec::new();
        for (model, counts) in all.iter() {
            match sums.iter_mut().find(|(known, _)| known == model) {
                Some((_, sums)) => sums.add(counts),
                None => {
                    let mut first =
                        Sums { requests: vec![Default::default(); PROTOCOLS.len()], ..Sums::default() };
                    first.add(counts);
                    sums.push((model.clone(), first));
                }
            }
        }
        sums.sort_by(|(a, _), (b, _)| a.cmp(b));
        sums
    }
}

// === impl Counts ===

impl Counts {
    fn new() -> Self {
        Self {
            requests: PROTOCOLS.iter().map(|_| Default::default()).collect(),
            durations: Default::default(),
            duration_nanoseconds: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            predict_nanoseconds: AtomicU64::new(0),
            batches: Default::default(),
            batch_rows: AtomicU64::new(0),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
        }
    }

    /// Counts a request.
    pub(crate) fn count_request(&self, outcome: Outcome) {
        let class = usize::from(outcome.status.as_u16() / 100).clamp(1, STATUS_CLASSES.len()) - 1;
        add_to(&self.requests[outcome.protocol][class], 1);
        let microseconds = outcome.duration.as_nanos().div_ceil(1000);
        let bucket = DURATION_BOUNDS.iter().position(|&bound| microseconds <= u128::from(bound));
        add_to(&self.durations[bucket.unwrap_or(DURATION_BOUNDS.len())], 1);
        add_to(&self.duration_nanoseconds, nanoseconds(outcome.duration));
    }

    /// Counts a prediction.
    pub(crate) fn count_prediction(&self, n_rows: usize, took: Duration) {
        add_to(&self.rows, n_rows as u64);
        add_to(&self.predict_nanoseconds, nanoseconds(took));
    }

    /// Counts a batch of requests that waited to be joined.
    pub(crate) fn count_batch(&self, n_rows: usize) {
        let n_rows = n_rows as u64;
        let bucket = BATCH_BOUNDS.iter().position(|&bound| n_rows <= bound).unwrap_or(BATCH_BOUNDS.len());
        add_to(&self.batches[bucket], 1);
        add_to(&self.batch_rows, n_rows);
    }

    /// Counts a search for an answer that was kept.
    pub(crate) fn count_lookup(&self, is_hit: bool) {
        add_to(if is_hit { &self.cache_hits } else { &self.cache_misses }, 1);
    }
}

/// Adds to a count that no other thread writes.
fn add_to(count: &AtomicU64, n: u64) {
    count.store(count.load(Relaxed).wrapping_add(n), Relaxed);
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

// === impl Sums ===

impl Sums {
    fn add(&mut self, counts: &Counts) {
        for (sums, counts) in self.requests.iter_mut().zip(&counts.requests) {
            add(sums, counts);
        }
        add(&mut self.durations, &counts.durations);
        self.duration_nanoseconds += counts.duration_nanoseconds.load(Relaxed);
        self.rows += counts.rows.load(Relaxed);
        self.predict_nanoseconds += counts.predict_nanoseconds.load(Relaxed);
        add(&mut self.batches, &counts.batches);
        self.batch_rows += counts.batch_rows.load(Relaxed);
        self.cache_hits += counts.cache_hits.load(Relaxed);
        self.cache_misses += counts.cache_misses.load(Relaxed);
    }
}

fn add(sums: &mut [u64], counts: &[AtomicU64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count.load(Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_summed_up() {
        let metrics = Metrics::default();
        let cores = [metrics.counts("iris"), metrics.counts("iris"), metrics.counts("wine")];
        for core in &cores {
            let duration = Duration::from_micros(100);
            core.count_request(Outcome { protocol: 1, status: StatusCode::OK, duration });
            core.count_prediction(3, Duration::from_nanos(50));
        }
        let duration = Duration::from_secs(20);
        cores[1].count_request(Outcome { protocol: 1, status: StatusCode::BAD_REQUEST, duration });
        let sums = metrics.sums();
        let (name, iris) = &sums[0];
        assert_eq!((name.as_str(), iris.requests[1]), ("iris", [0, 2, 0, 1, 0]));
        assert_eq!((iris.durations[1], iris.durations[16]), (2, 1));
        assert_eq!((iris.rows, iris.predict_nanoseconds), (6, 100));
        assert_eq!((sums[1].0.as_str(), sums[1].1.rows), ("wine", 3));
    }
}
