//! Network Load Balancers: connections, byte for byte.

use std::net::SocketAddr;
use std::time::Duration;

use plan::{HealthCheck, LoadBalancerKind, Matcher, Protocol, TargetGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, free_address, group, load_balancer, plan_of, run};

/// A server that greets with its name and then echoes until the client has finished.
async fn greeter(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(async move {
                let _ = stream.write_all(name.as_bytes()).await;
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes).await;
                let _ = stream.write_all(&bytes).await;
            });
        }
    });
    address
}

fn tcp_group(targets: &[SocketAddr]) -> TargetGroup {
    let group = group("g", targets);
    let health_check = HealthCheck {
        protocol: Protocol::Tcp,
        path: None,
        matcher: Matcher::Connection,
        ..group.health_check
    };
    TargetGroup { protocol: Protocol::Tcp, protocol_version: None, health_check, ..group }
}

async fn greeting(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 1];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn acc_s3_03_bytes_pass_through_and_each_side_may_finish_first() {
    run(async {
        let balancer = load_balancer(LoadBalancerKind::Network, vec![tcp_group(&[greeter("a").await])]);
        let _world = World::start(plan_of(&balancer)).await;
        let mut stream = TcpStream::connect(balancer.listeners[0].addresses[0]).await.unwrap();
        assert_eq!(greeting(&mut stream).await, "a");
        let large = vec![b'x'; 1 << 20];
        stream.write_all(&large).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut echoed = Vec::new();
        stream.read_to_end(&mut echoed).await.unwrap();
        assert_eq!(echoed, large);
    });
}

#[test]
fn acc_s1_07_connections_spread_evenly_and_pass_over_a_target_that_refuses() {
    run(async {
        let targets = [greeter("a").await, greeter("b").await, free_address()];
        let balancer = load_balancer(LoadBalancerKind::Network, vec![tcp_group(&targets)]);
        let _world = World::start(plan_of(&balancer)).await;
        let mut greetings = String::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(balancer.listeners[0].addresses[0]).await.unwrap();
            greetings.push_str(&greeting(&mut stream).await);
        }
        let n_a = greetings.matches('a').count();
        assert!((45..=55).contains(&n_a), "{greetings}");
    });
}

#[test]
fn connections_of_one_client_stay_at_one_target_group_where_that_is_wanted() {
    use plan::{Action, Forward, ForwardTarget, GroupStickiness, TargetGroupRef, Weight};
    run(async {
        let names = ["a", "b"];
        let mut groups = Vec::new();
        for name in names {
            groups.push(TargetGroup { key: name.into(), ..tcp_group(&[greeter(name).await]) });
        }
        let mut balancer = load_balancer(LoadBalancerKind::Network, groups);
        let target = |name: &&str| ForwardTarget {
            target_group: TargetGroupRef::Group(balancer.target_groups.find(name).unwrap()),
            weight: Weight::new(if *name == "a" { 3 } else { 1 }).unwrap(),
        };
        let targets = names.iter().map(target).collect();
        let stickiness = Some(GroupStickiness::SourceIp);
        balancer.listeners[0].default_action = Some(Action::Forward(Forward { targets, stickiness }));
        let _world = World::start(plan_of(&balancer)).await;
        let mut n_at_a = 0;
        for number in 1..=200_u8 {
            let mut of_client = String::new();
            for _ in 0..2 {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind(([127, 8, 8, number], 0).into()).unwrap();
                let mut stream = socket.connect(balancer.listeners[0].addresses[0]).await.unwrap();
                of_client.push_str(&greeting(&mut stream).await);
            }
            assert!(of_client == "aa" || of_client == "bb", "{number} {of_client}");
            n_at_a += usize::from(of_client == "aa");
        }
        assert!((125..=175).contains(&n_at_a), "{n_at_a} of 200");
    });
}

