//! Driving a client's connection: read a request, have it answered, write the response, again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use http::{Method, StatusCode, Version};
use tokio::time::Instant;
use tracing::debug;

use crate::clock;
use crate::h1::framing::{BodyReader, Framing};
use crate::h1::head::{self, HeadScan, RequestHead};
use crate::h1::io::{Io, IoBody};
use crate::h1::leaving::until_client_leaves;
use crate::h1::writer::{self, Asked, Close, Transfer, WriteError};
use crate::h2::PREFACE;
use crate::message::{End, Sent};
use crate::rejection::{Refused, Rejection};
use crate::server::Client;
use crate::upgrade;
use crate::{Body, Connection, DrainWatch, Handler, Limits, Place, Request, Response, Stay, Upgrade};

/// What follows on a connection.
pub(crate) enum Next {
    /// A request, if the client has one.
    Request,
    /// Nothing.
    Nothing,
    /// HTTP/2, whose preface is yet to be read.
    Http2,
    /// Something else. The connection had carried so much before the request that led there.
    Other(Upgrade, Traffic),
}

/// Answers one request after the other, until something else follows.
pub(crate) async fn converse<H: Handler>(io: &Rc<Io>, client: &mut Client<H>) -> Next {
    let Client { connection, handler, limits, stay: Stay { drain, place } } = client;
    let talk = Talk { io, connection, handler, limits, drain, place, opened: clock::recently() };
    let mut is_first = true;
    loop {
        let before = Traffic::of(io);
        let is_first = std::mem::take(&mut is_first);
        // In a place of its own, which a connection that waits does without.
        let answer: Pin<Box<dyn Future<Output = Next>>> =
            match next_head(io, limits, is_first, drain, place).await {
                Arrival::Head(head) => Box::pin(talk.answer(head, before)),
                Arrival::Rejected(rejection) => Box::pin(talk.refuse(rejection)),
                Arrival::Http2 => return Next::Http2,
                Arrival::Nothing => return Next::Nothing,
            };
        let next = answer.await;
        if !matches!(next, Next::Request) {
            return next;
        }
    }
}

/// A connection of HTTP/1.1 while it lasts.
struct Talk<'a, H> {
    io: &'a Rc<Io>,
    connection: &'a Connection,
    handler: &'a H,
    limits: &'a Limits,
    drain: &'a DrainWatch,
    place: &'a Place,
    opened: Instant,
}

