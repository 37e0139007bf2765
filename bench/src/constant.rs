//! A server that reads every request whole and gives every one the same answer, on the stack that Forebay itself uses. A call
//! of gRPC gets it as a message, with its status behind.
//!
//! It is the target behind a proxy under test, and the limit for a model server under test.
//!
//! usage: constant BODY ADDRESS…

use std::error::Error;
use std::net::SocketAddr;

use net::{Body, Bytes, BytesMut, Drain, Fields, Limits, Request, Response, StatusCode};

/// Bytes of a request that are read.
const BODY_LIMIT: usize = 16 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let answer = Answer::new(arguments.next().ok_or("usage: constant BODY ADDRESS…")?.into())?;
    let addresses: Vec<SocketAddr> = arguments.map(|address| address.parse()).collect::<Result<_, _>>()?;
    let runtime = net::runtime()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (_drain, watch) = Drain::new();
        for address in addresses {
            let listener = net::bind(address, 1)?.remove(0);
            let answer = answer.clone();
            let handler = move |request: Request| respond(request, answer.clone());
            tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch.clone()));
        }
        std::future::pending().await
    })
}

/// What everybody is told.
#[derive(Clone)]
struct Answer {
    body: Bytes,
    /// The same behind its length ("gRPC over HTTP2", Length-Prefixed-Message).
    message: Bytes,
}

// === impl Answer ===

impl Answer {
    fn new(body: Bytes) -> Result<Self, Box<dyn Error>> {
        let mut message = BytesMut::from(&[0][..]);
        message.extend_from_slice(&u32::try_from(body.len())?.to_be_bytes());
        message.extend_from_slice(&body);
        Ok(Self { body, message: message.freeze() })
    }
}

async fn respond(request: Request, answer: Answer) -> Response {
    let is_grpc = request.is_grpc();
    if request.body.collect(BODY_LIMIT).await.is_err() {
        return Response::new(StatusCode::BAD_REQUEST);
    }
    if is_grpc {
        let mut trailers = Fields::with_capacity(1, 16);
        trailers.push("grpc-status", "0");
        let body = Body::with_trailers(answer.message, trailers);
        return Response::with_body(StatusCode::OK, "application/grpc", body);
    }
    Response::with_body(StatusCode::OK, "application/json", Body::from(answer.body))
}
