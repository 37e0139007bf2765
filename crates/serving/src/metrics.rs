//! What is counted about requests: by each core for itself, and summed up when somebody asks.

mod exposition;
mod tls;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use net::StatusCode;

use crate::model_set::Entry;
use crate::prediction_log::LogCounts;

pub(crate) use exposition::{Exposition, text};
pub use tls::ShownCertificate;
pub(crate) use tls::TlsCounts;

/// All counts of all cores.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// What requests are told apart by.
    protocols: Arc<[&'static str]>,
    counts: Mutex<Vec<(Counted, Arc<Counts>)>>,
    log: OnceLock<Arc<LogCounts>>,
    spans: OnceLock<traces::Counts>,
    pub(crate) tls: TlsCounts,
}

/// What is counted for itself: a version of a model. Both are empty for requests that ask no model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Counted {
    pub(crate) model: String,
    pub(crate) version: String,
}

/// What one core counts about one version of a model. Only that core writes, and the others read.
#[derive(Debug)]
pub(crate) struct Counts {
    /// When it began to count.
    since: Instant,
    /// When the last request came, in nanoseconds after that; 0 if none did.
    last_request: AtomicU64,
    protocols: Arc<[&'static str]>,
    /// Requests by protocol and class of status.
    requests: Vec<[AtomicU64; STATUS_CLASSES.len()]>,
    /// Requests by how long they took; the last place is for those longer than any bound.
    durations: [AtomicU64; DURATION_BOUNDS.len() + 1],
    duration_nanoseconds: AtomicU64,
    /// Of these, the time of requests that were refused or failed.
    failure_nanoseconds: AtomicU64,
    /// How often the model was asked, with however many rows.
    executions: AtomicU64,
    rows: AtomicU64,
    predict_nanoseconds: AtomicU64,
    /// Batches of requests that waited to be joined, by how many rows they had.
    batches: [AtomicU64; BATCH_BOUNDS.len() + 1],
    batch_rows: AtomicU64,
    /// Answers that were kept, those that were not, and how long they were searched for.
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    cache_hit_nanoseconds: AtomicU64,
    cache_miss_nanoseconds: AtomicU64,
}

/// The counts of all cores together, as they were at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) last_request: Option<Instant>,
    pub(crate) requests: Vec<[u64; STATUS_CLASSES.len()]>,
    pub(crate) durations: [u64; DURATION_BOUNDS.len() + 1],
    pub(crate) duration_nanoseconds: u64,
    pub(crate) failure_nanoseconds: u64,
    pub(crate) executions: u64,
    pub(crate) rows: u64,
    pub(crate) predict_nanoseconds: u64,
    pub(crate) batches: [u64; BATCH_BOUNDS.len() + 1],
    pub(crate) batch_rows: u64,
    pub(crate) cache_hits: u64,
    pub(crate) cache_misses: u64,
    pub(crate) cache_hit_nanoseconds: u64,
    pub(crate) cache_miss_nanoseconds: u64,
}

/// What happened to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Its protocol.
    pub(crate) protocol: &'static str,
    pub(crate) status: StatusCode,
    /// When it came.
    pub(crate) start: Instant,
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

/// Versions that are served no more and whose counts are kept all the same, for they may come back.
const MOST_GONE: usize = 256;

// === impl Metrics ===

impl Metrics {
    /// No counts yet, of requests in these protocols.
    pub(crate) fn new(protocols: impl Iterator<Item = &'static str>) -> Self {
        Self {
            protocols: protocols.collect(),
            counts: Mutex::default(),
            log: OnceLock::new(),
            spans: OnceLock::new(),
            tls: TlsCounts::default(),
        }
    }

    /// Counts of a version of a model, for one core: those that no core has any more since it was unloaded, else new ones.
    pub(crate) fn counts(&self, counted: &Counted) -> Arc<Counts> {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gone = |counts: &Arc<Counts>| Arc::strong_count(counts) == 1;
        if let Some((_, counts)) = all.iter().find(|(known, counts)| known == counted && is_gone(counts)) {
            return Arc::clone(counts);
        }
        // The oldest are forgotten, so that there is a bound to what is told.
        let mut n_left = all.iter().filter(|(_, counts)| is_gone(counts)).count();
        all.retain(|(_, counts)| {
            let is_one_too_many = n_left > MOST_GONE && is_gone(counts);
            n_left -= usize::from(is_one_too_many);
            !is_one_too_many
        });
        let counts = Arc::new(Counts::new(&self.protocols));
        all.push((counted.clone(), Arc::clone(&counts)));
        counts
    }

