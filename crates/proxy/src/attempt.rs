//! One try of a request at one target, and why it brought no answer.

use std::rc::Rc;
use std::time::Duration;

use net::{
    Body, BodyError, ConnectError, Fields, LOADING, Method, Outgoing, Request, Response, SendError, Switch,
    Upgraded,
};
use plan::{Handling, Origin, Replay};

use crate::group::WorkerGroup;
use crate::headers;
use crate::listener::WorkerListener;
use crate::pool::WorkerTarget;
use crate::replay::Replayable;
use crate::respond::{self, OwnAnswer, Reason};
use crate::spans::AskedSpan;
use crate::speech::Link;
use crate::websocket::{self, Switched};

/// An answer up to this size is read whole before it is passed on, where that allows asking again.
const HELD_ANSWER_BYTES: u64 = 64 * 1024;

/// How long a target may take to accept a connection ("HTTP 504", ALB user guide).
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A request on its way to one target.
pub(crate) struct Attempt<'a> {
    pub(crate) target: &'a Rc<WorkerTarget>,
    pub(crate) group: &'a WorkerGroup,
    pub(crate) request: &'a Request,
    pub(crate) body: &'a Replayable,
    pub(crate) listener: &'a WorkerListener,
    /// What annotations of ours ask for.
    pub(crate) asked: Option<&'a Handling>,
    /// What its trace has of it, if it has one.
    pub(crate) span: Option<Box<AskedSpan>>,
}

/// What came of it. There is no failure when the body is gone.
pub(crate) type Outcome = Result<Answered, Option<Failure>>;

/// An answer of a target.
pub(crate) struct Answered {
    pub(crate) response: Response,
    /// How long the target took to begin it.
    pub(crate) took: Duration,
    /// The target's side, once it has gone over to another protocol.
    pub(crate) switched: Option<Box<Switched>>,
}

/// Why an attempt brought no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No byte of the request left: nobody has seen it.
    NotSent(ConnectError),
    /// It left over a connection that broke, and then nobody was there any more.
    Lost(ConnectError),
    /// The request, or a part of it, left.
    Sent(SendError),
    /// It did not begin its answer in the time that a target has.
    TooSlow,
    /// A replica of ours answered that it is still loading its model.
    NotReady(Response),
}

// === impl Attempt ===

