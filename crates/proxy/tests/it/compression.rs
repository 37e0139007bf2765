//! Answers that are compressed on their way, where a rule says so.

use std::cell::RefCell;
use std::io::Read;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use net::{
    Body, BodyError, BodyStream, Bytes, ClientConnection, Drain, Fields, Limits, Method, Outgoing, Request,
    Response, StatusCode,
};
use plan::{Compression, Handling, LoadBalancer, LoadBalancerKind};
use tokio::sync::mpsc;

use crate::world::{World, free_address, group, load_balancer, plan_of, run};

/// A body whose pieces are given one by one.
struct Pieces(mpsc::UnboundedReceiver<Bytes>);

impl BodyStream for Pieces {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(Ok))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

fn long() -> String {
    (0..20_000).map(|row| format!("{{\"row\": {row}, \"prediction\": 0.{row}}}\n")).collect()
}

/// A target with a short, a long and a slow answer; returns where it listens and who has the slow one's pieces.
fn target() -> (SocketAddr, mpsc::UnboundedSender<Bytes>, Drain) {
    let (address, (pieces, slow)) = (free_address(), mpsc::unbounded_channel());
    let slow = Rc::new(RefCell::new(Some(slow)));
    let handler = move |request: Request| {
        let slow = Rc::clone(&slow);
        async move {
            let body: Body = match request.target.path() {
                "/long" => long().into(),
                "/slow" => Body::Stream(Box::new(Pieces(slow.borrow_mut().take().unwrap()))),
                _ => "{}".into(),
            };
            let answer = Response::with_body(StatusCode::OK, "application/json", body);
            answer.with_field("etag", "\"a\"").with_field("accept-ranges", "bytes")
        }
    };
    let listener = net::bind(address, 1).unwrap().remove(0);
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
    (address, pieces, drain)
}

fn compressing(target: SocketAddr) -> LoadBalancer {
    let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[target])]);
    let compression = Some(Compression::parse("gzip, zstd").unwrap());
    balancer.listeners[0].default_handling = Some(Arc::new(Handling { compression, ..Handling::default() }));
    balancer
}

async fn ask(balancer: &LoadBalancer, method: Method, target: &str, accept: &str) -> Response {
    ask_with(balancer, method, target, &[("accept-encoding", accept)]).await
}

async fn ask_with(balancer: &LoadBalancer, method: Method, target: &str, more: &[(&str, &str)]) -> Response {
    let address = balancer.listeners[0].addresses[0];
    let connection = ClientConnection::open(address, Duration::from_secs(5)).await.unwrap();
    let mut fields = Fields::new();
    fields.push("host", "a.example.com");
    more.iter().for_each(|(name, value)| fields.push(name, value));
    let timeout = Duration::from_secs(10);
    let outgoing = Outgoing { method: &method, target, fields: &fields, body: Body::Empty, timeout };
    connection.send(outgoing, drop).await.unwrap()
}

/// The fields that tell of an answer's coding.
fn told(answer: &Response) -> [Option<String>; 5] {
    ["content-encoding", "vary", "etag", "accept-ranges", "content-length"]
        .map(|name| answer.fields.text(name).map(str::to_owned))
}

fn unzipped(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_client_gets_the_coding_that_it_takes_and_all_that_was_said() {
    run(async {
        let (target, _pieces, _drain) = target();
        let balancer = compressing(target);
        let world = World::start(plan_of(&balancer)).await;
        let text = |text: &str| Some(text.to_owned());
        let coded = |coding| [text(coding), text("accept-encoding"), text("W/\"a\""), None, None];

        let gzip = ask(&balancer, Method::GET, "/long", "gzip;q=0.9, br").await;
        assert_eq!(told(&gzip), coded("gzip"));
        let bytes = gzip.body.collect(1 << 20).await.unwrap();
        assert!(bytes.len() * 4 < long().len(), "{} of {}", bytes.len(), long().len());
        assert_eq!(unzipped(&bytes), long());

        let zstd = ask(&balancer, Method::GET, "/long", "zstd, gzip;q=0.5").await;
        assert_eq!(told(&zstd), coded("zstd"));
        let (bytes, mut plain) = (zstd.body.collect(1 << 20).await.unwrap(), String::new());
        let mut frame = ruzstd::decoding::StreamingDecoder::new(&bytes[..]).unwrap();
        frame.read_to_string(&mut plain).unwrap();
        assert_eq!(plain, long());

        // HEAD has the same fields, and its connection goes on.
        let head = ask(&balancer, Method::HEAD, "/long", "gzip").await;
        assert_eq!(told(&head), coded("gzip"));

        let as_it_is = [("accept-encoding", "gzip"), ("cache-control", "no-transform")];
        for more in [&[("accept-encoding", "br")][..], &[], &[("accept-encoding", "identity;q=0")], &as_it_is]
        {
            let plain = ask_with(&balancer, Method::GET, "/long", more).await;
            assert_eq!(told(&plain)[..4], [None, text("accept-encoding"), text("\"a\""), text("bytes")]);
            assert_eq!(plain.body.remaining(), Some(long().len() as u64));
            assert_eq!(plain.body.collect(2 << 20).await.unwrap(), long());
        }
        let short = ask(&balancer, Method::GET, "/short", "gzip").await;
        assert_eq!(told(&short)[..4], [None, None, text("\"a\""), text("bytes")]);
        assert_eq!(short.body.collect(10).await.unwrap(), "{}");
        let metrics = world.metrics.encode();
        let counted = "forebay_compressed_answers_total{load_balancer=\"lb\",port=\"80\"} 3";
        assert!(metrics.contains(counted), "{metrics}");
    });
}

#[test]
fn an_answer_that_comes_piece_by_piece_is_not_held_up() {
    run(async {
        let (target, pieces, _drain) = target();
        let balancer = compressing(target);
        let _world = World::start(plan_of(&balancer)).await;
        pieces.send("first".into()).unwrap();
        let mut answer = ask(&balancer, Method::GET, "/slow", "gzip").await;
        let mut all = Vec::new();
        // Each piece can be read before the target says the next one.
        for (said, next) in [("first", " second"), ("first second", " third")] {
            let mut text = vec![0; said.len()];
            while flate2::read::GzDecoder::new(&all[..]).read_exact(&mut text).is_err() {
                all.extend_from_slice(&answer.body.chunk().await.unwrap().unwrap());
            }
            assert_eq!(text, said.as_bytes());
            pieces.send(next.into()).unwrap();
        }
        drop(pieces);
        while let Some(piece) = answer.body.chunk().await {
            all.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(unzipped(&all), "first second third");
    });
}