#[test]
fn flows_outlive_a_change_of_plan_and_a_quiet_one_ends_with_its_listener() {
    run(async {
        let targets = [greeter("a").await, greeter("b").await];
        let mut balancer = load_balancer(LoadBalancerKind::Network, vec![tcp_group(&targets[..1])]);
        let mut world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(greeting(&mut stream).await, "a");
        balancer.target_groups = vec![tcp_group(&targets[1..])].into();
        world.change(plan_of(&balancer)).await;
        assert_eq!(greeting(&mut TcpStream::connect(address).await.unwrap()).await, "b");
        assert_eq!(world.state_of(targets[0]), Some("draining"));
        stream.write_all(b"still here").await.unwrap();
        world.plans.send_replace(Default::default());
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.unwrap().ok();
    });
}

/// A target that keeps what comes first on each connection, and then says its name.
async fn listener_of(n_bytes: usize) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, hears) = tokio::sync::mpsc::unbounded_channel();
    tokio::task::spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let heard = heard.clone();
            tokio::task::spawn_local(async move {
                let mut bytes = vec![0; n_bytes];
                let n_bytes = stream.read(&mut bytes).await.unwrap_or(0);
                bytes.truncate(n_bytes);
                let _ = heard.send(bytes);
                let _ = stream.write_all(b"a").await;
                let _ = stream.read(&mut [0; 64]).await;
            });
        }
    });
    (address, hears)
}

#[test]
fn targets_are_told_their_clients_by_the_proxy_protocol_and_checks_are_nobody_s() {
    use net::proxy_protocol::{Header, parse};
    run(async {
        let (target, mut hears) = listener_of(512).await;
        let mut group = tcp_group(&[target]);
        group.attributes = plan::attributes::Attributes::new(plan::attributes::Scope::NetworkTargetGroup);
        group.attributes.set("proxy_protocol_v2.enabled", "true").unwrap();
        let balancer = load_balancer(LoadBalancerKind::Network, vec![group]);
        let _world = World::start(plan_of(&balancer)).await;
        assert_eq!(parse(&hears.recv().await.unwrap()), Ok(Some((Header::Local, 16))));
        let listener = balancer.listeners[0].addresses[0];
        let mut stream = TcpStream::connect(listener).await.unwrap();
        assert_eq!(greeting(&mut stream).await, "a");
        let own = stream.local_addr().unwrap();
        loop {
            // Checks go on in between.
            let heard = hears.recv().await.unwrap();
            match parse(&heard).unwrap().unwrap() {
                (Header::Local, _) => {}
                (Header::Client { client, destination }, length) => {
                    assert_eq!((client, destination, length), (own, listener, heard.len()));
                    break;
                }
            }
        }
    });
}

