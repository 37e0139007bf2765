//! Zones: what each gets, which are left out, and how traffic is shifted away from one.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use plan::{LoadBalancer, LoadBalancerKind, Protocol, TargetGroup, ZonalShift, attributes};

use crate::targets::Target;
use crate::world::{Client, Server, World, group, load_balancer, plan_of, run};

const CROSS_ZONE: &str = attributes::CROSS_ZONE;
const OFF: (&str, &str) = (CROSS_ZONE, "false");

/// A group whose targets are in these zones, by their last letters; `-` is in none.
fn group_in(zones: &str, addresses: &[SocketAddr], settings: &[(&str, &str)]) -> TargetGroup {
    let mut group = group("g", addresses);
    for (target, zone) in group.targets.iter_mut().zip(zones.chars()) {
        target.availability_zone = (zone != '-').then(|| format!("eu-west-1{zone}"));
    }
    for (key, value) in settings {
        group.attributes.set(key, value).unwrap();
    }
    group
}

fn balancer_in(zones: &str, targets: &[Target], settings: &[(&str, &str)]) -> LoadBalancer {
    let addresses: Vec<SocketAddr> = targets.iter().map(|target| target.address).collect();
    load_balancer(LoadBalancerKind::Application, vec![group_in(zones, &addresses, settings)])
}

/// The share of each target of 10 000 requests over 20 connections.
async fn shares(zones: &str, settings: &[(&str, &str)]) -> Vec<f64> {
    let targets: Vec<Target> = zones.chars().map(|_| Target::start("a")).collect();
    let balancer = balancer_in(zones, &targets, settings);
    let _world = World::start(plan_of(&balancer)).await;
    let address = balancer.listeners[0].addresses[0];
    let clients = (0..20).map(|_| {
        tokio::task::spawn_local(async move {
            let client = Client::new(address);
            for _ in 0..500 {
                client.get("/").await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    targets.iter().map(|target| target.n_requests() as f64 / 10_000.0).collect()
}

fn all_within_a_hundredth(shares: &[f64], of: f64) -> bool {
    shares.iter().all(|share| (share / of - 1.0).abs() <= 0.01)
}

#[test]
fn zones_get_the_same_where_targets_are_used_within_them_and_targets_where_they_are_not() {
    run(async {
        let two_and_eight = "aabbbbbbbb";
        let apart = shares(two_and_eight, &[OFF]).await;
        println!("cross-zone off: {apart:?}");
        assert!(all_within_a_hundredth(&apart[..2], 0.25), "{apart:?}");
        assert!(all_within_a_hundredth(&apart[2..], 0.0625), "{apart:?}");
        let together = shares(two_and_eight, &[(CROSS_ZONE, "true")]).await;
        println!("cross-zone on: {together:?}");
        assert!(all_within_a_hundredth(&together, 0.1), "{together:?}");
    });
}

#[test]
fn algorithms_choose_within_the_zone_and_targets_without_one_are_in_all() {
    run(async {
        let apart = shares("abbb", &[OFF, (attributes::ALGORITHM, "weighted_random")]).await;
        assert!(all_within_a_hundredth(&apart[..1], 0.5), "{apart:?}");
        assert!(apart[1..].iter().all(|share| (0.14..0.2).contains(share)), "{apart:?}");
        // Half of each zone's.
        let shared = shares("ab-", &[OFF]).await;
        assert!(shared.iter().all(|share| (0.2..=0.55).contains(share)), "{shared:?}");
        assert!(all_within_a_hundredth(&shared[2..], 0.5), "{shared:?}");
    });
}

/// Who answers so many requests, each over a connection of its own.
async fn answers(address: SocketAddr, n_requests: usize) -> String {
    let mut names = String::new();
    for _ in 0..n_requests {
        names.push_str(&Client::new(address).get("/").await.text);
    }
    let mut names: Vec<char> = names.chars().collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().collect()
}

async fn becomes(world: &mut World, address: SocketAddr, state: &str) {
    world
        .wait_until(|observed| {
            let mut targets = observed.targets.iter();
            targets.any(|(key, health)| key.address == address && health.state.as_str() == state)
        })
        .await;
}

#[test]
fn a_zone_with_too_few_healthy_targets_gets_nothing_while_another_has_enough() {
    run(async {
        // `p` and `q` are in zone a, `r` and `s` in zone b.
        let servers = ["p", "q", "r", "s"].map(Server::start);
        let addresses = servers.each_ref().map(|server| server.address);
        let half = ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "60");
        let group = group_in("aabb", &addresses, &[OFF, half]);
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group]);
        let mut world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        assert_eq!(answers(address, 40).await, "pqrs");
        // One of two is below 60 %: what is new goes to the other zone.
        servers[0].is_healthy.set(false);
        becomes(&mut world, addresses[0], "unhealthy").await;
        assert_eq!(answers(address, 40).await, "rs");
        // Both are below: both are used, and of each the healthy ones.
        servers[2].is_healthy.set(false);
        becomes(&mut world, addresses[2], "unhealthy").await;
        assert_eq!(answers(address, 40).await, "qs");
        // Nobody is healthy in zone b, one is in zone a: both are below still, and zone b asks all it has.
        servers[3].is_healthy.set(false);
        becomes(&mut world, addresses[3], "unhealthy").await;
        assert_eq!(answers(address, 40).await, "qrs");
        servers.iter().for_each(|server| server.is_healthy.set(true));
        for address in addresses {
            becomes(&mut world, address, "healthy").await;
        }
        assert_eq!(answers(address, 40).await, "pqrs");
    });
}

#[test]
fn all_targets_are_asked_as_soon_as_fewer_are_healthy_than_is_asked_for() {
    run(async {
        let servers = ["p", "q", "r"].map(Server::start);
        let addresses = servers.each_ref().map(|server| server.address);
        let most = ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "60");
        let group = group_in("---", &addresses, &[most]);
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group]);
        let mut world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        servers[0].is_healthy.set(false);
        becomes(&mut world, addresses[0], "unhealthy").await;
        assert_eq!(answers(address, 30).await, "qr");
        servers[1].is_healthy.set(false);
        becomes(&mut world, addresses[1], "unhealthy").await;
        assert_eq!(answers(address, 30).await, "pqr");
    });
}

