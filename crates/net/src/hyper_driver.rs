//! Driving a connection with hyper: the correct path for everything HTTP/1.1 allows.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tracing::debug;

use crate::{
    Body, BodyError, BodyStream, Connection, DrainWatch, Fields, Handler, Limits, Request, Response, Target,
};

/// Serves one connection to its end.
pub(crate) async fn drive<H: Handler>(
    stream: TcpStream,
    connection: Connection,
    handler: H,
    limits: Limits,
    mut drain: DrainWatch,
) {
    let service = hyper::service::service_fn(move |request| {
        let handler = handler.clone();
        async move {
            let response = handler.handle(into_request(request, connection)).await;
            Ok::<_, Infallible>(from_response(response))
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.head_fields)
        .max_buf_size(limits.head_bytes.max(MINIMUM_HYPER_BUFFER))
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        biased;
        ended = serving.as_mut() => ended,
        () = drain.draining() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(peer = %connection.peer, %error, "connection ended early");
    }
}

/// The smallest buffer that hyper takes.
const MINIMUM_HYPER_BUFFER: usize = 8192;

fn into_request(request: http::Request<Incoming>, connection: Connection) -> Request {
    let (head, body) = request.into_parts();
    let path_and_query = head.uri.path_and_query().map_or("/", |path_and_query| path_and_query.as_str());
    let mut fields = Fields::with_capacity(head.headers.len(), 512);
    for (name, value) in &head.headers {
        fields.push(name.as_str(), value.as_bytes());
    }
    Request {
        method: head.method,
        target: Target::new(path_and_query),
        version: head.version,
        fields,
        body: if body.is_end_stream() { Body::Empty } else { Body::Stream(Box::new(IncomingBody(body))) },
        connection,
    }
}

fn from_response(response: Response) -> http::Response<OutgoingBody> {
    let mut outgoing = http::Response::new(OutgoingBody(response.body));
    *outgoing.status_mut() = response.status;
    let headers = outgoing.headers_mut();
    for (name, value) in response.fields.iter() {
        let parsed = (http::HeaderName::from_bytes(name), http::HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = parsed {
            headers.append(name, value);
        }
    }
    if response.close {
        headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    outgoing
}

/// A request body that hyper reads.
struct IncomingBody(Incoming);

impl BodyStream for IncomingBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let frame = match std::task::ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) if error.is_timeout() => return Poll::Ready(Some(Err(BodyError::TimedOut))),
                Some(Err(error)) if error.is_parse() => {
                    return Poll::Ready(Some(Err(BodyError::Malformed("chunked coding"))));
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::Closed))),
            };
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(Ok(data)));
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        self.0.size_hint().exact()
    }
}

/// A response body as hyper wants it.
struct OutgoingBody(Body);

impl http_body::Body for OutgoingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.poll_chunk(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Body::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
