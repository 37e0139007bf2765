//! One connection to a server: send a request, read the response, keep the connection for the next one.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::connect::{ConnectError, connect};
use crate::h1::framing::{BodyReader, Framing};
use crate::h1::head::{self, HeadScan, ResponseHead};
use crate::h1::io::{Io, IoBody};
use crate::h1::writer::{self, Transfer, WriteError};
use crate::outgoing::{HEAD_LIMIT, Outgoing, SendError};
use crate::tls::{Authorities, ClientTls, HTTP1};
use crate::{Body, BodyError, BodyStream, Fields, Response, Stream};

pub(crate) mod upgrade;

/// A connection to a server, with no request on it.
pub struct ClientConnection {
    io: Rc<Io>,
    is_used: bool,
}

impl ClientConnection {
    /// Opens a connection.
    ///
    /// # Errors
    /// When the server refuses it or does not answer within `timeout`.
    pub async fn open(address: SocketAddr, timeout: Duration) -> Result<Self, ConnectError> {
        Self::open_in(address, None, timeout).await
    }

    /// Opens a connection inside TLS to a server that has to prove `name` to one of the authorities.
    ///
    /// # Errors
    /// When the server refuses it, is not who it should be, or does not answer in time.
    pub async fn open_tls(
        address: SocketAddr,
        name: &str,
        authorities: &Authorities,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let refused = |error| {
            let problem = io::Error::new(io::ErrorKind::InvalidInput, error);
            ConnectError::Handshake { address, problem }
        };
        let tls = ClientTls::verifying(name, authorities).map_err(refused)?;
        Self::open_in(address, Some(&tls), timeout).await
    }

    /// Opens a connection, inside TLS if some is given.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open_in(
        address: SocketAddr,
        tls: Option<&ClientTls>,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let stream = connect(address, tls, Some(HTTP1.as_bytes()), timeout).await?;
        Ok(Self::over(stream, timeout))
    }

    /// A connection over a stream on which no HTTP was spoken yet.
    #[must_use]
    pub fn over(stream: Stream, timeout: Duration) -> Self {
        Self { io: Rc::new(Io::new(stream, timeout)), is_used: false }
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
    pub fn send(
        self,
        request: Outgoing<'_>,
        give_back: impl FnOnce(Self) + 'static,
    ) -> impl Future<Output = Result<Response, SendError>> {
        // The head is written down before there is a future, which is small without what it is made of.
        let is_head = *request.method == Method::HEAD;
        let mut sending = self.begin(request);
        async move {
            let head = self.ask(&mut sending).await?;
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(SendError::Malformed("an upgrade that nobody asked for"));
            }
            Ok(self.into_response(is_head, head, sending, give_back))
        }
    }

    /// Makes a request ready to be sent.
    fn begin(&self, request: Outgoing<'_>) -> Sending {
        let Outgoing { method, target, fields, body, timeout } = request;
        self.io.set_idle_timeout(timeout);
        let transfer = Transfer::of_request(method, &body);
        let first_line = method.as_str().len() + target.len();
        let mut out = Vec::with_capacity(writer::room(first_line, fields, &body));
        writer::request_head(&mut out, method, target, fields, transfer);
        Sending::new(&self.io, out, transfer, body)
    }

    /// Sends a request, or as much of it as the server takes, and reads the head of its response, which may come before all is
    /// written.
    async fn ask(&self, sending: &mut Sending) -> Result<ResponseHead, SendError> {
        match sending {
            Sending::Piece(out) => *sending = Sending::after(self.io.write_all(out).await.is_ok()),
            Sending::Pieces(writing) => *sending = Sending::after(writing.await.is_ok()),
            Sending::Whole | Sending::Broken | Sending::Rest(_) => {}
        }
        let io = &*self.io;
        let mut reading =
            ResponseReading { io, is_used: self.is_used, scan: HeadScan::default(), has_begun: false };
        let mut was_sending = true;
        poll_fn(|cx| {
            let is_sending = match sending.poll(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(SendError::Body(error))),
                sent => sent.is_pending(),
            };
            if std::mem::replace(&mut was_sending, is_sending) && !is_sending {
                io.set_deadline(io.idle_timeout());
            }
            let head = reading.poll(cx);
            if head.is_pending() && !is_sending && io.poll_expired(cx).is_ready() {
                return Poll::Ready(Err(SendError::TimedOut));
            }
            head
        })
        .await
    }

    fn into_response(
        self,
        is_head: bool,
        head: ResponseHead,
        sending: Sending,
        give_back: impl FnOnce(Self) + 'static,
    ) -> Response {
        let can_be_used_again = head.keep_alive;
        let body = match (head.framing, head.status) {
            (framing, _) if is_head => {
                return self.bodiless(head, framing, &sending, give_back);
            }
            (_, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => {
                self.into_body(Framing::Length(0), can_be_used_again, sending, give_back)
            }
            (framing, _) => {
                let framing = framing.unwrap_or(Framing::UntilClose);
                let can_be_used_again = can_be_used_again && framing != Framing::UntilClose;
                self.into_body(framing, can_be_used_again, sending, give_back)
            }
        };
        Response {
            status: head.status,
            fields: head.fields,
            body,
            close: false,
            when_sent: None,
            upgrade: None,
        }
    }

    /// The answer to HEAD: what length the body would have, and no body.
    fn bodiless(
        mut self,
        head: ResponseHead,
        framing: Option<Framing>,
        sending: &Sending,
        give_back: impl FnOnce(Self) + 'static,
    ) -> Response {
        self.is_used = true;
        if head.keep_alive && sending.is_whole() {
            give_back(self);
        }
        let length = match framing {
            Some(Framing::Length(length)) => Some(length),
            Some(Framing::Chunked | Framing::UntilClose) | None => None,
        };
        let body = Body::Stream(Box::new(UnsentBody(length)));
        Response {
            status: head.status,
            fields: head.fields,
            body,
            close: false,
            when_sent: None,
            upgrade: None,
        }
    }

    /// The response's body: from the buffer when all of it is there already, so that the connection is free at once.
    fn into_body(
        mut self,
        framing: Framing,
        can_be_used_again: bool,
        sending: Sending,
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
                return Body::Stream(Box::new(ResponseBody { body, sending, when_read }));
            }
        };
        if can_be_used_again && sending.is_whole() {
            give_back(self);
        }
        body
    }
}