impl<H: Handler> Talk<'_, H> {
    /// Answers one request.
    fn answer(&self, head: RequestHead, before: Traffic) -> impl Future<Output = Next> {
        let Self { io, connection, handler, limits, drain, place, opened } = *self;
        let wants_keep_alive = head.keep_alive;
        let asked = Asked {
            method: head.method.clone(),
            version: head.version,
            takes_trailers: head.version == Version::HTTP_11 && head.fields.lists("te", "trailers"),
        };
        async move {
            place.busy();
            let request = begin_request(io, head, connection.clone(), limits);
            let _asking = match place.ask(limits) {
                Ok(asking) => asking,
                Err(rejection) => {
                    self.reject(&Refused::read(rejection, &request)).await;
                    return Next::Nothing;
                }
            };
            let may_ask = asked.version == Version::HTTP_11;
            let answer = pin!(handler.handle(request));
            let Some(mut response) = until_client_leaves(io, limits, may_ask, answer).await else {
                debug!(peer = %connection.peer, "the client left before its answer");
                return Next::Nothing;
            };
            if response.status == StatusCode::SWITCHING_PROTOCOLS {
                match response
                    .upgrade
                    .take()
                    .filter(|_| asked.version == Version::HTTP_11 && io.body.borrow().is_done())
                {
                    Some(upgrade) => return self.hand_over(&response, upgrade, before).await,
                    None => response = upgrade::not_here(),
                }
            }
            // A response that streams may still be reading the request; what is left of it is known only afterwards.
            let leaves_body = !matches!(response.body, Body::Stream(_)) && !body_can_be_skipped(io);
            let is_old = clock::recently() > opened + limits.max_age;
            let close = !wants_keep_alive || response.close || drain.is_draining() || is_old || leaves_body;
            let when_sent = response.when_sent.take();
            let writing = write_response(io, &mut response, &asked, close);
            let written = until_client_leaves(io, limits, false, pin!(writing)).await;
            let sent = before.until(io, end_of(written.as_ref()));
            handler.carried(sent, connection);
            if let Some(when_sent) = when_sent {
                when_sent(sent);
            }
            let close = match written {
                Some(Ok(close)) => close,
                Some(Err(error)) => {
                    debug!(peer = %connection.peer, %error, "the response could not be written whole");
                    return Next::Nothing;
                }
                None => {
                    debug!(peer = %connection.peer, "the client left within its answer");
                    return Next::Nothing;
                }
            };
            if close == Close::Yes || !body_can_be_skipped(io) || !skip_body(io, limits).await {
                linger(io).await;
                return Next::Nothing;
            }
            Next::Request
        }
    }

    /// Writes the answer after which the connection is no longer ours.
    async fn hand_over(&self, response: &Response, upgrade: Upgrade, before: Traffic) -> Next {
        let mut out = Vec::with_capacity(512);
        writer::switching_protocols(&mut out, &response.fields);
        match self.io.write_all(&out).await {
            Ok(()) => Next::Other(upgrade, before),
            Err(error) => {
                debug!(peer = %self.connection.peer, %error, "the client left before its answer");
                Next::Nothing
            }
        }
    }

    /// Words the answer to what is no request.
    async fn refuse(&self, rejection: Rejection) -> Next {
        self.reject(&Refused::unread(rejection, false)).await;
        Next::Nothing
    }

    async fn reject(&self, refused: &Refused<'_>) {
        let Self { io, connection, handler, .. } = *self;
        let before = Traffic::of(io);
        let mut response = handler.reject(refused, connection);
        let when_sent = response.when_sent.take();
        let asked = Asked { method: Method::GET, version: Version::HTTP_11, takes_trailers: false };
        let written = write_response(io, &mut response, &asked, true).await;
        let sent = before.until(io, end_of(Some(&written)));
        handler.carried(sent, connection);
        if let Some(when_sent) = when_sent {
            when_sent(sent);
        }
        if written.is_ok() {
            linger(io).await;
        }
    }
}

/// What comes next on a connection.
enum Arrival {
    /// A request.
    Head(RequestHead),
    /// The preface of HTTP/2, which is left where it is.
    Http2,
    /// The end, or silence.
    Nothing,
    /// Something that is no request.
    Rejected(Rejection),
}

/// How long a connection that is to end waits for a request that may be on its way: only with an answer can its client be
/// told that it is the last.
const LAST_REQUEST: Duration = Duration::from_millis(250);

/// Waits for the next request head. While none has begun, a drain ends the waiting.
async fn next_head(io: &Io, limits: &Limits, is_first: bool, drain: &DrainWatch, place: &Place) -> Arrival {
    let mut scan = HeadScan::default();
    let (mut has_begun, mut is_ending) = (false, false);
    io.set_deadline(limits.idle_timeout);
    place.idle();
    poll_fn(|cx| {
        loop {
            if !has_begun {
                skip_empty_lines(io);
            }
            match begins_as_http2(io, is_first) {
                Some(true) => return Poll::Ready(Arrival::Http2),
                // Every other head is longer, or ends before.
                None => {}
                Some(false) => match take_head(io, &mut scan, limits) {
                    Ok(Some(head)) => return Poll::Ready(Arrival::Head(head)),
                    Ok(None) => {}
                    Err(rejection) => return Poll::Ready(Arrival::Rejected(rejection)),
                },
            }
            if !has_begun && !io.buffer.borrow().unread().is_empty() {
                has_begun = true;
                // One that stops within its head is missed no more than one that says nothing.
                place.idle();
                io.set_deadline(limits.head_timeout);
            }
            match io.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Arrival::Nothing),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    // Whoever begins a drain wakes those who wait in their places.
                    if !has_begun && !is_ending && drain.is_draining() {
                        is_ending = true;
                        io.set_deadline(LAST_REQUEST);
                    }
                    if place.poll_needed(cx).is_ready() {
                        return Poll::Ready(Arrival::Nothing);
                    }
                    ready!(io.poll_expired(cx));
                    let timeout = Arrival::Rejected(Rejection::HEAD_TIMEOUT);
                    return Poll::Ready(if has_begun { timeout } else { Arrival::Nothing });
                }
            }
        }
    })
    .await
}

