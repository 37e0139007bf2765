//! A target as one worker sees it, with the idle connections that the worker keeps to it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use net::ClientConnection;
use tokio::time::Instant;

use crate::target::SharedTarget;

/// A target with this worker's idle connections to it.
pub(crate) struct WorkerTarget {
    pub(crate) shared: Arc<SharedTarget>,
    idle: RefCell<Vec<(ClientConnection, Instant)>>,
}

/// Idle connections kept per target and worker.
const POOL_SIZE: usize = 256;

/// An idle connection older than this is closed: most servers keep theirs a little longer.
const POOL_AGE: Duration = Duration::from_secs(50);

// === impl WorkerTarget ===

impl WorkerTarget {
    pub(crate) fn new(shared: &Arc<SharedTarget>) -> Self {
        Self { shared: Arc::clone(shared), idle: RefCell::default() }
    }

    /// An idle connection that is still open.
    pub(crate) fn take_idle(&self) -> Option<ClientConnection> {
        let mut idle = self.idle.borrow_mut();
        while let Some((connection, since)) = idle.pop() {
            if net::recently() < since + POOL_AGE && connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, connection: ClientConnection) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < POOL_SIZE {
            idle.push((connection, net::recently()));
        }
    }

    /// Closes connections that have been idle for too long, or that the target has closed.
    pub(crate) fn sweep(&self) {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|(connection, since)| since.elapsed() < POOL_AGE && connection.is_open());
    }
}
