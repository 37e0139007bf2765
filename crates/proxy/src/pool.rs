//! A target as one worker sees it, with the connections that the worker keeps to it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use net::{ClientConnection, ConnectError};
use tokio::time::Instant;

use crate::multiplexed::Multiplexed;
use crate::speech::{Link, Speech};
use crate::target::SharedTarget;

/// A target with this worker's connections to it.
pub(crate) struct WorkerTarget {
    pub(crate) shared: Arc<SharedTarget>,
    pub(crate) speech: Speech,
    idle: RefCell<Vec<(ClientConnection, Instant)>>,
    multiplexed: Multiplexed,
}

/// Idle connections kept per target and worker.
const POOL_SIZE: usize = 256;

/// An idle connection older than this is closed: most servers keep theirs a little longer.
const POOL_AGE: Duration = Duration::from_secs(50);

// === impl WorkerTarget ===

impl WorkerTarget {
    pub(crate) fn new(shared: &Arc<SharedTarget>, speech: &Speech) -> Self {
        Self {
            shared: Arc::clone(shared),
            speech: speech.clone(),
            idle: RefCell::default(),
            multiplexed: Multiplexed::default(),
        }
    }

    /// A connection that is kept, is still open and can carry a request.
    pub(crate) fn take_kept(&self) -> Option<Link> {
        if self.speech.is_http2() {
            return self.multiplexed.find().map(Link::Http2);
        }
        let mut idle = self.idle.borrow_mut();
        while let Some((connection, since)) = idle.pop() {
            if net::recently() < since + POOL_AGE && connection.is_open() {
                return Some(Link::Http1(connection));
            }
        }
        None
    }

    /// A connection where none is kept.
    pub(crate) async fn open(&self, timeout: Duration) -> Result<Link, ConnectError> {
        let address = self.shared.address();
        if self.speech.is_http2() {
            return self.multiplexed.get(&self.speech, address, timeout).await.map(Link::Http2);
        }
        self.speech.open(address, timeout).await
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
        self.multiplexed.sweep(POOL_AGE);
    }
}
