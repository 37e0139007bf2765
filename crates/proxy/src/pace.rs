//! How long a target takes to answer, as one worker sees it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::time::Instant;

/// What is known of the time that a target takes.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// A mean in which the last answers count most, and when it was last added to.
    mean: Cell<Option<(Duration, Instant)>>,
    spread: RefCell<Spread>,
}

/// How many answers took how long, by powers of two of microseconds. What was long ago counts less and less.
#[derive(Debug, Default)]
struct Spread {
    counts: [u32; BUCKETS],
    n_answers: u32,
}

/// The last one is for all that took longer than a quarter of a minute.
const BUCKETS: usize = 26;

/// So many answers are remembered before they begin to count half.
const REMEMBERED: u32 = 1024;

/// After so long without an answer a mean is worth a third of what it was: a target that was slow is asked again.
const FORGETTING: Duration = Duration::from_secs(10);

// === impl Pace ===

impl Pace {
    /// Takes in that the target began an answer, and how long that took. What takes longer than before counts at once, what
    /// takes less counts little by little ("peak EWMA", as Finagle has it).
    pub(crate) fn observe(&self, took: Duration, now: Instant) {
        let mean = match self.latency(now) {
            Some(mean) if mean > took => {
                let since =
                    self.mean.get().map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(at));
                let kept = decay(since.max(took));
                mean.mul_f64(kept) + took.mul_f64(1.0 - kept)
            }
            _ => took,
        };
        self.mean.set(Some((mean, now)));
        self.spread.borrow_mut().add(took);
    }

    /// How long the target's answers take now; `None` where none came yet.
    pub(crate) fn latency(&self, now: Instant) -> Option<Duration> {
        let (mean, at) = self.mean.get()?;
        let since = now.saturating_duration_since(at);
        // Most are asked again within a moment, and then nothing has faded.
        Some(if since < FORGETTING / 100 { mean } else { mean.mul_f64(decay(since)) })
    }

    /// The time within which 99 of 100 answers began; `None` where too few came.
    pub(crate) fn p99(&self) -> Option<Duration> {
        self.spread.borrow().p99()
    }
}

fn decay(since: Duration) -> f64 {
    (-since.as_secs_f64() / FORGETTING.as_secs_f64()).exp()
}

// === impl Spread ===

impl Spread {
    fn add(&mut self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = microseconds.checked_ilog2().map_or(0, |power| power as usize + 1);
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.n_answers += 1;
        if self.n_answers >= REMEMBERED {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.n_answers = self.counts.iter().sum();
        }
    }

    /// The upper end of the bucket in which the slowest of a hundred is.
    fn p99(&self) -> Option<Duration> {
        let n_slower_at_most = self.n_answers / 100;
        let mut n_slower = 0;
        let bucket = (0..BUCKETS).rev().find(|bucket| {
            n_slower += self.counts[*bucket];
            n_slower > n_slower_at_most
        })?;
        Some(Duration::from_micros(1 << bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_mean_jumps_up_and_comes_down_slowly_or_with_time() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.latency(start), None);
        pace.observe(10 * MILLISECOND, start);
        pace.observe(80 * MILLISECOND, start + MILLISECOND);
        assert_eq!(pace.latency(start + MILLISECOND), Some(80 * MILLISECOND));
        pace.observe(10 * MILLISECOND, start + 20 * MILLISECOND);
        assert!(pace.latency(start + 20 * MILLISECOND).unwrap() > 79 * MILLISECOND);
        let later = pace.latency(start + 2 * FORGETTING).unwrap();
        assert!(later < 12 * MILLISECOND, "{later:?}");
    }

    #[test]
    fn one_of_a_hundred_may_be_slower() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.p99(), None);
        for number in 0..1000 {
            pace.observe(if number % 200 == 0 { 900 } else { 3 } * MILLISECOND, now);
        }
        assert_eq!(pace.p99(), Some(Duration::from_micros(4096)));
        (0..30).for_each(|_| pace.observe(900 * MILLISECOND, now));
        assert_eq!(pace.p99(), Some(Duration::from_micros(1 << 20)));
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let (pace, now) = (Pace::default(), Instant::now());
        (0..1000).for_each(|_| pace.observe(900 * MILLISECOND, now));
        (0..8000).for_each(|_| pace.observe(MILLISECOND, now));
        assert_eq!(pace.p99(), Some(Duration::from_micros(1024)));
    }
}
