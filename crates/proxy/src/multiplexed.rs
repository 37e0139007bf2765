//! The connections over HTTP/2 that one worker has to one target.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use net::{ConnectError, Http2Connection};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::speech::Speech;

/// Connections that many requests share: as few as carry them.
#[derive(Default)]
pub(crate) struct Multiplexed {
    /// In the order in which they were opened. The first with room is taken, so that the last ones become idle.
    connections: RefCell<Vec<Http2Connection>>,
    /// Held by the one request that opens a connection. Others that need one wait for it.
    opening: Mutex<()>,
    /// Why the last try failed, for those who waited for it, and when that was.
    failed: RefCell<Option<(Instant, ConnectError)>>,
}

/// Connections per target and worker. When all are full, requests wait for their turn on one of them.
const MOST_CONNECTIONS: usize = 8;

// === impl Multiplexed ===

impl Multiplexed {
    /// A connection with room for a request; any, where there may not be more of them.
    pub(crate) fn find(&self) -> Option<Http2Connection> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(Http2Connection::is_open);
        let with_room = connections.iter().find(|connection| connection.room() > 0);
        let is_full = connections.len() >= MOST_CONNECTIONS;
        let least = || connections.iter().min_by_key(|connection| connection.n_streams());
        with_room.or_else(|| if is_full { least() } else { None }).cloned()
    }

    /// A connection with room for a request, opened if there is none.
    pub(crate) async fn get(
        &self,
        speech: &Speech,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Http2Connection, ConnectError> {
        let began = Instant::now();
        let _turn = self.opening.lock().await;
        if let Some(found) = self.find() {
            return Ok(found);
        }
        if let Some((at, error)) = &*self.failed.borrow()
            && *at > began
        {
            return Err(error.for_another());
        }
        match speech.open_http2(address, timeout).await {
            Ok(connection) => {
                self.connections.borrow_mut().push(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                self.failed.replace(Some((Instant::now(), error.for_another())));
                Err(error)
            }
        }
    }

    /// Lets go of connections that have been idle for too long, or that the target has closed.
    pub(crate) fn sweep(&self, age: Duration) {
        self.connections
            .borrow_mut()
            .retain(|connection| connection.is_open() && connection.idle_for() < age);
    }
}
