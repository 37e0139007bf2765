//! Requests and responses, independent of the HTTP version that carries them.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use http::{Method, StatusCode, Version};

use crate::{Body, Fields, TlsSession, Upgrade};

/// A request that arrived.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// What is asked for.
    pub target: Target,
    /// The version the client speaks.
    pub version: Version,
    /// All header fields, `Host` among them for HTTP/1.1.
    pub fields: Fields,
    /// The body.
    pub body: Body,
    /// The connection it came over.
    pub connection: Connection,
}

/// What a request asks for: path and query as sent, never decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    path_and_query: String,
    path_length: usize,
}

/// What is known of a connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// What its handshake came to, where TLS ends here.
    pub tls: Option<Rc<TlsSession>>,
}

/// The header field and value of an answer, 503 or one of gRPC, that says: the model is still being loaded, nothing was done with the
/// request. A load balancer may ask another replica instead.
pub const LOADING: (&str, &str) = ("x-forebay-reason", "loading");

/// A response on its way out.
///
/// `Content-Length`, `Transfer-Encoding`, `Connection` and `Date` are written by whoever sends it.
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The header fields, without those of framing.
    pub fields: Fields,
    /// The body.
    pub body: Body,
    /// Whether the connection ends with this response.
    pub close: bool,
    /// Who wants to know when the response is out and how that went. Dropped uncalled when the client left before.
    pub when_sent: Option<WhenSent>,
    /// What happens to the connection after it. It goes with `101 Switching Protocols`, and with nothing else.
    pub upgrade: Option<Upgrade>,
}

/// Told once how the sending of a response ended.
pub type WhenSent = Box<dyn FnOnce(Sent)>;

/// What one exchange took, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the request that were read, head and framing included.
    pub received: u64,
    /// Bytes of the response that were written, head and framing included.
    pub sent: u64,
    /// How it ended.
    pub end: End,
}

/// How the sending of a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it was written.
    Whole,
    /// Its body did not come to its end.
    Broken,
    /// The client left, or took nothing more.
    ClientLeft,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("fields", &self.fields)
            .field("body", &self.body)
            .field("close", &self.close)
            .finish_non_exhaustive()
    }
}

// === impl Target ===

impl Target {
    /// A target from a path with an optional query.
    #[must_use]
    pub fn new(path_and_query: impl Into<String>) -> Self {
        let path_and_query = path_and_query.into();
        let path_length = path_and_query.find('?').unwrap_or(path_and_query.len());
        Self { path_and_query, path_length }
    }

    /// The path, for example `/v2/models/iris/infer`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path_and_query[..self.path_length]
    }

    /// The query without its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.get(self.path_length + 1..)
    }

    /// Path and query as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.path_and_query
    }
}

// === impl Connection ===

impl Connection {
    /// Whether TLS ends here.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }
}

// === impl Request ===

impl Request {
    /// The authority the client asked for: `Host` as sent, or nothing.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.fields.text("host").unwrap_or_default()
    }

    /// Whether it is a call of gRPC, of whatever encoding; gRPC-Web is another protocol ("gRPC over HTTP2").
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        if self.version != Version::HTTP_2 {
            return false;
        }
        self.fields.get("content-type").is_some_and(is_of_grpc)
    }
}

/// Whether a `Content-Type` is that of a call ("gRPC over HTTP2", Requests).
pub(crate) fn is_of_grpc(content_type: &[u8]) -> bool {
    matches!(content_type.strip_prefix(b"application/grpc"), Some([] | [b'+' | b';', ..]))
}

// === impl Response ===

impl Response {
    /// A response without fields and body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            fields: Fields::new(),
            body: Body::Empty,
            close: false,
            when_sent: None,
            upgrade: None,
        }
    }

    /// A response with a body of this media type.
    #[must_use]
    pub fn with_body(status: StatusCode, content_type: &str, body: impl Into<Body>) -> Self {
        let mut fields = Fields::with_capacity(4, 128);
        fields.push("content-type", content_type);
        Self { status, fields, body: body.into(), close: false, when_sent: None, upgrade: None }
    }

    /// The answer after which the connection speaks something else. The fields say what; `Connection` is written by
    /// whoever sends it.
    #[must_use]
    pub fn switching_protocols(upgrade: Upgrade) -> Self {
        let mut response = Self::new(StatusCode::SWITCHING_PROTOCOLS);
        response.upgrade = Some(upgrade);
        response
    }

    /// The same response with one more field.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name, value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_grpc_is_none_of_grpc_web() {
        let is_grpc = |content_type: &str, version| {
            let mut fields = Fields::new();
            fields.push("content-type", content_type);
            let peer = SocketAddr::from(([127, 0, 0, 1], 1));
            let connection = Connection { peer, local: peer, tls: None };
            let (method, target, body) = (Method::POST, Target::new("/"), Body::Empty);
            Request { method, target, version, fields, body, connection }.is_grpc()
        };
        for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;a=b"] {
            assert!(is_grpc(content_type, Version::HTTP_2) && !is_grpc(content_type, Version::HTTP_11));
        }
        for content_type in ["application/grpc-web", "application/grpc-web+proto", "application/json", ""] {
            assert!(!is_grpc(content_type, Version::HTTP_2), "{content_type}");
        }
    }

    #[test]
    fn a_target_is_cut_at_the_first_question_mark() {
        let target = Target::new("/a/b?x=1?y");
        assert_eq!((target.path(), target.query()), ("/a/b", Some("x=1?y")));
        let bare = Target::new("/a");
        assert_eq!((bare.path(), bare.query()), ("/a", None));
        assert_eq!(Target::new("/a?").query(), Some(""));
    }
}
