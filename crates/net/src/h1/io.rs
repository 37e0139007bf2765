//! The bytes of one connection: a socket, what has been read from it, and the time it may take.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::deadline::Deadline;
use crate::h1::framing::{BodyReader, Piece};
use crate::pace::Pace;
use crate::{BodyError, BodyStream, Fields, Limits, Stream, clock, scratch};

/// Bytes that were read and not yet used. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    /// How many bytes were ever taken out.
    consumed: u64,
}

impl Buffer {
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes were ever used.
    pub(crate) fn consumed(&self) -> u64 {
        self.consumed
    }

    pub(crate) fn consume(&mut self, n_bytes: usize) {
        self.consumed += n_bytes as u64;
        self.start += n_bytes;
        if self.start >= self.bytes.len() {
            self.bytes = Vec::new();
            self.start = 0;
        }
    }

    /// Takes at most `limit` bytes out; all of them without a copy when the buffer holds nothing else.
    pub(crate) fn take(&mut self, limit: usize) -> Bytes {
        let n_bytes = self.unread().len().min(limit);
        if n_bytes == self.unread().len() {
            self.consumed += n_bytes as u64;
            let mut taken = Bytes::from(std::mem::take(&mut self.bytes));
            taken.advance(std::mem::take(&mut self.start));
            return taken;
        }
        let taken = Bytes::copy_from_slice(&self.unread()[..n_bytes]);
        self.consume(n_bytes);
        taken
    }
}

/// One connection, shared between the loop that drives it and the body that is read from it.
pub(crate) struct Io {
    stream: RefCell<Stream>,
    pub(crate) buffer: RefCell<Buffer>,
    /// The body that is being read.
    pub(crate) body: RefCell<BodyReader>,
    /// Whether the other side waits for `100 Continue` before it sends the body.
    pub(crate) owes_continue: Cell<bool>,
    /// Whether the answer has begun: then the rest of the body may come as the two of them please.
    pub(crate) is_answered: Cell<bool>,
    /// How many bytes were ever written.
    sent: Cell<u64>,
    deadline: RefCell<Deadline>,
    idle_timeout: Cell<Duration>,
}

impl Io {
    pub(crate) fn new(stream: Stream, idle_timeout: Duration) -> Self {
        Self {
            stream: RefCell::new(stream),
            buffer: RefCell::default(),
            body: RefCell::new(BodyReader::Done),
            owes_continue: Cell::new(false),
            is_answered: Cell::new(false),
            sent: Cell::new(0),
            deadline: RefCell::new(Deadline::new(idle_timeout)),
            idle_timeout: Cell::new(idle_timeout),
        }
    }

    /// How many bytes were ever written.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Gives the connection this long from now until [`Self::poll_expired`] says so.
    pub(crate) fn set_deadline(&self, after: Duration) {
        self.deadline.borrow_mut().set(after);
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.deadline.borrow_mut().poll(cx)
    }

