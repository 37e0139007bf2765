//! One connection to a server: send a request, read the response, keep the connection for the next one.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::net::TcpStream;

use crate::h1::framing::{BodyReader, Framing};
use crate::h1::head::{self, HeadScan, ResponseHead};
use crate::h1::io::{Io, IoBody};
use crate::h1::writer::{self, Transfer, WriteError};
use crate::{Body, BodyError, BodyStream, Fields, Response};

/// A connection to a server, with no request on it.
pub struct ClientConnection {
    io: Rc<Io>,
    is_used: bool,
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server, or the network, said no.
    #[error("cannot connect to {address}: {source}")]
    Refused {
        /// The server.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error("{address} did not accept a connection in time")]
    TimedOut {
        /// The server.
        address: SocketAddr,
    },
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server closed the connection, or reset it, before the first byte of a response.
    #[error("the server closed the connection without an answer")]
    Closed {
        /// Whether earlier requests had used the connection, so that the server may simply have closed an idle one.
        was_used: bool,
    },
    /// The server closed the connection within a response.
    #[error("the server closed the connection within its answer")]
    Truncated,
    /// No response came in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// What came is no response.
    #[error("the server's answer is no HTTP: {0}")]
    Malformed(&'static str),
    /// The request's own body did not come to its end.
    #[error("the request's body did not come to its end: {0}")]
    Body(BodyError),
}

/// A request to send. `fields` are sent as they are, but for those of framing.
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a str,
    /// Header fields, `Host` among them.
    pub fields: &'a Fields,
    /// The body.
    pub body: Body,
    /// How long the server may be silent.
    pub timeout: Duration,
}

/// Room for a field that is copied into the request, on average.
const COPIED_FIELD_BYTES: usize = 48;

/// Bytes of a response's head.
const HEAD_LIMIT: usize = 32 * 1024;

impl ClientConnection {
    /// Opens a connection.
    ///
    /// # Errors
    /// When the server refuses it or does not answer within `timeout`.
    pub async fn open(address: SocketAddr, timeout: Duration) -> Result<Self, ConnectError> {
        let connecting = tokio::time::timeout(timeout, TcpStream::connect(address)).await;
        let stream = match connecting {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(ConnectError::Refused { address, source }),
            Err(_) => return Err(ConnectError::TimedOut { address }),
        };
        let _ = stream.set_nodelay(true);
        Ok(Self { io: Rc::new(Io::new(stream, timeout)), is_used: false })
    }

    /// Whether the server still holds the connection open, as far as the system has heard.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let nothing_came = self.io.buffer.borrow().unread().is_empty();
        nothing_came && self.io.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// `give_back` gets the connection as soon as the response has been read to its end, if it can be used again.
    ///
    /// # Errors
    /// See [`SendError`]; the connection is closed then.
    pub async fn send(
        self,
        request: Outgoing<'_>,
        give_back: impl FnOnce(Self) + 'static,
    ) -> Result<Response, SendError> {
        let Outgoing { method, target, fields, body, timeout } = request;
        self.io.set_idle_timeout(timeout);
        let transfer = Transfer::of_request(method, &body);
        let mut out = Vec::with_capacity(512 + COPIED_FIELD_BYTES * fields.len());
        writer::request_head(&mut out, method, target, fields, transfer);
        let writing = writer::write_message(&self.io, out, transfer, body);
        let (head, request_is_whole) = exchange(&self.io, self.is_used, writing).await?;
        let framing = match head.status {
            _ if *method == Method::HEAD => Framing::Length(0),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Framing::Length(0),
            _ => head.framing.unwrap_or(Framing::UntilClose),
        };
        let can_be_used_again = request_is_whole && head.keep_alive && framing != Framing::UntilClose;
        let body = self.into_body(framing, can_be_used_again, give_back);
        Ok(Response { status: head.status, fields: head.fields, body, close: false })
    }

