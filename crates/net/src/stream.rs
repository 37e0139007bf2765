//! The byte stream under everything: a plain socket, or one inside TLS.
//!
//! Readers and writers of HTTP stand on this and do not know which it is. The plain path is the socket's own calls behind
//! one branch: nothing is boxed and nothing is dispatched.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::socket::{self, Socket};
use crate::tls::HTTP2;

/// An open connection.
#[derive(Debug)]
pub enum Stream {
    /// What is written is what goes over the wire.
    Plain(TcpStream),
    /// TLS ends here. Closing it says so to the other side, and an end that the other side did not say is an error.
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// Whether TLS ends here.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// What both sides agreed to speak when TLS was opened (RFC 7301).
    #[must_use]
    pub fn agreed_protocol(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol(),
        }
    }

    /// Whether both sides agreed on HTTP/2 when TLS was opened.
    pub(crate) fn agreed_on_http2(&self) -> bool {
        self.agreed_protocol() == Some(HTTP2)
    }

    /// Has the connection end in a reset once it is dropped.
    pub(crate) fn abort(&self) {
        let _ = self.socket().set_zero_linger();
    }

    /// Whether the system knows the connection to be broken.
    pub(crate) fn has_failed(&self) -> bool {
        !matches!(self.socket().take_error(), Ok(None))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.get_ref().0.0,
        }
    }

    /// Writes a few bytes if the socket takes them now; nobody is woken when it does not.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Self::Plain(stream) = self {
            return stream.try_write(bytes);
        }
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(written) = Pin::new(&mut *self).poll_write(&mut cx, bytes) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let _ = Pin::new(self).poll_flush(&mut cx);
        written
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => socket::poll_read(stream, cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => socket::poll_write(stream, cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// TLS may keep the last record that it was given until it is flushed; a plain socket keeps nothing.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}
