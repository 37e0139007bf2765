//! Accepting connections and giving each to a driver.

use std::cell::Cell;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::TcpStream;
use tracing::{debug, warn};

use crate::tls::server::Opening;
use crate::{Connection, Drain, DrainWatch, Handler, LiveTls, Request, Response, Stream, clock, h1, h2};

/// What a client may ask of a connection. Every limit has a default; none is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head, request line included.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub head_fields: usize,
    /// Time for a head to arrive, once its first byte has.
    pub head_timeout: Duration,
    /// Time a connection may be silent, between requests and within one.
    pub idle_timeout: Duration,
    /// Age at which a connection ends with its next response.
    pub max_age: Duration,
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
            max_age: Duration::from_secs(3600),
            connections: 10_000,
        }
    }
}

/// Limits that may change while a listener is open; each new connection gets those of its time.
#[derive(Debug, Clone)]
pub struct LiveLimits(Rc<Cell<Limits>>);

impl LiveLimits {
    /// Changes the limits of connections to come.
    pub fn set(&self, limits: Limits) {
        self.0.set(limits);
    }
}

impl From<Limits> for LiveLimits {
    fn from(limits: Limits) -> Self {
        Self(Rc::new(Cell::new(limits)))
    }
}

/// Serves HTTP on a listening socket until `drain` says to end. Must run on a [`tokio::task::LocalSet`].
///
/// Connections that are open then finish the request they are at; it returns when the last one has.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: H,
    limits: impl Into<LiveLimits>,
    drain: DrainWatch,
) -> std::io::Result<()> {
    serve_either(listener, None, handler, limits.into(), drain).await
}

/// Serves HTTP inside TLS on a listening socket, as [`serve`] does without. A client that speaks without TLS is told so.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn serve_tls<H: Handler>(
    listener: TcpListener,
    tls: impl Into<LiveTls>,
    handler: H,
    limits: impl Into<LiveLimits>,
    drain: DrainWatch,
) -> std::io::Result<()> {
    serve_either(listener, Some(tls.into()), handler, limits.into(), drain).await
}

async fn serve_either<H: Handler>(
    listener: TcpListener,
    tls: Option<LiveTls>,
    handler: H,
    limits: LiveLimits,
    drain: DrainWatch,
) -> std::io::Result<()> {
    let admit = {
        let handler = handler.clone();
        move |peer| handler.admits(peer)
    };
    accept(listener, limits.clone(), drain, admit, move |stream, connection, mut drain| {
        let (handler, limits) = (handler.clone(), limits.0.get());
        let tls = tls.as_ref().map(LiveTls::current);
        async move {
            let Some(tls) = tls else {
                return speak(stream.into(), connection, handler, limits, drain).await;
            };
            let opening = tokio::select! {
                biased;
                opening = tls.accept(stream) => opening,
                () = drain.draining() => return,
            };
            clock::refresh();
            match opening {
                Ok(Opening::Tls(stream)) => {
                    let connection = Connection { is_tls: true, ..connection };
                    speak(stream, connection, handler, limits, drain).await;
                }
                Ok(Opening::NoTls(stream)) => {
                    speak(stream.into(), connection, refuse_without_tls, limits, drain).await;
                }
                Err(error) => debug!(peer = %connection.peer, %error, "no TLS handshake"),
            }
        }
    })
    .await
}

/// Speaks with one client in the version of HTTP that it speaks: the one that both sides agreed on (RFC 7301), or else
/// HTTP/2 where the first bytes say so (RFC 9113 §3.3), or else HTTP/1.1.
async fn speak<H: Handler>(
    stream: Stream,
    connection: Connection,
    handler: H,
    limits: Limits,
    drain: DrainWatch,
) {
    let _open = handler.connection_opened(&connection);
    if stream.agreed_on_http2() {
        return h2::server::drive(stream, connection, handler, limits, drain).await;
    }
    let http2 = h1::server::drive(stream, connection, handler.clone(), limits, drain.clone()).await;
    if let Some(stream) = http2 {
        h2::server::drive(stream, connection, handler, limits, drain).await;
    }
}

/// Answers whoever speaks HTTP where TLS is spoken. Nothing of a body is read.
async fn refuse_without_tls(_: Request) -> Response {
    const TEXT: &str = "this port speaks https: ask it again with https:// in front\n";
    let mut response = Response::with_body(StatusCode::BAD_REQUEST, "text/plain", TEXT);
    response.close = true;
    response
}

/// Accepts connections until `drain` says to end, and gives each that `admit` lets in a task of its own, with a watch that
/// says when to end. It returns when the last one has.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn accept<F: Future<Output = ()> + 'static>(
    listener: TcpListener,
    limits: impl Into<LiveLimits>,
    mut drain: DrainWatch,
    admit: impl Fn(SocketAddr) -> bool,
    drive: impl Fn(TcpStream, Connection, DrainWatch) -> F,
) -> std::io::Result<()> {
    let limits = limits.into();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (connections, watch) = Drain::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.draining() => break,
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
        let too_many = connections.n_watches() > limits.0.get().connections;
        if too_many || !admit(peer) {
            debug!(%peer, too_many, "connection refused");
            continue;
        }
        let Ok(local) = stream.local_addr() else { continue };
        // Its deadlines count from here, however long nothing was heard before.
        clock::refresh();
        let _ = stream.set_nodelay(true);
        tokio::task::spawn_local(drive(stream, Connection { peer, local, is_tls: false }, watch.clone()));
    }
    drop((listener, watch));
    connections.finish_all().await;
    Ok(())
}

/// How long accepting rests after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
