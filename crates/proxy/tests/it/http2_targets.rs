//! Targets that are spoken with in HTTP/2: many requests on few connections, both ways at a time, with trailers.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use h2::Reason;
use h2::client::SendRequest;
use http::HeaderMap;
use net::{Body, Bytes, Drain, Fields, Limits, Method, Request, Response, StatusCode, Version};
use plan::{CodeSet, LoadBalancer, LoadBalancerKind, Matcher, ProtocolVersion, Replay, TargetGroup};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Client, Server, World, free_address, group, load_balancer, plan_of, run};

/// A client that speaks HTTP/2 from its first byte.
pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    client
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    trailers: HeaderMap,
}

impl Answer {
    /// A field, wherever it stands.
    fn field(&self, name: &str) -> &str {
        let value = self.headers.get(name).or_else(|| self.trailers.get(name));
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

fn request(method: Method, path: &str, fields: &[(&str, &str)]) -> http::Request<()> {
    let mut request = http::Request::builder().method(method).uri(format!("http://a.example.com{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

async fn ask(
    client: &SendRequest<Bytes>,
    request: http::Request<()>,
    body: &[u8],
) -> Result<Answer, h2::Error> {
    let mut ready = client.clone().ready().await?;
    let (answer, mut sending) = ready.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        sending.send_data(Bytes::copy_from_slice(body), true)?;
    }
    let (head, mut stream) = answer.await?.into_parts();
    let mut text = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        text.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, text, trailers })
}

pub(crate) async fn get(client: &SendRequest<Bytes>, path: &str) -> Result<Answer, h2::Error> {
    ask(client, request(Method::GET, path, &[]), b"").await
}

const CALL: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

async fn call(client: &SendRequest<Bytes>, path: &str, message: &[u8]) -> Result<Answer, h2::Error> {
    ask(client, request(Method::POST, path, &CALL), message).await
}

/// What a target saw.
#[derive(Default)]
struct Seen {
    /// Connections that requests came over.
    connections: RefCell<HashSet<SocketAddr>>,
    n_requests: Cell<usize>,
    n_at_once: Cell<usize>,
    most_at_once: Cell<usize>,
    /// Requests that were taken back before they were answered.
    n_dropped: Cell<usize>,
    n_bytes_sent: Cell<usize>,
}

/// One request at a target; counts as dropped unless it is answered.
struct Working(Rc<Seen>, bool);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.n_at_once.set(self.0.n_at_once.get() - 1);
        self.0.n_dropped.set(self.0.n_dropped.get() + usize::from(!self.1));
    }
}

struct Target {
    address: SocketAddr,
    seen: Rc<Seen>,
    drain: Option<Drain>,
}

/// A target of ours, which speaks both versions.
fn start() -> Target {
    let seen = Rc::<Seen>::default();
    let shared = Rc::clone(&seen);
    let handler = move |request: Request| answer(Rc::clone(&shared), request);
    let address = free_address();
    let listener = net::bind(address, 1).unwrap().remove(0);
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
    Target { address, seen, drain: Some(drain) }
}

async fn answer(seen: Rc<Seen>, mut request: Request) -> Response {
    if request.target.path() == "/health" {
        return Response::new(StatusCode::OK);
    }
    assert_eq!(request.version, Version::HTTP_2);
    seen.connections.borrow_mut().insert(request.connection.peer);
    seen.n_requests.set(seen.n_requests.get() + 1);
    seen.n_at_once.set(seen.n_at_once.get() + 1);
    seen.most_at_once.set(seen.most_at_once.get().max(seen.n_at_once.get()));
    let mut working = Working(Rc::clone(&seen), false);
    let ok = |body: Body| Response { body, ..Response::new(StatusCode::OK) };
    let response = match request.target.path() {
        "/pause" => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            ok("paused".into())
        }
        "/never" => std::future::pending().await,
        "/endless" => ok(Body::Stream(Box::new(Endless(Rc::clone(&seen))))),
        // As it comes, with what came behind it.
        "/echo" => ok(request.body).with_field("content-type", "application/grpc"),
        "/fields" => {
            let mut text = format!("{} {}\n", request.method, request.target.as_str());
            for (name, value) in request.fields.iter() {
                let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
                text.push_str(&format!("{name}: {value}\n"));
            }
            ok(text.into())
        }
        _ => {
            let mut n_bytes = 0;
            while let Some(piece) = request.body.chunk().await {
                n_bytes += piece.map_or(0, |piece| piece.len());
            }
            let mut trailers = Fields::new();
            trailers.push("grpc-status", "0");
            if let Some(came) = request.body.take_trailers().unwrap_or_default().get("x-sum") {
                trailers.push("x-came", came);
            }
            ok(Body::with_trailers(n_bytes.to_string().into(), trailers))
        }
    };
    working.1 = true;
    response
}

