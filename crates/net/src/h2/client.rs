//! One connection to a server that many requests share.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::debug;

use super::encoding;
use super::handle::Handle;
use super::incoming::Incoming;
use super::link::{Link, Windows};
use super::messages::ResponseHead;
use super::reason::Reason;
use super::sending::{Sending, Unsent};
use super::stream::{Over, Slot};
use super::transport::{self, Ended};
use crate::connect::connect;
use crate::deadline::Deadline;
use crate::h1::client::UnsentBody;
use crate::outgoing::HEAD_LIMIT;
use crate::tls::{ClientTls, HTTP2};
use crate::{
    Body, BodyError, BodyStream, ConnectError, Limits, Outgoing, Response, SendError, Stream, clock,
};

/// A connection to a server that speaks HTTP/2. All clones are the same connection, which ends when the last one is gone and
/// the last request over it is done.
#[derive(Clone)]
pub struct Http2Connection {
    shared: Rc<Shared>,
}

/// What those who send requests know of it.
struct Shared {
    is_tls: bool,
    life: Rc<Life>,
}

/// What became of a connection so far.
struct Life {
    link: Rc<Link>,
    n_streams: Cell<usize>,
    /// When it last became free of requests.
    idle_since: Cell<Instant>,
    is_used: Cell<bool>,
    /// Whether no more requests are to be sent over it.
    is_retired: Cell<bool>,
    /// Whether nobody holds it any more.
    is_dropped: Cell<bool>,
}

/// Requests that a connection carries at a time, where the server allows so many.
const MOST_STREAMS: usize = 100;

/// Bytes of a body that may come before anybody takes them, and as many of all streams: whoever takes no answer holds up nobody
/// else's.
const WINDOWS: Windows = Windows::new(64 * 1024, 100 * 64 * 1024);

/// Time a server that owes an answer may be silent before it is asked whether it is still there, and time for its answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Time between two such questions, at least. Servers of gRPC end connections that ask more often while nothing else goes
/// over them ("Client-side keepalive", gRPC proposal A8).
const PING_INTERVAL: Duration = Duration::from_secs(310);

// === impl Http2Connection ===

