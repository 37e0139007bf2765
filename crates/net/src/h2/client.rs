//! One connection to a server that many requests share.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, Reason};
use http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::debug;

use crate::clock;
use crate::connect::connect;
use crate::deadline::Deadline;
use crate::h1::client::UnsentBody;
use crate::h2::incoming::Incoming;
use crate::h2::messages;
use crate::h2::meter::{Meter, Metered};
use crate::h2::progress::Progress;
use crate::h2::sending::{Sending, Unsent};
use crate::outgoing::HEAD_LIMIT;
use crate::tls::{ClientTls, HTTP2};
use crate::{Body, BodyError, BodyStream, ConnectError, Outgoing, Response, SendError, Stream};

/// A connection to a server that speaks HTTP/2. All clones are the same connection, which ends when the last one is gone and
/// the last request over it is done.
#[derive(Clone)]
pub struct Http2Connection {
    shared: Rc<Shared>,
}

/// What those who send requests and the task that drives the connection know of it.
struct Shared {
    requests: SendRequest<Bytes>,
    is_tls: bool,
    life: Rc<Life>,
}

/// What became of a connection so far.
struct Life {
    meter: Rc<Meter>,
    n_streams: Cell<usize>,
    /// When it last became free of requests.
    idle_since: Cell<Instant>,
    is_used: Cell<bool>,
    /// Whether no more requests are to be sent over it.
    is_retired: Cell<bool>,
}

/// Requests that a connection carries at a time, where the server allows so many.
const MOST_STREAMS: usize = 100;

/// Bytes of a body that may come before anybody takes them.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Bytes of all bodies of a connection that may come before anybody takes them. As many as of all streams: whoever takes no
/// answer holds up nobody else's.
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;

/// Bytes of a body that may wait for the socket.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that were taken back and are still remembered.
const MOST_RESET_STREAMS: usize = 200;

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
        let (stream, meter) = Metered::of_server(stream);
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(false)
            .max_header_list_size(HEAD_LIMIT)
            .max_concurrent_reset_streams(MOST_RESET_STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER);
        let beginning = async {
            let (requests, mut connection) = builder.handshake(stream).await?;
            // How much the server takes at a time is in its first frame, and that it speaks HTTP/2 at all.
            poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
                Poll::Ready(ended) => Poll::Ready(ended.and(Err(Reason::NO_ERROR.into()))),
                Poll::Pending if meter.has_frames() => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            })
            .await?;
            Ok::<_, h2::Error>((requests, connection))
        };
        let begun = match tokio::time::timeout(timeout, beginning).await {
            Ok(Ok(begun)) => Ok(begun),
            Ok(Err(error)) if error.is_library() => {
                Err(ConnectError::NoHttp2 { address, problem: std::io::Error::other(error) })
            }
            Ok(Err(error)) => Err(ConnectError::Refused { address, problem: std::io::Error::other(error) }),
            Err(late) => Err(ConnectError::NoHttp2 { address, problem: late.into() }),
        };
        let (requests, connection) = begun?;
        let life = Rc::new(Life {
            meter,
            n_streams: Cell::new(0),
            idle_since: Cell::new(clock::recently()),
            is_used: Cell::new(false),
            is_retired: Cell::new(false),
        });
        tokio::task::spawn_local(drive(connection, Rc::clone(&life), address));
        Ok(Self { shared: Rc::new(Shared { requests, is_tls, life }) })
    }

    /// Whether requests may still be sent over it: the server has not said that it ends, nor ended it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let is_ready = || {
            let mut cx = Context::from_waker(Waker::noop());
            !matches!(self.shared.requests.clone().poll_ready(&mut cx), Poll::Ready(Err(_)))
        };
        !self.shared.life.is_retired.get() && is_ready()
    }

    /// How many more requests it carries at this moment.
    #[must_use]
    pub fn room(&self) -> usize {
        let allowed = self.shared.requests.current_max_send_streams().min(MOST_STREAMS);
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
        let Shared { requests, is_tls, life } = &*self.shared;
        let head = messages::outgoing_head(&request, *is_tls).ok_or(SendError::Unsayable)?;
        let Outgoing { method, body, timeout, .. } = request;
        let lease = Lease::begin(life);
        let was_used = life.is_used.replace(true);
        let mut requests = requests.clone();
        poll_fn(|cx| requests.poll_ready(cx)).await.map_err(|_| SendError::NotProcessed)?;
        let is_whole = matches!(body, Body::Empty);
        let sent = requests.send_request(head, is_whole).map_err(|_| SendError::NotProcessed);
        let (response, stream) = sent?;
        let began = clock::recently();
        let mut rest = match body {
            Body::Empty => Rest::sent(),
            // What is there already takes no more memory while it waits.
            Body::Full(bytes) => {
                let mut stream = stream;
                let _ = stream.send_data(bytes, true);
                Rest::sent()
            }
            body => Rest::begin(Sending::new(stream, timeout), body),
        };
        let head = match answer_head(response, &mut rest, timeout, was_used).await {
            Ok(head) => head,
            Err(error) => {
                // Whoever has heard nothing at all in this time will not hear anything in the next.
                let is_silent = || life.meter.last_read() <= began;
                if matches!(error, SendError::TimedOut) && is_silent() {
                    life.is_retired.set(true);
                }
                return Err(error);
            }
        };
        rest.progress.is_answered.set(true);
        let (head, stream) = head.into_parts();
        let fields = messages::fields_of(&head.headers);
        let length = fields.text("content-length").and_then(|length| length.parse().ok());
        let has_none = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || stream.is_end_stream();
        let body = if *method == Method::HEAD {
            Body::Stream(Box::new(UnsentBody(length)))
        } else if has_none {
            Body::Empty
        } else {
            let stream = Rc::new(RefCell::new(stream));
            let incoming = Incoming::new(stream, length, timeout, Rc::default());
            Body::Stream(Box::new(ResponseBody { incoming, rest, n_sent: 0, _lease: lease }))
        };
        Ok(Response { body, fields, ..Response::new(head.status) })
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
    progress: Rc<Progress>,
}

