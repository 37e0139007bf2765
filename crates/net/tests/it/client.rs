use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use net::{Body, ClientConnection, Fields, Method, Outgoing, Response, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::run;

type Idle = Rc<RefCell<Option<ClientConnection>>>;

/// Sends over the idle connection if there is one, and keeps the connection afterwards if it can be used again.
async fn ask(
    address: SocketAddr,
    idle: &Idle,
    method: Method,
    target: &str,
    body: Body,
) -> Result<Response, SendError> {
    let kept = idle.borrow_mut().take().filter(ClientConnection::is_open);
    let connection = match kept {
        Some(connection) => connection,
        None => ClientConnection::open(address, Duration::from_secs(5)).await.unwrap(),
    };
    let mut fields = Fields::new();
    fields.push("host", "a");
    let outgoing =
        Outgoing { method: &method, target, fields: &fields, body, timeout: Duration::from_millis(500) };
    let idle = Rc::clone(idle);
    connection.send(outgoing, move |connection| *idle.borrow_mut() = Some(connection)).await
}

async fn text(response: Response) -> String {
    String::from_utf8(response.body.collect(64 << 20).await.unwrap().to_vec()).unwrap()
}

/// A hyper server that echoes; it counts connections.
async fn hyper_server() -> (SocketAddr, Rc<RefCell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let n_connections = Rc::new(RefCell::new(0));
    let counter = Rc::clone(&n_connections);
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            *counter.borrow_mut() += 1;
            let service = hyper::service::service_fn(|request: http::Request<Incoming>| async move {
                let status = if request.uri().path() == "/nothing" { 204 } else { 200 };
                let is_streamed = request.uri().path() == "/stream";
                let body = if is_streamed {
                    request.into_body().boxed()
                } else {
                    let bytes: Bytes = request.into_body().collect().await?.to_bytes();
                    Full::new(bytes).map_err(|never| match never {}).boxed()
                };
                Ok::<_, hyper::Error>(http::Response::builder().status(status).body(body).unwrap())
            });
            tokio::task::spawn_local(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (address, n_connections)
}

/// A server that answers every connection with these bytes, once it has read something, and closes it.
async fn canned_server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

#[test]
fn one_connection_carries_requests_and_responses_of_all_shapes() {
    run(async {
        let (address, n_connections) = hyper_server().await;
        let idle = Idle::default();
        for target in ["/", "/stream"] {
            for body in ["", "small", &"x".repeat(100_000), &"y".repeat(3 << 20)] {
                let response =
                    ask(address, &idle, Method::POST, target, Body::from(body.to_owned())).await.unwrap();
                assert_eq!(text(response).await, body);
            }
            let response = ask(address, &idle, Method::HEAD, target, Body::Empty).await.unwrap();
            assert_eq!(text(response).await, "");
            let response = ask(address, &idle, Method::GET, "/nothing", Body::Empty).await.unwrap();
            assert_eq!(text(response).await, "");
        }
        assert_eq!(*n_connections.borrow(), 1);
    });
}

#[test]
fn a_connection_that_the_server_closed_is_not_used_again() {
    run(async {
        let address = canned_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let idle = Idle::default();
        for _ in 0..3 {
            assert_eq!(text(ask(address, &idle, Method::GET, "/", Body::Empty).await.unwrap()).await, "ok");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn bytes_after_a_response_poison_the_connection() {
    run(async {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen";
        let address = canned_server(answer).await;
        let idle = Idle::default();
        assert_eq!(text(ask(address, &idle, Method::GET, "/", Body::Empty).await.unwrap()).await, "ok");
        let kept = idle.borrow_mut().take();
        assert!(!kept.is_some_and(|connection| connection.is_open()));
    });
}

#[test]
fn interim_responses_are_passed_over_and_a_close_may_end_a_body() {
    run(async {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end";
        let address = canned_server(answer).await;
        let idle = Idle::default();
        let response = ask(address, &idle, Method::GET, "/", Body::Empty).await.unwrap();
        assert_eq!(text(response).await, "to the end");
        assert!(idle.borrow().is_none());
    });
}

#[test]
fn every_way_to_get_no_response_has_its_name() {
    run(async {
        let failure = async |answer: &'static [u8]| {
            let address = canned_server(answer).await;
            let response = ask(address, &Idle::default(), Method::GET, "/", Body::Empty).await;
            match response {
                Err(error) => format!("{error:?}"),
                Ok(response) => format!("{:?}", response.body.collect(1000).await),
            }
        };
        assert_eq!(failure(b"").await, "Closed { was_used: false }");
        assert_eq!(failure(b"HTTP/1.1 200").await, "Truncated");
        assert_eq!(failure(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await, "Err(Body(Closed))");
        assert_eq!(failure(b"SSH-2.0-OpenSSH\r\n\r\n").await, "Malformed(\"malformed response head\")");
        assert!(failure(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.starts_with("Malformed"));
        let both = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(failure(both).await.starts_with("Malformed"));
    });
}

#[test]
fn a_silent_server_times_out() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let response = ask(address, &Idle::default(), Method::GET, "/", Body::Empty).await;
        assert!(matches!(response, Err(SendError::TimedOut)), "{response:?}");
    });
}

#[test]
fn a_refused_connection_says_so() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = ClientConnection::open(address, Duration::from_secs(1)).await.err().unwrap();
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}")), "{error}");
    });
}
