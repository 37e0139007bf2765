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
fn flows_outlive_a_change_of_plan_and_a_quiet_one_ends_with_its_listener() {
    run(async {
        let targets = [greeter("a").await, greeter("b").await];
        let mut balancer = load_balancer(LoadBalancerKind::Network, vec![tcp_group(&targets[..1])]);
        let mut world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(greeting(&mut stream).await, "a");
        balancer.target_groups = vec![tcp_group(&targets[1..])];
        world.change(plan_of(&balancer)).await;
        assert_eq!(greeting(&mut TcpStream::connect(address).await.unwrap()).await, "b");
        assert_eq!(world.state_of(targets[0]), Some("draining"));
        stream.write_all(b"still here").await.unwrap();
        world.plans.send_replace(Default::default());
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.unwrap().ok();
    });
}
