//! Network Load Balancer listeners: connections are passed through, byte for byte.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use net::{Connection, DrainWatch, LiveLimits, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;

use crate::forward::CONNECT_TIMEOUT;
use crate::listener::ListenerSlot;
use crate::pool::WorkerTarget;
use crate::target::InFlight;

/// Serves one listening socket.
pub(crate) async fn serve(
    socket: TcpListener,
    slot: Rc<ListenerSlot>,
    limits: LiveLimits,
    drain: DrainWatch,
) -> std::io::Result<()> {
    let admit = {
        let slot = Rc::clone(&slot);
        move |peer: SocketAddr| slot.admits(peer.ip())
    };
    net::accept(socket, limits, drain, admit, move |stream, connection, drain| {
        let slot = Rc::clone(&slot);
        async move { pass(stream, connection, &slot, drain).await }
    })
    .await
}

/// Passes one connection through to a target. A target that does not answer is passed over.
async fn pass(client: TcpStream, connection: Connection, slot: &ListenerSlot, drain: DrainWatch) {
    let open = slot.current().metrics.open_connection();
    let client = match &slot.tls {
        None => Stream::from(client),
        Some(tls) => match tls.current().open(client).await {
            Ok(stream) => stream,
            Err(error) => return debug!(peer = %connection.peer, %error, "no TLS handshake"),
        },
    };
    let listener = slot.current();
    let Some(group) = listener.default_group() else { return };
    let mut tried = Vec::new();
    let (server, target) = loop {
        let Some(target) = group.choose(&tried, &listener.worker.random, true) else {
            debug!(peer = %connection.peer, "no target takes a connection");
            return;
        };
        if let Some(server) = connect(&target).await {
            break (server, target);
        }
        target.shared.report_unreachable();
        tried.push(target.shared.address());
    };
    let in_flight = InFlight::begin(&target.shared, listener.worker.index);
    let idle_timeout = listener.snapshot.settings.idle_timeout;
    // The plan of the moment of arrival is not kept: a flow may outlive many.
    drop(listener);
    match client {
        Stream::Plain(mut client) => copy_both_ways(client.split(), server, idle_timeout, drain).await,
        tls => copy_both_ways(tokio::io::split(tls), server, idle_timeout, drain).await,
    }
    drop((in_flight, open));
}

async fn connect(target: &WorkerTarget) -> Option<TcpStream> {
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target.shared.address())).await;
    let stream = connecting.ok()?.ok()?;
    let _ = stream.set_nodelay(true);
    Some(stream)
}

/// Bytes that one read may bring.
const COPY_BYTES: usize = 16 * 1024;

/// How long neither side of a flow may say anything once its listener has gone.
const QUIET: Duration = Duration::from_secs(1);

/// Copies until both sides have closed, one side fails, or neither has said anything for `idle_timeout`.
async fn copy_both_ways(
    (client_reads, client_writes): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    mut server: TcpStream,
    idle_timeout: Duration,
    mut drain: DrainWatch,
) {
    let (server_reads, server_writes) = server.split();
    let last_byte = std::cell::Cell::new(Instant::now());
    let up = copy(client_reads, server_writes, &last_byte);
    let down = copy(server_reads, client_writes, &last_byte);
    let silent_for = async |patience: Duration| {
        while last_byte.get().elapsed() < patience {
            tokio::time::sleep_until(last_byte.get() + patience).await;
        }
    };
    let forgotten = async {
        drain.draining().await;
        silent_for(QUIET).await;
    };
    tokio::select! {
        _ = async { tokio::try_join!(up, down) } => {}
        () = silent_for(idle_timeout) => {}
        () = forgotten => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    last_byte: &std::cell::Cell<Instant>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let n_bytes = from.read(&mut buffer).await?;
        if n_bytes == 0 {
            return to.shutdown().await;
        }
        last_byte.set(Instant::now());
        to.write_all(&buffer[..n_bytes]).await?;
        // TLS may keep the last record until it is flushed.
        to.flush().await?;
    }
}