/// A body that goes on as long as somebody takes it.
struct Endless(Rc<Seen>);

impl net::BodyStream for Endless {
    fn poll_chunk(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, net::BodyError>>> {
        const PIECE: &[u8] = &[b'x'; 4096];
        self.0.n_bytes_sent.set(self.0.n_bytes_sent.get() + PIECE.len());
        std::task::Poll::Ready(Some(Ok(Bytes::from_static(PIECE))))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

fn http2_group(version: ProtocolVersion, targets: &[SocketAddr]) -> TargetGroup {
    let mut group = group("g", targets);
    group.protocol_version = Some(version);
    group
}

fn balancer_of(group: TargetGroup) -> LoadBalancer {
    load_balancer(LoadBalancerKind::Application, vec![group])
}

async fn wait_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn many_requests_share_one_connection_and_say_what_they_said() {
    run(async {
        let target = start();
        let balancer = balancer_of(http2_group(ProtocolVersion::Http2, &[target.address]));
        let world = World::start(plan_of(&balancer)).await;
        assert_eq!(world.state_of(target.address), Some("healthy"));
        let client = connect(balancer.listeners[0].addresses[0]).await;
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let client = client.clone();
                tokio::task::spawn_local(async move { get(&client, "/pause").await.unwrap().text })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), "paused");
        }
        // The client's connection lives on one core.
        assert_eq!(target.seen.connections.borrow().len(), 1);
        assert!(target.seen.most_at_once.get() > 25, "{}", target.seen.most_at_once.get());

        let fields = [("x-a", "1"), ("cookie", "a=b")];
        let told = ask(&client, request(Method::PUT, "/fields?q=%20", &fields), b"12345").await.unwrap();
        let lines: Vec<&str> = told.text.lines().collect();
        assert_eq!(lines[0], "PUT /fields?q=%20");
        for expected in [
            "host: a.example.com",
            "x-a: 1",
            "cookie: a=b",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
            "x-forwarded-port: 80",
        ] {
            assert!(lines.contains(&expected), "{expected} is not in\n{}", told.text);
        }
    });
}

#[test]
fn bodies_of_all_sizes_pass_both_ways() {
    run(async {
        let target = start();
        let balancer = balancer_of(http2_group(ProtocolVersion::Http2, &[target.address]));
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        for n_bytes in [0, 1, 16_384, 70_000, (1 << 20) + 1, 3 << 20] {
            let answer =
                ask(&client, request(Method::POST, "/echo", &[]), &vec![b'x'; n_bytes]).await.unwrap();
            assert_eq!((answer.status, answer.text.len()), (200, n_bytes));
        }
    });
}

#[test]
fn requests_that_the_group_cannot_be_asked_are_464() {
    run(async {
        let (old, new) = (Server::start("old"), start());
        for (version, target, cases) in [
            // Version and method of the request, and whether it is a call: the status, or that of gRPC.
            (ProtocolVersion::Http1, old.address, [("1 GET", 200), ("2 GET", 200), ("2 CALL", 12)]),
            (ProtocolVersion::Http2, new.address, [("1 GET", 464), ("2 GET", 200), ("2 CALL", 0)]),
            (ProtocolVersion::Grpc, new.address, [("1 GET", 464), ("2 GET", 464), ("2 CALL", 0)]),
        ] {
            let balancer = balancer_of(http2_group(version, &[target]));
            let _world = World::start(plan_of(&balancer)).await;
            let address = balancer.listeners[0].addresses[0];
            let client = connect(address).await;
            for (asked, expected) in cases {
                let (status, reason) = match asked {
                    "1 GET" => {
                        let answer = Client::new(address).get("/").await;
                        (answer.status, answer.fields.text("x-forebay-reason").unwrap_or_default().to_owned())
                    }
                    "2 GET" => {
                        let answer = get(&client, "/").await.unwrap();
                        (answer.status, answer.field("x-forebay-reason").to_owned())
                    }
                    _ => {
                        let answer = call(&client, "/", b"").await.unwrap();
                        let code = answer.field("grpc-status").parse().unwrap();
                        (code, answer.field("x-forebay-reason").to_owned())
                    }
                };
                let is_refused = matches!(expected, 464 | 12);
                let expected = (expected, if is_refused { "target-version" } else { "" });
                assert_eq!((status, reason.as_str()), expected, "{version:?} asked {asked}");
            }
        }
    });
}

