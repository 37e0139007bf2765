//! Threads for work that would hold up the connections of a core.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Work that takes longer than this does not run on a connection thread.
pub(crate) const INLINE_LIMIT: Duration = Duration::from_micros(500);

/// Threads that work off one queue. They end when the last handle to them is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Compute {
    queue: SyncSender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

/// As much work waits as may wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overloaded;

impl Compute {
    /// Starts threads that work off a queue of at most `queue_length` waiting jobs.
    pub(crate) fn start(n_threads: usize, queue_length: usize) -> Self {
        let (queue, jobs) = sync_channel(queue_length);
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..n_threads.max(1) {
            let jobs = Arc::clone(&jobs);
            let thread = std::thread::Builder::new().name(format!("compute-{index}"));
            if let Err(error) = thread.spawn(move || work_off(&jobs)) {
                tracing::error!(%error, "cannot start a compute thread");
            }
        }
        Self { queue }
    }

    /// Runs work on one of the threads. Work whose answer nobody waits for any more is not begun.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let (answer, answered) = oneshot::channel();
        let job = move || {
            if !answer.is_closed() {
                let _ = answer.send(work());
            }
        };
        match self.queue.try_send(Box::new(job)) {
            Ok(()) => answered.await.map_err(|_| Overloaded),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Overloaded),
        }
    }
}

fn work_off(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job();
    }
}

/// How long a model takes for a row, learnt from what it took before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    nanoseconds_per_row: f64,
}

/// How much the newest measurement counts.
const NEWEST_SHARE: f64 = 1.0 / 8.0;

impl Pace {
    /// A first measurement.
    pub(crate) fn new(per_row: Duration) -> Self {
        Self { nanoseconds_per_row: per_row.as_nanos() as f64 }
    }

    /// Whether so many rows may be predicted on a connection thread.
    pub(crate) fn is_short(self, n_rows: usize) -> bool {
        self.nanoseconds_per_row * n_rows as f64 <= INLINE_LIMIT.as_nanos() as f64
    }

    /// Learns from a prediction.
    pub(crate) fn learn(&mut self, n_rows: usize, took: Duration) {
        let newest = took.as_nanos() as f64 / n_rows.max(1) as f64;
        self.nanoseconds_per_row += (newest - self.nanoseconds_per_row) * NEWEST_SHARE;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread::ThreadId;

    use super::*;

    #[tokio::test]
    async fn work_runs_elsewhere_and_its_answer_comes_back() {
        let compute = Compute::start(1, 1);
        let here = std::thread::current().id();
        let there: ThreadId = compute.run(|| std::thread::current().id()).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let compute = Compute::start(1, 1);
        let is_at_work = Arc::new(Barrier::new(2));
        let may_end = Arc::new(Barrier::new(2));
        let (at_work, end) = (Arc::clone(&is_at_work), Arc::clone(&may_end));
        let first = compute.run(move || {
            at_work.wait();
            end.wait();
        });
        let second = compute.run(|| ());
        let third = async {
            // The first is taken off the queue before the second is put on it.
            assert_eq!(compute.run(|| ()).await, Err(Overloaded));
            may_end.wait();
        };
        let first = async {
            let mut first = Box::pin(first);
            assert!(
                std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await
            );
            is_at_work.wait();
            first.await
        };
        let (first, second, ()) = tokio::join!(biased; first, second, third);
        assert_eq!((first, second), (Ok(()), Ok(())));
    }

    #[test]
    fn a_pace_follows_what_is_measured() {
        let mut pace = Pace::new(Duration::from_micros(1));
        assert!(pace.is_short(500) && !pace.is_short(501));
        for _ in 0..100 {
            pace.learn(10, Duration::from_micros(100));
        }
        assert!(pace.is_short(49) && !pace.is_short(51));
    }
}