    /// Tells what is counted of a log from now on.
    pub(crate) fn count_log(&self, log: Arc<LogCounts>) {
        let _ = self.log.set(log);
    }

    /// Tells what is counted of spans from now on.
    pub(crate) fn count_spans(&self, counts: traces::Counts) {
        let _ = self.spans.set(counts);
    }

    /// Spans that a collector took, and those that none took; `None` without traces.
    pub(crate) fn spans(&self) -> Option<[u64; 2]> {
        self.spans.get().map(|counts| [counts.exported.get(), counts.dropped.get()])
    }

    /// Predictions that were logged, and those that were to be and were not; `None` without a log.
    pub(crate) fn logged(&self) -> Option<[u64; 2]> {
        self.log.get().map(|log| [log.written.load(Relaxed), log.dropped.load(Relaxed)])
    }

    /// The sums of all cores, by models and versions, which are in order.
    pub(crate) fn sums(&self) -> Vec<(Counted, Sums)> {
        let all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: BTreeMap<&Counted, Sums> = BTreeMap::new();
        for (counted, counts) in all.iter() {
            let n_protocols = self.protocols.len();
            let none = || Sums { requests: vec![Default::default(); n_protocols], ..Sums::default() };
            sums.entry(counted).or_insert_with(none).add(counts);
        }
        sums.into_iter().map(|(counted, sums)| (counted.clone(), sums)).collect()
    }
}

// === impl Counted ===

impl Counted {
    /// What is counted of requests for a model.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { model: entry.name.clone(), version: entry.version.clone().unwrap_or_default() }
    }
}

// === impl Counts ===