#[test]
fn calls_stream_both_ways_at_a_time_and_end_with_trailers() {
    run(async {
        let target = start();
        let mut group = http2_group(ProtocolVersion::Grpc, &[target.address]);
        // Whatever may be asked again is not held back for that.
        group.replay = Replay::Everything;
        group.health_check.matcher = Matcher::Grpc(CodeSet::parse("0", 0..=99).unwrap());
        let balancer = balancer_of(group);
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, mut sending) = ready.send_request(request(Method::POST, "/echo", &CALL), false).unwrap();
        sending.send_data(Bytes::from_static(b"first"), false).unwrap();
        let (head, mut stream) = answer.await.unwrap().into_parts();
        assert_eq!(head.headers["content-type"], "application/grpc");
        assert_eq!(stream.data().await.unwrap().unwrap(), "first");
        for word in ["second", "third"] {
            sending.send_data(Bytes::from_static(word.as_bytes()), false).unwrap();
            assert_eq!(stream.data().await.unwrap().unwrap(), word, "an answer before the next word");
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "7".parse().unwrap());
        sending.send_trailers(trailers).unwrap();
        assert!(stream.data().await.is_none());
        assert_eq!(stream.trailers().await.unwrap().unwrap()["grpc-status"], "7");
        // Of the client's trailers and of the target's.
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, mut sending) = ready.send_request(request(Method::POST, "/", &CALL), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "15".parse().unwrap());
        sending.send_data(Bytes::from_static(b"12345"), false).unwrap();
        sending.send_trailers(trailers).unwrap();
        let mut stream = answer.await.unwrap().into_body();
        assert_eq!(stream.data().await.unwrap().unwrap(), "5");
        let trailers = stream.trailers().await.unwrap().unwrap();
        assert_eq!(
            (trailers["grpc-status"].as_bytes(), trailers["x-came"].as_bytes()),
            (b"0".as_slice(), b"15".as_slice())
        );
    });
}