impl Http2Connection {
    /// Opens a connection: inside TLS, where the server has to agree on HTTP/2, or without, where it has to know.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn open(
        address: SocketAddr,
        tls: Option<&ClientTls>,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let stream = connect(address, tls, Some(HTTP2), timeout).await?;
        let is_tls = stream.is_tls();
        if is_tls && !stream.agreed_on_http2() {
            let problem = std::io::Error::other("the server does not agree on HTTP/2");
            return Err(ConnectError::Handshake { address, problem });
        }
        let limits = Limits { head_bytes: HEAD_LIMIT, http2_resets: usize::MAX, ..Limits::default() };
        let link = Rc::new(Link::of_server(&Rc::new(limits), WINDOWS));
        let mut socket = stream;
        // How much the server takes at a time is in its first frame, and that it speaks HTTP/2 at all.
        let beginning = poll_fn(|cx| match transport::poll_move(&link, &mut socket, cx, || {}) {
            Poll::Ready(ended) => Poll::Ready(Err(ended)),
            Poll::Pending if link.has_settings() => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        });
        match tokio::time::timeout(timeout, beginning).await {
            Ok(Ok(())) => {}
            Ok(Err(Ended::Broken(reason))) => {
                let problem = std::io::Error::other(format!("what it sends is no HTTP/2: {reason}"));
                return Err(ConnectError::NoHttp2 { address, problem });
            }
            Ok(Err(Ended::Closed)) => {
                let problem = std::io::ErrorKind::UnexpectedEof.into();
                return Err(ConnectError::Refused { address, problem });
            }
            Err(late) => return Err(ConnectError::NoHttp2 { address, problem: late.into() }),
        }
        let life = Rc::new(Life {
            link,
            n_streams: Cell::new(0),
            idle_since: Cell::new(clock::recently()),
            is_used: Cell::new(false),
            is_retired: Cell::new(false),
            is_dropped: Cell::new(false),
        });
        tokio::task::spawn_local(drive(socket, Rc::clone(&life), address));
        Ok(Self { shared: Rc::new(Shared { is_tls, life }) })
    }

    /// Whether requests may still be sent over it: the server has not said that it ends, nor ended it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.shared.life.is_retired.get() && self.shared.life.link.takes_more()
    }

    /// How many more requests it carries at this moment.
    #[must_use]
    pub fn room(&self) -> usize {
        let allowed = self.shared.life.link.most_streams().min(MOST_STREAMS);
        allowed.saturating_sub(self.shared.life.n_streams.get())
    }

    /// How many requests are on it.
    #[must_use]
    pub fn n_streams(&self) -> usize {
        self.shared.life.n_streams.get()
    }

    /// How long no request has been on it.
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        match self.n_streams() {
            0 => clock::recently().saturating_duration_since(self.shared.life.idle_since.get()),
            _ => Duration::ZERO,
        }
    }

    /// Sends a request and waits for the head of its response. Where there is no room, it waits for its turn.
    ///
    /// # Errors
    /// See [`SendError`]. Other requests on the connection go on.
    pub async fn send(&self, request: Outgoing<'_>) -> Result<Response, SendError> {
        if !encoding::is_sayable(&request) {
            return Err(SendError::Unsayable);
        }
        let Shared { is_tls, life } = &*self.shared;
        let link = &life.link;
        let lease = Lease::begin(life);
        let was_used = life.is_used.replace(true);
        let (is_whole, timeout) = (matches!(request.body, Body::Empty), request.timeout);
        let waiting = Waiting { link, slot: Rc::default() };
        let stream = poll_fn(|cx| {
            link.poll_open(cx, &waiting.slot, MOST_STREAMS, is_whole, |encoder, into| {
                encoding::encode_request(encoder, into, &request, *is_tls);
            })
        });
        let opened = tokio::time::timeout(timeout, stream).await.map_err(|_| SendError::TimedOut)?;
        let stream = opened.ok_or(SendError::NotProcessed)?;
        drop(waiting);
        stream.is_of_head.set(*request.method == Method::HEAD);
        let handle = Handle { link: Rc::clone(link), stream };
        let Outgoing { method, body, .. } = request;
        let began = clock::recently();
        let mut rest = Rest::begin(&handle, body, timeout);
        let head = match answer_head(&handle, &mut rest, timeout, was_used).await {
            Ok(head) => head,
            Err(error) => {
                // Whoever has heard nothing at all in this time will not hear anything in the next.
                if matches!(error, SendError::TimedOut) && link.last_read.get() <= began {
                    life.is_retired.set(true);
                }
                return Err(error);
            }
        };
        handle.stream.is_answered.set(true);
        let ResponseHead { status, fields, length } = head;
        let has_none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let is_empty = || {
            let stream = &handle.stream;
            stream.has_received_end.get() && stream.received.borrow().is_empty()
        };
        let body = if *method == Method::HEAD {
            Body::Stream(Box::new(UnsentBody(length)))
        } else if has_none || (is_empty() && handle.stream.trailers.borrow().is_none()) {
            Body::Empty
        } else {
            let Handle { link, stream } = &handle;
            let incoming = Incoming::new(Rc::clone(link), Rc::clone(stream), length, timeout);
            Body::Stream(Box::new(ResponseBody { incoming, rest, n_sent: 0, handle, _lease: lease }))
        };
        Ok(Response { body, fields, ..Response::new(status) })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.life.is_dropped.set(true);
        self.life.link.driver.wake();
    }
}

/// A place among those who wait for a stream.
struct Waiting<'a> {
    link: &'a Link,
    slot: Rc<Slot>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.link.forget(&self.slot);
    }
}

/// One request on a connection, counted as long as this lives.
struct Lease(Rc<Life>);

impl Lease {
    fn begin(life: &Rc<Life>) -> Self {
        life.n_streams.set(life.n_streams.get() + 1);
        Self(Rc::clone(life))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.n_streams.set(self.0.n_streams.get().saturating_sub(1));
        self.0.idle_since.set(clock::recently());
    }
}

/// What of a request's body is not sent yet. A server may begin to answer before it has all of it.
struct Rest {
    sending: Option<Pin<Box<dyn Future<Output = SendingEnd>>>>,
}

/// What the sending of a body comes to.
type SendingEnd = Result<(), Unsent>;

impl Rest {
    fn begin(handle: &Handle, mut body: Body, patience: Duration) -> Self {
        if let Body::Empty = body {
            return Self { sending: None };
        }
        let mut sending = Sending::new(Rc::clone(&handle.link), Rc::clone(&handle.stream), patience);
        Self { sending: Some(Box::pin(async move { sending.send(&mut body).await })) }
    }

    /// Sends on. Ready once there is nothing more to send; the error is the request's own body. A server that takes no more
    /// may still answer.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(Ok(())) };
        let sent = ready!(sending.as_mut().poll(cx));
        self.sending = None;
        Poll::Ready(match sent {
            Err(Unsent::Body(error)) => Err(error),
            Ok(()) | Err(Unsent::Left | Unsent::Stalled) => Ok(()),
        })
    }
}

