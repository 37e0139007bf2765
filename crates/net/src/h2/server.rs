//! Driving a client's connection: each stream is a request, answered by a task of its own.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::encoding;
use super::failure::Http2Failure;
use super::handle::Handle;
use super::incoming::Incoming;
use super::link::{Link, Opened, Windows};
use super::messages::RequestHead;
use super::reason::Reason;
use super::sending::{Sending, Unsent};
use super::stream::Over;
use super::transport::{self, Ended};
use crate::deadline::Deadline;
use crate::gate::Asking;
use crate::message::{End, Sent};
use crate::pace::Pace;
use crate::rejection::{Refused, Rejection};
use crate::server::Client;
use crate::{Body, Connection, Handler, Limits, Place, Request, Response, Stay, clock, upgrade};

/// Bytes of a body, and of all bodies of a connection, that may come before anybody reads them.
const WINDOWS: Windows = Windows::new(256 * 1024, 1024 * 1024);

/// Time a connection may be silent before it is asked whether it is still there, and time for its answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Time in which a client may show that everything has come that it sent before it heard of the end.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Serves one connection to its end.
pub(crate) async fn drive<S: AsyncRead + AsyncWrite + Unpin, H: Handler>(
    mut socket: S,
    client: &mut Client<H>,
) {
    let Client { connection, handler, limits, stay: Stay { drain, place } } = client;
    let link = Rc::new(Link::of_client(limits, WINDOWS));
    let _closing = Closing(Rc::clone(&link));
    // Until a request has come, nobody would miss it.
    place.idle();
    let mut life = Life::new(Rc::clone(&link), Rc::clone(limits), place);
    // The watch is held, and with it the end of the drain, for as long as the connection lives.
    let mut drained = pin!(drain.draining());
    let event = poll_fn(|cx| {
        let ended = transport::poll_move(&link, &mut socket, cx, || {
            for opened in link.take_opened() {
                life.place.busy();
                let handle = Handle { link: Rc::clone(&link), stream: Rc::clone(&opened.stream) };
                let (connection, limits) = (connection.clone(), Rc::clone(limits));
                let exchange = Exchange { handle, connection, limits };
                let asking = life.place.ask(&exchange.limits);
                // In a place of its own: a task is moved when it is made and when it ends.
                tokio::task::spawn_local(Box::pin(exchange.answer(handler.clone(), opened, asking)));
            }
        });
        if let Poll::Ready(ended) = ended {
            return Poll::Ready(match ended {
                Ended::Closed => Event::Closed,
                Ended::Broken(reason) => Event::Failed(Http2Failure::of(reason, link.has_settings()), reason),
            });
        }
        life.poll(cx, drained.as_mut())
    });
    match event.await {
        Event::Closed => return,
        Event::Finished => link.end(),
        Event::Failed(failure, reason) => {
            debug!(peer = %connection.peer, reason = failure.as_str(), "HTTP/2 is ended");
            handler.http2_failed(failure, connection);
            link.fail(reason, Over::ConnectionBroken);
        }
    }
    transport::close(&link, &mut socket).await;
}

/// Tells those who answer that their client is gone, however the driver ends.
struct Closing(Rc<Link>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// How a connection ends.
enum Event {
    /// The client is gone.
    Closed,
    /// Nothing is to be done any more.
    Finished,
    /// The client did not keep to its part.
    Failed(Http2Failure, Reason),
}

/// How long a connection lives.
struct Life<'a> {
    link: Rc<Link>,
    limits: Rc<Limits>,
    place: &'a Place,
    opened: tokio::time::Instant,
    has_pinged: bool,
    ending: Option<Deadline>,
    deadline: Deadline,
    /// When a head that has begun has to be whole.
    head_deadline: Deadline,
}

// === impl Life ===

impl<'a> Life<'a> {
    fn new(link: Rc<Link>, limits: Rc<Limits>, place: &'a Place) -> Self {
        Self {
            link,
            place,
            opened: clock::recently(),
            has_pinged: false,
            ending: None,
            deadline: Deadline::new(limits.head_timeout.min(limits.idle_timeout)),
            head_deadline: Deadline::new(limits.head_timeout),
            limits,
        }
    }

