//! Accepting connections and giving each to a driver.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tracing::{debug, warn};

use crate::{Connection, DrainWatch, Handler, hyper_driver};

/// What a client may ask of a connection. Every limit has a default; none is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head, request line included.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub head_fields: usize,
    /// Time for a head to arrive, once its first byte has.
    pub head_timeout: Duration,
    /// Time a connection may be idle between requests.
    pub idle_timeout: Duration,
    /// Connections at a time, per core.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            head_fields: 100,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            connections: 10_000,
        }
    }
}

/// Serves HTTP on a listening socket until `drain` says to end. Must run on a [`tokio::task::LocalSet`].
///
/// Connections that are open then finish the request they are at.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: H,
    limits: Limits,
    mut drain: DrainWatch,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let open = Rc::new(());
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.draining() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a client that left at once: neither is worth more than a pause.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if Rc::strong_count(&open) > limits.connections {
            debug!(%peer, "connection refused: too many are open");
            continue;
        }
        let (handler, drain, open) = (handler.clone(), drain.clone(), Rc::clone(&open));
        tokio::task::spawn_local(async move {
            drive(stream, peer, handler, limits, drain).await;
            drop(open);
        });
    }
}

/// How long accepting rests after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

async fn drive<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: H,
    limits: Limits,
    drain: DrainWatch,
) {
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    let connection = Connection { peer, local, is_tls: false };
    hyper_driver::drive(stream, connection, handler, limits, drain).await;
}
