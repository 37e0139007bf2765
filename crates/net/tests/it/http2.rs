//! HTTP/2, with the `h2` crate's client on the other side, and with frames written by hand.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::HeaderMap;
use net::{Body, End, Fields, Limits, Request, Response, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{echo, run, start, talk};

const GOAWAY: u8 = 7;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn connect(address: std::net::SocketAddr) -> SendRequest<Bytes> {
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
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn ask(
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

fn post(path: &str) -> http::Request<()> {
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
fn what_would_not_be_a_request_in_http1_is_none_here() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let mut client = connect(address).await;
        let mut refused = async |request: http::Request<()>| {
            let answer = ask(&mut client, request, b"").await.unwrap();
            (answer.status, String::from_utf8(answer.body).unwrap())
        };
        let request = http::Request::get("http://a.example/").header("host", "b.example").body(()).unwrap();
        assert_eq!(refused(request).await, (400, "several-hosts\n".to_owned()));
        let many = (0..101).fold(http::Request::get("http://a.example/"), |request, n| {
            request.header(format!("x-{n}"), "1")
        });
        assert_eq!(refused(many.body(()).unwrap()).await, (431, "too-many-fields\n".to_owned()));
        let connect = http::Request::connect("a.example:443").body(()).unwrap();
        assert_eq!(refused(connect).await.0, 405);
        let request = http::Request::get("http://us%00er/").body(());
        if let Ok(request) = request {
            assert_eq!(refused(request).await.0, 400);
        }
    });
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request's fields without compression: each name and value as they are (RFC 7541 §6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// What a server answers to frames, until it closes or has been silent for a moment; frames as kind and payload.
async fn converse(address: std::net::SocketAddr, frames: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await.unwrap();
    // The other side may close before it has read all.
    let _ = stream.write_all(frames).await;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(n_bytes @ 1..)) =
        tokio::time::timeout(Duration::from_millis(300), stream.read(&mut buffer)).await
    {
        bytes.extend_from_slice(&buffer[..n_bytes]);
    }
    let mut rest = bytes.as_slice();
    let mut answers = Vec::new();
    while let Some((head, payload)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        answers.push((head[3], payload[..length.min(payload.len())].to_vec()));
        rest = payload.get(length..).unwrap_or_default();
    }
    answers
}

const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

#[test]
fn fields_that_would_become_another_request_reach_nobody() {
    run(async {
        let reached = Rc::new(Cell::new(0));
        let handler = {
            let reached = Rc::clone(&reached);
            move |request: Request| {
                reached.set(reached.get() + 1);
                echo(request)
            }
        };
        let (address, _drain) = start(handler, Limits::default());
        let ask = async |extra: &[(&str, &str)]| {
            let pseudo: &[(&str, &str)] =
                &[(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a.example")];
            let names: Vec<&str> = extra.iter().map(|(name, _)| *name).collect();
            let kept = pseudo.iter().filter(|(name, _)| !names.contains(name) || *name == ":authority");
            let (own, rest): (Vec<_>, Vec<_>) = extra.iter().partition(|(name, _)| name.starts_with(':'));
            let all: Vec<_> = kept.copied().chain(own).chain(rest).collect();
            converse(address, &frame(1, 0x5, 1, &fields(&all))).await
        };
        let good = ask(&[("x-a", "1")]).await;
        assert!(good.iter().any(|(kind, _)| *kind == 1), "a good request is answered: {good:?}");
        assert_eq!(reached.get(), 1);
        let bad: &[&[(&str, &str)]] = &[
            &[("x-a", "1\r\nhost: evil")],
            &[("x-a", "1\n")],
            &[("x-a", "\0")],
            &[("x\r\na", "1")],
            &[("x a", "1")],
            &[("x:a", "1")],
            &[("X-Upper", "1")],
            &[("content-length", "5")],
            &[("content-length", "x")],
            &[("content-length", "0"), ("content-length", "5")],
            &[("transfer-encoding", "chunked")],
            &[("connection", "x-a")],
            &[("keep-alive", "1")],
            &[("upgrade", "websocket")],
            &[("te", "gzip")],
            &[(":authority", "b.example")],
            &[("host", "b.example")],
            &[(":path", "/a b")],
            &[(":path", "/a\r\nx: y")],
            &[(":path", "http://b.example/")],
            &[(":path", "")],
            &[(":path", "*")],
            &[(":method", "GE T")],
            &[(":scheme", "http"), (":scheme", "https")],
            &[(":unknown", "1")],
        ];
        for fields in bad {
            let answers = ask(fields).await;
            assert_eq!(reached.get(), 1, "{fields:?} reached a handler");
            // It is told so by an answer or by the end of its stream, and not by that of its connection.
            assert!(answers.iter().any(|(kind, _)| [1, 3].contains(kind)), "{fields:?}: {answers:?}");
            assert!(answers.iter().all(|(kind, _)| *kind != GOAWAY), "{fields:?}: {answers:?}");
        }
    });
}

#[test]
fn a_request_with_a_malformed_field_is_refused_alone() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let pseudo = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a.example")];
        let with =
            |name: &'static str, value: &'static str| fields(&[&pseudo[..], &[(name, value)]].concat());
        let frames = [
            frame(1, 0x4, 1, &with("x-a", "1")),
            frame(1, 0x5, 3, &with("x-a", "\r\n")),
            frame(1, 0x5, 5, &with("X-A", "1")),
            frame(1, 0x5, 7, &with("content-length", "7")),
            frame(0, 0x1, 1, b"still here"),
        ];
        let answers = converse(address, &frames.concat()).await;
        let bodies: Vec<String> = answers
            .iter()
            .filter(|(kind, payload)| *kind == 0 && !payload.is_empty())
            .map(|(_, payload)| String::from_utf8_lossy(payload).into_owned())
            .collect();
        let mut sorted = bodies.clone();
        sorted.sort();
        assert_eq!(
            sorted,
            ["malformed-content-length\n", "malformed-head\n", "malformed-head\n", "still here"]
        );
        assert!(answers.iter().all(|(kind, _)| *kind != GOAWAY), "{answers:?}");
    });
}

