//! Driving a client's connection: each stream is a request, answered by a task of its own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Ping, PingPong, Reason, RecvStream};
use http::{Method, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use crate::deadline::Deadline;
use crate::h2::failure::Http2Failure;
use crate::h2::incoming::Incoming;
use crate::h2::messages::{self, RequestHead};
use crate::h2::meter::{Meter, Metered};
use crate::h2::progress::Progress;
use crate::h2::sending::{Sending, Unsent};
use crate::message::{End, Sent};
use crate::pace::Pace;
use crate::{Body, Connection, Handler, Limits, Place, Request, Response, Stay};
use crate::{clock, upgrade};

/// Bytes of a body that may come before anybody reads them.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Bytes of all bodies of a connection that may come before anybody reads them.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Bytes of an answer that may wait for the socket.
const SEND_BUFFER: usize = 64 * 1024;

/// Time a connection may be silent before it is asked whether it is still there, and time for its answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

type Server<S> = h2::server::Connection<Metered<S>, Bytes>;

/// Serves one connection to its end.
pub(crate) async fn drive<S: AsyncRead + AsyncWrite + Unpin, H: Handler>(
    stream: S,
    connection: Connection,
    handler: H,
    limits: Limits,
    mut stay: Stay,
) {
    let failed = |failure: Http2Failure| {
        debug!(peer = %connection.peer, reason = failure.as_str(), "HTTP/2 is ended");
        handler.http2_failed(failure, &connection);
    };
    // Until a request has come, nobody would miss it.
    stay.place.idle();
    let (stream, meter) = Metered::of_client(stream, &limits);
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(u32::try_from(limits.http2_streams).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.http2_resets)
        .max_concurrent_reset_streams(limits.http2_resets)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER);
    let beginning = tokio::time::timeout(limits.head_timeout, builder.handshake(stream));
    let mut server = match stay.while_opening(beginning).await {
        Some(Ok(Ok(server))) => server,
        Some(Ok(Err(error))) => {
            debug!(peer = %connection.peer, %error, "no HTTP/2");
            return failed(Http2Failure::NotBegun);
        }
        Some(Err(_)) => return failed(Http2Failure::BeginTimedOut),
        None => return,
    };
    let Stay { mut drain, place } = stay;
    let mut life = Life::new(&mut server, meter, limits, place);
    let mut drained = pin!(async move { drain.draining().await });
    loop {
        let event = poll_fn(|cx| {
            if let Poll::Ready(accepted) = server.poll_accept(cx) {
                return Poll::Ready(accepted.map_or(Event::Closed, Event::Stream));
            }
            if life.meter.is_flooded() {
                return Poll::Ready(Event::Flooded);
            }
            let may_go = !life.is_ending || !server.has_streams();
            if may_go && life.place.poll_needed(cx).is_ready() {
                return Poll::Ready(Event::Needed);
            }
            if !life.is_ending && drained.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Draining);
            }
            if life.poll_head(cx).is_ready() {
                return Poll::Ready(Event::Unfinished);
            }
            life.deadline.poll(cx).map(|()| Event::Silence)
        });
        match event.await {
            Event::Stream(Ok((request, respond))) => {
                life.place.busy();
                let exchange = Stream { respond, connection: connection.clone(), limits };
                tokio::task::spawn_local(exchange.answer(handler.clone(), request));
            }
            Event::Stream(Err(error)) => {
                debug!(peer = %connection.peer, %error, "HTTP/2 broke");
                return Http2Failure::of(&error).map_or((), failed);
            }
            Event::Closed => return,
            Event::Draining => life.end(&mut server),
            // Whoever is at something has come to it since the place was asked for.
            Event::Needed if server.has_streams() => life.end(&mut server),
            Event::Needed => return say_last(&mut server, Reason::NO_ERROR).await,
            Event::Flooded => {
                failed(Http2Failure::Flood);
                return say_last(&mut server, Reason::ENHANCE_YOUR_CALM).await;
            }
            Event::Unfinished => {
                failed(Http2Failure::HeadTimedOut);
                return say_last(&mut server, Reason::ENHANCE_YOUR_CALM).await;
            }
            Event::Silence => match life.look(&mut server) {
                Pulse::Alive => {}
                Pulse::Gone(failure) => return failure.map_or((), failed),
            },
        }
    }
}

/// Ends a connection at once, and says why.
async fn say_last<S: AsyncRead + AsyncWrite + Unpin>(server: &mut Server<S>, reason: Reason) {
    server.abrupt_shutdown(reason);
    let closing = poll_fn(|cx| server.poll_closed(cx));
    let _ = tokio::time::timeout(LAST_WORDS, closing).await;
}

