//! Requests of HTTP/2 that would be something else in HTTP/1.1: nothing of them reaches the target, or one request that says
//! the same (RFC 9113 §8.2.1, §8.3.1, §10.3).

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use plan::{LoadBalancerKind, Matcher, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, free_address, group, load_balancer, plan_of, run};

/// A target that answers whatever comes, and keeps all bytes of each connection.
fn start() -> (SocketAddr, Rc<RefCell<Vec<Vec<u8>>>>) {
    let address = free_address();
    let listener = TcpListener::from_std(net::bind(address, 1).unwrap().remove(0)).unwrap();
    let came = Rc::<RefCell<Vec<Vec<u8>>>>::default();
    let kept = Rc::clone(&came);
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Rc::clone(&kept);
            tokio::task::spawn_local(async move {
                let (mut bytes, mut is_answered) = (Vec::new(), false);
                while stream.read_buf(&mut bytes).await.is_ok_and(|n_bytes| n_bytes > 0) {
                    if !is_answered && bytes.windows(4).any(|end| end == b"\r\n\r\n") {
                        is_answered = true;
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                        let _ = stream.write_all(answer).await;
                    }
                }
                if !bytes.is_empty() {
                    kept.borrow_mut().push(bytes);
                }
            });
        }
    });
    (address, came)
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Fields as they are, whatever they are: literals without a table (RFC 7541 §6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let literal = |(name, value): &(&str, &str)| [&[0], text(name).as_slice(), &text(value)].concat();
    fields.iter().flat_map(literal).collect()
}

/// What a client hears: a status, or that its request is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Status(u16),
    Refused,
}

async fn ask(address: SocketAddr, fields: &[(&str, &str)], body: &[u8]) -> Heard {
    const SETTINGS: u8 = 4;
    let (end_headers, end_stream) = (0x4, 0x1);
    let head = block(fields);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, b""));
    let is_whole = if body.is_empty() { end_stream } else { 0 };
    bytes.extend(frame(1, end_headers | is_whole, 1, &head));
    if !body.is_empty() {
        bytes.extend(frame(0, end_stream, 1, body));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Heard::Refused;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            // Statuses that have a number of their own (RFC 7541 appendix A); the others are refusals here.
            1 if payload[0] == 0x88 => return Heard::Status(200),
            1 => return Heard::Refused,
            3 | 7 => return Heard::Refused,
            _ => {}
        }
    }
}

/// The one request that the bytes are: its request line, and its body. Whatever else they are is an error.
fn one_request(bytes: &[u8]) -> Result<(String, Vec<u8>), String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n").ok_or("it has no end")?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    if line.split(' ').count() != 3 || !line.ends_with(" HTTP/1.1") {
        return Err(format!("no request line: {line}"));
    }
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let all = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| *value).collect()
    };
    if all("host").len() != 1
        || head.contains(['\n', '\r', '\0']) && head.matches('\n').count() != fields.len()
    {
        return Err(format!("not one host, or a line in a line: {text}"));
    }
    let rest = &bytes[end + 4..];
    match (all("content-length").as_slice(), all("transfer-encoding").as_slice()) {
        ([], []) if rest.is_empty() => Ok((line, Vec::new())),
        ([length], []) if length.parse() == Ok(rest.len()) => Ok((line, rest.to_vec())),
        ([], ["chunked"]) => {
            let mut body = Vec::new();
            let mut left = rest;
            loop {
                let end = left.windows(2).position(|end| end == b"\r\n").ok_or("a chunk has no end")?;
                let size = std::str::from_utf8(&left[..end]).unwrap_or_default();
                let size = usize::from_str_radix(size, 16).map_err(|error| error.to_string())?;
                let data = left.get(end + 2..end + 2 + size).ok_or("a chunk is cut")?;
                body.extend_from_slice(data);
                left = left[end + 2 + size..].strip_prefix(b"\r\n").ok_or("a chunk goes on")?;
                if size == 0 {
                    return if left.is_empty() { Ok((line, body)) } else { Err(format!("more: {text}")) };
                }
            }
        }
        _ => Err(format!("framed in two ways: {text}")),
    }
}

type Fields = &'static [(&'static str, &'static str)];
type Case = (&'static str, Fields, &'static str);

const METHOD: (&str, &str) = (":method", "POST");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "a.example");
const PATH: (&str, &str) = (":path", "/x");