/// A request on its way out. A server may begin to answer before it has all of it.
enum Sending {
    /// All of it is there, and is to leave in one piece.
    Piece(Vec<u8>),
    /// All of it is there, and is long. It is written before the answer is looked at.
    Pieces(Writing),
    /// All of it is out.
    Whole,
    /// It will never be: the server has closed its reading side, and may still answer.
    Broken,
    /// The rest is written while the answer is read.
    Rest(Writing),
}

type Writing = Pin<Box<dyn Future<Output = Result<(), WriteError>>>>;

impl Sending {
    fn new(io: &Rc<Io>, mut out: Vec<u8>, transfer: Transfer, body: Body) -> Self {
        let Some(body) = writer::join(&mut out, transfer, body) else { return Self::Piece(out) };
        let (io, is_there) = (Rc::clone(io), matches!(body, Body::Full(_)));
        let writing = Box::pin(async move { writer::write_message(&io, out, transfer, body).await });
        if is_there { Self::Pieces(writing) } else { Self::Rest(writing) }
    }

    fn after(is_written: bool) -> Self {
        if is_written { Self::Whole } else { Self::Broken }
    }

    /// Writes on. Ready once there is nothing more to write; the error is the request's own body.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Self::Rest(writing) = self else { return Poll::Ready(Ok(())) };
        let written = ready!(writing.as_mut().poll(cx));
        *self = if written.is_ok() { Self::Whole } else { Self::Broken };
        Poll::Ready(match written {
            Err(WriteError::Body(error)) => Err(error),
            Ok(()) | Err(WriteError::Io(_)) => Ok(()),
        })
    }

    fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }
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
                // Nothing of this request comes behind an upgrade, so that one is the last word.
                Ok(Some(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    return Poll::Ready(Ok(head));
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

/// The body of an answer to HEAD: it has no bytes, and a length if the server told one.
pub(crate) struct UnsentBody(pub(crate) Option<u64>);

impl BodyStream for UnsentBody {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        Poll::Ready(None)
    }

    fn remaining(&self) -> Option<u64> {
        self.0
    }
}

/// The body of a response, which gives its connection back when it has been read.
struct ResponseBody {
    body: IoBody,
    sending: Sending,
    when_read: Option<Box<dyn FnOnce()>>,
}

impl BodyStream for ResponseBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Poll::Ready(Err(error)) = self.sending.poll(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        let chunk = ready!(self.body.poll_chunk(cx));
        let has_ended = self.body.remaining() == Some(0) && self.sending.is_whole();
        if let Some(give_back) = self.when_read.take_if(|_| has_ended) {
            give_back();
        }
        Poll::Ready(chunk)
    }

    fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.body.take_trailers()
    }
}