/// How long the last frame of a connection may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What happens to a connection.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack from one poll to the next line")]
enum Event {
    /// A request, or the reason why there are no more.
    Stream(Result<(http::Request<RecvStream>, SendResponse<Bytes>), h2::Error>),
    /// Its end.
    Closed,
    /// It is time to end.
    Draining,
    /// Others need the place.
    Needed,
    /// The client sends more than anybody needs.
    Flooded,
    /// The fields of a request do not come whole.
    Unfinished,
    /// Time to see whether anybody is there.
    Silence,
}

/// How long a connection lives.
struct Life {
    meter: Rc<Meter>,
    limits: Limits,
    place: Place,
    opened: tokio::time::Instant,
    pings: Option<PingPong>,
    has_pinged: bool,
    is_ending: bool,
    deadline: Deadline,
    /// When a head that has begun has to be whole.
    head_deadline: Deadline,
}

/// Whether a connection goes on.
enum Pulse {
    Alive,
    /// It does not, and that may be the client's fault.
    Gone(Option<Http2Failure>),
}

impl Life {
    fn new<S: AsyncRead + AsyncWrite + Unpin>(
        server: &mut Server<S>,
        meter: Rc<Meter>,
        limits: Limits,
        place: Place,
    ) -> Self {
        Self {
            place,
            pings: server.ping_pong(),
            opened: clock::recently(),
            has_pinged: false,
            is_ending: false,
            deadline: Deadline::new(limits.head_timeout.min(limits.idle_timeout)),
            head_deadline: Deadline::new(limits.head_timeout),
            meter,
            limits,
        }
    }

    /// Says that there will be no more requests. Those that are at work are answered.
    fn end<S: AsyncRead + AsyncWrite + Unpin>(&mut self, server: &mut Server<S>) {
        self.is_ending = true;
        server.graceful_shutdown();
    }

    /// Ready once a head that has begun should have come whole.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(began) = self.meter.head_began() else { return Poll::Pending };
        let took = clock::recently().saturating_duration_since(began);
        let Some(left) = self.limits.head_timeout.checked_sub(took) else { return Poll::Ready(()) };
        self.head_deadline.set(left);
        self.head_deadline.poll(cx)
    }

    /// Looks after a connection that may have been silent.
    fn look<S: AsyncRead + AsyncWrite + Unpin>(&mut self, server: &mut Server<S>) -> Pulse {
        let now = clock::recently();
        let silent_for = now.saturating_duration_since(self.meter.last_read());
        let is_idle = !server.has_streams() && silent_for >= self.limits.idle_timeout;
        let is_old = now > self.opened + self.limits.max_age;
        if !self.meter.has_frames() {
            return Pulse::Gone(Some(Http2Failure::BeginTimedOut));
        }
        if is_idle && self.is_ending {
            return Pulse::Gone(None);
        }
        if (is_idle || is_old) && !self.is_ending {
            self.end(server);
        }
        if !server.has_streams() {
            self.place.idle();
        }
        if silent_for >= KEEP_ALIVE {
            if self.has_pinged && silent_for >= KEEP_ALIVE * 2 {
                return Pulse::Gone(Some(Http2Failure::Silent));
            }
            self.has_pinged =
                self.pings.as_mut().is_some_and(|pings| pings.send_ping(Ping::opaque()).is_ok());
        }
        // The next look is when its silence will have lasted long enough to mean something.
        let next =
            [KEEP_ALIVE, KEEP_ALIVE * 2, self.limits.idle_timeout].into_iter().filter(|at| *at > silent_for);
        let next = next.min().unwrap_or(KEEP_ALIVE).saturating_sub(silent_for);
        self.deadline.set(next.max(MINIMUM_LOOK));
        Pulse::Alive
    }
}

/// Time between two looks at a connection, at least.
const MINIMUM_LOOK: Duration = Duration::from_millis(10);

/// One request and its answer.
struct Stream {
    respond: SendResponse<Bytes>,
    connection: Connection,
    limits: Limits,
}