/// What is no request, however it is said. `next` stands where a second request would begin.
const REFUSED: &[Case] = &[
    ("CR and LF in a value", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a", "1\r\nx-b: 2")], ""),
    ("a head in a value", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a", "1\r\n\r\nGET /next HTTP/1.1")], ""),
    ("LF in a value", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a", "1\nx-b: 2")], ""),
    ("CR in a value", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a", "1\rx-b: 2")], ""),
    ("NUL in a value", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a", "1\x002")], ""),
    ("CR and LF in a name", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a: 1\r\nx-b", "2")], ""),
    ("NUL in a name", &[METHOD, SCHEME, AUTHORITY, PATH, ("x\0a", "2")], ""),
    ("a colon in a name", &[METHOD, SCHEME, AUTHORITY, PATH, ("x:a", "1")], ""),
    ("a space in a name", &[METHOD, SCHEME, AUTHORITY, PATH, ("x a", "1")], ""),
    ("a space behind a name", &[METHOD, SCHEME, AUTHORITY, PATH, ("transfer-encoding ", "chunked")], ""),
    ("a name in capitals", &[METHOD, SCHEME, AUTHORITY, PATH, ("X-A", "1")], ""),
    ("no name", &[METHOD, SCHEME, AUTHORITY, PATH, ("", "1")], ""),
    (
        "a length below the body's",
        &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "4")],
        "bodyGET /next HTTP/1.1",
    ),
    ("a length above the body's", &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "40")], "body"),
    ("no length with a body", &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "0")], "body"),
    (
        "two lengths",
        &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "4"), ("content-length", "5")],
        "body",
    ),
    ("a list of lengths", &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "4, 4")], "body"),
    ("a length with a sign", &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "+4")], "body"),
    ("a length that is none", &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "four")], "body"),
    (
        "transfer-encoding",
        &[METHOD, SCHEME, AUTHORITY, PATH, ("transfer-encoding", "chunked")],
        "0\r\n\r\nGET /next HTTP/1.1",
    ),
    ("connection", &[METHOD, SCHEME, AUTHORITY, PATH, ("connection", "x-a"), ("x-a", "1")], ""),
    ("keep-alive", &[METHOD, SCHEME, AUTHORITY, PATH, ("keep-alive", "5")], ""),
    ("proxy-connection", &[METHOD, SCHEME, AUTHORITY, PATH, ("proxy-connection", "close")], ""),
    ("upgrade", &[METHOD, SCHEME, AUTHORITY, PATH, ("upgrade", "websocket")], ""),
    ("te other than trailers", &[METHOD, SCHEME, AUTHORITY, PATH, ("te", "gzip")], ""),
    ("two authorities", &[METHOD, SCHEME, AUTHORITY, (":authority", "b.example"), PATH], ""),
    ("a host beside another authority", &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "b.example")], ""),
    ("two hosts", &[METHOD, SCHEME, PATH, ("host", "a.example"), ("host", "b.example")], ""),
    ("neither authority nor host", &[METHOD, SCHEME, PATH], ""),
    ("an authority with a user", &[METHOD, SCHEME, (":authority", "u@a.example"), PATH], ""),
    ("an authority with a space", &[METHOD, SCHEME, (":authority", "a.example b"), PATH], ""),
    ("an authority with a path", &[METHOD, SCHEME, (":authority", "a.example/x"), PATH], ""),
    ("an authority with a line", &[METHOD, SCHEME, (":authority", "a.example\r\nx-a: 1"), PATH], ""),
    ("a path with a space", &[METHOD, SCHEME, AUTHORITY, (":path", "/x HTTP/1.1")], ""),
    (
        "a path with a request",
        &[METHOD, SCHEME, AUTHORITY, (":path", "/x HTTP/1.1\r\nhost: b\r\n\r\nGET /next")],
        "",
    ),
    ("a path with a tab", &[METHOD, SCHEME, AUTHORITY, (":path", "/x\ty")], ""),
    ("a query with a space", &[METHOD, SCHEME, AUTHORITY, (":path", "/x?y z")], ""),
    ("no path", &[METHOD, SCHEME, AUTHORITY], ""),
    ("an empty path", &[METHOD, SCHEME, AUTHORITY, (":path", "")], ""),
    ("a path that is absolute", &[METHOD, SCHEME, AUTHORITY, (":path", "http://b.example/x")], ""),
    ("a path without a slash", &[METHOD, SCHEME, AUTHORITY, (":path", "x")], ""),
    ("an asterisk with POST", &[METHOD, SCHEME, AUTHORITY, (":path", "*")], ""),
    ("two paths", &[METHOD, SCHEME, AUTHORITY, PATH, (":path", "/y")], ""),
    ("a method with a space", &[(":method", "GET /next HTTP/1.1"), SCHEME, AUTHORITY, PATH], ""),
    ("a method with a line", &[(":method", "GET\r\nx:"), SCHEME, AUTHORITY, PATH], ""),
    ("no method", &[SCHEME, AUTHORITY, PATH], ""),
    ("two methods", &[METHOD, (":method", "GET"), SCHEME, AUTHORITY, PATH], ""),
    ("CONNECT", &[(":method", "CONNECT"), AUTHORITY], ""),
    ("a pseudo-field behind a field", &[METHOD, SCHEME, AUTHORITY, ("x-a", "1"), PATH], ""),
    ("a pseudo-field that nobody knows", &[METHOD, SCHEME, AUTHORITY, PATH, (":x", "1")], ""),
    ("a status in a request", &[METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")], ""),
];

/// What is a request, and its request line in HTTP/1.1.
const TAKEN: &[(&str, Fields, &str, &str)] = &[
    ("a plain one", &[METHOD, SCHEME, AUTHORITY, PATH], "", "POST /x HTTP/1.1"),
    (
        "one with a length",
        &[METHOD, SCHEME, AUTHORITY, PATH, ("content-length", "4")],
        "body",
        "POST /x HTTP/1.1",
    ),
    ("one without", &[METHOD, SCHEME, AUTHORITY, PATH], "body", "POST /x HTTP/1.1"),
    (
        "a body like a request",
        &[METHOD, SCHEME, AUTHORITY, PATH],
        "0\r\n\r\nGET /next HTTP/1.1\r\nhost: b\r\n\r\n",
        "POST /x HTTP/1.1",
    ),
    (
        "a body with GET",
        &[(":method", "GET"), SCHEME, AUTHORITY, PATH],
        "GET /next HTTP/1.1\r\n\r\n",
        "GET /x HTTP/1.1",
    ),
    (
        "the same host twice",
        &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "a.example")],
        "",
        "POST /x HTTP/1.1",
    ),
    ("a host alone", &[METHOD, SCHEME, PATH, ("host", "a.example")], "", "POST /x HTTP/1.1"),
    (
        "fields that look like framing",
        &[METHOD, SCHEME, AUTHORITY, PATH, ("content_length", "7"), ("transfer_encoding", "chunked")],
        "body",
        "POST /x HTTP/1.1",
    ),
    (
        "an encoded path",
        &[METHOD, SCHEME, AUTHORITY, (":path", "/x%20HTTP/1.1?y=%0d%0a%00")],
        "",
        "POST /x%20HTTP/1.1?y=%0d%0a%00 HTTP/1.1",
    ),
    ("an asterisk", &[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")], "", "OPTIONS * HTTP/1.1"),
    ("values with spaces around", &[METHOD, SCHEME, AUTHORITY, PATH, ("x-a", " 1 ")], "", "POST /x HTTP/1.1"),
];

#[test]
fn nothing_reaches_a_target_as_two_requests() {
    run(async {
        let (target, came) = start();
        let mut group = group("g", &[target]);
        (group.health_check.protocol, group.health_check.matcher) = (Protocol::Tcp, Matcher::Connection);
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group]);
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        for (what, fields, body) in REFUSED {
            let heard = ask(address, fields, body.as_bytes()).await;
            assert_eq!(heard, Heard::Refused, "{what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
            for bytes in came.borrow_mut().drain(..) {
                // The head of one whose body turns out to be none may have gone ahead, but never as a whole request.
                assert!(
                    one_request(&bytes).is_err(),
                    "{what} reached the target: {}",
                    String::from_utf8_lossy(&bytes)
                );
                assert!(!String::from_utf8_lossy(&bytes).contains("next"), "{what}");
            }
        }
        for (what, fields, body, line) in TAKEN {
            let heard = ask(address, fields, body.as_bytes()).await;
            assert_eq!(heard, Heard::Status(200), "{what}");
            while came.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let bytes = came.borrow_mut().pop().unwrap_or_default();
            let asked = one_request(&bytes).unwrap_or_else(|problem| panic!("{what}: {problem}"));
            assert_eq!(asked, ((*line).to_owned(), body.as_bytes().to_vec()), "{what}");
            assert!(came.borrow().is_empty(), "{what}: nothing else came");
        }
    });
}
