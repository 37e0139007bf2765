//! The leases of nodes, which say that they are there still. They are renewed in memory, and the control loop, which has nothing
//! to do with them, is not woken for it.

use tokio::time::{Instant, sleep_until};

use crate::given::{RENEWAL, RENEWALS_PER_HEARTBEAT};
use crate::store::Store;

/// When they were renewed, and which changes were nothing else.
#[derive(Debug)]
pub(super) struct Renewals {
    due: Instant,
    count: u64,
    /// The revision up to which everything is known to the control loop.
    known: u64,
}

// === impl Renewals ===

impl Renewals {
    pub(super) fn new() -> Self {
        Self { due: Instant::now() + RENEWAL, count: 0, known: 0 }
    }

    /// Notes that the control loop has looked at everything up to a revision.
    pub(super) fn looked(&mut self, revision: u64) {
        self.known = revision;
    }

    /// Whether nothing but renewals happened until a revision since the control loop looked.
    pub(super) fn are_all_until(&self, revision: u64) -> bool {
        self.known == revision
    }

    /// Waits until it is time.
    pub(super) async fn due(&self) {
        sleep_until(self.due).await;
    }

    pub(super) fn renew(&mut self, store: &Store) {
        self.due = Instant::now() + RENEWAL;
        self.count += 1;
        let (before, after) = store.renew(self.count.is_multiple_of(RENEWALS_PER_HEARTBEAT));
        if before == self.known {
            self.known = after;
        }
    }
}
