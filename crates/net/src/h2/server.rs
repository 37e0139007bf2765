//! Driving a client's connection: each stream is a request, answered by a task of its own.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::{Method, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use crate::deadline::Deadline;
use crate::h2::messages::{self, RequestHead};
use crate::h2::meter::{Meter, Metered};
use crate::message::{End, Sent};
use crate::pace::Pace;
use crate::server::LAST_HANDSHAKE;
use crate::{
    Body, BodyError, BodyStream, Connection, Fields, Handler, Limits, Place, Request, Response, Stay,
};
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
    stay: Stay,
) {
    let Stay { mut drain, place } = stay;
    let (stream, meter) = Metered::new(stream);
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
    let mut server = tokio::select! {
        begun = beginning => match begun {
            Ok(Ok(server)) => server,
            Ok(Err(error)) => return debug!(peer = %connection.peer, %error, "no HTTP/2"),
            Err(_) => return debug!(peer = %connection.peer, "HTTP/2 did not begin in time"),
        },
        () = drain.draining_for(LAST_HANDSHAKE) => return,
    };
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
            let mut is_to_end =
                || drained.as_mut().poll(cx).is_ready() || life.place.poll_needed(cx).is_ready();
            if !life.is_ending && is_to_end() {
                return Poll::Ready(Event::Draining);
            }
            life.deadline.poll(cx).map(|()| Event::Silence)
        });
        match event.await {
            Event::Stream(Ok((request, respond))) => {
                life.place.busy();
                let exchange = Stream { respond, connection, limits };
                tokio::task::spawn_local(exchange.answer(handler.clone(), request));
            }
            Event::Stream(Err(error)) => return debug!(peer = %connection.peer, %error, "HTTP/2 broke"),
            Event::Closed => return,
            Event::Draining => life.end(&mut server),
            Event::Flooded => {
                debug!(peer = %connection.peer, "a client sends frames that ask for nothing, or takes all back");
                server.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let closing = poll_fn(|cx| server.poll_closed(cx));
                let _ = tokio::time::timeout(LAST_WORDS, closing).await;
                return;
            }
            Event::Silence => match life.look(&mut server) {
                Pulse::Alive => {}
                Pulse::Gone => return debug!(peer = %connection.peer, "a client is gone"),
            },
        }
    }
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
    /// The client sends more than anybody needs.
    Flooded,
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
}

/// Whether a connection goes on.
enum Pulse {
    Alive,
    Gone,
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
            meter,
            limits,
        }
    }

    /// Says that there will be no more requests. Those that are at work are answered.
    fn end<S: AsyncRead + AsyncWrite + Unpin>(&mut self, server: &mut Server<S>) {
        self.is_ending = true;
        server.graceful_shutdown();
    }

    /// Looks after a connection that may have been silent.
    fn look<S: AsyncRead + AsyncWrite + Unpin>(&mut self, server: &mut Server<S>) -> Pulse {
        let now = clock::recently();
        let silent_for = now.saturating_duration_since(self.meter.last_read());
        let is_idle = !server.has_streams() && silent_for >= self.limits.idle_timeout;
        let is_old = now > self.opened + self.limits.max_age;
        if (is_idle && self.is_ending) || !self.meter.has_frames() {
            return Pulse::Gone;
        }
        if (is_idle || is_old) && !self.is_ending {
            self.end(server);
        }
        if !server.has_streams() {
            self.place.idle();
        }
        if silent_for >= KEEP_ALIVE {
            if self.has_pinged && silent_for >= KEEP_ALIVE * 2 {
                return Pulse::Gone;
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
                progress.received.set(head.n_bytes);
                let request = begin_request(head, &body, self.connection, &self.limits, &progress);
                let Some(response) = self.until_taken_back(handler.handle(request)).await else {
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
            when_sent(Sent { received: progress.received.get(), sent, end });
        }
        if end == End::Whole {
            let _ = tokio::time::timeout(LONGEST_LINGER, linger(&body)).await;
        }
    }

    /// Waits for the answer, or for the client to take its request back.
    async fn until_taken_back<T>(&mut self, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer);
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
        let mut sent = names_and_values as u64;
        if is_whole {
            return (sent, End::Whole);
        }
        let mut outgoing = Outgoing { stream, deadline: Deadline::new(self.limits.idle_timeout) };
        let end = outgoing.send_body(response.body, self.limits.idle_timeout, &mut sent).await;
        (sent, end)
    }
}

/// The body of an answer on its way.
struct Outgoing {
    stream: SendStream<Bytes>,
    deadline: Deadline,
}

