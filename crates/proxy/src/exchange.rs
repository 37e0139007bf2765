//! The way of one request, from its head to the end of its answer.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::{
    Body, Connection, Crowding, End, Fields, Handler, HandshakeFailure, Http2Failure, Refused, Request,
    Response, Sent, StatusCode, Target, Version,
};
use plan::{Asked, HeaderFields, NoHeaders, RequestHead, RequestPath, Subject, normalise_host};

use crate::cache::{self, OfRule};
use crate::door::Door;
use crate::filters::Passing;
use crate::forward::Led;
use crate::handled::Handled;
use crate::headers::FieldsOf;
use crate::listener::{ListenerSlot, WorkerAction, WorkerListener};
use crate::logs::{ConnectionLine, Handshake};
use crate::record::{Act, ConnectionId, Ended, Record, Text};
use crate::replay::Replayable;
use crate::respond::{self, OwnAnswer, Reason};
use crate::spans::{self, RequestTrace};
use crate::target::{InFlight, SharedTarget};
use crate::websocket::Switched;
use crate::{desync, forward, headers, stickiness};

/// Answers the requests that come to one address.
#[derive(Clone)]
pub(crate) struct Exchanges {
    door: Rc<Door>,
    /// The connection that the requests come over.
    connection: Cell<ConnectionId>,
}

/// One request and what becomes of it. However it ends, it ends in its drop: there the answer is counted, the line of the
/// access log is written, and the target is free of it.
///
/// Every request has one for as long as it lasts, and it is moved a few times, so what few of them need stands elsewhere.
pub(crate) struct Exchange {
    /// The listener of the moment of arrival, kept to the end.
    pub(crate) listener: Rc<WorkerListener>,
    /// What is known of the request, until it ends.
    record: Option<Box<Record>>,
    /// Whether a line is written of it.
    is_logged: bool,
    /// Whether that, or a span, says when it ended.
    is_told: bool,
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

// === impl Exchanges ===

impl Exchanges {
    pub(crate) fn new(door: Rc<Door>) -> Self {
        Self { door, connection: Cell::default() }
    }

    /// Begins an exchange over this connection.
    fn begin(
        &self,
        listener: Rc<WorkerListener>,
        connection: &Connection,
        request: Option<&Request>,
    ) -> Exchange {
        let mut exchange = Exchange::begin(listener, connection, request);
        if let Some(record) = &mut exchange.record {
            record.connection = self.connection.get();
        }
        exchange
    }

    /// Writes of a connection, where its listener wants that.
    fn log_connection(&self, listener: &WorkerListener, connection: &Connection, handshake: Handshake<'_>) {
        let Some(lines) = &listener.worker.lines else { return };
        let line = ConnectionLine { client: connection.peer, id: self.connection.get(), handshake };
        lines.add_connection(&listener.names, &line);
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
            let mut exchange = self.begin(slot.current(), &request.connection, Some(&request));
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
        let listener = self.door.of_connection(connection).current();
        let random = &listener.worker.random;
        self.connection.set(ConnectionId([random.next(), random.next()]));
        let session = connection.tls.as_deref();
        self.log_connection(&listener, connection, session.map_or(Handshake::None, Handshake::Session));
        listener.metrics.open_connection()
    }

    fn handshake_failed(&self, failure: HandshakeFailure, connection: &Connection) {
        let listener = self.door.first().current();
        listener.metrics.count_handshake_failure(failure);
        self.log_connection(&listener, connection, Handshake::Failed(failure));
    }

    fn without_tls(&self, mut answer: Response) -> Response {
        self.door.first().current().modify_answer(None, &mut answer);
        answer
    }

    fn http2_failed(&self, failure: Http2Failure, connection: &Connection) {
        self.door.of_connection(connection).current().metrics.count_http2_failure(failure);
    }

    fn carried(&self, sent: Sent, connection: &Connection) {
        let listener = self.door.of_connection(connection).current();
        listener.metrics.count_bytes(sent.received + sent.sent);
    }

