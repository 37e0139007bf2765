//! What clients of HTTP/2 do that breaks its rules or wears a server out.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use net::{End, Limits, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http2::{ask, connect, post};
use crate::{echo, run, start, talk};

const GOAWAY: u8 = 7;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

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
