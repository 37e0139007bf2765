//! The way of one request, from its head to the end of its answer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use net::{
    Body, ClientAuthentication, Connection, Crowding, End, Fields, Handler, HandshakeFailure, Http2Failure,
    Method, Rejection, Request, Response, Sent, Target, Version,
};
use plan::{Asked, Condition, HeaderFields, RequestHead, RequestPath, Values, normalise_host};
use tokio::time::Instant;

use crate::access_log::{self, Line};
use crate::door::Door;
use crate::group::WorkerGroup;
use crate::listener::{ListenerSlot, WorkerAction, WorkerListener};
use crate::respond::{self, OwnAnswer, Reason};
use crate::target::{InFlight, SharedTarget};
use crate::websocket::Switched;
use crate::{forward, headers};

/// Answers the requests that come to one address.
#[derive(Clone)]
pub(crate) struct Exchanges {
    door: Rc<Door>,
}

/// One request and what becomes of it. However it ends, it ends in its drop: there the answer is counted, the line of the
/// access log is written, and the target is free of it.
///
/// Every request has one for as long as it lasts, and it is moved a few times, so what few of them need stands elsewhere.
pub(crate) struct Exchange {
    /// The listener of the moment of arrival, kept to the end.
    pub(crate) listener: Rc<WorkerListener>,
    /// What the line tells, when lines are written.
    noted: Option<Box<Noted>>,
    /// Counts at the target for as long as it works on the request.
    in_flight: Option<InFlight>,
    /// The target's side, once it has gone over to another protocol.
    switched: Option<Box<Switched>>,
    /// The status, once there is an answer.
    status: Option<u16>,
    /// Why the answer is our own, when it is.
    reason: Option<&'static str>,
    sent: Sent,
}

/// What a line of the access log tells of a request, beside how it ended.
struct Noted {
    client: SocketAddr,
    started: Instant,
    /// The part that the request says.
    asked: Vec<u8>,
    trace_id: Option<String>,
    /// The target that was asked last.
    target: Option<SocketAddr>,
    /// How long the target took to begin its answer.
    target_took: Option<Duration>,
}

// === impl Exchanges ===

impl Exchanges {
    pub(crate) fn new(door: Rc<Door>) -> Self {
        Self { door }
    }
}

impl Handler for Exchanges {
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would keep the request twice: as it came, and changed"
    )]
    fn handle(&self, mut request: Request) -> impl Future<Output = Response> {
        async move {
            // The plan of this moment, kept to the end of the exchange.
            let slot = self.door.of_request(&request);
            let mut exchange =
                Exchange::begin(slot.current(), &request.connection, || access_log::asked(&request));
            let is_grpc = request.is_grpc();
            let answer = follow_rules(&slot, &mut exchange, &mut request).await;
            exchange.answer(if is_grpc { answer.map_err(respond::in_grpc) } else { answer })
        }
    }

    fn admits(&self, peer: SocketAddr) -> bool {
        self.door.admits(peer.ip())
    }

    fn crowded(&self, crowding: Crowding) {
        self.door.first().current().metrics.count_crowding(crowding);
    }

    fn connection_opened(&self, connection: &Connection) -> impl Sized + 'static {
        self.door.of_connection(connection).current().metrics.open_connection()
    }

    fn handshake_failed(&self, failure: HandshakeFailure) {
        self.door.first().current().metrics.count_handshake_failure(failure);
    }

    fn without_tls(&self, mut answer: Response) -> Response {
        if let Some(modified) = &self.door.first().current().snapshot.settings.answer_fields {
            modified.apply(&mut answer.fields);
        }
        answer
    }

    fn http2_failed(&self, failure: Http2Failure, connection: &Connection) {
        self.door.of_connection(connection).current().metrics.count_http2_failure(failure);
    }

    fn reject(&self, rejection: Rejection, connection: &Connection) -> Response {
        let listener = self.door.of_connection(connection).current();
        Exchange::begin(listener, connection, Vec::new).answer(Err(respond::refuse(rejection)))
    }
}

// === impl Exchange ===

