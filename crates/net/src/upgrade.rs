//! Connections that a response takes out of HTTP (RFC 9110 §7.8).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::h1::io::{Buffer, Io};
use crate::{Response, Stay, Stream};

/// What happens to a connection after the answer `101 Switching Protocols`. Only with one of these is that answer sent.
pub struct Upgrade(Box<dyn FnOnce(Upgraded) -> Running>);

type Running = Pin<Box<dyn Future<Output = ()>>>;

/// A connection that no longer speaks HTTP. What the other side sent behind its request or its answer is read first.
pub struct Upgraded {
    buffer: Buffer,
    stream: Stream,
    received: u64,
    sent: u64,
    stay: Option<Stay>,
}

/// Instead of an answer 101 without anybody to go on with the connection, or to a client that cannot.
pub(crate) fn not_here() -> Response {
    const TEXT: &str =
        "the connection cannot be handed over: that takes HTTP/1.1 and a request without a body\n";
    let mut response = Response::with_body(StatusCode::BAD_REQUEST, "text/plain", TEXT);
    response.close = true;
    response
}

// === impl Upgrade ===

impl Upgrade {
    /// Hands the connection to `run`. It counts as open for as long as it lives; a drain waits for it.
    pub fn new<F: Future<Output = ()> + 'static>(run: impl FnOnce(Upgraded) -> F + 'static) -> Self {
        Self(Box::new(move |upgraded| Box::pin(run(upgraded))))
    }

    pub(crate) async fn run(self, upgraded: Upgraded) {
        (self.0)(upgraded).await;
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgrade")
    }
}

// === impl Upgraded ===

impl Upgraded {
    pub(crate) fn new(io: Io) -> Self {
        let (received, sent) = (io.buffer.borrow().consumed(), io.sent());
        let (buffer, stream) = io.into_parts();
        Self { buffer, stream, received, sent, stay: None }
    }

    /// The same connection of a client, with its leave to stay.
    pub(crate) fn with_stay(self, stay: Stay) -> Self {
        Self { stay: Some(stay), ..self }
    }

    /// Takes out what a client's connection may stay by; whoever has that is counted as open instead.
    pub fn take_stay(&mut self) -> Option<Stay> {
        self.stay.take()
    }

    /// The same connection, which had carried as many bytes already before the request that it goes over with.
    pub(crate) fn after(mut self, received: u64, sent: u64) -> Self {
        self.received -= received;
        self.sent -= sent;
        self
    }

    /// Bytes of the request that the connection went over with.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of the answer to that request.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { buffer, stream, .. } = self.get_mut();
        let n_bytes = buffer.unread().len().min(into.remaining());
        if n_bytes == 0 {
            return Pin::new(stream).poll_read(cx, into);
        }
        into.put_slice(&buffer.unread()[..n_bytes]);
        buffer.consume(n_bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