/// Whether a connection begins with the preface of HTTP/2 (RFC 9113 §3.3); `None` while that cannot be told from a request.
fn begins_as_http2(io: &Io, is_first: bool) -> Option<bool> {
    let buffer = io.buffer.borrow();
    let n_bytes = buffer.unread().len().min(PREFACE.len());
    let may_be = is_first && n_bytes > 0 && buffer.unread()[..n_bytes] == PREFACE[..n_bytes];
    if may_be && n_bytes < PREFACE.len() { None } else { Some(may_be) }
}

/// Empty lines before a request line are skipped (RFC 9112 §2.2).
fn skip_empty_lines(io: &Io) {
    let mut buffer = io.buffer.borrow_mut();
    while buffer.unread().starts_with(b"\r\n") {
        buffer.consume(2);
    }
}

/// Takes a head out of the buffer, once all of it is there.
fn take_head(io: &Io, scan: &mut HeadScan, limits: &Limits) -> Result<Option<RequestHead>, Rejection> {
    let mut buffer = io.buffer.borrow_mut();
    let Some((head, end)) = read_head(buffer.unread(), scan, limits)? else { return Ok(None) };
    buffer.consume(end);
    Ok(Some(head))
}

/// Reads a head that comes over a connection, and says where it ends, once all of it is there.
fn read_head(
    bytes: &[u8],
    scan: &mut HeadScan,
    limits: &Limits,
) -> Result<Option<(RequestHead, usize)>, Rejection> {
    let end = scan.find_end(bytes)?;
    if scan.request_line() > limits.request_line_bytes {
        return Err(Rejection::REQUEST_LINE_TOO_LONG);
    }
    if end.unwrap_or(bytes.len()) > limits.head_bytes {
        return Err(Rejection::HEAD_TOO_LONG);
    }
    let Some(end) = end else { return Ok(None) };
    Ok(Some((head::parse_request(&bytes[..end], limits)?, end)))
}

/// Reads the head of a request as one that comes over this connection is read, and without its body: for who asks what would
/// become of it.
///
/// # Errors
/// Why it would be refused before anybody looks at it.
pub fn read_request(head: &[u8], limits: &Limits, connection: Connection) -> Result<Request, Rejection> {
    let read = read_head(head, &mut HeadScan::default(), limits)?;
    let (RequestHead { method, target, version, fields, .. }, _) = read.ok_or(Rejection::MALFORMED_HEAD)?;
    Ok(Request { method, target, version, fields, body: Body::Empty, connection })
}

/// Makes the request, with its body from the buffer when all of it is there already.
fn begin_request(io: &Rc<Io>, head: RequestHead, connection: Connection, limits: &Limits) -> Request {
    let there = io.buffer.borrow().unread().len() as u64;
    let body = match head.framing {
        Framing::Length(0) => Body::Empty,
        Framing::Length(length) if length <= there => {
            Body::Full(io.buffer.borrow_mut().take(usize::try_from(length).unwrap_or(usize::MAX)))
        }
        framing => {
            *io.body.borrow_mut() = BodyReader::new(framing);
            io.owes_continue.set(head.expects_continue);
            io.is_answered.set(false);
            Body::Stream(Box::new(IoBody::paced(Rc::clone(io), limits)))
        }
    };
    let RequestHead { method, target, version, fields, .. } = head;
    Request { method, target, version, fields, body, connection }
}