impl Counts {
    fn new(protocols: &Arc<[&'static str]>) -> Self {
        Self {
            protocols: Arc::clone(protocols),
            since: Instant::now(),
            last_request: AtomicU64::new(0),
            requests: protocols.iter().map(|_| Default::default()).collect(),
            durations: Default::default(),
            duration_nanoseconds: AtomicU64::new(0),
            failure_nanoseconds: AtomicU64::new(0),
            executions: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            predict_nanoseconds: AtomicU64::new(0),
            batches: Default::default(),
            batch_rows: AtomicU64::new(0),
            cache_hits: AtomicU64::new(0),
            cache_misses: AtomicU64::new(0),
            cache_hit_nanoseconds: AtomicU64::new(0),
            cache_miss_nanoseconds: AtomicU64::new(0),
        }
    }

    /// Counts a request.
    pub(crate) fn count_request(&self, outcome: Outcome) {
        let class = usize::from(outcome.status.as_u16() / 100).clamp(1, STATUS_CLASSES.len()) - 1;
        if let Some(place) = self.protocols.iter().position(|known| *known == outcome.protocol) {
            add_to(&self.requests[place][class], 1);
        }
        let microseconds = outcome.duration.as_nanos().div_ceil(1000);
        let bucket = DURATION_BOUNDS.iter().position(|&bound| microseconds <= u128::from(bound));
        add_to(&self.durations[bucket.unwrap_or(DURATION_BOUNDS.len())], 1);
        add_to(&self.duration_nanoseconds, nanoseconds(outcome.duration));
        if !outcome.status.is_success() {
            add_to(&self.failure_nanoseconds, nanoseconds(outcome.duration));
        }
        self.last_request.store(nanoseconds(outcome.start - self.since).max(1), Relaxed);
    }

    /// Counts a prediction.
    pub(crate) fn count_prediction(&self, n_rows: usize, took: Duration) {
        add_to(&self.executions, 1);
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
    pub(crate) fn count_lookup(&self, is_hit: bool, took: Duration) {
        let (count, time) = match is_hit {
            true => (&self.cache_hits, &self.cache_hit_nanoseconds),
            false => (&self.cache_misses, &self.cache_miss_nanoseconds),
        };
        add_to(count, 1);
        add_to(time, nanoseconds(took));
    }

    /// When the last request came.
    fn last_request(&self) -> Option<Instant> {
        let nanoseconds = Some(self.last_request.load(Relaxed)).filter(|nanoseconds| *nanoseconds > 0)?;
        Some(self.since + Duration::from_nanos(nanoseconds))
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
    /// Requests that were answered.
    pub(crate) fn n_successes(&self) -> u64 {
        const SUCCESS: usize = 1;
        self.requests.iter().map(|classes| classes[SUCCESS]).sum()
    }

    fn add(&mut self, counts: &Counts) {
        for (sums, counts) in self.requests.iter_mut().zip(&counts.requests) {
            add(sums, counts);
        }
        self.last_request = self.last_request.max(counts.last_request());
        add(&mut self.durations, &counts.durations);
        self.duration_nanoseconds += counts.duration_nanoseconds.load(Relaxed);
        self.failure_nanoseconds += counts.failure_nanoseconds.load(Relaxed);
        self.executions += counts.executions.load(Relaxed);
        self.rows += counts.rows.load(Relaxed);
        self.predict_nanoseconds += counts.predict_nanoseconds.load(Relaxed);
        add(&mut self.batches, &counts.batches);
        self.batch_rows += counts.batch_rows.load(Relaxed);
        self.cache_hits += counts.cache_hits.load(Relaxed);
        self.cache_misses += counts.cache_misses.load(Relaxed);
        self.cache_hit_nanoseconds += counts.cache_hit_nanoseconds.load(Relaxed);
        self.cache_miss_nanoseconds += counts.cache_miss_nanoseconds.load(Relaxed);
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

    fn counted(model: &str, version: &str) -> Counted {
        Counted { model: model.to_owned(), version: version.to_owned() }
    }

    fn outcome(status: StatusCode, duration: Duration) -> Outcome {
        Outcome { protocol: "v1", status, start: Instant::now(), duration }
    }

    #[test]
    fn cores_are_summed_up() {
        let metrics = Metrics::new(["mlflow", "v1"].into_iter());
        let cores = [("iris", "2"), ("iris", "2"), ("iris", "1"), ("wine", "1")]
            .map(|(model, version)| metrics.counts(&counted(model, version)));
        for core in &cores {
            core.count_request(outcome(StatusCode::OK, Duration::from_micros(100)));
            core.count_prediction(3, Duration::from_nanos(50));
        }
        assert!(metrics.sums().iter().all(|(_, sums)| sums.last_request.is_some()));
        cores[1].count_request(outcome(StatusCode::BAD_REQUEST, Duration::from_secs(20)));
        let sums = metrics.sums();
        let names: Vec<(&str, &str)> =
            sums.iter().map(|(counted, _)| (counted.model.as_str(), counted.version.as_str())).collect();
        assert_eq!(names, [("iris", "1"), ("iris", "2"), ("wine", "1")]);
        let (_, iris) = &sums[1];
        assert_eq!(iris.requests[1], [0, 2, 0, 1, 0]);
        assert_eq!((iris.durations[1], iris.durations[16]), (2, 1));
        assert_eq!((iris.rows, iris.executions, iris.predict_nanoseconds), (6, 2, 100));
        assert_eq!((iris.duration_nanoseconds, iris.failure_nanoseconds), (20_000_200_000, 20_000_000_000));
    }

    #[test]
    fn versions_that_are_gone_are_counted_on_but_not_without_end() {
        let metrics = Metrics::new(["mlflow", "v1"].into_iter());
        metrics.counts(&counted("iris", "1")).count_prediction(1, Duration::ZERO);
        metrics.counts(&counted("iris", "1")).count_prediction(1, Duration::ZERO);
        let (counted_before, before) = metrics.sums().remove(0);
        assert_eq!((counted_before.version.as_str(), before.rows), ("1", 2));
        let stays = metrics.counts(&counted("wine", "1"));
        for version in 0..2 * MOST_GONE {
            let _ = metrics.counts(&counted("rose", &version.to_string()));
        }
        let sums = metrics.sums();
        assert!(sums.len() <= MOST_GONE + 3, "{}", sums.len());
        assert!(sums.iter().any(|(counted, _)| counted.model == "wine"));
        assert!(sums.iter().all(|(counted, _)| counted.model != "iris"));
        drop(stays);
    }
}
