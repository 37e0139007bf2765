//! Connections of HTTP/2 that are ended, and that somebody is told why.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::Limits;
use plan::LoadBalancerKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Server, World, group, load_balancer, plan_of, run};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn field(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0];
    for text in [name, value] {
        block.push(u8::try_from(text.len()).unwrap());
        block.extend_from_slice(text.as_bytes());
    }
    block
}

fn request(stream: u32, field: &[u8]) -> Vec<u8> {
    // GET http:// / of the static table (RFC 7541, appendix A), and a host.
    let block = [&[0x82, 0x86, 0x84, 0x41, 1, b'a'], field].concat();
    frame(1, 5, stream, &block)
}

/// Reads until the connection has ended; a piece may be sent meanwhile, again and again.
async fn until_ended(address: SocketAddr, bytes: &[u8], piece: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let (mut reading, mut writing) = stream.into_split();
    let piece = piece.to_vec();
    let dripping = tokio::task::spawn_local(async move {
        while !piece.is_empty() && writing.write_all(&piece).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    });
    let _ = reading.read_to_end(&mut Vec::new()).await;
    dripping.abort();
}

#[test]
fn connections_of_http2_that_are_ended_are_counted_by_why() {
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let limits = Limits { head_timeout: Duration::from_millis(300), ..Limits::default() };
        let settings = proxy::Settings { n_cores: 1, limits, ..proxy::Settings::default() };
        let world = World::start_as(plan_of(&balancer), proxy::Metrics::default(), settings).await;
        let address = balancer.listeners[0].addresses[0];
        let count = |reason: &str| {
            let line = format!(
                "forebay_http2_connections_ended_total{{load_balancer=\"lb\",port=\"80\",reason=\"{reason}\"}} "
            );
            let metrics = world.metrics.encode();
            let count = metrics.lines().find_map(|text| text.strip_prefix(&line)?.parse::<u64>().ok());
            count.unwrap_or_default()
        };
        let (settings, whole) = (frame(4, 0, 0, b""), request(1, b""));
        let taken_back = |n: u32| [request(2 * n + 1, b""), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])].concat();
        let large = field("x-a", &"x".repeat(120)).repeat(100);
        let continued: Vec<u8> = (0..200).flat_map(|_| frame(9, 0, 1, &large)).collect();
        let half = frame(1, 0, 1, &whole[9..]);
        let cases: [(&str, Vec<u8>, &[u8]); 14] = [
            ("flood", frame(6, 0, 0, b"12345678").repeat(5_000), b""),
            ("flood", settings.repeat(5_000), b""),
            ("flood", (0..2_000).flat_map(taken_back).collect(), b""),
            ("flood", [half.clone(), continued].concat(), b""),
            ("malformed", frame(0, 0, 0, b"data"), b""),
            ("malformed", request(2, b""), b""),
            ("compression", request(1, &[0xff, 0x7f]), b""),
            ("malformed", frame(9, 4, 1, b""), b""),
            ("flow-control", frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), b""),
            ("frame-size", vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1], b""),
            // A head that stops, one whose frame does, and one that goes on for ever.
            ("head-timeout", half.clone(), b""),
            ("head-timeout", whole[..whole.len() - 1].to_vec(), b""),
            ("head-timeout", [whole.clone(), frame(1, 0, 3, &[0x82])].concat(), b""),
            ("head-timeout", vec![0, 0, 200, 1, 4, 0, 0, 0, 1], &[0x82]),
        ];
        for (reason, frames, piece) in cases {
            let (before, began) = (count(reason), Instant::now());
            until_ended(address, &[PREFACE, &settings, &frames].concat(), piece).await;
            // It is counted on another thread, which may have closed the connection a moment before.
            while count(reason) == before {
                assert!(began.elapsed() < Duration::from_secs(5), "{reason}: {}", world.metrics.encode());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(count(reason), before + 1, "{reason}");
            assert!(began.elapsed() < Duration::from_secs(5), "{reason}: {:?}", began.elapsed());
        }
        until_ended(address, PREFACE, b"").await;
        while count("begin-timeout") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Who leaves by himself is not counted.
        let before = world.metrics.encode();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[PREFACE, &settings, &whole].concat()).await.unwrap();
        assert!(stream.read_u8().await.is_ok());
        drop(stream);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let ended = |text: &str| {
            text.lines()
                .filter(|line| line.contains("http2_connections_ended"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(ended(&before), ended(&world.metrics.encode()));
    });
}
