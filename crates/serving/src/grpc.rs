//! The Open Inference Protocol over gRPC, on a port of its own.
//!
//! A call is one message in and one message out, each after five bytes: whether it is compressed, and its length. What a
//! model is asked and answers is read, predicted and told by the same functions as over REST; only the messages differ.
//!
//! ```text
//! /inference.GRPCInferenceService/ModelInfer → message → Tensor… → models::Batch → predict → message → grpc-status: 0
//! ```
//!
//! One method answers a stream of messages: see [`stream`].

mod frame;
mod infer;
#[doc(hidden)]
pub mod messages;
mod methods;
mod stream;
mod triton;

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use net::{Bytes, Connection, DrainWatch, Limits};
use tokio::net::TcpStream;
use tracing::debug;

use crate::ServerHandler;
use crate::content_encoding::Encoding;
use crate::fault::{Cause, Fault, quoted};
use crate::reply::Reply;

pub(crate) use infer::INFER;
use methods::{METHODS, Method};

/// Calls of one connection at a time.
const MOST_STREAMS: u32 = 100;
/// Calls that a connection may take back before it is taken for an attack.
const MOST_RESETS: usize = 200;
/// Time a connection may be silent before it is asked whether it is still there, and time for its answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Serves the Open Inference Protocol over gRPC, and `grpc.health.v1`, on a listening socket until `drain` says to end.
/// Must run on a [`tokio::task::LocalSet`].
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn serve_grpc(
    listener: TcpListener,
    handler: ServerHandler,
    limits: Limits,
    drain: DrainWatch,
) -> io::Result<()> {
    let drive = move |stream, connection, drain| drive(stream, connection, handler.clone(), limits, drain);
    net::accept(listener, limits, drain, |_| true, drive).await
}

/// Answers the calls of one connection.
async fn drive(
    stream: TcpStream,
    connection: Connection,
    handler: ServerHandler,
    limits: Limits,
    mut drain: DrainWatch,
) {
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(answer(&handler, request, limits.idle_timeout).await) }
    });
    let head_bytes = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
    let connected = http2::Builder::new(LocalExecutor)
        .timer(hyper_util::rt::TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_header_list_size(head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    let mut connected = pin!(connected);
    let ended = tokio::select! {
        ended = connected.as_mut() => ended,
        () = drain.draining() => {
            connected.as_mut().graceful_shutdown();
            connected.await
        }
    };
    if let Err(error) = ended {
        debug!(peer = %connection.peer, %error, "a gRPC connection broke");
    }
}

/// Runs what belongs to a connection on its thread.
#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

type Trailers = std::future::Ready<Option<Result<HeaderMap, Infallible>>>;
type Response = http::Response<Either<WithTrailers<Full<Bytes>, Trailers>, stream::Answers>>;

async fn answer(handler: &ServerHandler, request: http::Request<Incoming>, patience: Duration) -> Response {
    let is_grpc = request
        .headers()
        .get("content-type")
        .is_some_and(|content_type| content_type.as_bytes().starts_with(b"application/grpc"));
    if request.method() != http::Method::POST || !is_grpc {
        let mut response = respond(Err(Fault::new(Cause::ContentType, "only gRPC is spoken on this port")));
        *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    match open(request) {
        Err(fault) => respond(Err(fault)),
        Ok(opened) if opened.method.is_stream => streamed(stream::answer(handler.clone(), opened, patience)),
        Ok(opened) => respond(call(handler, opened, patience).await),
    }
}

/// A call whose head was read.
struct Opened {
    method: &'static Method,
    encoding: Option<&'static Encoding>,
    body: Incoming,
}

/// Finds the method of a call, and how its messages are compressed if they are.
fn open(request: http::Request<Incoming>) -> Result<Opened, Fault> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let method = METHODS.iter().find(|method| method.path == path);
    let method = method
        .ok_or_else(|| Fault::new(Cause::NotSupported, format!("there is no method {}", quoted(path))))?;
    let encoding = head.headers.get("grpc-encoding").and_then(|name| name.to_str().ok());
    Ok(Opened { method, encoding: encoding.map_or(Ok(None), Encoding::named)?, body })
}

/// Makes a call: reads its one message, and answers it.
async fn call(handler: &ServerHandler, opened: Opened, patience: Duration) -> Result<Reply, Fault> {
    let Opened { method, encoding, body } = opened;
    let limit = handler.body_limit();
    let body = collect(body, limit, patience).await?;
    let (is_compressed, bytes) = frame::read(&body, limit)?;
    let message = plain(handler, encoding, is_compressed, bytes).await?;
    methods::call(handler, method, message).await
}

/// A message as it was before it was compressed.
async fn plain(
    handler: &ServerHandler,
    encoding: Option<&'static Encoding>,
    is_compressed: bool,
    bytes: Bytes,
) -> Result<Bytes, Fault> {
    if is_compressed && encoding.is_none() {
        return Err(Fault::new(Cause::Format, "a compressed message needs `grpc-encoding`"));
    }
    handler.plain(encoding.filter(|_| is_compressed), bytes).await
}

fn unfinished(problem: &dyn Display) -> Fault {
    Fault::new(Cause::Format, format!("the message did not come to its end: {problem}"))
}

/// The body of a call: a message of at most so many bytes, of which no two are further apart than `patience`. One that
/// says it is longer is not waited for.
async fn collect(body: Incoming, limit: usize, patience: Duration) -> Result<Bytes, Fault> {
    let mut body = Limited::new(body, limit.saturating_add(frame::HEAD));
    let mut collected = Vec::new();
    loop {
        let part = tokio::time::timeout(patience, body.frame()).await;
        let part = part.map_err(|_| unfinished(&format!("nothing came for {patience:?}")))?;
        let Some(part) = part else { return Ok(collected.into()) };
        let part = part.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => frame::too_large(limit),
            None => unfinished(&error),
        })?;
        if let Some(bytes) = part.data_ref() {
            collected.extend_from_slice(bytes);
        }
        if frame::announced(&collected).is_some_and(|length| length > limit) {
            return Err(frame::too_large(limit));
        }
    }
}

