//! Fields behind bodies, between versions of HTTP.

use std::time::Duration;

use net::{Body, Bytes, Drain, Fields, Limits, Request, Response, StatusCode};
use plan::{LoadBalancerKind, Replay};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http2::connect;
use crate::world::{World, free_address, group, load_balancer, plan_of, run};

/// A target of HTTP/1.1 that says what stood behind the request's body, and says something behind its own.
fn start() -> (std::net::SocketAddr, Drain) {
    let handler = async |mut request: Request| {
        let takes = request.fields.lists("te", "trailers");
        let length = request.fields.text("content-length").unwrap_or("none").to_owned();
        while let Some(Ok(_)) = request.body.chunk().await {}
        let came = request.body.take_trailers().unwrap_or_default();
        let text = format!("length {length}, takes trailers: {takes}, x-sum: {:?}", came.text("x-sum"));
        let mut trailers = Fields::new();
        trailers.push("x-end", "whole");
        trailers.push("content-length", "7");
        let mut response = Response::new(StatusCode::OK);
        response.body = Body::with_trailers(text.into(), trailers);
        response
    };
    let address = free_address();
    let listener = net::bind(address, 1).unwrap().remove(0);
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
    (address, drain)
}

async fn talk(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_stands_behind_a_body_goes_to_those_who_take_it() {
    run(async {
        let (target, _drain) = start();
        let mut group = group("g", &[target]);
        // Bodies are waited for where they may be sent again.
        group.replay = Replay::Everything;
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group]);
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];

        let request = |more: &str| {
            format!(
                "POST / HTTP/1.1\r\nhost: a\r\n{more}connection: close\r\ntransfer-encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\nx-sum: 15\r\ntransfer-encoding: chunked\r\n\r\n"
            )
        };
        // A server does not say whether it looks behind a body, and the length of this one can be told instead.
        let told = "length 5, takes trailers: true, x-sum: None";
        let answer = talk(address, &request("te: trailers\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(told), "{answer}");
        assert!(answer.ends_with("\r\n0\r\nx-end: whole\r\n\r\n"), "{answer}");
        let answer = talk(address, &request("")).await;
        assert!(answer.contains("takes trailers: false"), "{answer}");
        assert!(!answer.contains("x-end"), "{answer}");

        let client = connect(address).await;
        let request = http::Request::post("http://a.example.com/").header("te", "trailers").body(()).unwrap();
        let (answer, mut sending) =
            client.clone().ready().await.unwrap().send_request(request, false).unwrap();
        sending.send_data(Bytes::from_static(b"hello"), false).unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "15".parse().unwrap());
        sending.send_trailers(trailers).unwrap();
        let mut stream = answer.await.unwrap().into_body();
        assert_eq!(stream.data().await.unwrap().unwrap(), told);
        let trailers = stream.trailers().await.unwrap().unwrap();
        assert_eq!((trailers.len(), trailers["x-end"].as_bytes()), (1, b"whole".as_slice()));
    });
}
