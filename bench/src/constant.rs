//! A server that reads every request whole and gives every one the same answer, on the stack that Forebay itself uses.
//!
//! It is the target behind a proxy under test, and the limit for a model server under test.
//!
//! usage: constant BODY ADDRESS…

use std::error::Error;
use std::net::SocketAddr;

use net::{Body, Bytes, Drain, Limits, Request, Response, StatusCode};

/// Bytes of a request that are read.
const BODY_LIMIT: usize = 16 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let body = Bytes::from(arguments.next().ok_or("usage: constant BODY ADDRESS…")?);
    let addresses: Vec<SocketAddr> = arguments.map(|address| address.parse()).collect::<Result<_, _>>()?;
    let runtime = net::runtime()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (_drain, watch) = Drain::new();
        for address in addresses {
            let listener = net::bind(address, 1)?.remove(0);
            let body = body.clone();
            let handler = move |request: Request| answer(request, body.clone());
            tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch.clone()));
        }
        std::future::pending().await
    })
}

async fn answer(request: Request, body: Bytes) -> Response {
    match request.body.collect(BODY_LIMIT).await {
        Ok(_) => Response::with_body(StatusCode::OK, "application/json", Body::from(body)),
        Err(_) => Response::new(StatusCode::BAD_REQUEST),
    }
}
