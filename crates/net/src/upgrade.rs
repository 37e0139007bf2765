//! Connections that a response takes out of HTTP (RFC 9110 §7.8).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::h1::io::Buffer;
use crate::{Response, Stream};

/// What happens to a connection after the answer `101 Switching Protocols`. Only with one of these is that answer sent.
pub struct Upgrade(Box<dyn FnOnce(Upgraded) -> Running>);

type Running = Pin<Box<dyn Future<Output = ()>>>;

/// A connection that no longer speaks HTTP. What its client sent behind the request is read first.
pub struct Upgraded {
    buffer: Buffer,
    stream: Stream,
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
    /// Hands the connection to `run`. It counts as open until the future has ended; a drain waits for it.
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
    pub(crate) fn new((buffer, stream): (Buffer, Stream)) -> Self {
        Self { buffer, stream }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { buffer, stream } = self.get_mut();
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