/// The response to a call: the message that answers it, and then its status.
fn respond(answer: Result<Reply, Fault>) -> Response {
    let trailers = trailers(answer.as_ref().err());
    let mut headers = headers();
    let body = match answer {
        Ok(reply) => {
            for (name, value) in &reply.fields {
                let value = HeaderValue::from_bytes(value.as_bytes());
                headers.extend(value.ok().map(|value| (HeaderName::from_static(name), value)));
            }
            frame::write(&reply.body)
        }
        Err(_) => {
            // For those who compressed their message in another way.
            let accepted: Vec<&str> = std::iter::once("identity").chain(Encoding::names()).collect();
            let accepted = HeaderValue::try_from(accepted.join(","));
            headers
                .extend(accepted.ok().map(|names| (HeaderName::from_static("grpc-accept-encoding"), names)));
            Bytes::new()
        }
    };
    let body = Full::new(body).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = http::Response::new(Either::Left(body));
    *response.headers_mut() = headers;
    response
}

/// The response to a call whose answers are still to come.
fn streamed(answers: stream::Answers) -> Response {
    let mut response = http::Response::new(Either::Right(answers));
    *response.headers_mut() = headers();
    response
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers
}

/// The status that ends a call.
fn trailers(fault: Option<&Fault>) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert("grpc-status", HeaderValue::from(fault.map_or(0, |fault| fault.cause.grpc_code())));
    if let Some(fault) = fault {
        let message = HeaderValue::try_from(percent_encoded(&fault.to_string()));
        trailers.insert("grpc-message", message.expect("only plain letters are left"));
    }
    trailers
}

/// A text as `grpc-message` has it.
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b' '..=b'$' | b'&'..=b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_status_are_plain() {
        assert_eq!(percent_encoded("got `é` 100%\n"), "got `%C3%A9` 100%25%0A");
    }
}