impl Outgoing {
    async fn send_body(&mut self, mut body: Body, patience: Duration, sent: &mut u64) -> End {
        loop {
            let piece = poll_fn(|cx| match body.poll_chunk(cx) {
                Poll::Ready(piece) => Poll::Ready(Ok(piece)),
                Poll::Pending => self.stream.poll_reset(cx).map(|_| Err(End::ClientLeft)),
            });
            let sending = match piece.await {
                Err(end) => return end,
                Ok(Some(Ok(bytes))) => {
                    let is_last = matches!(body, Body::Empty);
                    match self.send_bytes(bytes, is_last, patience, sent).await {
                        Ok(()) if is_last => return End::Whole,
                        sending => sending,
                    }
                }
                Ok(Some(Err(error))) => {
                    debug!(%error, "an answer broke off");
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return End::Broken;
                }
                Ok(None) => return self.finish(body.take_trailers(), sent),
            };
            if let Err(end) = sending {
                return end;
            }
        }
    }

    /// Sends bytes as the client takes them.
    async fn send_bytes(
        &mut self,
        mut bytes: Bytes,
        is_last: bool,
        patience: Duration,
        sent: &mut u64,
    ) -> Result<(), End> {
        while !bytes.is_empty() {
            self.stream.reserve_capacity(bytes.len());
            self.deadline.set(patience);
            let room = poll_fn(|cx| self.poll_room(cx)).await?;
            let part = bytes.split_to(room.min(bytes.len()));
            let n_bytes = part.len() as u64;
            let is_end = is_last && bytes.is_empty();
            self.stream.send_data(part, is_end).map_err(|_| End::ClientLeft)?;
            *sent += n_bytes;
        }
        Ok(())
    }

    /// How many bytes the client takes; an error when it takes none for too long, or has left.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, End>> {
        loop {
            match self.stream.capacity() {
                0 => match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(End::ClientLeft)),
                    Poll::Pending => {
                        ready!(self.deadline.poll(cx));
                        self.stream.send_reset(Reason::CANCEL);
                        return Poll::Ready(Err(End::ClientLeft));
                    }
                },
                room => return Poll::Ready(Ok(room)),
            }
        }
    }

    fn finish(&mut self, trailers: Option<Fields>, sent: &mut u64) -> End {
        let finished = match trailers {
            Some(trailers) => {
                *sent += trailers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() as u64;
                self.stream.send_trailers(messages::header_map(&trailers))
            }
            None => self.stream.send_data(Bytes::new(), true),
        };
        if finished.is_ok() { End::Whole } else { End::ClientLeft }
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
        // A call of gRPC may have its messages when there are any.
        let pace = (!request.is_grpc()).then(|| Pace::new(limits));
        request.body = Body::Stream(Box::new(Incoming {
            stream: Rc::clone(body),
            remaining: length,
            trailers: None,
            patience: limits.idle_timeout,
            deadline: Deadline::new(limits.idle_timeout),
            is_waiting: false,
            pace,
            progress: Rc::clone(progress),
        }));
    }
    request
}

/// How far a request and its answer are.
#[derive(Debug, Default)]
struct Progress {
    received: Cell<u64>,
    /// Whether the answer has begun: then the rest of the body may come as the two of them please.
    is_answered: Cell<bool>,
}

/// The body of a request.
struct Incoming {
    stream: Rc<RefCell<RecvStream>>,
    remaining: Option<u64>,
    trailers: Option<Fields>,
    patience: Duration,
    deadline: Deadline,
    is_waiting: bool,
    pace: Option<Pace>,
    progress: Rc<Progress>,
}

impl BodyStream for Incoming {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut stream = self.stream.borrow_mut();
        let piece = match stream.poll_data(cx) {
            Poll::Ready(None) => match stream.poll_trailers(cx) {
                Poll::Ready(Ok(trailers)) => {
                    self.trailers = trailers.map(|trailers| messages::fields_of(&trailers));
                    return Poll::Ready(None);
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(Some(piece)) => Poll::Ready(piece),
            Poll::Pending => Poll::Pending,
        };
        match piece {
            Poll::Ready(Ok(bytes)) => {
                self.is_waiting = false;
                let n_bytes = bytes.len() as u64;
                self.progress.received.set(self.progress.received.get() + n_bytes);
                if self.pace.as_mut().is_some_and(|pace| pace.came(bytes.len())) {
                    return Poll::Ready(Some(Err(BodyError::TimedOut)));
                }
                self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(n_bytes));
                let _ = stream.flow_control().release_capacity(bytes.len());
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(match error.reason() {
                Some(Reason::PROTOCOL_ERROR) => {
                    BodyError::Malformed("it is not as long as `content-length` says")
                }
                _ => BodyError::Closed,
            }))),
            Poll::Pending => {
                if !std::mem::replace(&mut self.is_waiting, true) {
                    let pace = self.pace.as_mut().filter(|_| !self.progress.is_answered.get());
                    let patience = pace.map_or(Duration::MAX, Pace::wait);
                    self.deadline.set(self.patience.min(patience));
                }
                self.deadline.poll(cx).map(|()| Some(Err(BodyError::TimedOut)))
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}
