//! How far a body is on its way.

use std::cell::Cell;

/// What whoever moves a body and whoever answers it know of each other.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes that went.
    pub(super) n_bytes: Cell<u64>,
    /// Whether the other side has begun to answer. Then the rest may come as the two of them please: how long both may be
    /// silent is for whoever listens to the answer to tell.
    pub(super) is_answered: Cell<bool>,
}

impl Progress {
    pub(super) fn add(&self, n_bytes: u64) {
        self.n_bytes.set(self.n_bytes.get() + n_bytes);
    }
}
