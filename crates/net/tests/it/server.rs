use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use net::{Body, Limits, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{echo, run, start, talk};

type HyperBody = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;
type Sender = hyper::client::conn::http1::SendRequest<HyperBody>;

async fn hyper_client(address: std::net::SocketAddr) -> Sender {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::task::spawn_local(connection);
    sender
}

async fn ask(sender: &mut Sender, method: &str, target: &str, body: HyperBody) -> (u16, Bytes) {
    sender.ready().await.unwrap();
    let request = http::Request::builder().method(method).uri(target).header("host", "a").body(body).unwrap();
    let response = sender.send_request(request).await.unwrap();
    (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
}

fn full(bytes: impl Into<Bytes>) -> HyperBody {
    Full::new(bytes.into()).boxed()
}

/// A body in chunks, whose length the client does not say.
fn chunked(n_chunks: usize, chunk: &'static [u8]) -> HyperBody {
    let frames = (0..n_chunks).map(move |_| Ok(Frame::data(Bytes::from_static(chunk))));
    StreamBody::new(Frames(frames)).boxed()
}

struct Frames<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Frames<I> {
    type Item = I::Item;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

#[test]
fn one_connection_carries_many_requests_of_all_shapes() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let mut sender = hyper_client(address).await;
        for target in ["/", "/stream"] {
            let large = Bytes::from(vec![b'x'; 3 << 20]);
            assert_eq!(ask(&mut sender, "GET", target, full("")).await, (200, Bytes::new()));
            assert_eq!(ask(&mut sender, "POST", target, full("small")).await, (200, Bytes::from("small")));
            assert_eq!(ask(&mut sender, "POST", target, full(large.clone())).await, (200, large));
            assert_eq!(
                ask(&mut sender, "POST", target, chunked(3, b"abc")).await,
                (200, Bytes::from("abcabcabc"))
            );
            let long = ask(&mut sender, "PUT", target, chunked(500, &[b'y'; 10_000])).await;
            assert_eq!((long.0, long.1.len()), (200, 5_000_000));
            assert_eq!(ask(&mut sender, "HEAD", target, full("")).await, (200, Bytes::new()));
        }
        assert_eq!(ask(&mut sender, "DELETE", "/nothing", full("")).await, (204, Bytes::new()));
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let requests = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none\r\n\
                        POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
                        GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answers = talk(address, requests.as_bytes()).await;
        let places: Vec<_> = ["POST /1", "one", "POST /2", "two", "GET /3", "connection: close"]
            .iter()
            .map(|part| answers.find(part).unwrap_or_else(|| panic!("{part} is not in {answers}")))
            .collect();
        assert!(places.is_sorted(), "{answers}");
    });
}

#[test]
fn acc_s1_41_http_10_is_answered_and_closed() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let answer = talk(address, b"GET /health HTTP/1.0\r\n\r\n").await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close\r\n"),
            "{answer}"
        );
        let streamed = b"POST /stream HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc\
                         GET / HTTP/1.0\r\n\r\n";
        let answers = talk(address, streamed).await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
        assert!(answers.contains("connection: keep-alive\r\n"), "{answers}");
    });
}

#[test]
fn a_client_that_expects_100_continue_gets_it_when_its_body_is_wanted() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"hello").await.unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    });
}

#[test]
fn what_is_no_request_is_refused_and_the_connection_closed() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        for (bytes, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("\x16\x03\x01\x02\x00\x01\n", "400"),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "400",
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501"),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505"),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ] {
            let answer = talk(address, bytes.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes:?}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{answer}");
        }
        for n_bytes in [9_000, 20_000] {
            let long = "x".repeat(n_bytes);
            let long_line = format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(talk(address, long_line.as_bytes()).await.starts_with("HTTP/1.1 414 "));
            let long_field = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n");
            assert!(talk(address, long_field.as_bytes()).await.starts_with("HTTP/1.1 431 "));
        }
    });
}

#[test]
fn a_malformed_chunk_is_the_client_s_fault_and_ends_the_connection() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = talk(address, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    });
}

#[test]
fn a_head_that_never_ends_times_out() {
    run(async {
        let limits = Limits { head_timeout: Duration::from_millis(50), ..Limits::default() };
        let (address, _drain) = start(echo, limits);
        let answer = talk(address, b"GET / HTTP/1.1\r\nHost:").await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    });
}

#[test]
fn silence_ends_an_idle_connection_without_a_word() {
    run(async {
        let limits = Limits { idle_timeout: Duration::from_millis(50), ..Limits::default() };
        let (address, _drain) = start(echo, limits);
        assert_eq!(talk(address, b"").await, "");
        // On a busy machine the time may be over before the request is sent: then it is sent once more.
        let answer = loop {
            let answer = talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            if !answer.is_empty() {
                break answer;
            }
        };
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    });
}

