//! Why a request is refused before anybody has looked at what it asks for: one table.

use http::StatusCode;

use crate::Request;

/// A refusal: its status, its reason, and what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// The status that tells the client.
    pub status: StatusCode,
    /// Stable, kebab-case, for example `content-length-and-transfer-encoding`.
    pub reason: &'static str,
    /// A sentence for people.
    pub meaning: &'static str,
}

/// A request that is refused, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// Why.
    pub rejection: Rejection,
    /// The request, where it is one.
    pub request: Option<&'a Request>,
    /// Whether its client looks for the status of a call of gRPC.
    pub is_grpc: bool,
}

impl<'a> Refused<'a> {
    /// What is no request.
    pub(crate) fn unread(rejection: Rejection, is_grpc: bool) -> Self {
        Self { rejection, request: None, is_grpc }
    }

    /// A request that is one.
    pub(crate) fn read(rejection: Rejection, request: &'a Request) -> Self {
        Self { rejection, request: Some(request), is_grpc: request.is_grpc() }
    }
}

macro_rules! rejections {
    ($($name:ident = $status:ident $reason:literal $meaning:literal;)*) => {
        impl Rejection {
            $(
                #[doc = $meaning]
                pub(crate) const $name: Self =
                    Self { status: StatusCode::$status, reason: $reason, meaning: $meaning };
            )*

            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

rejections! {
    BARE_LINE_FEED = BAD_REQUEST "bare-line-feed"
        "A line of the head ends in LF without CR.";
    BOTH_FRAMINGS = BAD_REQUEST "content-length-and-transfer-encoding"
        "The request has both `Content-Length` and `Transfer-Encoding`, which two servers may read in two ways.";
    CONNECT_NOT_SERVED = METHOD_NOT_ALLOWED "connect-not-served"
        "CONNECT asks for a tunnel; there are none here.";
    EMPTY_REQUEST_LINE = BAD_REQUEST "empty-request-line"
        "The request line is empty.";
    FIELD_TOO_LONG = REQUEST_HEADER_FIELDS_TOO_LARGE "field-too-long"
        "A header field is longer than 8 KiB.";
    HEAD_TIMEOUT = REQUEST_TIMEOUT "head-timeout"
        "The head did not arrive in time.";
    HEAD_TOO_LONG = REQUEST_HEADER_FIELDS_TOO_LARGE "head-too-long"
        "Request line and header fields are longer than 16 KiB.";
    MALFORMED_CONTENT_LENGTH = BAD_REQUEST "malformed-content-length"
        "`Content-Length` is no number, or stands there more than once.";
    MALFORMED_HEAD = BAD_REQUEST "malformed-head"
        "The request line or a header field is not HTTP.";
    MALFORMED_HOST = BAD_REQUEST "malformed-host"
        "`Host` is empty, or has bytes that no host has.";
    MALFORMED_METHOD = BAD_REQUEST "malformed-method"
        "The method is no token.";
    MALFORMED_TARGET = BAD_REQUEST "malformed-target"
        "What is asked for is neither a path nor an absolute http or https URL.";
    MALFORMED_TRANSFER_ENCODING = BAD_REQUEST "malformed-transfer-encoding"
        "`Transfer-Encoding` stands there more than once, or in HTTP/1.0.";
    NO_HOST = BAD_REQUEST "no-host"
        "An HTTP/1.1 request has no `Host`.";
    REQUEST_LINE_TOO_LONG = URI_TOO_LONG "request-line-too-long"
        "The request line is longer than 8 KiB.";
    SEVERAL_HOSTS = BAD_REQUEST "several-hosts"
        "`Host` stands there more than once.";
    TOO_MANY_FIELDS = REQUEST_HEADER_FIELDS_TOO_LARGE "too-many-fields"
        "There are more than 100 header fields.";
    TOO_MANY_REQUESTS_OF_CLIENT = SERVICE_UNAVAILABLE "too-many-requests-of-client"
        "So many requests of the client's address are not done with that it may have no more at a time.";
    UNKNOWN_EXPECTATION = EXPECTATION_FAILED "unknown-expectation"
        "`Expect` asks for something other than `100-continue`.";
    UNKNOWN_TRANSFER_ENCODING = NOT_IMPLEMENTED "unknown-transfer-encoding"
        "`Transfer-Encoding` is something other than `chunked`.";
    UNKNOWN_VERSION = HTTP_VERSION_NOT_SUPPORTED "unknown-version"
        "The version is neither HTTP/1.0 nor HTTP/1.1.";
}
