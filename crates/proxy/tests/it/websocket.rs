//! Connections that go over to WebSocket, and answers that come in pieces over a long time.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use plan::attributes::IDLE_TIMEOUT;
use plan::{LoadBalancer, LoadBalancerKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::{World, group, load_balancer, plan_of, run};

/// A target that answers by path, and what it has seen.
struct Target {
    address: SocketAddr,
    /// Requests, and what came behind them.
    seen: Rc<RefCell<String>>,
    /// Lets `/ws` be answered.
    go: watch::Sender<bool>,
}

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
                      Sec-WebSocket-Accept: x\r\n\r\n";

impl Target {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, (go, may_go)) = (Rc::new(RefCell::new(String::new())), watch::channel(true));
        let target = Self { address, seen: Rc::clone(&seen), go };
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(Self::serve(stream, Rc::clone(&seen), may_go.clone()));
            }
        });
        target
    }

    async fn serve(mut stream: TcpStream, seen: Rc<RefCell<String>>, mut may_go: watch::Receiver<bool>) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(char::from(byte));
        }
        let answer =
            |status: &str, more: &str| format!("HTTP/1.1 {status}\r\n{more}Content-Length: 2\r\n\r\nno");
        if head.contains("HealthChecker") {
            let _ = stream.write_all(answer("200 OK", "").as_bytes()).await;
            return;
        }
        seen.borrow_mut().push_str(&head);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        match path.as_str() {
            "/ws" => {
                let mut bytes = [0; 4096];
                let going = may_go.wait_for(|may| *may);
                tokio::select! {
                    _ = going => {}
                    n_bytes = stream.read(&mut bytes) => {
                        let early = String::from_utf8_lossy(&bytes[..n_bytes.unwrap_or(0)]).into_owned();
                        seen.borrow_mut().push_str(&format!("TOO EARLY: {early}"));
                        return;
                    }
                }
                let _ = stream.write_all(format!("{SWITCH}welcome ").as_bytes()).await;
                while let Ok(n_bytes @ 1..) = stream.read(&mut bytes).await {
                    bytes[..n_bytes].make_ascii_uppercase();
                    let _ = stream.write_all(&bytes[..n_bytes]).await;
                }
            }
            "/other" => _ = stream.write_all(SWITCH.replace("websocket", "h2c").as_bytes()).await,
            "/unasked" => _ = stream.write_all(SWITCH.as_bytes()).await,
            "/refused" => _ = stream.write_all(answer("403 Forbidden", "").as_bytes()).await,
            _ => {
                let mut body = [0; 2];
                if head.contains("content-length: 2") {
                    let _ = stream.read_exact(&mut body).await;
                }
                let _ = stream.write_all(answer("200 OK", "Connection: close\r\n").as_bytes()).await;
            }
        }
    }
}

fn balancer_of(target: &Target) -> LoadBalancer {
    load_balancer(LoadBalancerKind::Application, vec![group("g", &[target.address])])
}

fn asking(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n{more}\r\n"
    )
}

async fn send(balancer: &LoadBalancer, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(balancer.listeners[0].addresses[0]).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = stream.read_u8().await;
        assert!(byte.is_ok(), "it ended: {text}");
        text.push(char::from(byte.unwrap()));
    }
    text
}

