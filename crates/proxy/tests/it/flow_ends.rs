//! What becomes of the flows of a Network Load Balancer whose target turns unhealthy or is deregistered.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plan::attributes::Scope;
use plan::{Attributes, LoadBalancer, LoadBalancerKind, Protocol, TargetGroup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{Server, World, group, load_balancer, plan_of, run};

/// A group of a Network Load Balancer whose health is asked over HTTP.
fn network_group(servers: &[&Server], settings: &[(&str, &str)]) -> TargetGroup {
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    let mut group = group("g", &addresses);
    (group.protocol, group.protocol_version) = (Protocol::Tcp, None);
    group.attributes = Attributes::new(Scope::NetworkTargetGroup);
    for (key, value) in settings {
        group.attributes.set(key, value).unwrap();
    }
    group
}

fn balancer_of(servers: &[&Server], settings: &[(&str, &str)]) -> LoadBalancer {
    load_balancer(LoadBalancerKind::Network, vec![network_group(servers, settings)])
}

async fn becomes(world: &mut World, server: &Server, state: &str) {
    let address = server.address;
    world
        .wait_until(|observed| {
            let mut targets = observed.targets.iter();
            targets.any(|(key, health)| key.address == address && health.state.as_str() == state)
        })
        .await;
}

/// A flow that is known to lead to a target, which keeps it open.
async fn flow_to(balancer: &LoadBalancer, name: &str) -> TcpStream {
    loop {
        let mut stream = TcpStream::connect(balancer.listeners[0].addresses[0]).await.unwrap();
        if ask(&mut stream).await.unwrap().ends_with(name) {
            return stream;
        }
    }
}

async fn ask(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    let mut bytes = [0; 4096];
    let n_bytes = stream.read(&mut bytes).await?;
    match n_bytes {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(String::from_utf8_lossy(&bytes[..n_bytes]).into_owned()),
    }
}

/// How a flow ends on which nobody says anything.
async fn end_of(stream: &mut TcpStream) -> ErrorKind {
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 64])).await.unwrap();
    read.map_or_else(|error| error.kind(), |_| ErrorKind::UnexpectedEof)
}

const KEPT: (&str, &str) = ("target_health_state.unhealthy.connection_termination.enabled", "false");

#[test]
fn flows_of_a_target_that_turns_unhealthy_are_reset() {
    run(async {
        let [a, b] = ["a", "b"].map(Server::start);
        let balancer = balancer_of(&[&a, &b], &[]);
        let mut world = World::start(plan_of(&balancer)).await;
        let (mut to_a, mut to_b) = (flow_to(&balancer, "a").await, flow_to(&balancer, "b").await);
        a.is_healthy.set(false);
        becomes(&mut world, &a, "unhealthy").await;
        assert_eq!(end_of(&mut to_a).await, ErrorKind::ConnectionReset);
        assert!(ask(&mut to_b).await.unwrap().ends_with('b'));
        // When the last one turns unhealthy all are asked, and nobody is cut off from whom he has.
        b.is_healthy.set(false);
        becomes(&mut world, &b, "unhealthy").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(ask(&mut to_b).await.unwrap().ends_with('b'));
        // Once there is another, he is.
        a.is_healthy.set(true);
        becomes(&mut world, &a, "healthy").await;
        assert_eq!(end_of(&mut to_b).await, ErrorKind::ConnectionReset);
    });
}

#[test]
fn flows_of_an_unhealthy_target_stay_where_that_is_wanted_or_for_a_while() {
    run(async {
        let [a, b] = ["a", "b"].map(Server::start);
        let mut balancer = balancer_of(&[&a, &b], &[KEPT]);
        let mut world = World::start(plan_of(&balancer)).await;
        let mut kept = flow_to(&balancer, "a").await;
        a.is_healthy.set(false);
        becomes(&mut world, &a, "unhealthy").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(ask(&mut kept).await.unwrap().ends_with('a'));
        a.is_healthy.set(true);
        becomes(&mut world, &a, "healthy").await;
        let one_second = ("target_health_state.unhealthy.draining_interval_seconds", "1");
        balancer.target_groups = vec![network_group(&[&a, &b], &[KEPT, one_second])].into();
        world.change(plan_of(&balancer)).await;
        let mut flow = flow_to(&balancer, "a").await;
        a.is_healthy.set(false);
        becomes(&mut world, &a, "unhealthy.draining").await;
        let began = Instant::now();
        assert!(ask(&mut flow).await.unwrap().ends_with('a'));
        for _ in 0..10 {
            assert!(ask(&mut flow_to(&balancer, "b").await).await.unwrap().ends_with('b'));
        }
        assert_eq!(end_of(&mut flow).await, ErrorKind::ConnectionReset);
        assert!(began.elapsed() > Duration::from_millis(800));
        becomes(&mut world, &a, "unhealthy").await;
    });
}

#[test]
fn flows_of_a_deregistered_target_go_on_after_its_delay_unless_they_are_to_be_cut() {
    run(async {
        let [a, b] = ["a", "b"].map(Server::start);
        let soon = ("deregistration_delay.timeout_seconds", "1");
        let cut = ("deregistration_delay.connection_termination.enabled", "true");
        for (settings, is_cut) in [(vec![soon], false), (vec![soon, cut], true)] {
            let mut balancer = balancer_of(&[&a, &b], &settings);
            let mut world = World::start(plan_of(&balancer)).await;
            let mut flow = flow_to(&balancer, "a").await;
            balancer.target_groups = vec![network_group(&[&b], &settings)].into();
            world.change(plan_of(&balancer)).await;
            becomes(&mut world, &a, "draining").await;
            assert!(ask(&mut flow).await.unwrap().ends_with('a'));
            let address = a.address;
            world.wait_until(|observed| observed.targets.keys().all(|key| key.address != address)).await;
            match is_cut {
                true => assert_eq!(end_of(&mut flow).await, ErrorKind::ConnectionReset),
                false => assert!(ask(&mut flow).await.unwrap().ends_with('a')),
            }
        }
    });
}
