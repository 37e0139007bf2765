//! Requests to servers, independent of the HTTP version that carries them.

use std::time::Duration;

use http::Method;

use crate::{Body, BodyError, Fields};

/// A request to send. `fields` are sent as they are, but for those of framing.
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a str,
    /// Header fields, `Host` among them.
    pub fields: &'a Fields,
    /// The body.
    pub body: Body,
    /// How long the server may be silent.
    pub timeout: Duration,
}

/// Why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server closed the connection, or reset it or the request's stream, before the first byte of a response.
    #[error("the server closed the connection without an answer")]
    Closed {
        /// Whether earlier requests had used the connection, so that the server may simply have closed an idle one.
        was_used: bool,
    },
    /// The server closed the connection within a response.
    #[error("the server closed the connection within its answer")]
    Truncated,
    /// The server said that it has not looked at the request, or no byte of it left.
    #[error("the server did not look at the request")]
    NotProcessed,
    /// No response came in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// What came is no response.
    #[error("the server's answer is no HTTP: {0}")]
    Malformed(&'static str),
    /// The version of HTTP has no way to say the request.
    #[error("the request cannot be said in HTTP/2")]
    Unsayable,
    /// The request's own body did not come to its end.
    #[error("the request's body did not come to its end: {0}")]
    Body(BodyError),
}

/// Bytes of a response's head.
pub(crate) const HEAD_LIMIT: usize = 32 * 1024;
