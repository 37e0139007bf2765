//! Sending a request to a target, and to another one when the first fails and it is safe.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::{
    Body, BodyError, ConnectError, Fields, LOADING, Method, Outgoing, Request, Response, SendError,
    StatusCode, Switch, Upgraded,
};
use plan::{Origin, Replay};
use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::group::WorkerGroup;
use crate::headers;
use crate::listener::ListenerSlot;
use crate::pool::WorkerTarget;
use crate::random::Random;
use crate::replay::{Buffering, Replayable};
use crate::respond::{self, OwnAnswer, Reason};
use crate::speech::Link;
use crate::websocket::{self, Switched};

/// How often one request is sent, at most.
const ATTEMPTS: usize = 4;

/// An answer up to this size is read whole before it is passed on, where that allows asking again.
const HELD_ANSWER_BYTES: u64 = 64 * 1024;

/// How long a target may take to accept a connection ("HTTP 504", ALB user guide).
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request waits for a target when none answers, where replicas are ours and others are on their way.
const HOLD_PATIENCE: Duration = Duration::from_secs(3);

/// Time between two looks for a target.
const HOLD_INTERVAL: Duration = Duration::from_millis(10);

/// Sends a request to a target of the group. The error is an answer of our own.
pub(crate) async fn forward(
    slot: &ListenerSlot,
    exchange: &mut Exchange,
    group: Rc<WorkerGroup>,
    request: &mut Request,
) -> Result<Response, OwnAnswer> {
    let listener = Rc::clone(&exchange.listener);
    exchange.forwarded(&request.fields);
    let buffering = match group.group.speech.is_http2() {
        true => Buffering::AsItComes,
        false => Buffering::Whole { may_be_sent_again: is_repeatable(group.group.replay, &request.method) },
    };
    let (worker, told) = (&listener.worker, listener.snapshot.settings.client_fields.as_ref());
    let prepared = Replayable::prepare(&mut request.body, buffering, &worker.keeping, told).await;
    let mut body = prepared.map_err(|error| respond::to(Reason::of_client_body(&error)))?;

    let mut choice = Choice {
        slot,
        group,
        random: &worker.random,
        tried: Vec::new(),
        started: net::recently(),
        has_failed: false,
    };
    let mut refusal = None;
    for attempt in 1.. {
        let Some(target) = choice.next().await else { break };
        if attempt == 1 {
            choice.group.group.metrics.routed.inc();
        }
        exchange.asks(&target.shared);
        let mut attempt_at =
            Attempt { target: &target, group: &choice.group, request, body: &mut body, exchange };
        let failure = match attempt_at.ask().await {
            Ok(response) => {
                body.settle();
                return Ok(response);
            }
            Err(Some(failure)) => failure,
            Err(None) => break,
        };
        exchange.has_failed();
        match &failure {
            // That says nothing of the target.
            Failure::NotSent(error) if error.is_ours() => return Err(failure.into_answer()),
            Failure::NotSent(_) | Failure::NotReady(_) => target.shared.report_unreachable(),
            Failure::Sent(_) => {}
        }
        choice.has_failed = true;
        let may_go_on = attempt < ATTEMPTS || choice.may_wait();
        let may_replay = may_replay(&failure, choice.group.group.replay, &request.method);
        // A target that has not looked at a request may do so over another connection.
        let is_at_fault = !matches!(failure, Failure::Sent(SendError::NotProcessed));
        refusal = Some(failure.into_answer());
        if !may_go_on || !may_replay {
            break;
        }
        choice.group.group.metrics.retries.inc();
        if is_at_fault {
            choice.tried.push(target.shared.address());
        }
    }
    exchange.has_failed();
    Err(refusal.unwrap_or_else(|| respond::to(Reason::NO_TARGETS)))
}

/// Choosing targets for one request, one after the other.
struct Choice<'a> {
    slot: &'a ListenerSlot,
    group: Rc<WorkerGroup>,
    random: &'a Random,
    tried: Vec<SocketAddr>,
    started: Instant,
    /// Whether a target failed this request: others may be on their way.
    has_failed: bool,
}

impl Choice<'_> {
    /// A target that was not tried yet. When there is none, and waiting makes sense, one that comes a little later, or
    /// one that was tried before.
    async fn next(&mut self) -> Option<Rc<WorkerTarget>> {
        loop {
            // A replica that is starting is no better than none, as long as there is time.
            let target = self.group.choose(&self.tried, self.random, false);
            if target.is_some() {
                return target;
            }
            if !self.may_wait() {
                return self.group.choose(&self.tried, self.random, true);
            }
            Box::pin(tokio::time::sleep(HOLD_INTERVAL)).await;
            self.tried.clear();
            // Replacements come with a new plan, so this one request does not stay with the plan it began under.
            self.group = self.slot.current().group(&self.group.group.key)?;
        }
    }

    /// Whether the request may wait for a target: replicas of ours that went a moment ago come back.
    fn may_wait(&self) -> bool {
        let group = &self.group.group;
        let is_ours = group.origin == Origin::Ours;
        let is_disturbed = || self.has_failed || group.was_disturbed_within(HOLD_PATIENCE);
        is_ours && self.started.elapsed() < HOLD_PATIENCE && is_disturbed()
    }
}

/// Why an attempt brought no answer.
#[derive(Debug)]
enum Failure {
    /// No byte of the request left: nobody has seen it.
    NotSent(ConnectError),
    /// The request, or a part of it, left.
    Sent(SendError),
    /// A replica of ours answered that it is still loading its model.
    NotReady(Response),
}