/// What the sending of a body comes to.
type SendingEnd = Result<(), Unsent>;

impl Rest {
    fn sent() -> Self {
        Self { sending: None, progress: Rc::default() }
    }

    fn begin(mut sending: Sending, body: Body) -> Self {
        let progress = Rc::<Progress>::default();
        let shared = Rc::clone(&progress);
        Self { sending: Some(Box::pin(async move { sending.send(body, &shared).await })), progress }
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
    mut response: ResponseFuture,
    rest: &mut Rest,
    timeout: Duration,
    was_used: bool,
) -> Result<http::Response<h2::RecvStream>, SendError> {
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
        if let Poll::Ready(head) = Pin::new(&mut response).poll(cx) {
            return Poll::Ready(head.map_err(|error| why(&error, was_used)));
        }
        if !is_sending && deadline.poll(cx).is_ready() {
            return Poll::Ready(Err(SendError::TimedOut));
        }
        Poll::Pending
    })
    .await
}

/// Why there is no response. Streams behind the last one that a server names when it ends a connection, and those that it
/// refuses, were not looked at (RFC 9113 §6.8, §8.7).
fn why(error: &h2::Error, was_used: bool) -> SendError {
    let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    match error.is_remote() {
        true if error.is_go_away() || is_refused => SendError::NotProcessed,
        false if error.is_library() => SendError::Malformed("it breaks the rules of HTTP/2"),
        is_remote => SendError::Closed { was_used: was_used && !is_remote },
    }
}

/// The body of a response, and what of the request is still on its way.
struct ResponseBody {
    incoming: Incoming,
    rest: Rest,
    /// Bytes of the request that had gone when it was last looked.
    n_sent: u64,
    _lease: Lease,
}

impl BodyStream for ResponseBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let Poll::Ready(Err(error)) = self.rest.poll(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        let n_sent = self.rest.progress.n_bytes.get();
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
async fn drive(mut connection: Connection<Metered<Stream>, Bytes>, life: Rc<Life>, address: SocketAddr) {
    let mut pings = connection.ping_pong();
    let mut pinged: Option<Instant> = None;
    let mut deadline = Deadline::new(KEEP_ALIVE);
    let ended = poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(
                    ended.err().map_or("it was closed".to_owned(), |error| error.to_string()),
                );
            }
            if life.meter.is_flooded() {
                return Poll::Ready("the server sends frames that say nothing".to_owned());
            }
            ready!(deadline.poll(cx));
            deadline.set(KEEP_ALIVE);
            let now = clock::recently();
            let last_read = life.meter.last_read();
            let silent_for = now.saturating_duration_since(last_read);
            if life.n_streams.get() == 0 || silent_for < KEEP_ALIVE {
                continue;
            }
            match pinged {
                Some(pinged) if pinged > last_read && silent_for >= 2 * KEEP_ALIVE => {
                    return Poll::Ready("the server does not answer a PING".to_owned());
                }
                Some(pinged) if now < pinged + PING_INTERVAL => {}
                _ => {
                    let is_sent = pings.as_mut().is_some_and(|it| it.send_ping(Ping::opaque()).is_ok());
                    pinged = is_sent.then_some(now);
                }
            }
        }
    });
    let why = ended.await;
    life.is_retired.set(true);
    debug!(%address, why, "a connection to a server ended");
}
