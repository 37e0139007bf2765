use std::rc::Rc;

use std::net::SocketAddr;

use bytes::Bytes;
use manifest::Object;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::LocalSet;

use super::*;
use crate::api::{Api, Settings};
use crate::local::{ContainerName, Machine};
use crate::store::{Mode, Store};

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        headers.append(name, value);
    }
    headers
}

const WEBSOCKET: &[(&str, &str)] = &[
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn command(fields: &[(&str, &str)]) -> Result<(Wire, HeaderMap), String> {
    negotiate(&headers(fields), COMMAND_OVER_WEBSOCKET, COMMAND_OVER_SPDY)
        .map_err(|status| status.to_string())
}

fn with(field: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    WEBSOCKET.iter().copied().chain([field]).collect()
}

#[test]
fn the_newest_protocol_that_both_know_is_spoken() {
    let (wire, answer) =
        command(&with(("sec-websocket-protocol", "v4.channel.k8s.io, v5.channel.k8s.io"))).unwrap();
    assert_eq!(wire, Wire::Channels);
    assert_eq!(answer["sec-websocket-protocol"], "v5.channel.k8s.io");
    assert_eq!(answer["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(answer["upgrade"], "websocket");
    let (wire, answer) = command(&[
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", "v5.channel.k8s.io"),
        ("x-stream-protocol-version", "v4.channel.k8s.io"),
    ])
    .unwrap();
    assert_eq!(wire, Wire::Spdy { is_in_websocket: false });
    assert_eq!(answer["x-stream-protocol-version"], "v4.channel.k8s.io");
    let fields = headers(&with(("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io")));
    let (wire, _) = negotiate(&fields, FORWARD_OVER_WEBSOCKET, FORWARD_OVER_SPDY).unwrap();
    assert_eq!(wire, Wire::Spdy { is_in_websocket: true });
}

#[test]
fn what_cannot_be_spoken_is_told() {
    assert!(command(&[]).unwrap_err().contains("Upgrade request required"));
    assert!(command(&[("upgrade", "websocket")]).unwrap_err().contains("Upgrade request required"));
    assert!(command(&WEBSOCKET[..3]).unwrap_err().contains("no opening handshake"));
    let base64 = with(("sec-websocket-protocol", "base64.channel.k8s.io"));
    assert!(command(&base64).unwrap_err().contains("v5.channel.k8s.io, v4.channel.k8s.io are spoken here"));
}

// === whole conversations ===

/// Has a client talk with pod `web` on a connection of its own. The client's part gets the connection after the answer.
async fn converse<T>(path: &str, fields: &[(&str, &str)], client: impl AsyncFnOnce(DuplexStream) -> T) -> T {
    let store = Rc::new(Store::in_memory());
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "main", "image": "forebay"}]}});
    store.create(Object::from_value(pod).unwrap(), Mode::Commit).unwrap();
    let [namespace, pod, container] = ["default", "web", "main"].map(str::to_owned);
    let environment = [("NAME", "value"), ("PATH", "/usr/bin:/bin")];
    let (machine, _stay) = Machine::with_one(ContainerName { namespace, pod, container }, &environment);
    let settings = Settings { token: "token".to_owned(), ..Settings::default() };
    let api = Api::new(store, Some(machine), settings);
    let mut request = http::Request::get(format!("/api/v1/namespaces/default/pods/web/{path}"))
        .header("host", "localhost")
        .header("authorization", "Bearer token");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = api.handle(&request.body(Bytes::new()).unwrap());
    assert_eq!(response.status(), 101, "{response:?}");
    let Body::Upgrade(upgrade) = response.into_body() else { panic!("no upgrade") };
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let talking = async { tokio::join!(upgrade.run(ours), client(theirs)).1 };
    LocalSet::new()
        .run_until(tokio::time::timeout(std::time::Duration::from_secs(30), talking))
        .await
        .unwrap()
}

/// A message as a client writes it, with a mask of zeros.
fn message(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = websocket::binary(parts).to_vec();
    bytes[1] |= 0x80;
    let head = match bytes[1] & 0x7f {
        126 => 4,
        _ => 2,
    };
    bytes.splice(head..head, [0; 4]);
    bytes
}

/// What messages hold that a server wrote.
fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let [0x82, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            length => (usize::from(*length), rest),
        };
        messages.push(rest[..length].to_vec());
        bytes = &rest[length..];
    }
    assert_eq!(bytes, [0x88, 2, 3, 0xe8], "the last frame closes");
    messages
}