    /// How long the other side may be silent while it owes something.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.idle_timeout.get()
    }

    pub(crate) fn set_idle_timeout(&self, timeout: Duration) {
        self.idle_timeout.set(timeout);
    }

    /// Reads once from the socket into the buffer. 0 bytes: the other side will send no more.
    pub(crate) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        scratch::with(|scratch| {
            let mut read = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, &mut read))?;
            clock::refresh();
            self.buffer.borrow_mut().extend(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        })
    }

    /// Writes all bytes, as long as the other side goes on taking some.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut waiting = false;
        while !bytes.is_empty() {
            let written = poll_fn(|cx| {
                let written = Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes);
                if written.is_pending() { self.poll_patience(cx, &mut waiting) } else { written }
            });
            let written = written.await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            waiting = false;
            self.sent.set(self.sent.get() + written as u64);
            bytes = &bytes[written..];
        }
        poll_fn(|cx| {
            let flushed = Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx);
            if flushed.is_pending() { self.poll_patience(cx, &mut waiting) } else { flushed }
        })
        .await
    }

    /// Waits for the other side to take bytes. Ready with an error when it has taken none for too long.
    fn poll_patience<T>(&self, cx: &mut Context<'_>, waiting: &mut bool) -> Poll<io::Result<T>> {
        if !std::mem::replace(waiting, true) {
            self.set_deadline(self.idle_timeout());
        }
        ready!(self.poll_expired(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// The connection, and what has been read from it and not yet used. For whoever goes on with it.
    pub(crate) fn into_parts(self) -> (Buffer, Stream) {
        (self.buffer.into_inner(), self.stream.into_inner())
    }

    /// Says that nothing more will be written.
    pub(crate) async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)).await
    }

    /// Writes an interim response: a few bytes where nothing waits to be sent, so they fit, or the client is gone.
    pub(crate) fn write_continue(&self) {
        let _ = self.stream.borrow_mut().try_write(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Whether the system knows the connection to be broken.
    pub(crate) fn has_failed(&self) -> bool {
        self.stream.borrow().has_failed()
    }

    /// Whether both sides agreed on HTTP/2 when TLS was opened.
    pub(crate) fn agreed_on_http2(&self) -> bool {
        self.stream.borrow().agreed_on_http2()
    }

    /// Has the connection end in a reset, so that nobody takes what was written for all there was to be.
    pub(crate) fn abort(&self) {
        self.stream.borrow().abort();
    }

    /// The next piece of the body that is being read.
    fn poll_body(
        &self,
        cx: &mut Context<'_>,
        waiting: &mut bool,
        pace: Option<&mut Pace>,
        trailers: &mut Option<Fields>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut pace = pace.filter(|_| !self.is_answered.get());
        loop {
            match self.body.borrow_mut().take(&mut self.buffer.borrow_mut()) {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Piece::End(came)) => {
                    *trailers = trailers.take().or(came);
                    return Poll::Ready(None);
                }
                Ok(Piece::NeedMore) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            if self.owes_continue.replace(false) {
                self.write_continue();
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(self.body.borrow_mut().close().err().map(Err)),
                // A reset is no end, not even of a body that lasts until the connection is closed (RFC 9112 §8).
                Poll::Ready(Err(_)) => {
                    *self.body.borrow_mut() = BodyReader::Done;
                    return Poll::Ready(Some(Err(BodyError::Closed)));
                }
                Poll::Ready(Ok(n_bytes)) => {
                    *waiting = false;
                    if pace.as_mut().is_some_and(|pace| pace.came(n_bytes)) {
                        return Poll::Ready(Some(Err(BodyError::TimedOut)));
                    }
                }
                Poll::Pending => {
                    if !std::mem::replace(waiting, true) {
                        let patience = pace.as_mut().map_or(Duration::MAX, |pace| pace.wait());
                        self.set_deadline(self.idle_timeout().min(patience));
                    }
                    ready!(self.poll_expired(cx));
                    return Poll::Ready(Some(Err(BodyError::TimedOut)));
                }
            }
        }
    }
}

/// The body that a connection is reading, handed out to whoever wants it.
pub(crate) struct IoBody {
    io: Rc<Io>,
    waiting: bool,
    pace: Option<Pace>,
    trailers: Option<Fields>,
}

impl IoBody {
    /// A body that may come as slowly as the connection's idle timeout allows.
    pub(crate) fn new(io: Rc<Io>) -> Self {
        Self { io, waiting: false, pace: None, trailers: None }
    }

    /// A body that has to come at some pace.
    pub(crate) fn paced(io: Rc<Io>, limits: &Limits) -> Self {
        Self { io, waiting: false, pace: Some(Pace::new(limits)), trailers: None }
    }
}

impl BodyStream for IoBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.io.poll_body(cx, &mut self.waiting, self.pace.as_mut(), &mut self.trailers)
    }

    fn remaining(&self) -> Option<u64> {
        self.io.body.borrow().remaining()
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}
