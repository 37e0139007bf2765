//! The spans of a request that is traced: the load balancer's own, and one within it for every time that a target is asked, with
//! attributes as OpenTelemetry names them ("Semantic Conventions for HTTP Spans", stable). Queries are left out: people put
//! keys there.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::{Fields, Request, Version};
use tokio::time::Instant;
use traces::{Attributes, Kind, Span, SpanId, Spans, Trace, Tracer};

use crate::attempt::Outcome;
use crate::metrics::Lookup;
use crate::random::Random;
use crate::record::{Record, Text};
use crate::text;

/// The trace of one request, and what targets were asked within it.
#[derive(Debug)]
pub(crate) struct RequestTrace {
    trace: Trace,
    asked: RefCell<Vec<Asked>>,
    /// Whether `tracestate` says already what it is to say.
    has_state: Cell<bool>,
}

/// A target that was asked.
#[derive(Debug)]
struct Asked {
    span: SpanId,
    target: SocketAddr,
    began: Instant,
    /// When it was clear that there is no answer.
    ended: Option<Instant>,
    /// The status of the answer, or why there is none.
    came_of_it: Option<Result<u16, &'static str>>,
}

/// One span among those of a request, while a target is asked.
#[derive(Debug)]
pub(crate) struct AskedSpan {
    trace: Rc<RequestTrace>,
    place: usize,
    /// The fields of the request, where this target gets others than the first.
    pub(crate) fields: Option<Fields>,
}

const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";

/// Spans of one request. Who asks more often does so in none of them.
const MOST_ASKED: usize = 64;

// === impl RequestTrace ===

impl RequestTrace {
    /// Takes up the trace of a request, or begins one.
    pub(crate) fn begin(tracer: &Tracer, request: &Request, random: &Random) -> Self {
        let (parents, states) = (request.fields.all(TRACE_PARENT), request.fields.all(TRACE_STATE));
        let trace = tracer.begin(parents, states, || random.next());
        Self { trace, asked: RefCell::default(), has_state: Cell::new(false) }
    }

    /// Whether it is recorded.
    pub(crate) fn is_sampled(&self) -> bool {
        self.trace.is_sampled()
    }

    /// Begins a span for a target that is asked, which is told of it.
    pub(crate) fn ask(
        self: Rc<Self>,
        target: SocketAddr,
        random: &Random,
        fields: &mut Fields,
    ) -> Box<AskedSpan> {
        let span = SpanId::from_random(random.next());
        if let Some(parent) = self.trace.parent_of(span) {
            fields.set(TRACE_PARENT, parent.write());
            if !self.has_state.replace(true) {
                match self.trace.state() {
                    Some(state) => fields.set(TRACE_STATE, state),
                    None => fields.remove(TRACE_STATE),
                }
            }
        }
        let place = self.asked.borrow().len();
        if self.is_sampled() && place < MOST_ASKED {
            let asked = Asked { span, target, began: Instant::now(), ended: None, came_of_it: None };
            self.asked.borrow_mut().push(asked);
        }
        Box::new(AskedSpan { trace: self, place, fields: None })
    }
}

// === impl AskedSpan ===

impl AskedSpan {
    /// The span of another target that is asked beside this one, with a request of its own.
    pub(crate) fn beside(&self, target: SocketAddr, random: &Random, fields: &Fields) -> Box<Self> {
        let mut fields = fields.clone();
        let mut span = Rc::clone(&self.trace).ask(target, random, &mut fields);
        span.fields = Some(fields);
        span
    }

    /// Takes in what came of it.
    pub(crate) fn came_to(&self, outcome: &Outcome) {
        let mut asked = self.trace.asked.borrow_mut();
        let Some(asked) = asked.get_mut(self.place) else { return };
        match outcome {
            Ok(answered) => asked.came_of_it = Some(Ok(answered.response.status.as_u16())),
            Err(failure) => {
                asked.ended = Some(Instant::now());
                asked.came_of_it = failure.as_ref().map(|failure| Err(failure.reason().name));
            }
        }
    }
}

/// When moments were, since the beginning of 1970.
struct Clock {
    now: Instant,
    since_epoch: Duration,
}

impl Clock {
    fn at(&self, moment: Instant) -> Duration {
        match self.now.checked_duration_since(moment) {
            Some(ago) => self.since_epoch.saturating_sub(ago),
            None => self.since_epoch + moment.duration_since(self.now),
        }
    }
}

/// The spans of a request that has ended.
pub(crate) fn of(record: &Record, request: &RequestTrace) -> Spans {
    let clock = Clock { now: net::recently(), since_epoch: net::since_epoch() };
    let (mut spans, trace, ended) = (Spans::default(), &request.trace, &record.ended);
    let method = Method::of(record.text(Text::Method));
    let end = clock.at(record.started + ended.took);
    // What was never sent has no status (460).
    let is_sent = record.answered_at.is_some();
    let server = Span {
        id: trace.span(),
        within: None,
        name: method.span_name(),
        kind: Kind::Server,
        start: clock.at(record.started),
        end,
        has_failed: ended.status >= 500 || (!is_sent || is_cut(ended.reason)),
    };
    spans.add(trace, &server, |attributes| {
        push_request(attributes, record, method);
        push_authority(attributes, record.text(Text::Authority), record.listener.port);
        attributes.text("url.scheme", if record.listener.is_tls { b"https" } else { b"http" });
        push_address(attributes, "client.address", "client.port", record.client);
        attributes.text("user_agent.original", record.text(Text::UserAgent));
        attributes.text("network.protocol.version", version(record.version));
        if is_sent {
            attributes.number("http.response.status_code", u64::from(ended.status));
        }
        if server.has_failed {
            push_error(attributes, ended.reason, ended.status);
        }
        attributes.text("aws.x_amzn_trace_id", record.text(Text::TraceId));
        attributes.text("forebay.load_balancer", record.listener.load_balancer.as_bytes());
        if let Some(rule) = record.rule {
            attributes.number("forebay.rule", rule as u64);
        }
        if let Some(group) = &record.group {
            attributes.text("forebay.target_group", group.key.as_bytes());
        }
        if let Some(target) = record.target {
            push_socket(attributes, "forebay.target", target);
        }
        attributes.text("forebay.cache", record.lookup.map_or("", Lookup::as_str).as_bytes());
        attributes.text("forebay.reason", ended.reason.unwrap_or_default().as_bytes());
    });
    for (n_before, asked) in request.asked.borrow().iter().enumerate() {
        add_asked(&mut spans, &clock, record, trace, end, n_before, asked);
    }
    spans
}