#[test]
fn a_client_that_leaves_takes_its_request_back_from_the_target() {
    run(async {
        let target = start();
        let balancer = balancer_of(http2_group(ProtocolVersion::Grpc, &[target.address]));
        let world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        // One that waits for its answer, and one within it.
        let mut ready = client.clone().ready().await.unwrap();
        let (waiting, mut sending) =
            ready.send_request(request(Method::POST, "/never", &CALL), false).unwrap();
        wait_until(|| target.seen.n_at_once.get() == 1).await;
        sending.send_reset(Reason::CANCEL);
        drop(waiting);
        wait_until(|| target.seen.n_dropped.get() == 1).await;
        let mut ready = client.clone().ready().await.unwrap();
        let (answer, _sending) = ready.send_request(request(Method::POST, "/endless", &CALL), true).unwrap();
        let mut stream = answer.await.unwrap().into_body();
        assert!(stream.data().await.unwrap().is_ok());
        drop(stream);
        let in_flight = || world.observed.borrow().targets.values().map(|it| it.in_flight).sum::<u32>();
        wait_until(|| in_flight() == 0).await;
        // Nobody takes it any more, so it comes to a standstill.
        let mut n_sent = 0;
        while target.seen.n_bytes_sent.get() != n_sent {
            n_sent = target.seen.n_bytes_sent.get();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(call(&client, "/", b"1").await.unwrap().field("grpc-status"), "0");
    });
}

#[test]
fn an_answer_that_nobody_takes_is_not_piled_up_and_holds_nobody_up() {
    run(async {
        let target = start();
        let balancer = balancer_of(http2_group(ProtocolVersion::Http2, &[target.address]));
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        let client = connect(address).await;
        let mut idle = Vec::new();
        for _ in 0..20 {
            let mut ready = client.clone().ready().await.unwrap();
            let (answer, _) = ready.send_request(request(Method::POST, "/endless", &[]), true).unwrap();
            idle.push(answer.await.unwrap().into_body());
        }
        let sent = || target.seen.n_bytes_sent.get();
        let mut before = 0;
        while sent() != before {
            before = sent();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Windows and buffers of two hops, and what the client takes.
        assert!(before < 20 * 512 * 1024, "{before}");
        let other = connect(address).await;
        assert_eq!(get(&other, "/pause").await.unwrap().text, "paused");
    });
}

#[test]
fn what_the_balancer_answers_itself_is_an_answer_of_grpc() {
    run(async {
        // It ends connections over which it is asked anything.
        let address = start_by_hand(|_, stream| async move {
            if let Ok(mut server) = h2::server::handshake(stream).await {
                let _ = server.accept().await;
            }
        });
        let silent = start();
        for (target, path, status, reason) in [
            (Some(address), "/", "14", "target-closed"),
            (None, "/", "14", "no-targets"),
            (Some(silent.address), "/never", "4", "target-timeout"),
            (Some(free_address()), "/", "14", "target-unreachable"),
        ] {
            let targets: Vec<SocketAddr> = target.into_iter().collect();
            let mut group = http2_group(ProtocolVersion::Grpc, &targets);
            group.health_check.protocol = plan::Protocol::Tcp;
            group.health_check.matcher = Matcher::Connection;
            let mut balancer = balancer_of(group);
            assert!(balancer.attributes.set(plan::attributes::IDLE_TIMEOUT, "1").is_ok());
            let _world = World::start(plan_of(&balancer)).await;
            let client = connect(balancer.listeners[0].addresses[0]).await;
            let answer = call(&client, path, b"12345").await.unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!((answer.field("grpc-status"), answer.field("x-forebay-reason")), (status, reason));
        }
    });
}

/// A target made by hand: what it does with its `n`th connection is told by a function.
fn start_by_hand<F: Future<Output = ()> + 'static>(
    serve: impl Fn(usize, TcpStream) -> F + 'static,
) -> SocketAddr {
    let address = free_address();
    let listener = net::bind(address, 1).unwrap().remove(0);
    let listener = TcpListener::from_std(listener).unwrap();
    tokio::task::spawn_local(async move {
        let mut n_connections = 0;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(n_connections, stream));
            n_connections += 1;
        }
    });
    address
}

fn connections_only(mut group: TargetGroup) -> TargetGroup {
    group.health_check.protocol = plan::Protocol::Tcp;
    group.health_check.matcher = Matcher::Connection;
    group
}

fn respond(respond: &mut h2::server::SendResponse<Bytes>, text: &'static str) {
    let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
    stream.send_data(Bytes::from_static(text.as_bytes()), true).unwrap();
}

#[test]
fn requests_that_a_target_did_not_look_at_are_asked_again_whatever_they_are() {
    run(async {
        let n_refused = Rc::new(Cell::new(0));
        let refused = Rc::clone(&n_refused);
        // It refuses the first request, answers the second and says with it that it ends, and leaves the third alone.
        let address = start_by_hand(move |_, stream| {
            let refused = Rc::clone(&refused);
            async move {
                let Ok(mut server) = h2::server::handshake(stream).await else { return };
                let mut n_here = 0;
                while let Some(Ok((_request, mut answer))) = server.accept().await {
                    n_here += 1;
                    if refused.get() == 0 {
                        refused.set(1);
                        answer.send_reset(Reason::REFUSED_STREAM);
                    } else {
                        respond(&mut answer, "here");
                        if n_here > 1 {
                            server.graceful_shutdown();
                        }
                    }
                }
            }
        });
        let balancer = balancer_of(connections_only(http2_group(ProtocolVersion::Http2, &[address])));
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        for n in 0..20 {
            let answer = ask(&client, request(Method::POST, "/", &[]), b"not idempotent").await.unwrap();
            assert_eq!((answer.status, answer.text.as_str()), (200, "here"), "request {n}");
        }
        assert_eq!(n_refused.get(), 1);
    });
}