/// A request on its way to one target.
struct Attempt<'a> {
    target: &'a Rc<WorkerTarget>,
    group: &'a WorkerGroup,
    request: &'a Request,
    body: &'a mut Replayable,
    exchange: &'a mut Exchange,
}

impl Attempt<'_> {
    /// Asks the target. A target may close a connection that is kept at the very moment at which it is used again, which says
    /// nothing about the target: what may be repeated goes to it over a new one. There is no failure when the body is gone.
    async fn ask(&mut self) -> Result<Response, Option<Failure>> {
        if let Some(kept) = self.target.take_kept() {
            let answer = self.ask_over(kept).await;
            let is_stale = matches!(answer, Err(Some(Failure::Sent(SendError::Closed { was_used: true }))));
            let replay = self.group.group.replay;
            if !is_stale || !self.body.is_kept() || !is_repeatable(replay, &self.request.method) {
                return answer;
            }
            self.group.group.metrics.retries.inc();
        }
        let opened = Box::pin(self.target.open(CONNECT_TIMEOUT)).await;
        let connection = opened.map_err(|error| {
            self.group.group.metrics.count_unopened(&error);
            Failure::NotSent(error)
        })?;
        self.ask_over(connection).await
    }

    /// Asks over a connection. One for a single request at a time goes back to the target when it can carry the next.
    ///
    /// What is rare here has a future of its own, for that of every request has room for all that it may come to.
    async fn ask_over(&mut self, connection: Link) -> Result<Response, Option<Failure>> {
        let Request { method, target, fields, .. } = self.request;
        let (body, timeout) = (self.body.next().ok_or(None)?, self.timeout());
        let outgoing = Outgoing { method, target: target.as_str(), fields, body, timeout };
        let pool = Rc::clone(self.target);
        let keep = move |connection| pool.keep(connection);
        let sent = net::recently();
        let answer = match connection {
            Link::Http1(connection) if fields.contains("upgrade") => {
                match Box::pin(connection.ask_to_switch(outgoing, keep)).await {
                    Ok(Switch::Switched { fields, connection }) => {
                        return Ok(self.go_over(fields, connection, net::recently() - sent));
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
        self.exchange.answered_after(took, response.status);
        self.group.group.metrics.count_answer(response.status, took);
        headers::rewrite_response(&mut response.fields);
        Ok(response)
    }

    /// The answer to a client whose target has gone over to another protocol.
    fn go_over(&mut self, fields: Fields, target: Upgraded, took: Duration) -> Response {
        let (idle_timeout, metrics) = (self.timeout(), self.group.group.metrics.clone());
        self.exchange.answered_after(took, StatusCode::SWITCHING_PROTOCOLS);
        self.exchange.went_over(Switched { target, idle_timeout, took, metrics });
        websocket::answer(fields)
    }

    fn timeout(&self) -> Duration {
        self.exchange.listener.snapshot.settings.idle_timeout
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

/// Whether a request may be sent to another target after this failure (RFC 9110 §9.2.2).
fn may_replay(failure: &Failure, replay: Replay, method: &Method) -> bool {
    match failure {
        Failure::NotSent(_) | Failure::NotReady(_) | Failure::Sent(SendError::NotProcessed) => true,
        Failure::Sent(SendError::Closed { .. } | SendError::Truncated) => is_repeatable(replay, method),
        Failure::Sent(
            SendError::TimedOut | SendError::Malformed(_) | SendError::Unsayable | SendError::Body(_),
        ) => false,
    }
}

/// Whether doing it twice is doing it once: our own predictions are, whatever their method.
fn is_repeatable(replay: Replay, method: &Method) -> bool {
    replay == Replay::Everything || method.is_idempotent()
}

impl Failure {
    /// An answer whose body is broken from its beginning, before anything was passed on.
    fn of_answer(error: &BodyError) -> Self {
        Self::Sent(match error {
            BodyError::Malformed(problem) => SendError::Malformed(problem),
            BodyError::Closed => SendError::Truncated,
            BodyError::TimedOut => SendError::TimedOut,
        })
    }

    /// The answer to the client, if nobody else has a better one.
    fn into_answer(self) -> OwnAnswer {
        respond::to(match self {
            Self::NotReady(response) => return respond::loading(response),
            Self::NotSent(error) if error.is_ours() => Reason::NO_DESCRIPTORS,
            Self::NotSent(ConnectError::Refused { .. }) => Reason::TARGET_UNREACHABLE,
            Self::NotSent(ConnectError::TimedOut { .. }) => Reason::TARGET_CONNECT_TIMEOUT,
            Self::NotSent(ConnectError::Handshake { .. }) => Reason::TARGET_TLS,
            Self::NotSent(ConnectError::NoHttp2 { .. }) => Reason::TARGET_MALFORMED,
            Self::Sent(SendError::Closed { .. } | SendError::Truncated | SendError::NotProcessed) => {
                Reason::TARGET_CLOSED
            }
            Self::Sent(SendError::Unsayable) => Reason::TARGET_VERSION,
            Self::Sent(SendError::TimedOut) => Reason::TARGET_TIMEOUT,
            Self::Sent(SendError::Malformed(_)) => Reason::TARGET_MALFORMED,
            Self::Sent(SendError::Body(error)) => Reason::of_client_body(&error),
        })
    }
}