fn away_from(zone: &str, until: Option<SystemTime>) -> Option<ZonalShift> {
    Some(ZonalShift { away_from: zone.to_owned(), until })
}

#[test]
fn requests_end_in_a_zone_that_traffic_is_shifted_away_from_and_begin_again_after_it() {
    run(async {
        let targets = ["p", "q", "r"].map(Target::start);
        for (cross_zone, kept) in [("true", false), ("false", false), ("true", true)] {
            let mut balancer = balancer_in("aab", &targets, &[(CROSS_ZONE, cross_zone)]);
            let mut world = World::start(plan_of(&balancer)).await;
            let address = balancer.listeners[0].addresses[0];
            assert_eq!(answers(address, 40).await, "pqr", "{cross_zone}");
            let client = Client::new(address);
            client.get("/").await;
            balancer.zonal_shift = away_from("eu-west-1a", None);
            world.change(plan_of(&balancer)).await;
            assert_eq!(answers(address, 40).await, "r", "{cross_zone}");
            if kept {
                // A connection from before the shift is no way around it.
                for _ in 0..10 {
                    assert_eq!(client.get("/").await.text, "r");
                }
            }
            balancer.zonal_shift = None;
            world.change(plan_of(&balancer)).await;
            assert_eq!(answers(address, 40).await, "pqr", "{cross_zone}");
            // Where nobody would be left it moves nobody.
            let mut alone = balancer_in("aaa", &targets, &[]);
            alone.zonal_shift = away_from("eu-west-1a", None);
            alone.listeners.clone_from(&balancer.listeners);
            world.change(plan_of(&alone)).await;
            assert_eq!(answers(address, 40).await, "pqr");
        }
    });
}