    /// The response's body: from the buffer when all of it is there already, so that the connection is free at once.
    fn into_body(
        mut self,
        framing: Framing,
        can_be_used_again: bool,
        give_back: impl FnOnce(Self) + 'static,
    ) -> Body {
        self.is_used = true;
        let there = self.io.buffer.borrow().unread().len() as u64;
        let body = match framing {
            Framing::Length(0) => Body::Empty,
            Framing::Length(length) if length <= there => {
                Body::Full(self.io.buffer.borrow_mut().take(usize::try_from(length).unwrap_or(usize::MAX)))
            }
            framing => {
                *self.io.body.borrow_mut() = BodyReader::new(framing);
                let body = IoBody::new(Rc::clone(&self.io));
                let when_read =
                    can_be_used_again.then(|| Box::new(move || give_back(self)) as Box<dyn FnOnce()>);
                return Body::Stream(Box::new(ResponseBody { body, when_read }));
            }
        };
        if can_be_used_again {
            give_back(self);
        }
        body
    }
}

/// Writes the request and waits for the head of the response, which may come before all is written. Returns the head,
/// and whether the request went out whole.
async fn exchange(
    io: &Io,
    is_used: bool,
    writing: impl Future<Output = Result<(), WriteError>>,
) -> Result<(ResponseHead, bool), SendError> {
    let mut writing = pin!(writing);
    let mut reading = ResponseReading { io, is_used, scan: HeadScan::default(), has_begun: false };
    let mut is_written = None;
    poll_fn(|cx| {
        if is_written.is_none() {
            match writing.as_mut().poll(cx) {
                Poll::Ready(Err(WriteError::Body(error))) => return Poll::Ready(Err(SendError::Body(error))),
                // A server that answers early may close its reading side: what it said is still to be read.
                Poll::Ready(written) => is_written = Some(written.is_ok()),
                Poll::Pending => {}
            }
            if is_written.is_some() {
                io.set_deadline(io.idle_timeout());
            }
        }
        let head = reading.poll(cx);
        if head.is_pending() && is_written.is_some() && io.poll_expired(cx).is_ready() {
            return Poll::Ready(Err(SendError::TimedOut));
        }
        head.map_ok(|head| (head, is_written == Some(true)))
    })
    .await
}

/// Reading the head of a response.
struct ResponseReading<'a> {
    io: &'a Io,
    is_used: bool,
    scan: HeadScan,
    has_begun: bool,
}

impl ResponseReading<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, SendError>> {
        loop {
            match self.take_head() {
                Ok(Some(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    return Poll::Ready(Err(SendError::Malformed("an upgrade that nobody asked for")));
                }
                Ok(Some(head)) if head.status.is_informational() => continue,
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            match ready!(self.io.poll_fill(cx)) {
                Ok(1..) => self.has_begun = true,
                Ok(0) | Err(_) if self.has_begun => return Poll::Ready(Err(SendError::Truncated)),
                Ok(0) | Err(_) => return Poll::Ready(Err(SendError::Closed { was_used: self.is_used })),
            }
        }
    }

    /// Takes a head out of the buffer, once all of it is there.
    fn take_head(&mut self) -> Result<Option<ResponseHead>, SendError> {
        let mut buffer = self.io.buffer.borrow_mut();
        let end = self.scan.find_end(buffer.unread());
        let end = end.map_err(|rejection| SendError::Malformed(rejection.reason))?;
        match end {
            Some(1..=HEAD_LIMIT) => {}
            None if buffer.unread().len() < HEAD_LIMIT => return Ok(None),
            _ => return Err(SendError::Malformed("a head longer than 32 KiB")),
        }
        let end = end.unwrap_or_default();
        let head = head::parse_response(&buffer.unread()[..end]).map_err(SendError::Malformed)?;
        buffer.consume(end);
        self.scan = HeadScan::default();
        Ok(Some(head))
    }
}

/// The body of a response, which gives its connection back when it has been read.
struct ResponseBody {
    body: IoBody,
    when_read: Option<Box<dyn FnOnce()>>,
}

impl BodyStream for ResponseBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let chunk = ready!(self.body.poll_chunk(cx));
        let has_ended = self.body.remaining() == Some(0);
        if let Some(give_back) = self.when_read.take_if(|_| has_ended) {
            give_back();
        }
        Poll::Ready(chunk)
    }

    fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }
}