#[test]
fn what_breaks_the_connection_is_said_with_its_reason() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let get = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]);
        let cases: &[(&str, Vec<u8>, u8)] = &[
            ("a stream of even number", frame(1, 0x5, 2, &get), 1),
            ("data before its head", frame(0, 0, 1, b"x"), 1),
            ("a reset of nothing", frame(3, 0, 1, &[0; 4]), 1),
            ("a window of nothing", frame(8, 0, 9, &[0, 0, 0, 1]), 1),
            ("a window by 0", frame(8, 0, 0, &[0; 4]), 1),
            ("a window beyond all", frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), 3),
            ("a frame within fields", [frame(1, 0x1, 1, &get), frame(6, 0, 0, &[0; 8])].concat(), 1),
            ("fields of nobody", frame(9, 0x4, 1, &get), 1),
            ("a promise", frame(5, 0x4, 1, &[0, 0, 0, 2]), 1),
            ("settings of 5 bytes", frame(4, 0, 0, &[0; 5]), 6),
            ("settings of a stream", frame(4, 0, 1, &[]), 1),
            ("a window of 2^31 in settings", frame(4, 0, 0, &[0, 4, 0x80, 0, 0, 0]), 3),
            ("frames of 1 byte", frame(4, 0, 0, &[0, 5, 0, 0, 0, 1]), 1),
            ("a ping of 7 bytes", frame(6, 0, 0, &[0; 7]), 6),
            ("a frame of 16,385 bytes", frame(0, 0, 1, &[0; 16_385]), 6),
            ("fields of no table", frame(1, 0x5, 1, &[0xff, 0x7f]), 9),
        ];
        for (name, frames, reason) in cases {
            let answers = converse(address, frames).await;
            let goaway = answers.iter().find(|(kind, _)| *kind == GOAWAY);
            // Where frames were still on their way, the system may have reset the connection first.
            if let Some((_, payload)) = goaway {
                assert_eq!(payload[4..8], [0, 0, 0, *reason], "{name}");
            } else {
                assert!(frames.len() > 16_384, "{name}: {answers:?}");
            }
        }
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
fn floods_end_their_connection_and_nobody_elses() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let mut good = connect(address).await;
        let headers = |stream: u32| {
            let fields = fields(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a.example"),
            ]);
            frame(1, 0x5, stream, &fields)
        };
        let reset = |stream: u32| frame(3, 0, stream, &[0, 0, 0, 8]);
        let resets = (0..2_000).flat_map(|n| [headers(2 * n + 1), reset(2 * n + 1)]).flatten().collect();
        let unfinished = frame(1, 0, 1, b"");
        let continuations = std::iter::once(unfinished).chain((0..20_000).map(|_| frame(9, 0, 1, b"")));
        let floods: [(&str, Vec<u8>); 7] = [
            ("window", vec![frame(8, 0, 0, &[0, 0, 0, 1]); 20_000].concat()),
            ("ping", vec![frame(6, 0, 0, b"12345678"); 20_000].concat()),
            ("settings", vec![frame(4, 0, 0, &[]); 20_000].concat()),
            ("priority", vec![frame(2, 0, 1, &[0, 0, 0, 3, 1]); 20_000].concat()),
            ("unknown", vec![frame(0xfa, 0, 0, b""); 20_000].concat()),
            ("continuation", continuations.flatten().collect()),
            ("reset", resets),
        ];
        for (name, frames) in floods {
            let answers = converse(address, &frames).await;
            let goaway = answers.iter().find(|(kind, _)| *kind == GOAWAY);
            let pongs = answers.iter().filter(|(kind, _)| *kind == 6).count();
            // As many as are allowed, and as one read may bring.
            assert!(pongs <= 2_000, "{name}: {pongs} answers");
            // Where the client's frames were still on their way, the system may have reset the connection first.
            if let Some((_, payload)) = goaway {
                assert_eq!(payload[4..8], ENHANCE_YOUR_CALM, "{name}");
            }
            let answer = ask(&mut good, post("/"), b"still here").await.unwrap();
            assert_eq!(answer.body, b"still here", "{name}");
        }
    });
}

