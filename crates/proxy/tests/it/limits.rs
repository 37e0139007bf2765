//! What clients may ask of a load balancer, and what happens to those who ask for more.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::{Bytes, Gate, Limits, Neighbour};
use plan::{LoadBalancer, LoadBalancerKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http2;
use crate::world::{Client, Server, World, group, load_balancer, plan_of, run};

async fn world_with(limits: Limits, target: SocketAddr) -> (World, LoadBalancer) {
    let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[target])]);
    let settings = proxy::Settings { n_cores: 1, limits, ..proxy::Settings::default() };
    let world = World::start_as(plan_of(&balancer), proxy::Metrics::default(), settings).await;
    (world, balancer)
}

fn count(world: &World, line: &str) -> Option<u64> {
    let metrics = world.metrics.encode();
    let found = metrics.lines().find_map(|text| text.strip_prefix(line))?;
    found.trim().parse().ok()
}

/// Patience of a twentieth of what it is by default, and so the time in which a body is given up: more than a busy machine takes away
/// from a client.
fn impatient() -> Limits {
    Limits { body_patience: Duration::from_millis(1_500), body_rate: 2400, ..Limits::default() }
}

#[test]
fn a_body_that_drips_gets_408_and_a_slow_one_its_answer_over_http1() {
    run(async {
        let server = Server::start("one");
        let (world, balancer) = world_with(impatient(), server.address).await;
        let address = balancer.listeners[0].addresses[0];
        for (framing, piece) in [("Content-Length: 9999", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n")]
        {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let began = Instant::now();
            let (mut reading, mut writing) = stream.into_split();
            let dripping = tokio::task::spawn_local(async move {
                while writing.write_all(piece.as_bytes()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
            let mut answer = String::new();
            let _ = reading.read_to_string(&mut answer).await;
            assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body-timeout"), "{answer}");
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
            dripping.abort();
        }
        let told = r#"forebay_load_balancer_answers_total{load_balancer="lb",port="80",code="408",reason="body-timeout"}"#;
        assert_eq!(count(&world, told), Some(2));

        // Ten times as slow as anybody is today, and faster than the least.
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(
                b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 12000\r\n\r\n",
            )
            .await
            .unwrap();
        for _ in 0..24 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.write_all(&[b'y'; 500]).await.unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("yyy"), "{answer}");
    });
}

#[test]
fn a_body_that_drips_gets_408_over_http2() {
    run(async {
        let server = Server::start("one");
        let (_world, balancer) = world_with(impatient(), server.address).await;
        let stream = TcpStream::connect(balancer.listeners[0].addresses[0]).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        let request = http::Request::post("http://a.example.com/").body(()).unwrap();
        let (answer, mut body) = client.ready().await.unwrap().send_request(request, false).unwrap();
        let dripping = tokio::task::spawn_local(async move {
            while body.send_data(Bytes::from_static(b"x"), false).is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        assert_eq!(answer.await.unwrap().status(), 408);
        dripping.abort();
    });
}

#[test]
fn who_has_been_idle_for_longest_makes_room_and_who_is_at_work_does_not() {
    run(async {
        let server = Server::start("one");
        let limits = Limits { connections: 40, ..Limits::default() };
        let (world, balancer) = world_with(limits, server.address).await;
        let address = balancer.listeners[0].addresses[0];
        let busy = Client::new(address);
        let working = tokio::task::spawn_local(async move { busy.get("/slow").await.status });
        while server.n_requests.get() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        // Whoever comes now is served, however many are silent.
        for _ in 0..50 {
            assert_eq!(Client::new(address).get("/").await.text, "one");
        }
        assert!(silent[0].read_u8().await.is_err(), "the first has gone");
        let shed = r#"forebay_connections_shed_total{load_balancer="lb",port="80"}"#;
        assert!(count(&world, shed).unwrap() >= 150, "{}", world.metrics.encode());
        let open = r#"forebay_open_connections{load_balancer="lb",port="80"}"#;
        assert!(count(&world, open).unwrap() <= 40 + 16);
        server.release();
        assert_eq!(working.await.unwrap(), 200);
    });
}

#[test]
fn who_stops_within_a_head_makes_room_for_others() {
    run(async {
        const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
        const HALF_HEADERS: &[u8] = &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];
        let server = Server::start("one");
        let limits = Limits { connections: 40, ..Limits::default() };
        let (_world, balancer) = world_with(limits, server.address).await;
        let address = balancer.listeners[0].addresses[0];
        for beginning in [
            b"GET / HTTP/1.1\r\nHos",
            PREFACE,
            &[PREFACE, SETTINGS].concat(),
            &[PREFACE, SETTINGS, HALF_HEADERS].concat(),
        ] {
            let mut silent = Vec::new();
            for _ in 0..100 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let _ = stream.write_all(beginning).await;
                silent.push(stream);
                // Otherwise all of them are let in before the first is looked at.
                tokio::task::yield_now().await;
            }
            for _ in 0..5 {
                assert_eq!(Client::new(address).get("/").await.text, "one", "{beginning:?}");
            }
            let mut answer = Vec::new();
            let first =
                tokio::time::timeout(Duration::from_secs(5), silent[0].read_to_end(&mut answer)).await;
            assert!(first.is_ok(), "the first has gone: {beginning:?}");
        }
    });
}

#[test]
fn who_finds_nobody_idle_is_not_let_in() {
    run(async {
        let server = Server::start("one");
        let (world, balancer) =
            world_with(Limits { connections: 16, ..Limits::default() }, server.address).await;
        let address = balancer.listeners[0].addresses[0];
        let mut working = Vec::new();
        for n in 1..=16 {
            working.push(tokio::task::spawn_local(
                async move { Client::new(address).get("/slow").await.status },
            ));
            while server.n_requests.get() < n {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let mut refused = TcpStream::connect(address).await.unwrap();
        let _ = refused.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(refused.read_u8().await.is_err());
        let told = r#"forebay_connections_refused_total{load_balancer="lb",port="80",reason="too-many"}"#;
        assert_eq!(count(&world, told), Some(1));
        server.release();
        for one in working {
            assert_eq!(one.await.unwrap(), 200);
        }
    });
}

#[test]
fn bodies_beyond_the_memory_for_them_pass_through_without_being_kept() {
    run(async {
        let server = Server::start("one");
        let limits = Limits { buffered_bytes: 3 << 20, ..Limits::default() };
        let (world, balancer) = world_with(limits, server.address).await;
        let address = balancer.listeners[0].addresses[0];
        let many: Vec<_> = (0..20)
            .map(|_| {
                tokio::task::spawn_local(async move {
                    Client::new(address).post("/echo", vec![b'x'; 1 << 20]).await.unwrap().text.len()
                })
            })
            .collect();
        let mut most = 0;
        for one in many {
            most = most.max(count(&world, "forebay_buffered_bytes").unwrap());
            assert_eq!(one.await.unwrap(), 1 << 20);
        }
        assert!(most <= 3 << 20, "{most}");
        assert!(count(&world, "forebay_unkept_bodies_total").unwrap() > 0);
        assert_eq!(count(&world, "forebay_buffered_bytes"), Some(0));
    });
}

#[test]
fn requests_of_one_client_over_its_limit_are_refused_and_those_of_others_are_not() {
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let address = balancer.listeners[0].addresses[0];
        let gate = Gate::knowing(|client| match client.is_loopback() {
            true => Neighbour::Announcer,
            false => Neighbour::Stranger,
        });
        let limits = Limits { client_requests: 3, ..Limits::default() };
        let settings = proxy::Settings { n_cores: 1, limits, gate, ..proxy::Settings::default() };
        let world = World::start_as(plan_of(&balancer), proxy::Metrics::default(), settings).await;
        let connect = async |client: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let announced = format!("PROXY TCP4 {client} 127.0.0.1 5000 80\r\n");
            stream.write_all(announced.as_bytes()).await.unwrap();
            stream
        };
        let ask = async |client: &str, path: &str| {
            let mut stream = connect(client).await;
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let one = http2::begin(connect("192.0.2.7").await).await;
        let slow: Vec<_> = (0..3)
            .map(|_| {
                let one = one.clone();
                tokio::task::spawn_local(async move { http2::get(&one, "/slow").await.unwrap().status })
            })
            .collect();
        http2::wait_until(|| server.n_requests.get() == 3).await;
        let refused = http2::get(&one, "/").await.unwrap();
        assert_eq!((refused.status, refused.field("x-forebay-reason")), (503, "too-many-requests-of-client"));
        assert_eq!(refused.field("retry-after"), "1");
        let call = http2::call(&one, "/a.B/C", b"").await.unwrap();
        assert_eq!((call.status, call.field("grpc-status")), (200, "14"));
        let refused = ask("192.0.2.7", "/").await;
        assert!(
            refused.starts_with("HTTP/1.1 503 ") && refused.contains("too-many-requests-of-client"),
            "{refused}"
        );
        assert!(ask("192.0.2.8", "/").await.ends_with("one"));
        let told = r#"forebay_load_balancer_answers_total{load_balancer="lb",port="80",code="503",reason="too-many-requests-of-client"}"#;
        assert_eq!(count(&world, told), Some(2), "{}", world.metrics.encode());
        server.release();
        for one in slow {
            assert_eq!(one.await.unwrap(), 200);
        }
        http2::wait_until(|| server.n_requests.get() == 4).await;
        assert_eq!(http2::get(&one, "/").await.unwrap().text, "one");
        assert!(ask("192.0.2.7", "/").await.ends_with("one"));
    });
}

#[test]
fn what_an_alb_would_let_through_is_refused_and_counted_by_its_mode() {
    run(async {
        let server = Server::start("one");
        for (mode, expected) in [("monitor", [1, 1]), ("defensive", [1, 0]), ("strictest", [0, 0])] {
            let mut balancer =
                load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
            balancer.attributes.set(plan::attributes::DESYNC_MITIGATION_MODE, mode).unwrap();
            let address = balancer.listeners[0].addresses[0];
            let world = World::start(plan_of(&balancer)).await;
            for fields in ["content-length: 1\r\ntransfer-encoding: chunked", "content-length: +1"] {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            }
            let metrics = world.metrics.encode();
            let reasons = ["content-length-and-transfer-encoding", "malformed-content-length"];
            for (reason, expected) in reasons.into_iter().zip(expected) {
                let counted = format!(
                    "forebay_refused_beyond_alb_total{{load_balancer=\"lb\",port=\"80\",reason=\"{reason}\"}} 1"
                );
                assert_eq!(metrics.matches(&counted).count(), expected, "{mode} {reason}: {metrics}");
            }
        }
        assert_eq!(server.n_requests.get(), 0);
    });
}
