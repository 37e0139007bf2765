//! The spans of a request that is traced: the server's own, and one within it for every prediction, with attributes as
//! OpenTelemetry names them ("Semantic Conventions for HTTP Spans", stable).

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use net::{Method, Request, StatusCode, Version};
use traces::{Kind, Span, SpanId, Spans, Trace, Tracer};

use crate::fault::Fault;
use crate::id::random;
use crate::model_set::Entry;
use crate::reply::Reply;

/// One request that is recorded. Its spans are handed in when nobody works on it any more.
#[derive(Debug)]
pub(crate) struct RequestTrace {
    tracer: Tracer,
    trace: Trace,
    began: Instant,
    since_epoch: Duration,
    asked: AskedOf,
    /// The pattern of the path.
    route: Cell<Option<&'static str>>,
    /// The status of the answer, once there is one.
    status: Cell<Option<StatusCode>>,
    predictions: RefCell<Vec<Predicted>>,
}

/// What was asked.
#[derive(Debug)]
struct AskedOf {
    method: String,
    path: String,
    host: String,
    version: Version,
    is_tls: bool,
    client: std::net::SocketAddr,
    x_amzn_trace_id: Vec<u8>,
}

/// A prediction that was made, or was not.
#[derive(Debug)]
struct Predicted {
    model: String,
    version: Option<String>,
    began: Instant,
    ended: Instant,
    /// The status of what went wrong, if something did.
    failed: Option<StatusCode>,
}

/// Predictions of one request that have spans; a stream may ask for more.
const MOST_PREDICTIONS: usize = 64;

impl RequestTrace {
    /// Takes up the trace of a request, or begins one, if it is recorded.
    pub(crate) fn begin(tracer: &Tracer, request: &Request) -> Option<Self> {
        let fields = &request.fields;
        if !fields.contains("traceparent") && !is_worth_a_trace(request) {
            return None;
        }
        let trace = tracer.begin(fields.all("traceparent"), fields.all("tracestate"), random);
        if !trace.is_sampled() {
            return None;
        }
        let asked = AskedOf {
            method: request.method.to_string(),
            path: request.target.path().to_owned(),
            host: request.authority().to_owned(),
            version: request.version,
            is_tls: request.connection.is_tls(),
            client: request.connection.peer,
            x_amzn_trace_id: fields.get("x-amzn-trace-id").unwrap_or_default().to_owned(),
        };
        Some(Self {
            tracer: tracer.clone(),
            trace,
            began: Instant::now(),
            since_epoch: net::since_epoch(),
            asked,
            route: Cell::default(),
            status: Cell::default(),
            predictions: RefCell::default(),
        })
    }

    /// Takes in the pattern that the path has.
    pub(crate) fn routed(&self, pattern: &'static str) {
        self.route.set(Some(pattern));
    }

    /// Takes in that there is an answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.status.set(Some(status));
    }

    /// Has a prediction be a span.
    pub(crate) async fn predict(
        &self,
        entry: &Entry,
        prediction: impl Future<Output = Result<Reply, Fault>>,
    ) -> Result<Reply, Fault> {
        let began = Instant::now();
        let reply = prediction.await;
        let failed = reply.as_ref().err().map(|fault| fault.cause.status());
        let mut predictions = self.predictions.borrow_mut();
        if predictions.len() < MOST_PREDICTIONS {
            let (model, version, ended) = (entry.name.clone(), entry.version.clone(), Instant::now());
            predictions.push(Predicted { model, version, began, ended, failed });
        }
        reply
    }

    fn at(&self, moment: Instant) -> Duration {
        self.since_epoch + moment.saturating_duration_since(self.began)
    }

    fn spans(&self) -> Spans {
        let (mut spans, asked, status) = (Spans::default(), &self.asked, self.status.get());
        let (method, route) = (known_method(&asked.method), self.route.get());
        let name = match route {
            Some(route) => format!("{} {route}", method.unwrap_or("HTTP")),
            None => method.unwrap_or("HTTP").to_owned(),
        };
        let server = Span {
            id: self.trace.span(),
            within: None,
            name: &name,
            kind: Kind::Server,
            start: self.since_epoch,
            end: self.at(Instant::now()),
            has_failed: status.is_none_or(|status| status.is_server_error()),
        };
        spans.add(&self.trace, &server, |attributes| {
            attributes.text("http.request.method", method.unwrap_or("_OTHER").as_bytes());
            if method.is_none() {
                attributes.text("http.request.method_original", asked.method.as_bytes());
            }
            attributes.text("url.path", asked.path.as_bytes());
            attributes.text("url.scheme", if asked.is_tls { b"https" } else { b"http" });
            attributes.text("http.route", route.unwrap_or_default().as_bytes());
            attributes.text("server.address", host_of(&asked.host).as_bytes());
            attributes.text("client.address", asked.client.ip().to_string().as_bytes());
            attributes.text(
                "network.protocol.version",
                match asked.version {
                    Version::HTTP_2 => b"2".as_slice(),
                    Version::HTTP_10 => b"1.0",
                    _ => b"1.1",
                },
            );
            match status {
                Some(status) => {
                    attributes.number("http.response.status_code", u64::from(status.as_u16()));
                    if server.has_failed {
                        attributes.text("error.type", status.as_str().as_bytes());
                    }
                }
                None => attributes.text("error.type", b"client-left"),
            }
            attributes.text("aws.x_amzn_trace_id", &asked.x_amzn_trace_id);
        });
        for predicted in self.predictions.borrow().iter() {
            let span = Span {
                id: SpanId::from_random(random()),
                within: Some(self.trace.span()),
                name: "predict",
                kind: Kind::Internal,
                start: self.at(predicted.began),
                end: self.at(predicted.ended),
                has_failed: predicted.failed.is_some_and(|status| status.is_server_error()),
            };
            spans.add(&self.trace, &span, |attributes| {
                attributes.text("forebay.model", predicted.model.as_bytes());
                attributes.text(
                    "forebay.model_version",
                    predicted.version.as_deref().unwrap_or_default().as_bytes(),
                );
                if let Some(status) = predicted.failed {
                    attributes.text("error.type", status.as_str().as_bytes());
                }
            });
        }
        spans
    }
}

impl Drop for RequestTrace {
    fn drop(&mut self) {
        self.tracer.enter(self.spans());
    }
}

/// Whether a request that belongs to no trace begins one: probes, who reads pages, and who watches would fill a collector with what
/// nobody looks for.
fn is_worth_a_trace(request: &Request) -> bool {
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    !is_read && !request.target.path().starts_with("/grpc.health.v1.Health/")
}

/// An authority without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// A method as spans name it: one that nobody knows is none of the few names that there may be.
fn known_method(method: &str) -> Option<&'static str> {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
        .into_iter()
        .find(|known| *known == method)
}
