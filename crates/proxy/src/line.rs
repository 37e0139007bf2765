//! Where requests wait when every target works on as many as it takes ("Target Optimizer", ALB user guide, which refuses them at
//! once).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::Instant;

/// So many requests of one target group wait at a time.
const LONGEST_LINE: usize = 1024;

/// How long one waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often those who wait look for themselves: targets may have come, or be well again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Those who wait for a slot of any target of a group, on all cores.
#[derive(Debug, Default)]
pub(crate) struct Line {
    n_waiting: AtomicUsize,
    freed: Notify,
}

/// A place in line.
pub(crate) struct Place {
    line: Arc<Line>,
    until: Instant,
    length: Gauge,
}

// === impl Line ===

impl Line {
    /// Takes in that a target has room for one more.
    pub(crate) fn one_is_free(&self) {
        self.freed.notify_one();
    }
}

// === impl Place ===

impl Place {
    /// The last place in line; `None` when the line is too long. `length` tells how long it is.
    pub(crate) fn take(line: &Arc<Line>, length: &Gauge) -> Option<Self> {
        let one_more = |n_waiting: usize| (n_waiting < LONGEST_LINE).then_some(n_waiting + 1);
        line.n_waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        length.inc();
        Some(Self { line: Arc::clone(line), until: Instant::now() + PATIENCE, length: length.clone() })
    }

    /// Waits until it is worth looking for a slot. Returns whether there still is time for that.
    pub(crate) async fn wait(&self) -> bool {
        let look = self.until.min(Instant::now() + LOOK_AGAIN);
        let _ = tokio::time::timeout_at(look, self.line.freed.notified()).await;
        Instant::now() < self.until
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.n_waiting.fetch_sub(1, Ordering::Relaxed);
        self.length.dec();
    }
}