impl Exchange {
    fn begin(listener: Rc<WorkerListener>, connection: &Connection, asked: impl FnOnce() -> Vec<u8>) -> Self {
        let noted = listener.worker.lines.is_some().then(|| {
            Box::new(Noted {
                client: connection.peer,
                started: net::recently(),
                asked: asked(),
                trace_id: None,
                target: None,
                target_took: None,
            })
        });
        Self {
            listener,
            noted,
            in_flight: None,
            switched: None,
            status: None,
            reason: None,
            sent: Sent { received: 0, sent: 0, end: End::ClientLeft },
        }
    }

    /// Takes in the request's fields as the target gets them.
    pub(crate) fn forwarded(&mut self, fields: &Fields) {
        if let Some(noted) = &mut self.noted {
            noted.trace_id = fields.text("x-amzn-trace-id").map(str::to_owned);
        }
    }

    /// Takes in that a target is asked.
    pub(crate) fn asks(&mut self, target: &Arc<SharedTarget>) {
        self.in_flight = Some(InFlight::begin(target, self.listener.worker.index));
        if let Some(noted) = &mut self.noted {
            noted.target = Some(target.address());
        }
    }

    /// Takes in that the target works on the request no more.
    pub(crate) fn has_failed(&mut self) {
        self.in_flight = None;
    }

    /// Takes in that the target begins its answer, and how long that took.
    pub(crate) fn answered_after(&mut self, took: Duration) {
        if let Some(noted) = &mut self.noted {
            noted.target_took = Some(took);
        }
    }

    /// Takes in that the target speaks something else now.
    pub(crate) fn went_over(&mut self, switched: Switched) {
        self.switched = Some(Box::new(switched));
    }

    /// Gives the answer away. The exchange ends when it is out; where nobody needs to know when that is, at once.
    fn answer(mut self, answer: Result<Response, OwnAnswer>) -> Response {
        let mut response = match answer {
            Ok(response) => response,
            Err(own) => {
                self.reason = Some(own.reason);
                *own.response
            }
        };
        if let Some(modified) = &self.listener.snapshot.settings.answer_fields {
            modified.apply(&mut response.fields);
        }
        self.status = Some(response.status.as_u16());
        if let Some(switched) = self.switched.take() {
            response.upgrade = Some(switched.joined_by_client(self));
            return response;
        }
        if self.noted.is_some() || matches!(response.body, Body::Stream(_)) {
            response.when_sent = Some(Box::new(move |sent| self.end(sent)));
        } else {
            self.sent.end = End::Whole;
        }
        response
    }

    /// Ends it, with what came of the answer.
    fn end(mut self, sent: Sent) {
        self.sent = sent;
    }

    /// Ends it with a connection that had gone over to another protocol, with the bytes that it carried in all.
    pub(crate) fn end_switched(self, received: u64, sent: u64) {
        self.end(Sent { received, sent, end: End::Whole });
    }

