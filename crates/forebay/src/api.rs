//! The embedded Kubernetes API on a socket: requests from the wire to [`Api`], and its answers back.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use control::api::{Api, BODY_LIMIT, Body, Stream};
use http::{HeaderName, HeaderValue};
use net::{BodyError, BodyStream, Bytes, DrainWatch, Handler, Request, Response, StatusCode};

/// Answers requests to the API. Watches, and logs that are followed, end when `drain` begins.
#[derive(Clone)]
pub(crate) struct ApiHandler {
    api: Rc<Api>,
    drain: DrainWatch,
}

/// An answer that goes on: a future of its next bytes, which gives back where they come from.
struct Going {
    next: Option<Pin<Box<dyn Future<Output = Step>>>>,
}

type Step = (Option<Bytes>, Stream, DrainWatch);

// === impl ApiHandler ===

impl ApiHandler {
    pub(crate) fn new(api: Api, drain: DrainWatch) -> Self {
        Self { api: Rc::new(api), drain }
    }

    fn answer(&self, response: http::Response<Body>) -> Response {
        let (head, body) = response.into_parts();
        let mut answer = Response::new(head.status);
        for (name, value) in &head.headers {
            answer.fields.push(name.as_str(), value.as_bytes());
        }
        answer.body = match body {
            Body::Full(bytes) => bytes.into(),
            Body::Stream(stream) => net::Body::Stream(Box::new(Going::new(stream, self.drain.clone()))),
        };
        answer
    }
}

impl Handler for ApiHandler {
    async fn handle(&self, request: Request) -> Response {
        let plain = |status, text: &'static str| Response::with_body(status, "text/plain", text);
        let Some(mut head) = head_of(&request) else {
            return plain(StatusCode::BAD_REQUEST, "the request cannot be read\n");
        };
        match request.body.collect(BODY_LIMIT).await {
            Ok(body) => *head.body_mut() = body,
            Err(_) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or has no end\n"),
        }
        self.answer(self.api.handle(&head))
    }
}

/// A request without its body.
fn head_of(request: &Request) -> Option<http::Request<Bytes>> {
    let mut head = http::Request::new(Bytes::new());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = request.target.as_str().parse().ok()?;
    for (name, value) in request.fields.iter() {
        head.headers_mut().append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    Some(head)
}

// === impl Going ===

impl Going {
    fn new(stream: Stream, drain: DrainWatch) -> Self {
        Self { next: Some(Box::pin(step(stream, drain))) }
    }
}

async fn step(mut stream: Stream, mut drain: DrainWatch) -> Step {
    let bytes = tokio::select! {
        bytes = stream.next() => bytes,
        () = drain.draining() => None,
    };
    (bytes, stream, drain)
}

impl BodyStream for Going {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let (bytes, stream, drain) = ready!(next.as_mut().poll(cx));
        self.next = bytes.is_some().then(|| Box::pin(step(stream, drain)) as _);
        Poll::Ready(bytes.map(Ok))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}
