//! Our client of HTTP/2, with the `h2` crate's server on the other side, and with frames written by hand.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use net::{Body, ConnectError, Fields, Http2Connection, Method, Outgoing, Response, SendError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::run;

const PATIENCE: Duration = Duration::from_secs(1000);

/// Runs a test whose time passes as soon as nothing else happens.
fn run_fast(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// A server that is told what to do with each connection.
async fn start<F: Future<Output = ()> + 'static>(serve: impl Fn(TcpStream) -> F + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(stream));
        }
    });
    address
}

async fn get(connection: &Http2Connection, timeout: Duration) -> Result<Response, SendError> {
    let mut fields = Fields::new();
    fields.push("host", "a.example");
    let (method, body) = (&Method::GET, Body::Empty);
    connection.send(Outgoing { method, target: "/", fields: &fields, body, timeout }).await
}

/// Says that it speaks HTTP/2, and nothing more.
async fn be_silent(mut stream: TcpStream) {
    stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await.is_ok_and(|n_bytes| n_bytes > 0) {}
}

#[test]
fn a_connection_that_nobody_holds_ends_after_its_last_request() {
    run(async {
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let ended = std::rc::Rc::new(std::cell::Cell::new(Some(ended)));
        let address = start(move |stream| {
            let ended = ended.take();
            async move {
                let mut server = h2::server::handshake(stream).await.unwrap();
                while let Some(asked) = server.accept().await {
                    let (_, mut respond) = asked.unwrap();
                    tokio::task::spawn_local(async move {
                        let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                        body.send_data(Bytes::from_static(b"one"), false).unwrap();
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        body.send_data(Bytes::from_static(b"two"), true).unwrap();
                    });
                }
                let _ = ended.unwrap().send(());
            }
        })
        .await;
        let connection = Http2Connection::open(address, None, PATIENCE).await.unwrap();
        assert_eq!((connection.n_streams(), connection.is_open()), (0, true));
        let answer = get(&connection, PATIENCE).await.unwrap();
        assert_eq!(connection.n_streams(), 1);
        drop(connection);
        assert_eq!(answer.body.collect(100).await.unwrap(), "onetwo");
        has_ended.await.unwrap();
    });
}

#[test]
fn a_server_that_is_gone_is_noticed_before_the_patience_with_its_answer_ends() {
    run_fast(async {
        let address = start(be_silent).await;
        let connection = Http2Connection::open(address, None, PATIENCE).await.unwrap();
        let began = Instant::now();
        let answer = get(&connection, PATIENCE).await;
        assert!(matches!(answer, Err(SendError::Closed { was_used: false })), "{answer:?}");
        assert!((40..90).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        assert!(!connection.is_open());
    });
}

#[test]
fn a_server_that_answers_too_late_is_asked_nothing_more_on_that_connection() {
    run_fast(async {
        let address = start(be_silent).await;
        let connection = Http2Connection::open(address, None, PATIENCE).await.unwrap();
        let answer = get(&connection, Duration::from_secs(5)).await;
        assert!(matches!(answer, Err(SendError::TimedOut)), "{answer:?}");
        assert!(!connection.is_open(), "nothing at all came in this time");
    });
}

#[test]
fn what_is_no_http_2_is_told_apart_from_what_takes_no_connection() {
    run(async {
        let address = start(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 64]).await;
        })
        .await;
        let opened = Http2Connection::open(address, None, PATIENCE).await;
        assert!(matches!(opened.err(), Some(ConnectError::NoHttp2 { .. })));
        let address = start(|stream| async move { drop(stream) }).await;
        let opened = Http2Connection::open(address, None, PATIENCE).await;
        assert!(matches!(opened.err(), Some(ConnectError::Refused { .. })));
        let silent = start(|mut stream| async move {
            while stream.read(&mut [0; 64]).await.is_ok_and(|n_bytes| n_bytes > 0) {}
        })
        .await;
        let opened = Http2Connection::open(silent, None, Duration::from_millis(100)).await;
        assert!(matches!(opened.err(), Some(ConnectError::NoHttp2 { .. })));
    });
}

/// A server that takes a request and says these frames to it, on its stream.
async fn answering(kind: u8, flags: u8, payload: &'static [u8]) -> SocketAddr {
    start(move |mut stream| async move {
        let mut bytes = [0; 1024];
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut n_bytes = 0;
        while n_bytes < 90 {
            n_bytes += stream.read(&mut bytes).await.unwrap();
        }
        let head = [0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, 1];
        stream.write_all(&[&head, payload].concat()).await.unwrap();
        while stream.read(&mut bytes).await.is_ok_and(|n_bytes| n_bytes > 0) {}
    })
    .await
}

#[test]
fn what_is_no_answer_is_told_apart_from_none() {
    run(async {
        // `:status: 200`, and `content-length: 5` (RFC 7541, appendix A).
        for (name, kind, flags, payload) in [
            ("data before its head", 0, 1, b"data".as_slice()),
            ("a head that ends its stream and tells of a body", 1, 5, b"\x88\x5c\x015"),
            ("a head without a status", 1, 5, b"\x5c\x010"),
            ("a head that ends with 100", 1, 5, b"\x08\x03100"),
        ] {
            let address = answering(kind, flags, payload).await;
            let connection = Http2Connection::open(address, None, PATIENCE).await.unwrap();
            let answer = get(&connection, Duration::from_secs(5)).await;
            assert!(matches!(answer, Err(SendError::Malformed(_))), "{name}: {answer:?}");
            assert!(connection.is_open(), "{name}");
        }
        let address = answering(1, 5, b"\x88").await;
        let connection = Http2Connection::open(address, None, PATIENCE).await.unwrap();
        assert_eq!(get(&connection, PATIENCE).await.unwrap().status, 200);
    });
}

#[test]
fn a_server_that_allows_no_requests_is_waited_for_as_long_as_for_an_answer() {
    run_fast(async {
        let address = start(|mut stream| async move {
            // MAX_CONCURRENT_STREAMS of 0.
            stream.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\0").await.unwrap();
            let mut bytes = [0; 1024];
            while stream.read(&mut bytes).await.is_ok_and(|n_bytes| n_bytes > 0) {}
        })
        .await;
        let connection = Http2Connection::open(address, None, PATIENCE).await.unwrap();
        assert_eq!(connection.room(), 0);
        let answer = get(&connection, Duration::from_secs(5)).await;
        assert!(matches!(answer, Err(SendError::TimedOut)), "{answer:?}");
        assert_eq!(connection.n_streams(), 0);
    });
}