#[test]
fn a_shift_ends_when_its_time_is_over() {
    run(async {
        let targets = ["p", "q"].map(Target::start);
        let mut balancer = balancer_in("ab", &targets, &[]);
        balancer.zonal_shift = away_from("eu-west-1a", Some(SystemTime::now() + Duration::from_secs(2)));
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        assert_eq!(answers(address, 10).await, "q");
        while answers(address, 10).await == "q" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(answers(address, 10).await, "pq");
    });
}

fn network(zones: &str, targets: &[Target], settings: &[(&str, &str)]) -> LoadBalancer {
    let addresses: Vec<SocketAddr> = targets.iter().map(|target| target.address).collect();
    let mut group = group_in(zones, &addresses, &[]);
    (group.protocol, group.protocol_version) = (Protocol::Tcp, None);
    group.attributes = plan::Attributes::new(attributes::Scope::NetworkTargetGroup);
    for (key, value) in settings {
        group.attributes.set(key, value).unwrap();
    }
    load_balancer(LoadBalancerKind::Network, vec![group])
}

#[test]
fn flows_of_a_network_load_balancer_stay_within_zones_unless_it_crosses_them() {
    run(async {
        let targets: Vec<Target> = (0..10).map(|_| Target::start("a")).collect();
        let counts = async |balancer: &LoadBalancer| {
            let _world = World::start(plan_of(balancer)).await;
            let before: Vec<usize> = targets.iter().map(Target::n_requests).collect();
            for _ in 0..800 {
                Client::new(balancer.listeners[0].addresses[0]).get("/").await;
            }
            let counts = targets.iter().zip(before).map(|(target, before)| target.n_requests() - before);
            counts.collect::<Vec<usize>>()
        };
        // Off is what a Network Load Balancer begins with.
        let apart = counts(&network("aabbbbbbbb", &targets, &[])).await;
        println!("flows within zones: {apart:?}");
        assert!(apart[..2].iter().all(|n| n.abs_diff(200) <= 4), "{apart:?}");
        assert!(apart[2..].iter().all(|n| n.abs_diff(50) <= 3), "{apart:?}");
        let mut crossing = network("aabbbbbbbb", &targets, &[]);
        crossing.attributes.set(CROSS_ZONE, "true").unwrap();
        let together = counts(&crossing).await;
        assert!(together.iter().all(|n| n.abs_diff(80) <= 3), "{together:?}");
        let mut shifted = network("aabbbbbbbb", &targets, &[]);
        shifted.zonal_shift = away_from("eu-west-1b", None);
        let left = counts(&shifted).await;
        assert_eq!((left[0] + left[1], left[2..].iter().sum::<usize>()), (800, 0));
    });
}

#[test]
fn a_client_of_a_network_load_balancer_stays_in_its_zone_with_its_target() {
    run(async {
        let names = ["p", "q", "r", "s"];
        let targets = names.map(Target::start);
        let balancer = network("aabb", &targets, &[("stickiness.enabled", "true")]);
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        assert_eq!(answers(address, 20).await.len(), 1);
        // Other clients of this machine get others.
        let mut all: Vec<String> = Vec::new();
        for number in 1..=40_u8 {
            let client = IpAddr::from([127, 9, 9, number]);
            let mut of_client = Vec::new();
            for _ in 0..3 {
                of_client.push(ask_from(client, address).await);
            }
            of_client.dedup();
            assert_eq!(of_client.len(), 1, "{client} {of_client:?}");
            all.extend(of_client);
        }
        assert!(names.iter().all(|name| all.iter().any(|answered| answered == name)), "{all:?}");
    });
}

/// Who answers a request that comes from an address.
async fn ask_from(client: IpAddr, address: SocketAddr) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((client, 0).into()).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.chars().last().unwrap().to_string()
}