/// Sends the rest of the request and waits for the head of the response, which may come before all is sent.
async fn answer_head(
    handle: &Handle,
    rest: &mut Rest,
    timeout: Duration,
    was_used: bool,
) -> Result<ResponseHead, SendError> {
    let mut deadline = Deadline::new(timeout);
    let mut was_sending = true;
    poll_fn(|cx| {
        let is_sending = match rest.poll(cx) {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(SendError::Body(error))),
            sent => sent.is_pending(),
        };
        if std::mem::replace(&mut was_sending, is_sending) && !is_sending {
            deadline.set(timeout);
        }
        let Handle { stream, .. } = handle;
        if let Some(head) = stream.answer.borrow_mut().take() {
            return Poll::Ready(Ok(head));
        }
        if let Some(over) = stream.over.get() {
            return Poll::Ready(Err(why(over, was_used)));
        }
        stream.reader.wait(cx);
        if !is_sending && deadline.poll(cx).is_ready() {
            return Poll::Ready(Err(SendError::TimedOut));
        }
        Poll::Pending
    })
    .await
}

/// Why there is no response. Streams behind the last one that a server names when it ends a connection, and those that it
/// refuses, were not looked at (RFC 9113 §6.8, §8.7).
fn why(over: Over, was_used: bool) -> SendError {
    match over {
        Over::NotProcessed | Over::Reset(Reason::REFUSED_STREAM) => SendError::NotProcessed,
        Over::Broken(_) | Over::ConnectionBroken => SendError::Malformed("it breaks the rules of HTTP/2"),
        Over::Reset(_) => SendError::Closed { was_used: false },
        Over::Disconnected => SendError::Closed { was_used },
    }
}

/// The body of a response, and what of the request is still on its way.
struct ResponseBody {
    incoming: Incoming,
    rest: Rest,
    /// Bytes of the request that had gone when it was last looked.
    n_sent: u64,
    handle: Handle,
    _lease: Lease,
}

impl BodyStream for ResponseBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Poll::Ready(Err(error)) = self.rest.poll(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        let n_sent = self.handle.stream.n_sent.get();
        if std::mem::replace(&mut self.n_sent, n_sent) != n_sent {
            self.incoming.be_patient();
        }
        self.incoming.poll_chunk(cx)
    }

    fn remaining(&self) -> Option<u64> {
        self.incoming.remaining()
    }

    fn take_trailers(&mut self) -> Option<crate::Fields> {
        self.incoming.take_trailers()
    }
}

/// Moves the bytes of a connection until it ends, and asks a silent server whether it is there.
async fn drive(mut socket: Stream, life: Rc<Life>, address: SocketAddr) {
    let mut pinged: Option<Instant> = None;
    let mut deadline = Deadline::new(KEEP_ALIVE);
    let link = &life.link;
    let ended = poll_fn(|cx| {
        match transport::poll_move(link, &mut socket, cx, || {}) {
            Poll::Ready(Ended::Closed) => return Poll::Ready(("it was closed".to_owned(), None)),
            Poll::Ready(Ended::Broken(reason)) => {
                return Poll::Ready((format!("the server broke the rules: {reason}"), Some(reason)));
            }
            Poll::Pending => {}
        }
        let is_free = link.n_streams() == 0;
        if is_free && (life.is_dropped.get() || !link.takes_more()) {
            return Poll::Ready(("nobody needs it any more".to_owned(), Some(Reason::NO_ERROR)));
        }
        loop {
            ready!(deadline.poll(cx));
            deadline.set(KEEP_ALIVE);
            let now = clock::recently();
            let (last_read, silent_for) = (link.last_read.get(), link.silent_for());
            if link.n_streams() == 0 || silent_for < KEEP_ALIVE {
                continue;
            }
            match pinged {
                Some(pinged) if pinged > last_read && silent_for >= 2 * KEEP_ALIVE => {
                    return Poll::Ready(("the server does not answer a PING".to_owned(), None));
                }
                Some(pinged) if now < pinged + PING_INTERVAL => {}
                _ => {
                    link.ping();
                    pinged = Some(now);
                }
            }
        }
    });
    let (why, told) = ended.await;
    life.is_retired.set(true);
    match told {
        Some(Reason::NO_ERROR) | None => {
            link.close();
        }
        Some(reason) => link.fail(reason, Over::ConnectionBroken),
    }
    transport::close(link, &mut socket).await;
    debug!(%address, why, "a connection to a server ended");
}