    fn reject(&self, refused: &Refused<'_>, connection: &Connection) -> Response {
        let slot = refused
            .request
            .map_or_else(|| self.door.of_connection(connection), |it| self.door.of_request(it));
        let own = respond::refuse(refused.rejection);
        let own = if refused.is_grpc { respond::in_grpc(own) } else { own };
        self.begin(slot.current(), connection, refused.request).answer(Err(own))
    }
}

// === impl Exchange ===

impl Exchange {
    fn begin(listener: Rc<WorkerListener>, connection: &Connection, request: Option<&Request>) -> Self {
        let (worker, names) = (&listener.worker, &listener.names);
        let is_logged = worker.lines.as_ref().is_some_and(|lines| lines.are_of_requests(names));
        let mut record = worker.records.begin(names, connection);
        let mut is_told = is_logged;
        if let Some(request) = request {
            record.asked(request);
            if let Some(tracer) = &worker.traces {
                let trace = RequestTrace::begin(tracer, request, &worker.random);
                is_told |= trace.is_sampled();
                record.trace = Some(Rc::new(trace));
            }
            if let Some(agent) = request.fields.get("user-agent").filter(|_| is_told) {
                record.set(Text::UserAgent, agent);
            }
        }
        Self {
            listener,
            record: Some(record),
            is_logged,
            is_told,
            in_flight: None,
            switched: None,
            status: None,
            reason: None,
            sent: Sent { received: 0, sent: 0, end: End::ClientLeft },
        }
    }

    /// Takes something into the record of the request.
    pub(crate) fn note(&mut self, take: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            take(record);
        }
    }

    /// What is done to the request beside the action of its rule, if anything is.
    pub(crate) fn handled(&self) -> Option<&Rc<Handled>> {
        self.record.as_ref()?.handled.as_ref()
    }

    /// Takes in which rule is followed, by its priority, and to do what.
    fn follows(&mut self, priority: usize, act: Option<Act>) {
        self.note(|record| (record.rule, record.act) = (Some(priority), act));
    }

    /// Takes in the request's fields as the target gets them.
    pub(crate) fn forwarded(&mut self, fields: &Fields) {
        self.note(|record| record.set(Text::TraceId, fields.get("x-amzn-trace-id").unwrap_or_default()));
    }

    /// Where the request stands in its trace, if traces are recorded.
    pub(crate) fn trace(&self) -> Option<Rc<RequestTrace>> {
        self.record.as_ref()?.trace.clone()
    }

    /// Takes in that a target is asked.
    pub(crate) fn asks(&mut self, target: &SharedTarget) {
        self.note(|record| {
            record.target = Some(target.address());
            record.asked_at = Some(net::recently());
            record.n_asked += 1;
        });
    }

    /// Takes in that it is another target that answers, which was asked beside the first.
    pub(crate) fn hears(&mut self, other: &SharedTarget) {
        self.note(|record| {
            record.target = Some(other.address());
            record.n_asked += 1;
        });
    }

    /// The cache in which its answer may be kept, or found.
    fn cache(&self) -> Option<Box<OfRule>> {
        let record = self.record.as_ref()?;
        let rule = record.rule?.checked_sub(1);
        record.handled.as_ref()?.cache(self.listener.snapshot.identity(rule))
    }

    /// Sends a copy of the request to another target group, if it is one that is copied, and was not yet.
    pub(crate) fn send_copy(&mut self, request: &Request, body: &Replayable) {
        let Some(record) = self.record.as_mut().filter(|record| record.is_copied) else { return };
        record.is_copied = false;
        if let Some(mirror) = record.handled.as_ref().and_then(|handled| handled.mirror.as_ref()) {
            mirror.send(&self.listener, request, body);
        }
    }

    /// Takes the request as it is counted at the target, until its answer is out.
    pub(crate) fn holds(&mut self, in_flight: InFlight) {
        self.in_flight = Some(in_flight);
    }