/// Writes a response. Returns whether the connection ends with it.
async fn write_response(
    io: &Io,
    response: &mut Response,
    asked: &Asked,
    close: bool,
) -> Result<Close, WriteError> {
    let transfer = Transfer::of_response(response.status, asked, &response.body);
    let close = match asked.version {
        _ if close || transfer == Transfer::UntilClose => Close::Yes,
        Version::HTTP_10 => Close::NoForHttp10,
        _ => Close::No,
    };
    io.is_answered.set(true);
    let body = std::mem::take(&mut response.body);
    let mut out = Vec::with_capacity(writer::room(LONGEST_STATUS_LINE, &response.fields, &body));
    writer::response_head(&mut out, response.status, &response.fields, transfer, close);
    let written = match writer::join(&mut out, transfer, body) {
        None => io.write_all(&out).await.map_err(WriteError::Io),
        // In a place of its own, which most answers do without.
        Some(body) => Box::pin(writer::write_message(io, out, transfer, body)).await,
    };
    if written.is_err() && transfer == Transfer::UntilClose {
        // Here the end of the connection would say that the body is whole.
        io.abort();
    }
    written.map(|()| close)
}

/// Bytes of a status line that has a reason phrase.
const LONGEST_STATUS_LINE: usize = 48;

/// Bytes that a connection had carried at some moment.
#[derive(Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Traffic {
    fn of(io: &Io) -> Self {
        Self { received: io.buffer.borrow().consumed(), sent: io.sent() }
    }

    /// What it has carried since, and how that ended.
    fn until(&self, io: &Io, end: End) -> Sent {
        let now = Self::of(io);
        Sent { received: now.received - self.received, sent: now.sent - self.sent, end }
    }
}

/// How a response ended, by how its writing did; nothing when the client left.
fn end_of(written: Option<&Result<Close, WriteError>>) -> End {
    match written {
        Some(Ok(_)) => End::Whole,
        Some(Err(WriteError::Body(_))) => End::Broken,
        Some(Err(WriteError::Io(_))) | None => End::ClientLeft,
    }
}

/// Body bytes that are read and dropped rather than ending the connection.
const SKIPPED_BYTES: u64 = 64 * 1024;

/// Whether what is left of the request's body is small and certain to come.
fn body_can_be_skipped(io: &Io) -> bool {
    let is_promised = !io.owes_continue.get();
    io.body
        .borrow()
        .remaining()
        .is_some_and(|remaining| remaining == 0 || (remaining <= SKIPPED_BYTES && is_promised))
}

/// Reads and drops what is left of the request's body. Returns whether it ended.
async fn skip_body(io: &Rc<Io>, limits: &Limits) -> bool {
    if io.body.borrow().is_done() {
        return true;
    }
    io.is_answered.set(false);
    let mut body = Body::Stream(Box::new(IoBody::paced(Rc::clone(io), limits)));
    while let Some(chunk) = body.chunk().await {
        if chunk.is_err() {
            return false;
        }
    }
    true
}

/// How long a client may go on sending after the last response, so that it gets to read that response.
const LINGER: Duration = Duration::from_millis(500);

/// Ends the connection without a reset that could overtake the response (RFC 9112 §9.6).
async fn linger(io: &Io) {
    if io.shutdown().await.is_err() {
        return;
    }
    io.set_deadline(LINGER);
    poll_fn(|cx| {
        loop {
            match io.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {
                    let n_bytes = io.buffer.borrow().unread().len();
                    io.buffer.borrow_mut().consume(n_bytes);
                    if io.poll_expired(cx).is_ready() {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending => return io.poll_expired(cx),
            }
        }
    })
    .await;
}