impl Attempt<'_> {
    /// Asks the target, for as long as it may take to begin its answer where somebody says how long that is.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would keep what it is given twice")]
    pub(crate) fn ask_in_time(&self) -> impl Future<Output = Outcome> {
        async move {
            match self.asked.and_then(|asked| asked.try_timeout) {
                None => self.ask().await,
                Some(time) => {
                    let asking = Box::pin(tokio::time::timeout(time, self.ask()));
                    let outcome = asking.await.unwrap_or(Err(Some(Failure::TooSlow)));
                    self.tell(&outcome);
                    outcome
                }
            }
        }
    }

    /// Asks the target. A target may close a connection that is kept at the very moment at which it is used again, which says
    /// nothing about the target: what may be repeated goes to it over a new one.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would keep what it is given twice")]
    fn ask(&self) -> impl Future<Output = Outcome> {
        async move {
            let mut has_left = false;
            if let Some(kept) = self.target.take_kept() {
                let answer = self.ask_over(kept).await;
                let is_stale =
                    matches!(answer, Err(Some(Failure::Sent(SendError::Closed { was_used: true }))));
                let replay = self.group.group.replay;
                let is_told_not_to = self.asked.is_some_and(|asked| asked.retries == Some(0));
                let may_be_repeated = !is_told_not_to && is_repeatable(replay, &self.request.method);
                if !is_stale || !self.body.is_kept() || !may_be_repeated {
                    self.tell(&answer);
                    return answer;
                }
                self.group.group.metrics.retries.inc();
                has_left = true;
            }
            let outcome = match Box::pin(self.target.open(CONNECT_TIMEOUT)).await {
                Ok(connection) => self.ask_over(connection).await,
                Err(error) => {
                    self.group.group.metrics.count_unopened(&error);
                    Err(Some(if has_left { Failure::Lost(error) } else { Failure::NotSent(error) }))
                }
            };
            self.tell(&outcome);
            outcome
        }
    }

    /// The fields of the request, as this target gets them.
    pub(crate) fn fields(&self) -> &Fields {
        self.span.as_ref().and_then(|span| span.fields.as_ref()).unwrap_or(&self.request.fields)
    }

    /// Has its trace know what came of it.
    fn tell(&self, outcome: &Outcome) {
        if let Some(span) = &self.span {
            span.came_to(outcome);
        }
    }

    /// Asks over a connection. One for a single request at a time goes back to the target when it can carry the next.
    ///
    /// What is rare here has a future of its own, for that of every request has room for all that it may come to.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would keep what it is given twice")]
    fn ask_over(&self, connection: Link) -> impl Future<Output = Outcome> {
        async move {
            let (Request { method, target, .. }, fields) = (self.request, self.fields());
            let (body, timeout) =
                (self.body.next().ok_or(None)?, self.listener.snapshot.settings.idle_timeout);
            let outgoing = Outgoing { method, target: target.as_str(), fields, body, timeout };
            let pool = Rc::clone(self.target);
            let keep = move |connection| pool.keep(connection);
            let sent = net::recently();
            let answer = match connection {
                Link::Http1(connection) if fields.contains("upgrade") => {
                    match Box::pin(connection.ask_to_switch(outgoing, keep)).await {
                        Ok(Switch::Switched { fields, connection }) => {
                            return Ok(self.went_over(fields, connection, net::recently() - sent));
                        }
                        Ok(Switch::Refused(response)) => Ok(response),
                        Err(error) => Err(error),
                    }
                }
                Link::Http1(connection) => connection.send(outgoing, keep).await,
                Link::Http2(connection) => Box::pin(connection.send(outgoing)).await,
            };
            let mut response = answer.map_err(Failure::Sent)?;
            let is_ours = self.group.group.origin == Origin::Ours;
            if is_ours && is_loading(&response) {
                return Err(Some(Failure::NotReady(response)));
            }
            // The answer to HEAD has a length, and no body to look at.
            if *method != Method::HEAD {
                begin_answer(&mut response.body, is_ours).await?;
            }
            let took = net::recently() - sent;
            self.group.group.metrics.count_answer(response.status, took);
            self.target.answered(response.status, took);
            headers::rewrite_response(&mut response.fields);
            Ok(Answered { response, took, switched: None })
        }
    }

    /// The answer to a client whose target has gone over to another protocol.
    fn went_over(&self, fields: Fields, target: Upgraded, took: Duration) -> Answered {
        let (idle_timeout, metrics) =
            (self.listener.snapshot.settings.idle_timeout, self.group.group.metrics.clone());
        let switched = Some(Box::new(Switched { target, idle_timeout, took, metrics }));
        Answered { response: websocket::answer(fields), took, switched }
    }
}

/// Takes in as much of an answer as may still be replaced by another: of our own replicas all of a small one.
async fn begin_answer(body: &mut Body, is_ours: bool) -> Result<(), Failure> {
    if is_ours && body.remaining().is_some_and(|n| n <= HELD_ANSWER_BYTES) {
        let held = body.gather(usize::MAX).await;
        return held.map_err(|_| Failure::Sent(SendError::Truncated));
    }
    body.begin().await.map_err(|error| Failure::of_answer(&error))
}

/// Whether the answer says that nothing was done with the request yet.
fn is_loading(response: &Response) -> bool {
    let (name, value) = LOADING;
    response.fields.get(name) == Some(value.as_bytes())
}

/// Whether doing it twice is doing it once: our own predictions are, whatever their method.
pub(crate) fn is_repeatable(replay: Replay, method: &Method) -> bool {
    replay == Replay::Everything || method.is_idempotent()
}

