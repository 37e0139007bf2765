//! Real sockets on loopback, with hyper as the other side: what it sends we must read, what we send it must read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod client;
mod handshakes;
mod http2;
mod http2_breaches;
mod http2_client;
mod server;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use net::{Body, Drain, Handler, Limits, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Runs a test on a thread of its own, as every core does.
fn run(test: impl Future<Output = ()>) {
    let runtime = net::runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs");
    });
}

/// Starts a server of ours. It ends with the returned drain.
fn start<H: Handler>(handler: H, limits: Limits) -> (SocketAddr, Drain) {
    let listener = net::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve(listener, handler, limits, watch));
    (address, drain)
}

/// Answers with what it was asked: method, target, and the body.
async fn echo(request: Request) -> Response {
    let head = format!("{} {}", request.method, request.target.as_str());
    let status = if request.target.path() == "/nothing" { StatusCode::NO_CONTENT } else { StatusCode::OK };
    let is_streamed = request.target.path() == "/stream";
    let body = if is_streamed {
        request.body
    } else {
        match request.body.collect(64 << 20).await {
            Ok(bytes) => Body::from(bytes),
            Err(error) => {
                return Response::with_body(StatusCode::BAD_REQUEST, "text/plain", error.to_string());
            }
        }
    };
    Response::with_body(status, "text/plain", body).with_field("x-asked", head)
}

/// Sends bytes as they are and reads until the server closes the connection.
async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
