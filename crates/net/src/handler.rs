//! What answers requests.

use std::net::SocketAddr;

use http::StatusCode;

use crate::{
    Connection, Crowding, HandshakeFailure, Http2Failure, Refused, Rejection, Request, Response, Sent,
};

/// Answers requests. One clone is made per connection; all stay on the thread of their listener.
pub trait Handler: Clone + 'static {
    /// Answers one request. The future is dropped when the client goes away before the answer is there.
    fn handle(&self, request: Request) -> impl Future<Output = Response>;

    /// Whether a connection from this address is let in. One that is not is closed before a byte is read.
    fn admits(&self, _peer: SocketAddr) -> bool {
        true
    }

    /// Hears who was not let in, and who had to make room.
    fn crowded(&self, _crowding: Crowding) {}

    /// Hears that a connection has been opened. What it returns is dropped when the connection has ended.
    fn connection_opened(&self, _connection: &Connection) -> impl Sized + 'static {}

    /// Hears that TLS did not come about.
    fn handshake_failed(&self, _failure: HandshakeFailure, _connection: &Connection) {}

    /// Has its way with the answer to whoever speaks HTTP where TLS is spoken. The connection ends with it.
    fn without_tls(&self, answer: Response) -> Response {
        answer
    }

    /// Hears that a connection of HTTP/2 was ended, with all requests that were at work on it.
    fn http2_failed(&self, _failure: Http2Failure, _connection: &Connection) {}

    /// Hears what a request and its answer took on the wire, once its answer is out or cannot come out.
    fn carried(&self, _sent: Sent, _connection: &Connection) {}

    /// Words the answer to what is no request, or is one too many. Over HTTP/1.1 the connection ends with it.
    fn reject(&self, refused: &Refused<'_>, _connection: &Connection) -> Response {
        let Rejection { status, reason, .. } = refused.rejection;
        let answer = Response::with_body(status, "text/plain", format!("{reason}\n"));
        if status == StatusCode::SERVICE_UNAVAILABLE { answer.with_field("retry-after", "1") } else { answer }
    }
}

/// Any function from a request to a future response is a handler.
impl<F, R> Handler for F
where
    F: Fn(Request) -> R + Clone + 'static,
    R: Future<Output = Response>,
{
    fn handle(&self, request: Request) -> impl Future<Output = Response> {
        self(request)
    }
}
