//! HTTP/2, with the `h2` crate's client on the other side, and with frames written by hand.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::HeaderMap;
use net::{Body, Fields, Limits, Request, Response, StatusCode, Version};
use tokio::net::TcpStream;

use crate::{echo, run, start, talk};

pub(crate) async fn connect(address: std::net::SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    // So that a stream whose body nobody takes leaves room for others.
    builder.initial_connection_window_size(1 << 20);
    let (client, connection) = builder.handshake(stream).await.unwrap();
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    client
}

/// An answer: status, fields and body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) async fn ask(
    client: &mut SendRequest<Bytes>,
    request: http::Request<()>,
    body: &[u8],
) -> Result<Answer, h2::Error> {
    let mut ready = client.clone().ready().await?;
    let (answer, mut sending) = ready.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        sending.send_data(Bytes::copy_from_slice(body), true)?;
    }
    let (head, mut stream) = answer.await?.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}

pub(crate) fn post(path: &str) -> http::Request<()> {
    http::Request::post(format!("http://a.example{path}")).body(()).unwrap()
}

#[test]
fn both_versions_are_spoken_on_one_port() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let mut client = connect(address).await;
        let answer = ask(&mut client, post("/x?y=1"), b"hello").await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"hello".as_slice()));
        assert_eq!(answer.headers["x-asked"], "POST /x?y=1");
        assert_eq!(answer.headers["content-length"], "5");
        assert!(answer.headers.contains_key("date"));
        let answer = ask(&mut client, post("/nothing"), b"").await.unwrap();
        assert_eq!((answer.status, answer.headers.get("content-length")), (204, None));
        let plain = talk(address, b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(plain.starts_with("HTTP/1.1 200"), "{plain}");
    });
}

#[test]
fn large_bodies_go_both_ways_side_by_side() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let client = connect(address).await;
        let bodies: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 300_000 + usize::from(n)]).collect();
        let asking = bodies.iter().map(|body| {
            let mut client = client.clone();
            async move { ask(&mut client, post("/stream"), body).await.unwrap() }
        });
        let mut answers = Vec::new();
        for asked in asking.map(Box::pin).collect::<Vec<_>>() {
            answers.push(asked.await);
        }
        assert!(answers.iter().zip(&bodies).all(|(answer, body)| answer.body == *body));
    });
}

#[test]
fn trailers_come_through_in_both_directions() {
    run(async {
        let handler = |mut request: Request| async move {
            let mut n_bytes = 0;
            while let Some(piece) = request.body.chunk().await {
                n_bytes += piece.unwrap().len();
            }
            let came = request.body.take_trailers().unwrap_or_default();
            let mut trailers = Fields::new();
            trailers.push("grpc-status", "0");
            trailers.push("x-came", came.text("x-sum").unwrap_or("nothing"));
            let mut response = Response::new(StatusCode::OK);
            response.body = Body::with_trailers(n_bytes.to_string().into_bytes().into(), trailers);
            response
        };
        let (address, _drain) = start(handler, Limits::default());
        let client = connect(address).await;
        let (answer, mut sending) = client.ready().await.unwrap().send_request(post("/"), false).unwrap();
        sending.send_data(Bytes::from_static(b"12345"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "15".parse().unwrap());
        sending.send_trailers(trailers).unwrap();
        let mut body = answer.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "5");
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(
            (&trailers["grpc-status"], &trailers["x-came"]),
            (&"0".parse().unwrap(), &"15".parse().unwrap())
        );
    });
}

