//! Network Load Balancers: datagrams.

use std::net::SocketAddr;
use std::time::Duration;

use net::Limits;
use plan::attributes::{self, Attributes, Scope};
use plan::{HealthCheck, HealthCheckPort, LoadBalancer, LoadBalancerKind, Matcher, Protocol, TargetGroup};
use tokio::net::{TcpListener, UdpSocket};

use crate::world::{World, free_address, group, load_balancer, plan_of, run};

/// A target that says its name before it says everything back, and whose health is asked over TCP.
struct Echo {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

async fn echo(name: &'static str) -> Echo {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let task = tokio::task::spawn_local(async move {
        let mut bytes = [0; 70_000];
        loop {
            let (n_bytes, from) = socket.recv_from(&mut bytes).await.unwrap();
            let _ = socket.send_to(&[name.as_bytes(), &bytes[..n_bytes]].concat(), from).await;
        }
    });
    Echo { address, task }
}

/// A port that takes connections, for health checks.
async fn healthy() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::task::spawn_local(async move {
        loop {
            let _ = listener.accept().await;
        }
    });
    port
}

fn udp_group(targets: &[SocketAddr], health_port: u16) -> TargetGroup {
    let mut group = group("g", targets);
    // As it is for groups of datagrams where nobody says otherwise.
    group.attributes = Attributes::new(Scope::NetworkTargetGroup);
    group.attributes.set_default(attributes::CONNECTION_TERMINATION, "true");
    let health_check = HealthCheck {
        protocol: Protocol::Tcp,
        port: HealthCheckPort::Port(health_port),
        path: None,
        matcher: Matcher::Connection,
        ..group.health_check
    };
    TargetGroup { protocol: Protocol::Udp, protocol_version: None, health_check, ..group }
}

fn balancer_of(group: TargetGroup) -> LoadBalancer {
    let mut balancer = load_balancer(LoadBalancerKind::Network, vec![group]);
    balancer.listeners[0].protocol = Protocol::Udp;
    balancer
}

async fn world_with(balancer: &LoadBalancer, limits: Limits) -> World {
    let settings = proxy::Settings { n_cores: 2, limits, ..proxy::Settings::default() };
    World::start_as(plan_of(balancer), proxy::Metrics::default(), settings).await
}

async fn client() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Asks until there is an answer: a datagram may be lost.
async fn ask(socket: &UdpSocket, address: SocketAddr, text: &str) -> String {
    let mut bytes = vec![0; 70_000];
    loop {
        socket.send_to(text.as_bytes(), address).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_millis(300), socket.recv_from(&mut bytes)).await;
        if let Ok(Ok((n_bytes, from))) = answer
            && bytes[..n_bytes].ends_with(text.as_bytes())
        {
            assert_eq!(from, address, "answers come from where one asked");
            return String::from_utf8(bytes[..n_bytes].to_vec()).unwrap();
        }
    }
}

fn count(world: &World, line: &str) -> u64 {
    let metrics = world.metrics.encode();
    let found = metrics.lines().find_map(|text| text.strip_prefix(line));
    found.map_or(0, |number| number.trim().parse().unwrap())
}