    /// Ready once the connection has lived.
    fn poll(&mut self, cx: &mut Context<'_>, drained: Pin<&mut impl Future<Output = ()>>) -> Poll<Event> {
        if self.link.is_finished() {
            return Poll::Ready(Event::Finished);
        }
        let may_go = self.ending.is_none() || self.link.n_streams() == 0;
        if may_go && self.place.poll_needed(cx).is_ready() {
            if self.link.n_streams() == 0 {
                return Poll::Ready(Event::Finished);
            }
            // It has come to something since the place was asked for.
            self.end();
        }
        if self.ending.is_none() && drained.poll(cx).is_ready() {
            self.end();
        }
        if self.ending.as_mut().is_some_and(|ending| ending.poll(cx).is_ready()) {
            self.link.end();
            self.ending = Some(Deadline::new(self.limits.max_age));
        }
        if self.poll_head(cx).is_ready() {
            return Poll::Ready(Event::Failed(Http2Failure::HeadTimedOut, Reason::ENHANCE_YOUR_CALM));
        }
        while self.deadline.poll(cx).is_ready() {
            if let Some(event) = self.look() {
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }

    /// Says that there will be no more requests. Those that are at work are answered.
    fn end(&mut self) {
        if self.ending.is_none() {
            self.ending = Some(Deadline::new(LAST_REQUESTS));
            self.link.say_end();
        }
    }

    /// Ready once a head that has begun should have come whole.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(began) = self.link.head_began() else { return Poll::Pending };
        let took = clock::recently().saturating_duration_since(began);
        let Some(left) = self.limits.head_timeout.checked_sub(took) else { return Poll::Ready(()) };
        self.head_deadline.set(left);
        self.head_deadline.poll(cx)
    }

    /// Looks after a connection that may have been silent. Returns its end, when it has come.
    fn look(&mut self) -> Option<Event> {
        let now = clock::recently();
        let silent_for = self.link.silent_for();
        let has_streams = self.link.n_streams() > 0;
        let is_idle = !has_streams && silent_for >= self.limits.idle_timeout;
        let is_old = now > self.opened + self.limits.max_age;
        if !self.link.has_settings() {
            return Some(Event::Failed(Http2Failure::BeginTimedOut, Reason::NO_ERROR));
        }
        if is_idle && self.ending.is_some() {
            return Some(Event::Finished);
        }
        if is_idle || is_old {
            self.end();
        }
        if !has_streams {
            self.place.idle();
        }
        if silent_for >= KEEP_ALIVE {
            if self.has_pinged && silent_for >= KEEP_ALIVE * 2 {
                return Some(Event::Failed(Http2Failure::Silent, Reason::NO_ERROR));
            }
            self.has_pinged = true;
            self.link.ping();
        }
        // The next look is when its silence will have lasted long enough to mean something.
        let next =
            [KEEP_ALIVE, KEEP_ALIVE * 2, self.limits.idle_timeout].into_iter().filter(|at| *at > silent_for);
        let next = next.min().unwrap_or(KEEP_ALIVE).saturating_sub(silent_for);
        self.deadline.set(next.max(MINIMUM_LOOK));
        None
    }
}

/// Time between two looks at a connection, at least.
const MINIMUM_LOOK: Duration = Duration::from_millis(10);

/// One request and its answer.
struct Exchange {
    handle: Handle,
    connection: Connection,
    limits: Rc<Limits>,
}

// === impl Exchange ===

impl Exchange {
    /// `asking` counts it as one of its client's, if it is let in.
    fn answer<H: Handler>(
        self,
        handler: H,
        opened: Opened,
        asking: Result<Asking, Rejection>,
    ) -> impl Future<Output = ()> {
        let Opened { head, is_grpc, .. } = opened;
        let method = head.as_ref().map_or(Method::GET, |head| head.method.clone());
        async move {
            let mut response = match self.begin(&handler, head, is_grpc, &asking) {
                Err(refusal) => *refusal,
                Ok(request) => match self.until_taken_back(pin!(handler.handle(request))).await {
                    Some(response) => response,
                    None => {
                        return debug!(peer = %self.connection.peer, "the client left before its answer");
                    }
                },
            };
            if response.status == StatusCode::SWITCHING_PROTOCOLS {
                response = upgrade::not_here();
            }
            let stream = &self.handle.stream;
            stream.is_answered.set(true);
            let when_sent = response.when_sent.take();
            let end = self.send(&mut response, &method).await;
            let sent = Sent { received: stream.n_received.get(), sent: stream.n_sent.get(), end };
            handler.carried(sent, &self.connection);
            if let Some(when_sent) = when_sent {
                when_sent(sent);
            }
            if end == End::Whole && !stream.has_received_end.get() {
                let _ = tokio::time::timeout(LONGEST_LINGER, self.linger()).await;
            }
        }
    }