    /// Takes in that the target begins its answer, and how long that took.
    pub(crate) fn answered_after(&mut self, took: Duration, status: StatusCode) {
        self.note(|record| {
            record.asked_at = net::recently().checked_sub(took);
            record.target_took = Some(took);
            record.target_status = Some(status.as_u16());
        });
    }

    /// Takes in whether the target speaks something else now.
    pub(crate) fn went_over(&mut self, switched: Option<Box<Switched>>) {
        self.switched = switched;
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
        self.listener.modify_answer(self.record.as_deref(), &mut response);
        self.status = Some(response.status.as_u16());
        self.note(|record| record.answered_at = Some(net::recently()));
        if let Some(switched) = self.switched.take() {
            response.upgrade = Some(switched.joined_by_client(self));
            return response;
        }
        if self.is_told || matches!(response.body, Body::Stream(_)) {
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
        self.listener.metrics.count_bytes(received + sent);
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
            if desync::lets_through(self.listener.snapshot.settings.desync_mode, reason) {
                self.listener.metrics.count_beyond_alb(reason);
            }
        }
        let unfinished = self.unfinished();
        match unfinished {
            Some(Reason::ANSWER_BROKEN) => _ = self.listener.metrics.answer_broken.inc(),
            Some(_) => _ = self.listener.metrics.client_left.inc(),
            None => {}
        }
        let Some(mut record) = self.record.take() else { return };
        record.ended = Ended {
            status: self.status.unwrap_or(Reason::CLIENT_LEFT.status().as_u16()),
            reason: unfinished.map(|reason| reason.name).or(self.reason),
            received: self.sent.received,
            sent: self.sent.sent,
            took: net::recently().saturating_duration_since(record.started),
        };
        let worker = &self.listener.worker;
        if let Some(lines) = worker.lines.as_ref().filter(|_| self.is_logged) {
            lines.add_request(&record);
        }
        if let Some(trace) = record.trace.take().filter(|trace| trace.is_sampled())
            && let Some(tracer) = &worker.traces
        {
            tracer.enter(spans::of(&record, &trace));
        }
        worker.records.keep(record);
    }
}

/// Decides by the rules and does it. The error is an answer of our own.
#[expect(clippy::manual_async_fn, reason = "an `async fn` would keep what it is given twice")]
fn follow_rules(
    slot: &ListenerSlot,
    exchange: &mut Exchange,
    request: &mut Request,
) -> impl Future<Output = Result<Response, OwnAnswer>> {
    async move {
        let led = route(exchange, request)?;
        if let Some(of_rule) = exchange.cache() {
            return Box::pin(cache::answer(of_rule, slot, exchange, led, request)).await;
        }
        forward::forward(slot, exchange, led, request).await
    }
}

/// Decides by the rules which target group is asked. The error is an answer of our own, a redirect or a fixed one among them.
fn route(exchange: &mut Exchange, request: &mut Request) -> Result<Led, OwnAnswer> {
    let listener = Rc::clone(&exchange.listener);
    headers::ensure_host(&mut request.fields, &request.connection, &listener.snapshot.settings.port);
    let (matched, readings) = read_path(&mut request.target, listener.snapshot.looks_at_paths)?;
    let host = normalise_host(request.authority());
    let fields = FieldsOf(&request.fields);
    let head = head_of(request, &host, &fields);
    let head = RequestHead { path: matched.as_deref().unwrap_or(head.path), ..head };
    let rule = listener.rule(&head, &readings).map_err(|_| respond::to(Reason::AMBIGUOUS_PATH))?;
    let handled = listener.handled.get(rule);
    if let Some(handled) = handled {
        exchange.note(|record| record.handled = Some(Rc::clone(handled)));
    }
    let filters = handled.map_or(&listener.filters, |handled| &handled.filters);
    let passing = &mut Passing { listener: &listener, rule, handled: handled.map(Rc::as_ref), exchange };
    filters.pass(passing, request)?;
    let action = listener.action(rule);
    // The first rule has priority 1, and what is done where none holds has 0.
    exchange.follows(rule.map_or(0, |place| place + 1), action.act());
    if handled.and_then(|handled| handled.mirror.as_ref()).is_some_and(|mirror| mirror.takes(request)) {
        exchange.note(|record| record.is_copied = true);
    }
    act(action, exchange, request)
}