#[test]
fn a_target_that_goes_costs_no_request() {
    run(async {
        let (mut one, two) = (start(), start());
        let mut group = http2_group(ProtocolVersion::Http2, &[one.address, two.address]);
        group.replay = Replay::Everything;
        let balancer = balancer_of(group);
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        let is_done = Rc::new(Cell::new(false));
        let asking: Vec<_> = (0..16)
            .map(|_| {
                let (client, is_done) = (client.clone(), Rc::clone(&is_done));
                tokio::task::spawn_local(async move {
                    let mut n = 0;
                    while !is_done.get() {
                        let answer = ask(&client, request(Method::POST, "/", &[]), b"12345").await.unwrap();
                        assert_eq!((answer.status, answer.text.as_str()), (200, "5"));
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        wait_until(|| one.seen.n_requests.get() > 50).await;
        drop(one.drain.take());
        let before = two.seen.n_requests.get();
        wait_until(|| two.seen.n_requests.get() > before + 200).await;
        is_done.set(true);
        for asked in asking {
            assert!(asked.await.unwrap() > 0);
        }
    });
}

#[test]
fn a_target_that_takes_few_requests_at_a_time_gets_more_connections_and_no_more_requests() {
    run(async {
        let (most, n_connections) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (seen, counted) = (Rc::clone(&most), Rc::clone(&n_connections));
        let address = start_by_hand(move |_, stream| {
            let (seen, counted) = (Rc::clone(&seen), Rc::clone(&counted));
            async move {
                let mut builder = h2::server::Builder::new();
                let Ok(mut server) = builder.max_concurrent_streams(2).handshake::<_, Bytes>(stream).await
                else {
                    return;
                };
                let at_once = Rc::new(Cell::new(0));
                let mut is_first = true;
                while let Some(Ok((_request, mut answer))) = server.accept().await {
                    counted.set(counted.get() + usize::from(std::mem::take(&mut is_first)));
                    at_once.set(at_once.get() + 1);
                    seen.set(seen.get().max(at_once.get()));
                    let at_once = Rc::clone(&at_once);
                    tokio::task::spawn_local(async move {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        at_once.set(at_once.get() - 1);
                        respond(&mut answer, "here");
                    });
                }
            }
        });
        let balancer = balancer_of(connections_only(http2_group(ProtocolVersion::Http2, &[address])));
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        assert_eq!(get(&client, "/").await.unwrap().text, "here");
        let asking: Vec<_> = (0..60)
            .map(|_| {
                let client = client.clone();
                tokio::task::spawn_local(async move { get(&client, "/").await.unwrap().text })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), "here");
        }
        assert_eq!(most.get(), 2);
        assert!((2..=8).contains(&n_connections.get()), "{}", n_connections.get());
    });
}

#[test]
fn a_server_that_speaks_no_http_2_is_no_target_of_it() {
    run(async {
        let address = start_by_hand(|_, stream| async move {
            let _ = stream.readable().await;
            let _ = stream.try_write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        let balancer = balancer_of(connections_only(http2_group(ProtocolVersion::Http2, &[address])));
        let _world = World::start(plan_of(&balancer)).await;
        let client = connect(balancer.listeners[0].addresses[0]).await;
        let answer = get(&client, "/").await.unwrap();
        assert_eq!((answer.status, answer.field("x-forebay-reason")), (502, "target-malformed"));
    });
}

#[test]
fn calls_tell_the_health_of_targets_of_grpc() {
    run(async {
        let in_trailers = start();
        let codes = |codes: &str| Matcher::Grpc(CodeSet::parse(codes, 0..=99).unwrap());
        for (matcher, state) in [("0", "healthy"), ("0-99", "healthy"), ("12", "unhealthy")] {
            let mut group = http2_group(ProtocolVersion::Grpc, &[in_trailers.address]);
            group.health_check.path = Some("/AWS.ALB/healthcheck".into());
            group.health_check.matcher = codes(matcher);
            let mut world = World::start(plan_of(&balancer_of(group))).await;
            world.wait_until(|observed| observed.targets.values().all(|it| it.state.as_str() == state)).await;
            if state == "unhealthy" {
                let observed = world.observed.borrow();
                let description = &observed.targets.values().next().unwrap().description;
                assert!(description.contains("gRPC status codes: [0]"), "{description}");
            }
        }
        // A call that comes to nothing has its status in the head.
        let in_head = Rc::new(|_: Request| async {
            Response::new(StatusCode::OK)
                .with_field("content-type", "application/grpc")
                .with_field("grpc-status", "12")
        });
        let address = free_address();
        let listener = net::bind(address, 1).unwrap().remove(0);
        let (_drain, watch) = Drain::new();
        let handler = move |request| in_head(request);
        tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
        let mut group = http2_group(ProtocolVersion::Grpc, &[address]);
        group.health_check.matcher = codes("12");
        let world = World::start(plan_of(&balancer_of(group))).await;
        assert_eq!(world.state_of(address), Some("healthy"));
    });
}