#[test]
fn who_asks_may_measure_as_often() {
    run(async {
        let (address, _drain) = start(echo, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await.unwrap();
        let head =
            fields(&[(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a.example")]);
        // Clients of gRPC send two WINDOW_UPDATEs for a call, however small, and a PING for what comes to learn what the network holds.
        let call = |stream: u32| {
            let [ping, window] = [frame(6, 0, 0, b"12345678"), frame(8, 0, 0, &[0, 0, 0, 5])];
            [frame(1, 0x4, stream, &head), frame(0, 0x1, stream, b"12345"), window.clone(), window, ping]
                .concat()
        };
        let (mut bytes, mut n_answers) = (Vec::new(), 0);
        for batch in 0..60 {
            let calls: Vec<u8> = (batch * 50..(batch + 1) * 50).flat_map(|n| call(2 * n + 1)).collect();
            stream.write_all(&calls).await.unwrap();
            while n_answers < (batch + 1) * 50 {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "ended after {n_answers} calls");
                while let Some((head, payload)) = bytes.split_first_chunk::<9>() {
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                    if payload.len() < length {
                        break;
                    }
                    assert_ne!(head[3], GOAWAY, "after {n_answers} calls");
                    n_answers += u32::from(head[3] <= 1 && head[4] & 1 != 0);
                    bytes.drain(..9 + length);
                }
            }
        }
    });
}

#[test]
fn a_client_that_takes_nothing_is_left() {
    run(async {
        let ended = Rc::new(Cell::new(None));
        let handler = {
            let ended = Rc::clone(&ended);
            move |_: Request| {
                let ended = Rc::clone(&ended);
                async move {
                    let mut response = Response::with_body(StatusCode::OK, "text/plain", vec![b'x'; 1 << 20]);
                    response.when_sent = Some(Box::new(move |sent| ended.set(Some(sent.end))));
                    response
                }
            }
        };
        let limits = Limits { idle_timeout: Duration::from_millis(100), ..Limits::default() };
        let (address, _drain) = start(handler, limits);
        let client = connect(address).await;
        let (answer, _sending) = client.ready().await.unwrap().send_request(post("/"), true).unwrap();
        // The body is not read, so its window does not open again.
        let body = answer.await.unwrap().into_body();
        while ended.get().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ended.get(), Some(End::ClientLeft));
        drop(body);
    });
}

#[test]
fn a_preface_that_stops_does_not_wait_for_long() {
    run(async {
        let limits = Limits { head_timeout: Duration::from_millis(50), ..Limits::default() };
        let (address, _drain) = start(echo, limits);
        for beginning in [&PREFACE[..3], &PREFACE[..20], PREFACE] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(beginning).await.unwrap();
            let mut answer = Vec::new();
            // Closed, or reset: it is over.
            let _ = stream.read_to_end(&mut answer).await;
        }
        let post = talk(address, b"POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 200"), "{post}");
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