/// Whether two targets may be at it at the same time: our own predict, and of others is asked what changes nothing there
/// (RFC 9110 §9.2.1). What a PUT makes depends on which of two comes last.
pub(crate) fn may_be_asked_twice(replay: Replay, method: &Method) -> bool {
    replay == Replay::Everything || method.is_safe()
}

// === impl Failure ===

impl Failure {
    /// An answer whose body is broken from its beginning, before anything was passed on.
    fn of_answer(error: &BodyError) -> Self {
        Self::Sent(match error {
            BodyError::Malformed(problem) => SendError::Malformed(problem),
            BodyError::Closed => SendError::Truncated,
            BodyError::TimedOut => SendError::TimedOut,
        })
    }

    /// Whether the request may be sent to another target (RFC 9110 §9.2.2).
    pub(crate) fn may_be_replayed(&self, replay: Replay, method: &Method) -> bool {
        match self {
            Self::NotSent(_) | Self::Lost(_) | Self::NotReady(_) | Self::Sent(SendError::NotProcessed) => {
                true
            }
            Self::Sent(SendError::Closed { .. } | SendError::Truncated) | Self::TooSlow => {
                is_repeatable(replay, method)
            }
            Self::Sent(
                SendError::TimedOut | SendError::Malformed(_) | SendError::Unsayable | SendError::Body(_),
            ) => false,
        }
    }

    /// Whether a target may have begun to do what it was asked.
    pub(crate) fn may_have_been_seen(&self) -> bool {
        !matches!(self, Self::NotSent(_) | Self::NotReady(_) | Self::Sent(SendError::NotProcessed))
    }

    /// Whether it says nothing of the target.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::NotSent(error) | Self::Lost(error) if error.is_ours())
    }

    /// Whether the connection broke that the request was on.
    pub(crate) fn is_break(&self) -> bool {
        matches!(self, Self::Sent(SendError::Closed { .. } | SendError::Truncated))
    }

    /// Whether the target did wrong: one that only just starts does not, nor does one whose client did not send all.
    pub(crate) fn is_of_target(&self) -> bool {
        !matches!(
            self,
            Self::NotReady(_)
                | Self::Sent(SendError::Body(_) | SendError::Unsayable | SendError::NotProcessed)
        )
    }

    /// Whether the target never looked at the request, and may do so over another connection.
    pub(crate) fn is_unseen(&self) -> bool {
        matches!(self, Self::Sent(SendError::NotProcessed))
    }

    /// The answer to the client, if nobody else has a better one.
    pub(crate) fn into_answer(self) -> OwnAnswer {
        match self {
            Self::NotReady(response) => respond::loading(response),
            other => respond::to(other.reason()),
        }
    }

    /// Why there is no answer.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::NotReady(_) => Reason::LOADING,
            Self::NotSent(error) | Self::Lost(error) => match error {
                _ if error.is_ours() => Reason::NO_DESCRIPTORS,
                ConnectError::Refused { .. } => Reason::TARGET_UNREACHABLE,
                ConnectError::TimedOut { .. } => Reason::TARGET_CONNECT_TIMEOUT,
                ConnectError::Handshake { .. } => Reason::TARGET_TLS,
                ConnectError::NoHttp2 { .. } => Reason::TARGET_MALFORMED,
            },
            Self::Sent(SendError::Closed { .. } | SendError::Truncated | SendError::NotProcessed) => {
                Reason::TARGET_CLOSED
            }
            Self::Sent(SendError::Unsayable) => Reason::TARGET_VERSION,
            Self::Sent(SendError::TimedOut) | Self::TooSlow => Reason::TARGET_TIMEOUT,
            Self::Sent(SendError::Malformed(_)) => Reason::TARGET_MALFORMED,
            Self::Sent(SendError::Body(error)) => Reason::of_client_body(error),
        }
    }
}
