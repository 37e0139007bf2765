//! The embedded Kubernetes API on a socket: requests from the wire to [`Api`], and its answers back.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use control::api::{Api, BODIES_LIMIT, BODY_LIMIT, Body, Stream};
use http::{HeaderName, HeaderValue};
use net::{BodyError, BodyStream, Bytes, BytesMut, DrainWatch, Handler, Request, Response, StatusCode};

/// Answers requests to the API. Watches, logs that are followed and connections that were handed over end when `drain`
/// begins.
#[derive(Clone)]
pub(crate) struct ApiHandler {
    api: Rc<Api>,
    drain: DrainWatch,
    /// Bytes that the bodies of all requests hold now.
    held: Rc<Cell<usize>>,
}

/// The bytes of one body, which count until this is dropped.
struct Held {
    all: Rc<Cell<usize>>,
    n_bytes: usize,
}

/// Why a body was not read to its end.
enum Unread {
    /// It is too long, or has no end.
    Refused,
    /// There are too many others.
    TooBusy,
}

/// An answer that goes on: a future of its next bytes, which gives back where they come from.
struct Going {
    next: Option<Pin<Box<dyn Future<Output = Step>>>>,
}

type Step = (Option<Bytes>, Stream, DrainWatch);

// === impl ApiHandler ===

impl ApiHandler {
    pub(crate) fn new(api: Api, drain: DrainWatch) -> Self {
        Self { api: Rc::new(api), drain, held: Rc::default() }
    }

    fn answer(&self, response: http::Response<Body>) -> Response {
        let (head, body) = response.into_parts();
        let mut answer = Response::new(head.status);
        for (name, value) in &head.headers {
            answer.fields.push(name.as_str(), value.as_bytes());
        }
        match body {
            Body::Full(bytes) => answer.body = bytes.into(),
            Body::Stream(stream) => {
                answer.body = net::Body::Stream(Box::new(Going::new(stream, self.drain.clone())));
            }
            Body::Upgrade(upgrade) => answer.upgrade = Some(self.hand_over(upgrade)),
        }
        answer
    }

    fn hand_over(&self, upgrade: control::api::Upgrade) -> net::Upgrade {
        let mut drain = self.drain.clone();
        net::Upgrade::new(|connection| async move {
            tokio::select! {
                () = upgrade.run(connection) => {}
                () = drain.draining() => {}
            }
        })
    }

    /// Reads a body that somebody who is let in has sent.
    async fn read(&self, mut body: net::Body) -> Result<(Bytes, Held), Unread> {
        let mut held = Held { all: Rc::clone(&self.held), n_bytes: 0 };
        if body.remaining().is_some_and(|remaining| remaining > BODY_LIMIT as u64) {
            return Err(Unread::Refused);
        }
        let mut all = BytesMut::new();
        while let Some(chunk) = body.chunk().await {
            let chunk = chunk.map_err(|_| Unread::Refused)?;
            if all.len() + chunk.len() > BODY_LIMIT {
                return Err(Unread::Refused);
            }
            held.hold(chunk.len()).ok_or(Unread::TooBusy)?;
            all.extend_from_slice(&chunk);
        }
        Ok((all.freeze(), held))
    }
}

impl Handler for ApiHandler {
    async fn handle(&self, request: Request) -> Response {
        let plain = |status, text: &'static str| Response::with_body(status, "text/plain", text);
        let Some(mut head) = head_of(&request) else {
            return plain(StatusCode::BAD_REQUEST, "the request cannot be read\n");
        };
        // Strangers are told so by their head. Nothing of their bodies is read, and their connections end.
        if let Some(refusal) = self.api.refuse(&head) {
            let mut answer = self.answer(refusal);
            answer.close = true;
            return answer;
        }
        match self.read(request.body).await {
            Ok((body, _held)) => {
                *head.body_mut() = body;
                self.answer(self.api.answer_to(&head).await)
            }
            Err(Unread::Refused) => {
                let mut answer = self.answer(Api::too_large());
                answer.close = true;
                answer
            }
            Err(Unread::TooBusy) => self.answer(Api::too_busy()),
        }
    }
}

// === impl Held ===

impl Held {
    /// Counts more bytes, if there may be more.
    fn hold(&mut self, n_bytes: usize) -> Option<()> {
        let all = self.all.get() + n_bytes;
        if all > BODIES_LIMIT {
            return None;
        }
        self.all.set(all);
        self.n_bytes += n_bytes;
        Some(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.n_bytes);
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