    /// Why the client did not get a whole answer, if it did not.
    fn unfinished(&self) -> Option<Reason> {
        match (self.status, self.sent.end) {
            (None, _) | (_, End::ClientLeft) => Some(Reason::CLIENT_LEFT),
            (_, End::Broken) => Some(Reason::ANSWER_BROKEN),
            (_, End::Whole) => None,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let (Some(status), Some(reason)) = (self.status, self.reason) {
            self.listener.metrics.count_own_answer(status, reason);
        }
        let unfinished = self.unfinished();
        match unfinished {
            Some(Reason::ANSWER_BROKEN) => _ = self.listener.metrics.answer_broken.inc(),
            Some(_) => _ = self.listener.metrics.client_left.inc(),
            None => {}
        }
        let (Some(lines), Some(noted)) = (&self.listener.worker.lines, &self.noted) else { return };
        let status = self.status.unwrap_or(Reason::CLIENT_LEFT.status().as_u16());
        let reason = unfinished.map(|reason| reason.name).or(self.reason);
        lines.add(&Line {
            time: Timestamp::now(),
            load_balancer: &self.listener.snapshot.load_balancer,
            port: self.listener.snapshot.key.port,
            client: noted.client,
            asked: &noted.asked,
            status,
            reason,
            target: noted.target,
            received: self.sent.received,
            sent: self.sent.sent,
            took: net::recently().saturating_duration_since(noted.started),
            target_took: noted.target_took,
            trace_id: noted.trace_id.as_deref(),
        });
    }
}

/// Decides by the rules and does it. The error is an answer of our own.
async fn follow_rules(
    slot: &ListenerSlot,
    exchange: &mut Exchange,
    request: &mut Request,
) -> Result<Response, OwnAnswer> {
    let group = route(&exchange.listener, request)?;
    forward::forward(slot, exchange, group, request).await
}

/// Decides by the rules which target group is asked. The error is an answer of our own, a redirect or a fixed one among them.
fn route(listener: &WorkerListener, request: &mut Request) -> Result<Rc<WorkerGroup>, OwnAnswer> {
    if request.method == Method::TRACE {
        return Err(respond::to(Reason::METHOD_NOT_ALLOWED));
    }
    if headers::too_many_forwarded_for(&request.fields) {
        return Err(respond::to(Reason::TOO_MANY_FORWARDED_FOR));
    }
    if !is_vouched_for(&request.connection, listener) {
        return Err(respond::to(Reason::MISDIRECTED));
    }
    headers::ensure_host(&mut request.fields, &request.connection, &listener.snapshot.settings.port);
    let readings = read_path(&mut request.target)?;
    let host = normalise_host(request.authority());
    let head = RequestHead {
        method: request.method.as_str(),
        host: &host,
        path: request.target.path(),
        query: request.target.query(),
        headers: &Headers(&request.fields),
        peer: request.connection.peer.ip(),
    };
    let rules = &listener.snapshot.listener;
    match listener.action(&head, &readings).ok_or_else(|| respond::to(Reason::AMBIGUOUS_PATH))? {
        WorkerAction::Forward(forward) => {
            let group = forward.choose().ok_or_else(|| respond::to(Reason::NO_WEIGHT))?;
            let asked = Asked {
                is_http2: request.version == Version::HTTP_2,
                is_grpc: request.is_grpc(),
                method: request.method.as_str(),
            };
            if !group.group.speech.version().is_some_and(|version| version.can_say(&asked)) {
                return Err(respond::to(Reason::TARGET_VERSION));
            }
            Ok(group)
        }
        WorkerAction::Redirect(redirect) => {
            let location = redirect.location(&head, request.connection.is_tls(), rules.port);
            Err(respond::redirect(redirect.status, &location))
        }
        WorkerAction::FixedResponse(fixed) => Err(respond::fixed(fixed)),
        WorkerAction::NoRoute => {
            let may_know = request.connection.peer.ip().is_loopback();
            let hosts = may_know.then(|| known_hosts(rules));
            Err(respond::no_route(&host, head.path, hosts.as_deref()))
        }
    }
}

/// Has the path in the one spelling that rules match and targets get. Returns what else may be read in it.
fn read_path(target: &mut Target) -> Result<Vec<String>, OwnAnswer> {
    // All servers may be asked for, without a path (RFC 9110 §9.3.7).
    if target.path() == "*" {
        return Ok(Vec::new());
    }
    let read = RequestPath::read(target.path()).map_err(|_| respond::to(Reason::MALFORMED_PATH))?;
    let RequestPath { path, readings } = read;
    if let Cow::Owned(mut path) = path {
        if let Some(query) = target.query() {
            path = path + "?" + query;
        }
        *target = Target::new(path);
    }
    Ok(readings)
}

/// Whether the client was asked for its certificate as the listener wants it. The connection may have been opened for another
/// host, or before that was wanted.
fn is_vouched_for(connection: &Connection, listener: &WorkerListener) -> bool {
    let wanted = &listener.snapshot.settings.client_authentication;
    match &connection.tls {
        Some(session) => session.client_authentication().is_enough_for(wanted),
        None => *wanted == ClientAuthentication::Off,
    }
}

/// Hosts that rules name, for people who look for the right one.
fn known_hosts(listener: &plan::Listener) -> Vec<String> {
    const SHOWN: usize = 20;
    let conditions = listener.rules.iter().flat_map(|rule| &rule.conditions);
    let mut hosts: Vec<String> = conditions
        .filter_map(|condition| match condition {
            Condition::HostHeader(Values::Wildcards(patterns)) => Some(patterns),
            _ => None,
        })
        .flatten()
        .map(|pattern| pattern.as_str().to_owned())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.truncate(SHOWN);
    hosts
}

/// Header fields as rules look at them.
struct Headers<'a>(&'a Fields);

impl HeaderFields for Headers<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.all(name).any(test)
    }
}