/// Does what a rule says, up to the target group.
fn act(action: &WorkerAction, exchange: &mut Exchange, request: &Request) -> Result<Led, OwnAnswer> {
    let listener = &exchange.listener;
    let rules = &listener.snapshot.listener;
    match action {
        WorkerAction::Forward(forward) => {
            let stays = forward.stickiness.and_then(|_| {
                let seal = &listener.worker.seal;
                let name =
                    stickiness::group_of(seal, &listener.snapshot.names.load_balancer, &request.fields)?;
                forward.group_named(name)
            });
            let group = stays.or_else(|| forward.choose()).ok_or_else(|| respond::to(Reason::NO_WEIGHT))?;
            exchange.note(|record| record.group = Some(Rc::clone(&group.names)));
            let asked = Asked {
                is_http2: request.version == Version::HTTP_2,
                is_grpc: request.is_grpc(),
                method: request.method.as_str(),
            };
            if !group.group.speech.version().is_some_and(|version| version.can_say(&asked)) {
                return Err(respond::to(Reason::TARGET_VERSION));
            }
            Ok(Led { group, stays: forward.stickiness })
        }
        WorkerAction::Redirect(redirect) => {
            let host = normalise_host(request.authority());
            let head = head_of(request, &host, &NoHeaders);
            let location = redirect.location(&head, request.connection.is_tls(), rules.port);
            exchange.note(|record| record.set(Text::Location, location.as_bytes()));
            Err(respond::redirect(redirect.status, &location))
        }
        WorkerAction::FixedResponse(fixed) => Err(respond::fixed(fixed)),
        WorkerAction::NoRoute => {
            let may_know = request.connection.peer.ip().is_loopback();
            let hosts = may_know.then(|| known_hosts(rules));
            let host = normalise_host(request.authority());
            Err(respond::no_route(&host, request.target.path(), hosts.as_deref()))
        }
    }
}

/// Has the path in the spelling that targets get. Returns the one that rules match, where that is another, and what else may be
/// read in it, if there are rules that look.
fn read_path(target: &mut Target, is_looked_at: bool) -> Result<(Option<String>, Vec<String>), OwnAnswer> {
    // All servers may be asked for, without a path (RFC 9110 §9.3.7).
    if target.path() == "*" {
        return Ok((None, Vec::new()));
    }
    let read = if is_looked_at { RequestPath::read } else { RequestPath::unmatched };
    let read = read(target.path()).map_err(|error| respond::to(Reason::of_path(&error)))?;
    let (path, matched, readings) = read.into_parts();
    if let Some(mut path) = path {
        if let Some(query) = target.query() {
            path = path + "?" + query;
        }
        *target = Target::new(path);
    }
    Ok((matched, readings))
}

/// What rules may ask of a request.
fn head_of<'a>(request: &'a Request, host: &'a str, headers: &'a dyn HeaderFields) -> RequestHead<'a> {
    RequestHead {
        method: request.method.as_str(),
        host,
        path: request.target.path(),
        query: request.target.query(),
        headers,
        peer: request.connection.peer.ip(),
    }
}

/// Hosts that rules name, for people who look for the right one.
fn known_hosts(listener: &plan::Listener) -> Vec<String> {
    const SHOWN: usize = 20;
    let patterns = listener.rules.iter().flat_map(|rule| rule.patterns(&Subject::HOST_HEADER));
    let mut hosts: Vec<String> = patterns.map(|pattern| pattern.as_str().to_owned()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.truncate(SHOWN);
    hosts
}
