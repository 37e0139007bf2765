//! The answers a load balancer gives itself: the one place that knows which cause has which status.

use net::{Body, BodyError, Response, StatusCode};

/// The field that tells the reason of an answer that a load balancer gave itself.
pub(crate) const REASON_FIELD: &str = net::LOADING.0;

/// Why a request is not answered by a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// What came is no request; the connection layer says which status.
    Refused(net::Rejection),
    /// TRACE is not forwarded (ALB user guide, "HTTP 405").
    MethodNotAllowed,
    /// The client's body did not come to its end.
    IncompleteBody,
    /// The client's body is not as its framing says.
    MalformedBody,
    /// The client did not send its body in time.
    BodyTimeout,
    /// `X-Forwarded-For` names more than 30 addresses.
    TooManyForwardedFor,
    /// The target group has no registered targets.
    NoTargets,
    /// All weights of the forward action are zero.
    NoWeight,
    /// No target takes a connection.
    Unreachable,
    /// The target did not take the connection in time.
    ConnectTimeout,
    /// The target closed the connection without an answer, or within it.
    TargetClosed,
    /// What the target sent is no response.
    TargetMalformed,
    /// The target did not answer in time.
    TargetTimeout,
}

impl Cause {
    /// What is wrong with a client's body.
    pub(crate) fn of_client_body(error: &BodyError) -> Self {
        match error {
            BodyError::Closed => Self::IncompleteBody,
            BodyError::Malformed(_) => Self::MalformedBody,
            BodyError::TimedOut => Self::BodyTimeout,
        }
    }

    /// The status, the reason in `x-forebay-reason`, and whether the client's connection must end.
    fn answer(self) -> (StatusCode, &'static str, bool) {
        match self {
            Self::Refused(rejection) => (rejection.status, rejection.reason, true),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", false),
            Self::IncompleteBody => (StatusCode::BAD_REQUEST, "incomplete-body", true),
            Self::MalformedBody => (StatusCode::BAD_REQUEST, "malformed-body", true),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body-timeout", true),
            Self::TooManyForwardedFor => (non_standard(463), "too-many-forwarded-for", false),
            Self::NoTargets => (StatusCode::SERVICE_UNAVAILABLE, "no-targets", false),
            Self::NoWeight => (StatusCode::SERVICE_UNAVAILABLE, "no-weight", false),
            Self::Unreachable => (StatusCode::BAD_GATEWAY, "target-unreachable", false),
            Self::ConnectTimeout => (StatusCode::GATEWAY_TIMEOUT, "target-connect-timeout", false),
            Self::TargetClosed => (StatusCode::BAD_GATEWAY, "target-closed", false),
            Self::TargetMalformed => (StatusCode::BAD_GATEWAY, "target-malformed", false),
            Self::TargetTimeout => (StatusCode::GATEWAY_TIMEOUT, "target-timeout", false),
        }
    }
}

/// The answer for a cause, in the load balancer's words.
pub(crate) fn to(cause: Cause) -> Response {
    let (status, reason, close) = cause.answer();
    let mut response = page(status, reason);
    response.close = close;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.fields.push("retry-after", "1");
    }
    response
}

/// The answer when no rule matches and nothing else is configured. Callers on this machine are told which hosts there are.
pub(crate) fn no_route(host: &str, path: &str, known_hosts: Option<&[String]>) -> Response {
    let Some(known_hosts) = known_hosts else { return page(StatusCode::NOT_FOUND, "no-route") };
    let mut text = format!("no rule matches host `{host}` and path `{path}`\n");
    if !known_hosts.is_empty() {
        text.push_str(&format!("hosts served here: {}\n", known_hosts.join(", ")));
    }
    Response::with_body(StatusCode::NOT_FOUND, "text/plain", text)
        .with_field(REASON_FIELD, "no-route")
        .with_field("server", SERVER)
}

/// A fixed response of a rule.
pub(crate) fn fixed(response: &plan::FixedResponse) -> Response {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = response.content_type.as_deref().unwrap_or("text/plain");
    let body = response.message_body.clone().map_or(Body::Empty, Body::from);
    Response::with_body(status, content_type, body)
        .with_field(REASON_FIELD, "fixed-response")
        .with_field("server", SERVER)
}

/// A redirect of a rule.
pub(crate) fn redirect(status: u16, location: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    page(status, "redirect").with_field("location", location)
}

/// What load balancers call themselves in answers of their own.
const SERVER: &str = "forebay";

fn page(status: StatusCode, reason: &str) -> Response {
    let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    Response::with_body(status, "text/html", body)
        .with_field(REASON_FIELD, reason)
        .with_field("server", SERVER)
}

fn non_standard(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}