#[test]
fn a_connection_after_a_long_silence_has_its_whole_time() {
    run(async {
        let idle_timeout = Duration::from_millis(300);
        let (address, _drain) = start(echo, Limits { idle_timeout, ..Limits::default() });
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert!(talk(address, request).await.starts_with("HTTP/1.1 200 "));
        loop {
            tokio::time::sleep(idle_timeout * 2).await;
            let start = std::time::Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            tokio::time::sleep(idle_timeout / 6).await;
            let mut answer = String::new();
            let asked = stream.write_all(request).await.is_ok();
            let answered = asked && stream.read_to_string(&mut answer).await.is_ok();
            // A busy machine may have been silent for too long itself: that shows nothing.
            let was_in_time = start.elapsed() < idle_timeout;
            if was_in_time {
                assert!(answered && answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
                break;
            }
        }
    });
}

#[test]
fn a_drain_finishes_requests_and_closes_idle_connections() {
    run(async {
        let (release, released) = tokio::sync::watch::channel(false);
        let (started, mut has_started) = tokio::sync::watch::channel(false);
        let handler = move |_| {
            let mut released = released.clone();
            started.send_replace(true);
            async move {
                released.wait_for(|released| *released).await.unwrap();
                Response::with_body(StatusCode::OK, "text/plain", "done")
            }
        };
        let (address, drain) = start(handler, Limits::default());
        let mut idle = TcpStream::connect(address).await.unwrap();
        let busy = tokio::task::spawn_local(talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        // Connections are accepted in their order: both are there.
        has_started.wait_for(|started| *started).await.unwrap();
        let finished = tokio::task::spawn_local(drain.finish(Duration::from_secs(5)));
        assert_eq!(idle.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        release.send_replace(true);
        let answer = busy.await.unwrap();
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("done"), "{answer}");
        assert!(finished.await.unwrap());
        assert!(TcpStream::connect(address).await.is_err());
    });
}

/// Tells when it is dropped.
struct Guard(Rc<Cell<bool>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    run(async {
        let dropped = Rc::new(Cell::new(false));
        let (started, mut has_started) = tokio::sync::watch::channel(false);
        let handler = {
            let dropped = Rc::clone(&dropped);
            move |_| {
                let guard = Guard(Rc::clone(&dropped));
                started.send_replace(true);
                async move {
                    std::future::pending::<()>().await;
                    drop(guard);
                    Response::new(StatusCode::OK)
                }
            }
        };
        let (address, _drain) = start(handler, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        has_started.wait_for(|started| *started).await.unwrap();
        drop(stream);
        while !dropped.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_client_that_has_closed_its_side_gets_its_answers_all_the_same() {
    run(async {
        let slow = |request: net::Request| async move {
            let is_slow = request.target.path() == "/slow";
            tokio::time::sleep(Duration::from_millis(if is_slow { 500 } else { 50 })).await;
            echo(request).await
        };
        let (address, _drain) = start(slow, Limits::default());
        for (requests, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &["200 OK"][..]),
            ("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", &["200 OK", "200 OK"]),
            ("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", &["200 OK"]),
            // Who takes long is told in between that it goes on, which those of HTTP/1.0 do not know.
            ("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", &["100 Continue", "200 OK"]),
            ("GET /slow HTTP/1.0\r\nHost: a\r\n\r\n", &["200 OK"]),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(requests.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answers = String::new();
            stream.read_to_string(&mut answers).await.unwrap();
            let statuses: Vec<&str> =
                answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")).collect();
            assert_eq!(statuses, expected, "{requests}");
        }
    });
}

#[test]
fn a_request_that_meets_a_drain_is_answered_as_the_last() {
    run(async {
        let (address, drain) = start(echo, Limits::default());
        let mut kept = TcpStream::connect(address).await.unwrap();
        kept.write_all(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        kept.read_exact(&mut answer).await.unwrap();
        // One that the system has let in and nobody here has seen.
        let mut new = TcpStream::connect(address).await.unwrap();
        drain.begin();
        for stream in [&mut kept, &mut new] {
            stream.write_all(b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        }
        for mut stream in [kept, new] {
            let mut rest = String::new();
            stream.read_to_string(&mut rest).await.unwrap();
            assert!(rest.contains("GET /2\r\n") && rest.contains("connection: close\r\n"), "{rest}");
        }
        assert!(drain.finish(Duration::from_secs(5)).await);
    });
}

/// A body that never comes.
struct Silence(#[expect(dead_code, reason = "dropped with the body")] Guard);

impl net::BodyStream for Silence {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, net::BodyError>>> {
        Poll::Pending
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

#[test]
fn the_head_of_an_answer_does_not_wait_for_its_body_and_a_client_that_leaves_ends_it() {
    run(async {
        let dropped = Rc::new(Cell::new(false));
        let handler = {
            let dropped = Rc::clone(&dropped);
            move |_| {
                let body = Body::Stream(Box::new(Silence(Guard(Rc::clone(&dropped)))));
                async move { Response::with_body(StatusCode::OK, "text/plain", body) }
            }
        };
        let (address, _drain) = start(handler, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 200 "));
        stream.set_zero_linger().unwrap();
        drop(stream);
        while !dropped.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_handler_that_ignores_a_large_body_still_gets_its_answer_through() {
    run(async {
        let handler =
            |_| async { Response::with_body(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "too large") };
        let (address, _drain) = start(handler, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n").await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let sending =
            tokio::task::spawn_local(async move { while writing.write_all(&[0; 65536]).await.is_ok() {} });
        let mut answer = String::new();
        let _ = reading.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        sending.await.unwrap();
    });
}