#[test]
fn a_request_that_is_taken_back_is_dropped() {
    run(async {
        struct Dropped(Rc<Cell<bool>>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let dropped = Rc::new(Cell::new(false));
        let handler = {
            let dropped = Rc::clone(&dropped);
            move |_: Request| {
                let guard = Dropped(Rc::clone(&dropped));
                async move {
                    let _guard = guard;
                    std::future::pending::<Response>().await
                }
            }
        };
        let (address, _drain) = start(handler, Limits::default());
        let client = connect(address).await;
        let (answer, mut sending) = client.ready().await.unwrap().send_request(post("/"), false).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!dropped.get());
        sending.send_reset(Reason::CANCEL);
        drop(answer);
        while !dropped.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_drain_lets_requests_finish_and_takes_no_more() {
    run(async {
        let slow = |request: Request| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            echo(request).await
        };
        let (address, drain) = start(slow, Limits::default());
        let mut client = connect(address).await;
        let (answer, _) = client.clone().ready().await.unwrap().send_request(post("/"), true).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        drain.begin();
        assert_eq!(answer.await.unwrap().status(), 200);
        assert!(drain.finish(Duration::from_secs(5)).await, "the connection has ended");
        ask(&mut client, post("/"), b"").await.err().expect("nobody is there any more");
    });
}

#[test]
fn the_end_waits_for_requests_that_are_at_work() {
    run(async {
        let slow = |request: Request| async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            echo(request).await
        };
        let (address, drain) = start(slow, Limits::default());
        let client = connect(address).await;
        let (answer, _) = client.ready().await.unwrap().send_request(post("/"), true).unwrap();
        let answered = Rc::new(Cell::new(false));
        let told = Rc::clone(&answered);
        tokio::task::spawn_local(async move {
            assert_eq!(answer.await.unwrap().status(), 200);
            told.set(true);
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        drain.begin();
        assert!(drain.finish(Duration::from_secs(5)).await);
        // Its last frames have left, and are read a moment later.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(answered.get(), "the end did not wait for it");
    });
}

#[test]
fn a_stream_that_takes_nothing_holds_up_no_other() {
    run(async {
        let large = |request: Request| async move {
            let n_bytes = if request.target.as_str() == "/large" { 8 << 20 } else { 10 };
            Response::with_body(StatusCode::OK, "text/plain", vec![b'x'; n_bytes])
        };
        let (address, _drain) = start(large, Limits::default());
        let mut client = connect(address).await;
        let held = client.clone().ready().await.unwrap().send_request(post("/large"), true).unwrap();
        let held = held.0.await.unwrap();
        for _ in 0..20 {
            assert_eq!(ask(&mut client, post("/"), b"").await.unwrap().body.len(), 10);
        }
        let (mut body, mut n_bytes) = (held.into_body(), 0);
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            n_bytes += piece.len();
            body.flow_control().release_capacity(piece.len()).unwrap();
        }
        assert_eq!(n_bytes, 8 << 20);
    });
}

#[test]
fn a_call_of_grpc_may_take_its_time_and_other_bodies_may_not() {
    run(async {
        let patience = Duration::from_millis(300);
        let limits = Limits { body_patience: patience, ..Limits::default() };
        let (address, _drain) = start(echo, limits);
        for (content_type, status) in [("application/grpc+proto", 200), ("application/json", 400)] {
            let client = connect(address).await;
            let request = http::Request::post("http://a.example/").header("content-type", content_type);
            let request = request.body(()).unwrap();
            let (answer, mut body) = client.ready().await.unwrap().send_request(request, false).unwrap();
            for n in 0..8 {
                let sent = body.send_data(Bytes::from_static(b"x"), n == 7);
                if sent.is_err() {
                    break;
                }
                tokio::time::sleep(patience / 4).await;
            }
            assert_eq!(answer.await.unwrap().status(), status, "{content_type}");
        }
    });
}

#[test]
fn the_version_is_told_to_handlers() {
    run(async {
        let version = |request: Request| async move {
            let is_http2 = request.version == Version::HTTP_2;
            Response::with_body(StatusCode::OK, "text/plain", is_http2.to_string())
        };
        let (address, _drain) = start(version, Limits::default());
        let mut client = connect(address).await;
        assert_eq!(ask(&mut client, post("/"), b"").await.unwrap().body, b"true");
    });
}

#[test]
fn an_answer_that_comes_before_the_body_is_read_is_not_lost() {
    run(async {
        let hasty = |_: Request| async { Response::with_body(StatusCode::NOT_FOUND, "text/plain", "no") };
        let (address, _drain) = start(hasty, Limits::default());
        let client = connect(address).await;
        for size in [1, 100_000, 3 << 20] {
            let (answer, mut sending) =
                client.clone().ready().await.unwrap().send_request(post("/"), false).unwrap();
            let head = answer.await.unwrap();
            assert_eq!(head.status(), 404);
            // The client goes on with its body, and nobody ends its stream meanwhile.
            let mut to_send = size;
            while to_send > 0 {
                sending.reserve_capacity(to_send);
                let room = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await.unwrap().unwrap();
                let n_bytes = room.min(to_send);
                sending.send_data(Bytes::from(vec![b'x'; n_bytes]), n_bytes == to_send).unwrap();
                to_send -= n_bytes;
            }
            let mut body = head.into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "no", "{size}");
            assert!(body.trailers().await.unwrap().is_none());
        }
    });
}