impl Stream {
    async fn answer<H: Handler>(mut self, handler: H, request: http::Request<RecvStream>) {
        let (parts, body) = request.into_parts();
        let body = Rc::new(RefCell::new(body));
        let progress = Rc::new(Progress::default());
        let (method, response) = match messages::request_head(parts, &self.limits) {
            Err(rejection) => (Method::GET, handler.reject(rejection, &self.connection)),
            Ok(head) => {
                let method = head.method.clone();
                progress.n_bytes.set(head.n_bytes);
                let connection = self.connection.clone();
                let request = begin_request(head, &body, connection, &self.limits, &progress);
                // In a place of its own: what is moved when the task is made stays small.
                let answer = Box::pin(handler.handle(request));
                let Some(response) = self.until_taken_back(answer).await else {
                    return debug!(peer = %self.connection.peer, "the client left before its answer");
                };
                (method, response)
            }
        };
        let mut response = response;
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            response = upgrade::not_here();
        }
        progress.is_answered.set(true);
        let when_sent = response.when_sent.take();
        let (sent, end) = self.send(response, &method).await;
        if let Some(when_sent) = when_sent {
            when_sent(Sent { received: progress.n_bytes.get(), sent, end });
        }
        if end == End::Whole {
            let _ = tokio::time::timeout(LONGEST_LINGER, linger(&body)).await;
        }
    }

    /// Waits for the answer, or for the client to take its request back.
    async fn until_taken_back<F: Future>(&mut self, mut answer: Pin<Box<F>>) -> Option<F::Output> {
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => self.respond.poll_reset(cx).map(|_| None),
        })
        .await
    }

    /// Sends the answer. Returns how many bytes of names, values and body went, and how it ended.
    async fn send(&mut self, response: Response, method: &Method) -> (u64, End) {
        let mut head = messages::response_head(&response);
        let has_body = *method != Method::HEAD
            && !matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if let (Some(length), true) = (response.body.remaining(), response.status != StatusCode::NO_CONTENT)
            && (has_body || length > 0)
        {
            head.headers_mut().insert("content-length", length.into());
        }
        let names_and_values =
            head.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
        let is_whole = !has_body || matches!(response.body, Body::Empty);
        let Ok(stream) = self.respond.send_response(head, is_whole) else { return (0, End::ClientLeft) };
        let names_and_values = names_and_values as u64;
        if is_whole {
            return (names_and_values, End::Whole);
        }
        let (mut sending, progress) = (Sending::new(stream, self.limits.idle_timeout), Progress::default());
        let end = match sending.send(response.body, &progress).await {
            Ok(()) => End::Whole,
            Err(Unsent::Left) => End::ClientLeft,
            Err(Unsent::Stalled) => {
                sending.stream.send_reset(Reason::CANCEL);
                End::ClientLeft
            }
            Err(Unsent::Body(error)) => {
                debug!(peer = %self.connection.peer, %error, "an answer broke off");
                sending.stream.send_reset(Reason::INTERNAL_ERROR);
                End::Broken
            }
        };
        (names_and_values + progress.n_bytes.get(), end)
    }
}

/// How long a client may pause in a body that nobody needs any more.
const LINGER: Duration = Duration::from_millis(500);

/// How long such a body is read at most, however it comes.
const LONGEST_LINGER: Duration = Duration::from_secs(10);

/// Bytes of such a body that are read and dropped.
const LINGER_BYTES: usize = 64 << 20;

/// Reads on after the answer: a stream that is ended before its client has sent all is an error to many, who then drop the
/// answer, too (RFC 9113 §8.1 allows ending it, and they know nothing of that).
async fn linger(body: &RefCell<RecvStream>) {
    let mut n_bytes = 0;
    while n_bytes < LINGER_BYTES && !body.borrow().is_end_stream() {
        let next = poll_fn(|cx| body.borrow_mut().poll_data(cx));
        let Ok(Some(Ok(bytes))) = tokio::time::timeout(LINGER, next).await else { return };
        n_bytes += bytes.len();
        let _ = body.borrow_mut().flow_control().release_capacity(bytes.len());
    }
}

fn begin_request(
    head: RequestHead,
    body: &Rc<RefCell<RecvStream>>,
    connection: Connection,
    limits: &Limits,
    progress: &Rc<Progress>,
) -> Request {
    let RequestHead { method, target, fields, length, .. } = head;
    let version = Version::HTTP_2;
    let mut request = Request { method, target, version, fields, body: Body::Empty, connection };
    if !body.borrow().is_end_stream() {
        let mut incoming = Incoming::new(Rc::clone(body), length, limits.idle_timeout, Rc::clone(progress));
        // A call of gRPC may have its messages when there are any.
        incoming.pace = (!request.is_grpc()).then(|| Pace::new(limits));
        request.body = Body::Stream(Box::new(incoming));
    }
    request
}