#[test]
fn a_connection_goes_over_after_its_target_has_and_nothing_is_lost_or_early() {
    run(async {
        let target = Target::start().await;
        let balancer = balancer_of(&target);
        let world = World::start(plan_of(&balancer)).await;
        let are_open = |n_connections: usize| {
            let line =
                format!("forebay_open_connections{{load_balancer=\"lb\",port=\"80\"}} {n_connections}\n");
            world.metrics.encode().contains(&line)
        };
        target.go.send_replace(false);
        let mut stream = send(&balancer, &(asking("/ws", "") + "early ")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let seen = target.seen.borrow().clone();
        assert!(seen.ends_with("\r\n\r\n"), "nothing but the head before the answer: {seen}");
        assert!(
            seen.contains("upgrade: websocket\r\n") && seen.contains("connection: Upgrade\r\n"),
            "{seen}"
        );
        assert!(seen.contains("Sec-WebSocket-Key: k\r\n") && seen.contains("x-forwarded-for: "), "{seen}");
        assert_eq!(seen.matches("pgrade: ").count(), 1, "{seen}");
        target.go.send_replace(true);
        let answer = read_until(&mut stream, "EARLY ").await;
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("connection: Upgrade"), "{head}");
        assert!(head.contains("upgrade: websocket") && head.contains("Sec-WebSocket-Accept: x"), "{head}");
        assert_eq!(rest, "welcome EARLY ");
        // What would be requests elsewhere is nothing but bytes here.
        stream.write_all(b"get / http/1.1\r\n\r\n").await.unwrap();
        read_until(&mut stream, "GET / HTTP/1.1\r\n\r\n").await;
        assert!(are_open(1), "it is a connection still: {}", world.metrics.encode());
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
        while !are_open(0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn only_websocket_is_gone_over_to_and_only_where_it_was_asked_for() {
    run(async {
        let target = Target::start().await;
        let balancer = balancer_of(&target);
        let _world = World::start(plan_of(&balancer)).await;
        let plain = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        for (request, status, is_passed_on) in [
            (asking("/refused", ""), "403", true),
            (asking("/other", ""), "502", true),
            (plain("/unasked"), "502", false),
            (asking("/unasked", "").replace("e: WebSocket", "e: h2c"), "502", false),
            (asking("/x", "").replace("e: WebSocket", "e: h2c, foo"), "200", false),
            (asking("/x", "").replace("keep-alive, Upgrade", "keep-alive"), "200", false),
            (asking("/x", "").replace("HTTP/1.1", "HTTP/1.0"), "200", false),
            (asking("/x", "").replace("GET", "POST"), "200", false),
            // Of a request with a body the wish is not passed on: it stays one of HTTP.
            (asking("/x", "Content-Length: 2\r\n") + "ab", "200", false),
            (asking("/x", "").replace("e: WebSocket", "e: h2c, websocket"), "200", true),
        ] {
            target.seen.borrow_mut().clear();
            let mut stream = send(&balancer, &request).await;
            let head = read_until(&mut stream, "\r\n\r\n").await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
            let seen = target.seen.borrow().to_ascii_lowercase();
            assert_eq!(seen.contains("upgrade: websocket\r\n"), is_passed_on, "{request}: {seen}");
            assert_eq!(seen.contains("upgrade"), is_passed_on, "{request}: {seen}");
        }
        // A connection whose wish was refused goes on with HTTP, and what came early is its next request.
        let mut stream = send(&balancer, &(asking("/refused", "") + &plain("/x"))).await;
        assert!(read_until(&mut stream, "no").await.starts_with("HTTP/1.1 403 "));
        assert!(read_until(&mut stream, "no").await.starts_with("HTTP/1.1 200 "));
    });
}

#[test]
fn it_is_counted_and_written_down_once_at_its_close_with_its_bytes() {
    run(async {
        let target = Target::start().await;
        let balancer = balancer_of(&target);
        let path = std::env::temp_dir().join(format!("forebay-websocket-{}.log", std::process::id()));
        let metrics = proxy::Metrics::default();
        let stream = Some((proxy::Sink::File(path.clone()), proxy::Form::Text));
        let settings = proxy::LogSettings { stream, ..proxy::LogSettings::default() };
        let (log, _writer) = proxy::open_logs(settings, &metrics).unwrap();
        let mut world = World::start_with(plan_of(&balancer), metrics, Some(log)).await;
        let mut stream = send(&balancer, &asking("/ws", "")).await;
        read_until(&mut stream, "welcome ").await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        let lines = || std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines(), "", "not before its end");
        let counted = r#"forebay_requests_total{load_balancer="lb",target_group="g",code_class="1xx"} 1"#;
        assert!(!world.metrics.encode().contains(counted));
        world.wait_until(|observed| observed.targets.values().any(|one| one.in_flight == 1)).await;
        stream.write_all(&[b'x'; 1000]).await.unwrap();
        let mut back = [0; 1000];
        stream.read_exact(&mut back).await.unwrap();
        drop(stream);
        while lines().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.wait_until(|observed| observed.targets.values().all(|one| one.in_flight == 0)).await;
        assert!(world.metrics.encode().contains(counted));
        let text = lines();
        let received = asking("/ws", "").len() + 1000;
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in ["status=101 reason=- ", &format!(" received={received} "), "path=\"/ws\""] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let sent = text.split(" sent=").nth(1).unwrap().split(' ').next().unwrap();
        assert!((1100..1200).contains(&sent.parse::<usize>().unwrap()), "{text}");
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn a_silent_one_ends_after_the_idle_timeout_and_a_pausing_one_with_its_listener() {
    run(async {
        let target = Target::start().await;
        let mut balancer = balancer_of(&target);
        balancer.attributes.set(IDLE_TIMEOUT, "1").unwrap();
        let mut world = World::start(plan_of(&balancer)).await;
        let began = std::time::Instant::now();
        let mut stream = send(&balancer, &asking("/ws", "")).await;
        read_until(&mut stream, "welcome ").await;
        assert!(stream.read_u8().await.is_err());
        assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());

        balancer.attributes.set(IDLE_TIMEOUT, "60").unwrap();
        world.change(plan_of(&balancer)).await;
        let mut stream = send(&balancer, &asking("/ws", "")).await;
        read_until(&mut stream, "welcome ").await;
        world.plans.send_replace(std::sync::Arc::default());
        for _ in 0..4 {
            // As long as something is said it goes on.
            tokio::time::sleep(Duration::from_millis(400)).await;
            stream.write_all(b"on").await.unwrap();
            read_until(&mut stream, "ON").await;
        }
        assert!(stream.read_u8().await.is_err());
    });
}

#[test]
fn events_come_through_one_by_one() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sent, to_send) = watch::channel(0);
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut to_send = to_send.clone();
                tokio::task::spawn_local(async move {
                    let mut head = [0; 1024];
                    let n_bytes = stream.read(&mut head).await.unwrap_or(0);
                    if !head[..n_bytes].starts_with(b"GET /events") {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                        return;
                    }
                    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
                    let _ = stream.write_all(head).await;
                    for event in 1..=5 {
                        let _ = to_send.wait_for(|n| *n >= event).await;
                        let _ = stream.write_all(format!("9\r\ndata: {event}\n\n\r\n").as_bytes()).await;
                    }
                    let _ = stream.write_all(b"0\r\n\r\n").await;
                });
            }
        });
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[address])]);
        let _world = World::start(plan_of(&balancer)).await;
        let mut stream = send(&balancer, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await;
        // Not even the head waits for the first event, and no event for the next.
        read_until(&mut stream, "\r\n\r\n").await;
        for event in 1..=5 {
            sent.send_replace(event);
            read_until(&mut stream, &format!("data: {event}\n\n\r\n")).await;
        }
        read_until(&mut stream, "0\r\n\r\n").await;
    });
}