#[test]
fn a_client_stays_with_its_target_and_clients_spread() {
    run(async {
        let (a, b, port) = (echo("a").await, echo("b").await, healthy().await);
        let balancer = balancer_of(udp_group(&[a.address, b.address], port));
        let world = world_with(&balancer, Limits::default()).await;
        let address = balancer.listeners[0].addresses[0];
        let (mut names, mut sockets) = (String::new(), Vec::new());
        for _ in 0..20 {
            let socket = client().await;
            let first = ask(&socket, address, "0").await;
            for n in 1..10 {
                assert_eq!(ask(&socket, address, &n.to_string()).await[..1], first[..1]);
            }
            names.push_str(&first[..1]);
            // Kept open: the next one must not get its port, and be the same client.
            sockets.push(socket);
        }
        assert!(names.contains('a') && names.contains('b'), "{names}");
        let large = "x".repeat(60_000);
        assert_eq!(ask(&client().await, address, &large).await.len(), 60_001);
        for direction in ["up", "down"] {
            let line =
                format!(r#"forebay_datagrams_total{{load_balancer="lb",port="80",direction="{direction}"}}"#);
            // An answer may be here before it is counted.
            while count(&world, &line) < 201 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert_eq!(count(&world, r#"forebay_open_connections{load_balancer="lb",port="80"}"#), 21);
    });
}

#[test]
fn silent_clients_are_forgotten_and_too_many_push_the_silent_out() {
    run(async {
        let (a, port) = (echo("a").await, healthy().await);
        let balancer = balancer_of(udp_group(&[a.address], port));
        let limits =
            Limits { udp_flows: 20, udp_idle_timeout: Duration::from_millis(300), ..Limits::default() };
        let world = world_with(&balancer, limits).await;
        let address = balancer.listeners[0].addresses[0];
        let open = r#"forebay_open_connections{load_balancer="lb",port="80"}"#;
        let talker = client().await;
        let mut many = Vec::new();
        for n in 0..200 {
            let socket = client().await;
            socket.send_to(b"x", address).await.unwrap();
            many.push(socket);
            if n % 10 == 0 {
                ask(&talker, address, "still here").await;
                // 20 on each of two cores, once those that were pushed out have noticed.
                while count(&world, open) > 40 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        assert_eq!(ask(&many[199], address, "y").await, "ay");
        while count(&world, open) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(ask(&talker, address, "again").await, "aagain");
    });
}

#[test]
fn a_target_that_is_gone_is_left_and_one_that_refuses_harms_nobody() {
    run(async {
        let (a, b, port) = (echo("a").await, echo("b").await, healthy().await);
        let mut balancer = balancer_of(udp_group(&[a.address], port));
        let mut world = world_with(&balancer, Limits::default()).await;
        let address = balancer.listeners[0].addresses[0];
        let socket = client().await;
        assert_eq!(ask(&socket, address, "1").await, "a1");
        // Another takes its place: nothing more goes to the one that drains, and the listener is the same.
        balancer.target_groups = vec![udp_group(&[b.address], port)].into();
        world.change(plan_of(&balancer)).await;
        assert_eq!(ask(&socket, address, "2").await, "b2");
        // Nobody is behind the port any more, which the system tells by ICMP.
        balancer.target_groups = vec![udp_group(&[b.address, a.address], port)].into();
        world.change(plan_of(&balancer)).await;
        b.task.abort();
        while !b.task.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&socket, address, "3").await, "a3");
        // No target at all, and then no listener.
        balancer.target_groups = vec![udp_group(&[], port)].into();
        world.change(plan_of(&balancer)).await;
        let dropped = r#"forebay_datagrams_dropped_total{load_balancer="lb",port="80",reason="no-targets"}"#;
        while count(&world, dropped) == 0 {
            // The change may still be on its way.
            socket.send_to(b"4", address).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.plans.send_replace(std::sync::Arc::default());
        world.wait_until(|observed| observed.listeners.is_empty()).await;
        assert!(world.drain.finish(Duration::from_secs(20)).await);
    });
}

#[test]
fn a_client_keeps_a_deregistered_target_where_its_flow_is_not_to_be_cut() {
    run(async {
        let (a, b, port) = (echo("a").await, echo("b").await, healthy().await);
        let group_of = |targets: &[SocketAddr]| {
            let mut group = udp_group(targets, port);
            for (key, value) in
                [(attributes::CONNECTION_TERMINATION, "false"), (attributes::DEREGISTRATION_DELAY, "1")]
            {
                group.attributes.set(key, value).unwrap();
            }
            vec![group].into()
        };
        let mut balancer = balancer_of(udp_group(&[a.address], port));
        balancer.target_groups = group_of(&[a.address]);
        let mut world = world_with(&balancer, Limits::default()).await;
        let address = balancer.listeners[0].addresses[0];
        let socket = client().await;
        assert_eq!(ask(&socket, address, "1").await, "a1");
        balancer.target_groups = group_of(&[b.address]);
        world.change(plan_of(&balancer)).await;
        assert_eq!(ask(&client().await, address, "2").await, "b2");
        assert_eq!(ask(&socket, address, "2").await, "a2");
        // Also when its time is over.
        world.wait_until(|observed| observed.targets.keys().all(|key| key.address != a.address)).await;
        assert_eq!(ask(&socket, address, "3").await, "a3");
        // Until it is not there any more.
        a.task.abort();
        while !a.task.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&socket, address, "4").await, "b4");
    });
}

#[test]
fn one_listener_carries_both_and_ranges_hold_for_datagrams_too() {
    run(async {
        let (a, port) = (echo("a").await, healthy().await);
        let mut balancer = balancer_of(udp_group(&[a.address], port));
        balancer.listeners[0].protocol = Protocol::TcpUdp;
        balancer.target_groups[0].protocol = Protocol::TcpUdp;
        let mut world = world_with(&balancer, Limits::default()).await;
        let address = balancer.listeners[0].addresses[0];
        assert_eq!(ask(&client().await, address, "1").await, "a1");
        tokio::net::TcpStream::connect(address).await.unwrap();
        let ranges = vec!["192.0.2.0/24".parse().unwrap()];
        balancer.listeners[0].source_ranges =
            Some(plan::SourceRanges { cidrs: ranges, prefix_lists: Vec::new() });
        world.change(plan_of(&balancer)).await;
        let dropped = r#"forebay_datagrams_dropped_total{load_balancer="lb",port="80",reason="not-allowed"}"#;
        while count(&world, dropped) == 0 {
            client().await.send_to(b"2", address).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // A place that somebody else has is told.
        let taken = UdpSocket::bind(free_address()).await.unwrap();
        balancer.listeners[0].protocol = Protocol::Udp;
        balancer.listeners[0].addresses = vec![taken.local_addr().unwrap()];
        world.change(plan_of(&balancer)).await;
        world
            .wait_until(|observed| {
                observed.listeners.values().all(|state| matches!(state, plan::ListenerState::Failed(_)))
            })
            .await;
    });
}