    /// The request that came.
    ///
    /// # Errors
    /// The answer to what is none, or is one too many.
    fn begin<H: Handler>(
        &self,
        handler: &H,
        head: Result<RequestHead, Rejection>,
        is_grpc: bool,
        asking: &Result<Asking, Rejection>,
    ) -> Result<Request, Box<Response>> {
        let reject = |refused: &Refused<'_>| Box::new(handler.reject(refused, &self.connection));
        let head = head.map_err(|rejection| reject(&Refused::unread(rejection, is_grpc)))?;
        self.handle.stream.n_received.set(head.n_bytes);
        let request = self.request(head);
        match asking {
            Ok(_) => Ok(request),
            Err(rejection) => Err(reject(&Refused::read(*rejection, &request))),
        }
    }

    fn request(&self, head: RequestHead) -> Request {
        let RequestHead { method, target, fields, length, .. } = head;
        let Handle { link, stream } = &self.handle;
        let (version, connection) = (Version::HTTP_2, self.connection.clone());
        let mut request = Request { method, target, version, fields, body: Body::Empty, connection };
        let is_whole = stream.has_received_end.get() && stream.trailers.borrow().is_none();
        if is_whole {
            let bytes = link.take_received(stream);
            stream.n_received.set(stream.n_received.get() + bytes.len() as u64);
            request.body = bytes.into();
        } else {
            let (link, stream) = (Rc::clone(link), Rc::clone(stream));
            let mut incoming = Incoming::new(link, stream, length, self.limits.idle_timeout);
            // A call of gRPC may have its messages when there are any.
            incoming.pace = (!request.is_grpc()).then(|| Pace::new(&self.limits));
            request.body = Body::Stream(Box::new(incoming));
        }
        request
    }

    /// Waits for the answer, or for the client to take its request back.
    async fn until_taken_back<F: Future>(&self, mut answer: Pin<&mut F>) -> Option<F::Output> {
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => self.handle.poll_over(cx).map(|_| None),
        })
        .await
    }

    /// Sends the answer. Returns how it ended.
    async fn send(&self, response: &mut Response, method: &Method) -> End {
        let has_body = *method != Method::HEAD
            && !matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = response
            .body
            .remaining()
            .filter(|length| response.status != StatusCode::NO_CONTENT && (has_body || *length > 0));
        let is_whole = !has_body || matches!(response.body, Body::Empty);
        let Handle { link, stream } = &self.handle;
        let sent = link.send_fields(stream, is_whole, |encoder, into| {
            encoding::encode_response(encoder, into, response, length)
        });
        let Some(n_bytes) = sent else { return End::ClientLeft };
        stream.count_sent(n_bytes);
        if is_whole {
            return End::Whole;
        }
        let mut sending = Sending::new(Rc::clone(link), Rc::clone(stream), self.limits.idle_timeout);
        match sending.send(&mut response.body).await {
            Ok(()) => End::Whole,
            Err(Unsent::Left) => End::ClientLeft,
            Err(Unsent::Stalled) => {
                self.handle.reset(Reason::CANCEL);
                End::ClientLeft
            }
            Err(Unsent::Body(error)) => {
                debug!(peer = %self.connection.peer, %error, "an answer broke off");
                self.handle.reset(Reason::INTERNAL_ERROR);
                End::Broken
            }
        }
    }

    /// Reads on after the answer: a stream that is ended before its client has sent all is an error to many, who then drop the
    /// answer, too (RFC 9113 §8.1 allows ending it, and they know nothing of that).
    async fn linger(&self) {
        let Handle { link, stream } = &self.handle;
        let (mut n_bytes, mut deadline) = (0, Deadline::new(LINGER));
        poll_fn(|cx| {
            let bytes = link.take_received(stream);
            if !bytes.is_empty() {
                n_bytes += bytes.len();
                deadline.set(LINGER);
            }
            if stream.is_done() || n_bytes >= LINGER_BYTES {
                return Poll::Ready(());
            }
            stream.reader.wait(cx);
            deadline.poll(cx)
        })
        .await;
    }
}

/// How long a client may pause in a body that nobody needs any more.
const LINGER: Duration = Duration::from_millis(500);

/// How long such a body is read at most, however it comes.
const LONGEST_LINGER: Duration = Duration::from_secs(10);

/// Bytes of such a body that are read and dropped.
const LINGER_BYTES: usize = 64 << 20;