#[tokio::test]
async fn a_command_is_run_over_websocket_and_its_end_is_told() {
    let path =
        "exec?command=sh&command=-c&command=echo+%24NAME%3B+cat%3B+exit+3&stdin=true&stdout=true&stderr=true";
    let fields = with(("sec-websocket-protocol", "v5.channel.k8s.io"));
    let said = converse(path, &fields, async |mut stream| {
        stream.write_all(&message(&[&[0], b"input"])).await.unwrap();
        stream.write_all(&message(&[&[255, 0]])).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        messages(&bytes)
    })
    .await;
    let on = |channel: u8| -> Vec<u8> {
        said.iter()
            .filter(|message| message[0] == channel)
            .flat_map(|message| message[1..].to_vec())
            .collect()
    };
    assert_eq!(on(1), b"value\ninput");
    let end: Value = serde_json::from_slice(&on(3)).unwrap();
    assert_eq!(
        (&end["reason"], &end["details"]["causes"][0]["message"]),
        (&json!("NonZeroExitCode"), &json!("3"))
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_as_shells_do() {
    let fields = with(("sec-websocket-protocol", "v4.channel.k8s.io"));
    let said =
        converse("exec?command=/does/not/exist&stdout=true&stderr=true", &fields, async |mut stream| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            messages(&bytes)
        })
        .await;
    assert!(said[0].starts_with(b"\x02cannot run `/does/not/exist`: "), "{said:?}");
    assert!(String::from_utf8_lossy(&said[1]).contains(r#""message":"127""#), "{said:?}");
}

const SPDY_FIELDS: &[(&str, &str)] = &[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];

/// Frames that a client reads, up to the end of the connection: data by stream, and whether each has ended.
fn data_of(mut bytes: &[u8], stream: u32) -> (Vec<u8>, bool) {
    let (mut data, mut has_ended) = (Vec::new(), false);
    while bytes.len() >= 8 {
        let length = u32::from_be_bytes([0, bytes[5], bytes[6], bytes[7]]) as usize;
        if bytes[..4] == stream.to_be_bytes() {
            data.extend(&bytes[8..8 + length]);
            has_ended |= bytes[4] & 1 == 1;
        }
        bytes = &bytes[8 + length..];
    }
    (data, has_ended)
}

fn open(encoder: &mut spdy::Encoder, stream: u32, headers: &[(&str, &str)]) -> Vec<u8> {
    encoder.open(stream, headers)
}

#[tokio::test]
async fn a_command_is_run_over_spdy() {
    let fields = [SPDY_FIELDS, &[("x-stream-protocol-version", "v4.channel.k8s.io")]].concat();
    let path = "exec?command=cat&stdin=true&stdout=true";
    let bytes = converse(path, &fields, async |mut stream| {
        let mut encoder = spdy::Encoder::default();
        for (id, kind) in [(1, "error"), (3, "stdin"), (5, "stdout")] {
            stream.write_all(&open(&mut encoder, id, &[("streamtype", kind)])).await.unwrap();
        }
        stream.write_all(&spdy::data(3, b"hello", true)).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    })
    .await;
    assert_eq!(data_of(&bytes, 5), (b"hello".to_vec(), true));
    let (end, has_ended) = data_of(&bytes, 1);
    assert!(String::from_utf8_lossy(&end).contains(r#""status":"Success""#) && has_ended);
}

/// A server that gives back one line in capitals.
async fn shouting() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 100];
            let n_bytes = stream.read(&mut bytes).await.unwrap();
            stream.write_all(&bytes[..n_bytes].to_ascii_uppercase()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_port_is_forwarded_over_spdy_within_websocket() {
    let address = shouting().await;
    let fields = with(("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io"));
    let bytes = converse("portforward", &fields, async |mut stream| {
        let mut encoder = spdy::Encoder::default();
        let (port, closed) = (address.port().to_string(), "1");
        let streams = [
            (1, "error", &*port, "0"),
            (3, "data", &*port, "0"),
            (5, "error", closed, "1"),
            (7, "data", closed, "1"),
        ];
        for (id, kind, port, request) in streams {
            let headers = [("streamtype", kind), ("port", port), ("requestid", request)];
            stream.write_all(&message(&[&open(&mut encoder, id, &headers)])).await.unwrap();
        }
        stream.write_all(&message(&[&spdy::data(3, b"hello", false)])).await.unwrap();
        let mut bytes = vec![0; 4096];
        let mut n_bytes = 0;
        let heard = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|part| part == wanted);
        while !(heard(&bytes[..n_bytes], b"HELLO")
            && heard(&bytes[..n_bytes], b"does a container listen there?"))
        {
            n_bytes += stream.read(&mut bytes[n_bytes..]).await.unwrap();
        }
        bytes.truncate(n_bytes);
        bytes
    })
    .await;
    assert!(String::from_utf8_lossy(&bytes).contains("cannot connect to port 1 of pod web"));
}

#[tokio::test]
async fn a_port_is_forwarded_over_channels() {
    let address = shouting().await;
    let fields = with(("sec-websocket-protocol", "v4.channel.k8s.io"));
    let path = format!("portforward?ports={}", address.port());
    let said = converse(&path, &fields, async |mut stream| {
        stream.write_all(&message(&[&[0], b"hello"])).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        messages(&bytes)
    })
    .await;
    let [low, high] = address.port().to_le_bytes();
    assert_eq!(said, [vec![0, low, high], vec![1, low, high], b"\0HELLO".to_vec()]);
}
