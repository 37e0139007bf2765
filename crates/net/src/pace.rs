//! How fast a body has to come.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Limits, clock};

/// The patience with one body. Waiting uses it up, and bytes earn it back at the least rate; only time in which we wait for
/// the client counts, so a target that takes nothing costs the client none of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    left: Duration,
    most: Duration,
    bytes_per_second: u64,
    waits_since: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (most, bytes_per_second) = (limits.body_patience, limits.body_rate.max(1));
        Self { left: most, most, bytes_per_second, waits_since: None }
    }

    /// Begins to wait, or goes on. How long that may last from the beginning of the wait.
    pub(crate) fn wait(&mut self) -> Duration {
        self.waits_since.get_or_insert_with(clock::recently);
        self.left
    }

    /// Takes in that bytes came. Whether the client has used up all patience nevertheless.
    pub(crate) fn came(&mut self, n_bytes: usize) -> bool {
        let waited = self.waits_since.take().map_or(Duration::ZERO, |since| clock::recently() - since);
        let earned =
            Duration::from_nanos((n_bytes as u64).saturating_mul(1_000_000_000) / self.bytes_per_second);
        let is_used_up = waited >= self.left;
        self.left = (self.left.saturating_sub(waited) + earned).min(self.most);
        is_used_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pieces come before patience ends, of `most`.
    async fn pieces(n_bytes: usize, every: Duration, most: usize) -> usize {
        let mut pace = Pace::new(&Limits::default());
        for piece in 0..most {
            if pace.wait() < every {
                return piece;
            }
            tokio::time::advance(every).await;
            clock::refresh();
            if pace.came(n_bytes) {
                return piece;
            }
        }
        most
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_is_done_soon_and_who_is_slow_may_go_on() {
        let seconds = Duration::from_secs;
        assert_eq!(pieces(1, seconds(20), 10_000).await, 1, "a byte in 20 s lasts for half a minute");
        assert_eq!(pieces(1, seconds(1), 10_000).await, 30);
        assert_eq!(pieces(1_000, seconds(1), 10_000).await, 10_000);
        assert_eq!(pieces(5_000, seconds(20), 10_000).await, 10_000, "in bursts too");
        assert_eq!(pieces(1 << 20, seconds(29), 100).await, 100);
        assert_eq!(pieces(1 << 20, seconds(31), 100).await, 0, "what came is no credit for a long silence");
    }
}
