//! Health checks: one question to one target ("Health checks for your target groups", ALB user guide).

use std::net::SocketAddr;
use std::time::Duration;

use net::{Body, Bytes, ConnectError, Fields, Method, Outgoing, Response, StatusCode};
use plan::health::{CheckResult, Reason};
use plan::{CodeSet, HealthCheck, HealthCheckPort, Matcher};
use tokio::time::Instant;

use crate::speech::{Link, Speech};

/// What a check came to.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) result: CheckResult,
    /// The status of the answer, of HTTP or of gRPC.
    pub(crate) code: Option<u16>,
    pub(crate) took: Duration,
}

/// Asks a target how it is. Takes no longer than the check's timeout.
pub(crate) async fn check(target: SocketAddr, check: &HealthCheck, speech: &Speech) -> Checked {
    let port = match check.port {
        HealthCheckPort::TrafficPort => target.port(),
        HealthCheckPort::Port(port) => port,
    };
    let question = Question { address: SocketAddr::new(target.ip(), port), check, speech };
    loop {
        let began = Instant::now();
        let asked = tokio::time::timeout(check.timeout, question.ask());
        let timed_out = |_| (failure(Reason::Timeout, "Request timed out".to_owned()), None);
        match asked.await.unwrap_or_else(timed_out) {
            // That we could not ask says nothing of the target.
            (CheckResult::Failure { reason: Reason::InternalError, .. }, _) => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            (result, code) => return Checked { result, code, took: began.elapsed() },
        }
    }
}

/// Time until a target is asked again that there was no descriptor to ask.
const ASK_AGAIN: Duration = Duration::from_millis(100);

struct Question<'a> {
    address: SocketAddr,
    check: &'a HealthCheck,
    speech: &'a Speech,
}

impl Question<'_> {
    /// What came of it, and the status of the answer, if there was one.
    async fn ask(&self) -> (CheckResult, Option<u16>) {
        let timeout = self.check.timeout;
        let (kind, codes, answered) = match &self.check.matcher {
            Matcher::Connection => {
                let opened = self.speech.open_stream(self.address, None, None, timeout).await;
                return (opened.map_or_else(|error| unopened(&error), |_| CheckResult::Success), None);
            }
            Matcher::Http(codes) => ("codes", codes, self.get().await),
            Matcher::Grpc(codes) => ("gRPC status codes", codes, self.call().await),
        };
        let code = answered.as_ref().ok().copied();
        let result = match answered {
            Ok(code) if codes.contains(code) => CheckResult::Success,
            Ok(code) => failure(Reason::ResponseCodeMismatch, self.mismatch(kind, code, codes)),
            Err(Unanswered::Unopened(error)) => unopened(&error),
            Err(Unanswered::Other(problem)) => {
                failure(Reason::FailedHealthChecks, format!("Health checks failed: {problem}"))
            }
        };
        (result, code)
    }

    fn mismatch(&self, kind: &str, code: u16, codes: &CodeSet) -> String {
        let (path, expected) = (self.path(), codes.as_str());
        format!("Health checks failed with these {kind}: [{code}] (path {path}, expected {expected})")
    }

    /// The status of a GET.
    async fn get(&self) -> Result<u16, Unanswered> {
        let response = self.send(&Method::GET, &[], Body::Empty).await?;
        Ok(response.status.as_u16())
    }

    /// The status of a call of gRPC with an empty message, which any method can read ("gRPC over HTTP2").
    async fn call(&self) -> Result<u16, Unanswered> {
        const EMPTY_MESSAGE: &[u8] = &[0; 5];
        let content_type = [("content-type", "application/grpc")];
        let body = Bytes::from_static(EMPTY_MESSAGE).into();
        let mut response = self.send(&Method::POST, &content_type, body).await?;
        if response.status != StatusCode::OK {
            let status = response.status.as_u16();
            return Err(Unanswered::Other(format!("HTTP status {status} is no answer of gRPC")));
        }
        // A call that comes to nothing has its status where others have it behind the answer.
        if let Some(status) = grpc_status(&response.fields) {
            return Ok(status);
        }
        let mut n_bytes = 0;
        while let Some(piece) = response.body.chunk().await {
            n_bytes += piece.map_err(|error| Unanswered::Other(error.to_string()))?.len();
            if n_bytes > ANSWER_BYTES {
                return Err(Unanswered::Other("the answer does not end".to_owned()));
            }
        }
        let status = response.body.take_trailers().as_ref().and_then(grpc_status);
        status.ok_or_else(|| Unanswered::Other("the answer has no grpc-status".to_owned()))
    }

    /// Asks over a connection of its own, which is closed afterwards.
    async fn send(&self, method: &Method, more: &[(&str, &str)], body: Body) -> Result<Response, Unanswered> {
        let timeout = self.check.timeout;
        let link = self.speech.open(self.address, timeout).await.map_err(Unanswered::Unopened)?;
        let mut fields = Fields::new();
        fields.push("host", self.address.to_string());
        fields.push("user-agent", "ELB-HealthChecker/2.0");
        for (name, value) in more {
            fields.push(name, value);
        }
        let outgoing = Outgoing { method, target: self.path(), fields: &fields, body, timeout };
        let answered = match link {
            Link::Http1(connection) => connection.send(outgoing, drop).await,
            Link::Http2(connection) => connection.send(outgoing).await,
        };
        answered.map_err(|error| Unanswered::Other(error.to_string()))
    }

    fn path(&self) -> &str {
        self.check.path.as_deref().unwrap_or("/")
    }
}

/// Bytes of an answer that are read to find its status.
const ANSWER_BYTES: usize = 64 * 1024;

/// Why a target said nothing of how it is.
enum Unanswered {
    Unopened(ConnectError),
    Other(String),
}

fn grpc_status(fields: &Fields) -> Option<u16> {
    fields.text("grpc-status")?.parse().ok()
}

fn unopened(error: &ConnectError) -> CheckResult {
    match error {
        error if error.is_ours() => failure(Reason::InternalError, error.to_string()),
        ConnectError::TimedOut { .. } => failure(Reason::Timeout, "Request timed out".to_owned()),
        _ => failure(Reason::FailedHealthChecks, error.to_string()),
    }
}

fn failure(reason: Reason, description: String) -> CheckResult {
    CheckResult::Failure { reason, description }
}