/// Adds the span of a target that was asked: it lasts until its answer is out, or until it was clear that there is none.
fn add_asked(
    spans: &mut Spans,
    clock: &Clock,
    record: &Record,
    trace: &Trace,
    end: Duration,
    n_before: usize,
    asked: &Asked,
) {
    let method = Method::of(record.text(Text::Method));
    let (status, reason) = match asked.came_of_it {
        Some(Ok(status)) => (Some(status), None),
        Some(Err(reason)) => (None, Some(reason)),
        // Nobody waited for it any more: the client left, or another one answered.
        None => (None, Some(if record.answered_at.is_some() { "another-answered" } else { "client-left" })),
    };
    let has_failed = status.map_or(reason != Some("another-answered"), |status| status >= 400);
    let span = Span {
        id: asked.span,
        within: Some(trace.span()),
        name: method.span_name(),
        kind: Kind::Client,
        start: clock.at(asked.began),
        end: asked.ended.map_or(end, |ended| clock.at(ended)),
        has_failed,
    };
    spans.add(trace, &span, |attributes| {
        push_request(attributes, record, method);
        push_address(attributes, "server.address", "server.port", asked.target);
        if let Some(status) = status {
            attributes.number("http.response.status_code", u64::from(status));
        }
        if has_failed {
            push_error(attributes, reason, status.unwrap_or_default());
        }
        if n_before > 0 {
            attributes.number("http.request.resend_count", n_before as u64);
        }
        push_socket(attributes, "forebay.target", asked.target);
        if let Some(group) = &record.group {
            attributes.text("forebay.target_group", group.key.as_bytes());
        }
        attributes.text("forebay.reason", reason.unwrap_or_default().as_bytes());
    });
}

/// Whether an answer did not come to its end.
fn is_cut(reason: Option<&str>) -> bool {
    reason.is_some_and(|reason| matches!(reason, "client-left" | "answer-broken"))
}

/// A method as spans name it: one that nobody knows is none of the few names that there may be.
#[derive(Debug, Clone, Copy)]
struct Method<'a> {
    known: Option<&'static str>,
    sent: &'a [u8],
}

impl<'a> Method<'a> {
    fn of(sent: &'a [u8]) -> Self {
        const KNOWN: [&str; 9] =
            ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
        Self { known: KNOWN.into_iter().find(|known| known.as_bytes() == sent), sent }
    }

    fn span_name(self) -> &'static str {
        self.known.unwrap_or("HTTP")
    }
}

fn push_request(attributes: &mut Attributes<'_>, record: &Record, method: Method<'_>) {
    attributes.text("http.request.method", method.known.unwrap_or("_OTHER").as_bytes());
    if method.known.is_none() {
        attributes.text("http.request.method_original", method.sent);
    }
    let target = record.text(Text::Target);
    let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    attributes.text("url.path", &target[..end]);
}

/// The host that was asked for, without its port; and the port, the listener's where the client named none.
fn push_authority(attributes: &mut Attributes<'_>, authority: &[u8], listener_port: u16) {
    let authority = std::str::from_utf8(authority).unwrap_or_default();
    let (host, port) = authority.split_at(plan::end_of_host(authority));
    attributes.text("server.address", host.as_bytes());
    let port = port.strip_prefix(':').and_then(|port| port.parse().ok()).unwrap_or(listener_port);
    attributes.number("server.port", u64::from(port));
}

fn push_address(attributes: &mut Attributes<'_>, ip: &str, port: &str, address: SocketAddr) {
    let mut written = Vec::with_capacity(16);
    text::push_ip(&mut written, address.ip());
    attributes.text(ip, &written);
    attributes.number(port, u64::from(address.port()));
}

fn push_socket(attributes: &mut Attributes<'_>, key: &str, address: SocketAddr) {
    let mut written = Vec::with_capacity(24);
    text::push_socket(&mut written, address);
    attributes.text(key, &written);
}

/// Why it failed: our reason, or the status that somebody else answered.
fn push_error(attributes: &mut Attributes<'_>, reason: Option<&str>, status: u16) {
    match reason {
        Some(reason) => attributes.text("error.type", reason.as_bytes()),
        None => {
            let mut written = Vec::with_capacity(4);
            text::push_number(&mut written, u64::from(status));
            attributes.text("error.type", &written);
        }
    }
}

fn version(version: Option<Version>) -> &'static [u8] {
    match version {
        Some(Version::HTTP_2) => b"2",
        Some(Version::HTTP_10) => b"1.0",
        Some(_) => b"1.1",
        None => b"",
    }
}
