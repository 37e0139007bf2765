//! The answers a load balancer gives itself: the one place that knows which cause has which status.

use net::{Body, BodyError, Rejection, Response, StatusCode};
use plan::PathError;

/// The field that tells the reason of an answer that a load balancer gave itself.
pub(crate) const REASON_FIELD: &str = net::LOADING.0;

/// Why a request is not answered by a target, or not to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reason {
    /// Stable, kebab-case.
    pub(crate) name: &'static str,
    /// The status it has; 0 where something else decides that.
    status: u16,
    /// Whether the client's connection ends with it.
    closes: bool,
    /// A sentence for people.
    pub(crate) meaning: &'static str,
}

macro_rules! reasons {
    ($($name:ident = $status:literal $reason:literal $($closes:ident)? $meaning:literal;)*) => {
        impl Reason {
            $(
                #[doc = $meaning]
                pub(crate) const $name: Self = Self {
                    name: $reason,
                    status: $status,
                    closes: reasons!(@closes $($closes)?),
                    meaning: $meaning,
                };
            )*

            /// All but those of requests that are none, which [`Rejection::ALL`] has.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
    (@closes) => { false };
    (@closes closes) => { true };
}

reasons! {
    AMBIGUOUS_PATH = 400 "ambiguous-path"
        "The path can be read in several ways (`//`, `%2F`, `%5C`, a backslash, `;`, an escape of an escape), and the rules say something else of each; or it has escapes and is longer than the 4 KiB in which that is looked for. Where no rule asks for a path, none is.";
    ANSWER_BROKEN = 0 "answer-broken"
        "The target's answer broke off after its beginning had been passed on, so the client's connection was cut. Only in the access log.";
    BODY_TIMEOUT = 408 "body-timeout" closes
        "The client did not send its body in time.";
    CLIENT_LEFT = 460 "client-left"
        "The client closed its connection before it had its answer. Only in the access log.";
    COSTLY_REQUEST = 502 "costly-request"
        "Two targets went down with the request on them, so it was sent to no third.";
    CORS_PREFLIGHT = 204 "cors-preflight"
        "A browser asked whether it may send a request of a page of another origin, and `forebay.dev/cors` of the rule allows it.";
    CORS_REFUSED = 403 "cors-refused"
        "The same, and `forebay.dev/cors` does not allow the origin, the method or a header field; the body says which.";
    FIXED_RESPONSE = 0 "fixed-response"
        "A rule's action is this answer.";
    INCOMPLETE_BODY = 400 "incomplete-body" closes
        "The client closed its connection before its body was complete.";
    LOADING = 503 "loading"
        "Every replica still loads its model.";
    MALFORMED_BODY = 400 "malformed-body" closes
        "The client's body is not what its framing says: a chunk or a trailer field is malformed.";
    MISDIRECTED = 421 "misdirected" closes
        "The listener asks for another client certificate than the connection was opened with.";
    MALFORMED_PATH = 400 "malformed-path"
        "The path has a control character (`%0A`, `%00`), a character in more bytes of UTF-8 than it needs, or `%` without two hexadecimal digits.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed"
        "TRACE is not forwarded.";
    NOT_CACHED = 504 "not-cached"
        "The client wants only what is kept of earlier answers (`cache-control: only-if-cached`), and nothing that is fresh enough is (`forebay.dev/cache`).";
    NO_DESCRIPTORS = 503 "no-descriptors"
        "The load balancer has no descriptor left to reach a target with; the limit of open files is too low for so many clients.";
    NO_ROUTE = 404 "no-route"
        "No rule matches, and no other default action is configured.";
    NO_TARGETS = 503 "no-targets"
        "The target group has no registered target, or none that could be asked.";
    NO_WEIGHT = 503 "no-weight"
        "All target groups of the rule have weight 0.";
    RATE_LIMITED = 429 "rate-limited"
        "The client asks more often than the rule lets one client ask (`forebay.dev/rate-limit`); `retry-after` says in how many seconds it may ask again.";
    REDIRECT = 0 "redirect"
        "A rule's action is a redirect.";
    TARGETS_BUSY = 503 "targets-busy"
        "Every target works on as many requests as it takes, and none became free in time, or too many wait already.";
    TARGET_CLOSED = 502 "target-closed"
        "The target closed the connection, or ended the request's stream, without an answer or within it.";
    TARGET_CONNECT_TIMEOUT = 504 "target-connect-timeout"
        "The target did not take the connection in time.";
    TARGET_MALFORMED = 502 "target-malformed"
        "What the target sent is no HTTP response.";
    TARGET_TIMEOUT = 504 "target-timeout"
        "The target did not answer in time.";
    TARGET_TLS = 502 "target-tls"
        "No TLS came about with the target in 10 s: it speaks none, no HTTP/2 inside it, or is not who it has to be.";
    TARGET_UNREACHABLE = 502 "target-unreachable"
        "The target takes no connection.";
    TARGET_VERSION = 464 "target-version"
        "The request cannot be said in the version of HTTP that the target group speaks: a call of gRPC in HTTP1, a request of HTTP/1.1 in HTTP2 or GRPC, another method than POST in GRPC.";
    TOO_MANY_FORWARDED_FOR = 463 "too-many-forwarded-for"
        "`X-Forwarded-For` names more than 30 addresses.";
    TRANSFORM_FAILED = 500 "transform-failed"
        "A transform of the rule gave what is no host, or no path.";
}

/// An answer of our own, and why it is one.
pub(crate) struct OwnAnswer {
    pub(crate) response: Box<Response>,
    pub(crate) reason: &'static str,
}

// === impl Reason ===

impl Reason {
    /// What is wrong with a client's body.
    pub(crate) fn of_client_body(error: &BodyError) -> Self {
        match error {
            BodyError::Closed => Self::INCOMPLETE_BODY,
            BodyError::Malformed(_) => Self::MALFORMED_BODY,
            BodyError::TimedOut => Self::BODY_TIMEOUT,
        }
    }

    /// What is wrong with a path.
    pub(crate) fn of_path(error: &PathError) -> Self {
        match error {
            PathError::Long => Self::AMBIGUOUS_PATH,
            PathError::Percent | PathError::Control | PathError::Overlong => Self::MALFORMED_PATH,
        }
    }

    /// The status, where the reason has one.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

// === impl OwnAnswer ===

impl OwnAnswer {
    fn new(response: Response, reason: &'static str) -> Self {
        Self { response: Box::new(response), reason }
    }
}

/// The answer for a reason, in the load balancer's words.
pub(crate) fn to(reason: Reason) -> OwnAnswer {
    let status = reason.status();
    let mut response = page(status, reason.name);
    response.close = reason.closes;
    OwnAnswer::new(response, reason.name)
}

/// The same answer for a client of gRPC, who looks for a status of its own ("gRPC", "Mapping of HTTP status codes").
pub(crate) fn in_grpc(own: OwnAnswer) -> OwnAnswer {
    let code = match own.response.status.as_u16() {
        400 | 414 | 431 => "13",
        401 => "16",
        403 => "7",
        404 | 405 | 464 => "12",
        408 | 504 => "4",
        429 => "8",
        _ => "14",
    };
    let OwnAnswer { mut response, reason } = own;
    response.status = StatusCode::OK;
    response.body = Body::Empty;
    response.fields.set("content-type", "application/grpc");
    response.fields.push("grpc-status", code);
    response.fields.push("grpc-message", format!("the load balancer answers itself: {reason}"));
    OwnAnswer { response, reason }
}

/// The answer to what is no request.
pub(crate) fn refuse(rejection: Rejection) -> OwnAnswer {
    let mut response = page(rejection.status, rejection.reason);
    response.close = true;
    OwnAnswer::new(response, rejection.reason)
}

/// The answer of a replica of ours that loads its model, when no other has a better one.
pub(crate) fn loading(response: Response) -> OwnAnswer {
    OwnAnswer::new(response, Reason::LOADING.name)
}

/// The answer when no rule matches and nothing else is configured. Callers on this machine are told which hosts there are.
pub(crate) fn no_route(host: &str, path: &str, known_hosts: Option<&[String]>) -> OwnAnswer {
    let Some(known_hosts) = known_hosts else { return to(Reason::NO_ROUTE) };
    let mut text = format!("no rule matches host `{host}` and path `{path}`\n");
    if !known_hosts.is_empty() {
        text.push_str(&format!("hosts served here: {}\n", known_hosts.join(", ")));
    }
    let response = Response::with_body(Reason::NO_ROUTE.status(), "text/plain", text);
    signed(response, Reason::NO_ROUTE)
}

/// How a client gets past an answer of 401: with a key in a header field.
const CHALLENGE: &str = "ApiKey";

/// A fixed response of a rule.
pub(crate) fn fixed(response: &plan::FixedResponse) -> OwnAnswer {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = response.content_type.as_deref().unwrap_or("text/plain");
    let body = response.message_body.clone().map_or(Body::Empty, Body::from);
    let mut answer = Response::with_body(status, content_type, body);
    if status == StatusCode::UNAUTHORIZED {
        // Who is asked to prove something has to be told how (RFC 9110 §15.5.2).
        answer = answer.with_field("www-authenticate", CHALLENGE);
    }
    signed(answer, Reason::FIXED_RESPONSE)
}

/// The answer to a browser that asks whether it may send a request, and may.
pub(crate) fn preflight() -> OwnAnswer {
    signed(Response::new(Reason::CORS_PREFLIGHT.status()), Reason::CORS_PREFLIGHT)
}

/// The same when it may not.
pub(crate) fn preflight_refused(problem: &'static str) -> OwnAnswer {
    let status = Reason::CORS_REFUSED.status();
    signed(Response::with_body(status, "text/plain", format!("{problem}\n")), Reason::CORS_REFUSED)
}

/// A redirect of a rule.
pub(crate) fn redirect(status: u16, location: &str) -> OwnAnswer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    let response = page(status, Reason::REDIRECT.name).with_field("location", location);
    OwnAnswer::new(response, Reason::REDIRECT.name)
}

/// What load balancers call themselves in answers of their own.
const SERVER: &str = "forebay";

fn signed(response: Response, reason: Reason) -> OwnAnswer {
    let response = response.with_field(REASON_FIELD, reason.name).with_field("server", SERVER);
    OwnAnswer::new(response, reason.name)
}

fn page(status: StatusCode, reason: &str) -> Response {
    let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = Response::with_body(status, "text/html", body)
        .with_field(REASON_FIELD, reason)
        .with_field("server", SERVER);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.fields.push("retry-after", "1");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect_file;

    /// `UPDATE_EXPECT=1 cargo test -p proxy reasons` writes the page anew.
    #[test]
    fn every_reason_is_on_its_page() {
        let own = Reason::ALL.iter().map(|reason| (reason.name, reason.status, reason.meaning));
        let refused = Rejection::ALL
            .iter()
            .map(|rejection| (rejection.reason, rejection.status.as_u16(), rejection.meaning));
        let mut all: Vec<_> = own.chain(refused).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0].0 != pair[1].0), "a reason has one meaning");
        let mut page = String::from(
            "# Reasons\n\nAn answer that a load balancer gives itself carries `x-forebay-reason`. So do the access log \
             (`forebay up --access-log -`) and\nthe label `reason` of `forebay_load_balancer_answers_total`. \
             A field of this name in a target's answer is not passed on.\n\n| reason | status | means |\n|---|---|---|\n",
        );
        for (reason, status, meaning) in all {
            let status = if status == 0 { "–".to_owned() } else { status.to_string() };
            page.push_str(&format!("| `{reason}` | {status} | {meaning} |\n"));
        }
        expect_file!["../../../docs/reasons.md"].assert_eq(&page);
    }
}