#[test]
fn whom_a_proxy_in_front_speaks_for_is_the_client_and_who_says_nothing_is_nobody() {
    use crate::world::Server;
    use net::{Gate, Limits, Neighbour};
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let mut narrow = balancer.clone();
        narrow.id = plan::LoadBalancerId::ingress("test", "narrow");
        narrow.name = "narrow".into();
        narrow.listeners[0].addresses = vec![free_address()];
        let ranges = vec!["192.0.2.0/24".parse().unwrap()];
        narrow.listeners[0].source_ranges =
            Some(plan::SourceRanges { cidrs: ranges, prefix_lists: Vec::new() });
        let gate = Gate::knowing(|client| match client.is_loopback() {
            true => Neighbour::Announcer,
            false => Neighbour::Stranger,
        });
        let limits =
            Limits { head_timeout: Duration::from_secs(2), client_connections: 2, ..Limits::default() };
        let settings = proxy::Settings { n_cores: 1, limits, gate, ..proxy::Settings::default() };
        let plan =
            plan::Plan { load_balancers: vec![balancer.clone(), narrow.clone()], ..plan::Plan::default() };
        let world = World::start_as(plan, proxy::Metrics::default(), settings).await;
        let ask = async |address: SocketAddr, pieces: &[&[u8]]| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for piece in pieces {
                let _ = stream.write_all(piece).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        let address = balancer.listeners[0].addresses[0];
        let get: &[u8] = b"GET /fields HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let client = "192.0.2.7:5000".parse().unwrap();
        let binary = net::proxy_protocol::write(client, address);
        let text: &[u8] = b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n";
        let in_bytes: Vec<&[u8]> = text.chunks(1).chain([get]).collect();
        for told in [vec![text, get], vec![&binary, get], vec![&[text, get].concat()], in_bytes] {
            let answer = ask(address, &told).await;
            assert!(answer.contains("x-forwarded-for: 192.0.2.7\n"), "{answer}");
        }
        let (client, to) = ("[2001:db8::7]:5000".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap());
        let binary_of_ipv6 = net::proxy_protocol::write(client, to);
        for told in [b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 80\r\n".as_slice(), &binary_of_ipv6] {
            let answer = ask(address, &[told, get]).await;
            assert!(answer.contains("x-forwarded-for: 2001:db8::7\n"), "{answer}");
        }
        // The proxy itself, as its checks are.
        let answer = ask(address, &[&net::proxy_protocol::write_local(), get]).await;
        assert!(answer.contains("x-forwarded-for: 127.0.0.1\n"), "{answer}");
        let too_long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
        for nothing in [
            &[get][..],
            &[b"PROXY TCP4 192.0"],
            &[b""],
            &[&too_long],
            &[&binary[..20]],
            &[b"\r\n\r\n\0\r\nNO"],
        ] {
            assert_eq!(ask(address, nothing).await, "", "{nothing:?}");
        }
        let told =
            r#"forebay_connections_refused_total{load_balancer="lb",port="80",reason="unannounced"} 6"#;
        assert!(world.metrics.encode().contains(told), "{}", world.metrics.encode());
        // Ranges mean the client, not who speaks for it.
        let narrow = narrow.listeners[0].addresses[0];
        assert!(ask(narrow, &[text, get]).await.contains("192.0.2.7"));
        assert_eq!(ask(narrow, &[b"PROXY TCP4 198.51.100.7 127.0.0.1 5000 80\r\n", get]).await, "");
        assert_eq!(ask(narrow, &[&binary_of_ipv6, get]).await, "");
        let told =
            r#"forebay_connections_refused_total{load_balancer="narrow",port="80",reason="not-allowed"} 2"#;
        assert!(world.metrics.encode().contains(told), "{}", world.metrics.encode());
        let help = "forebay_connections_refused Connections that were not let in, by why: too-many, \
                    too-many-connections-of-client, no-descriptors, unannounced, not-allowed.";
        assert!(world.metrics.encode().contains(help), "{}", world.metrics.encode());
        // And so do counts.
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(text).await.unwrap();
            open.push(stream);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(ask(address, &[text, get]).await, "");
        let other: &[u8] = b"PROXY TCP4 192.0.2.8 127.0.0.1 5000 80\r\n";
        assert!(ask(address, &[other, get]).await.contains("192.0.2.8"));
        drop(open);
    });
}

#[test]
fn a_proxy_that_does_not_say_for_whom_it_speaks_makes_room_for_others() {
    use crate::world::Server;
    use net::{Gate, Limits, Neighbour};
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let gate = Gate::knowing(|_| Neighbour::Announcer);
        let limits = Limits { connections: 40, ..Limits::default() };
        let settings = proxy::Settings { n_cores: 1, limits, gate, ..proxy::Settings::default() };
        let _world = World::start_as(plan_of(&balancer), proxy::Metrics::default(), settings).await;
        let address = balancer.listeners[0].addresses[0];
        let mut silent = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(b"PROXY TCP4 192.0").await;
            silent.push(stream);
        }
        for _ in 0..5 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let header = b"PROXY TCP4 192.0.2.7 127.0.0.1 5000 80\r\n".as_slice();
            let get = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".as_slice();
            stream.write_all(&[header, get].concat()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with("one"), "{answer}");
        }
    });
}
