//! From one plan to the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plan::health::TargetState;
use plan::{ListenerKey, ListenerState, LoadBalancerKind};

use crate::world::{Client, Server, World, forward_to, free_address, group, load_balancer, plan_of, run};

#[test]
fn a_new_plan_takes_effect_on_open_connections_and_drops_none() {
    run(async {
        let (one, two) = (Server::start("one"), Server::start("two"));
        let groups = vec![group("g1", &[one.address]), group("g2", &[two.address])];
        let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
        let mut world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        assert_eq!(client.get("/").await.text, "one");
        balancer.listeners[0].default_action = Some(forward_to(&balancer, "g2"));
        world.plans.send_replace(plan_of(&balancer).into());
        while client.get("/").await.text != "two" {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.change(plan_of(&balancer)).await;
        let metrics = world.metrics.encode();
        assert!(metrics.contains(r#"target_group="g2",code_class="2xx"} 1"#), "{metrics}");
    });
}

#[test]
fn listeners_move_close_and_come_back() {
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let first = balancer.listeners[0].addresses[0];
        let mut world = World::start(plan_of(&balancer)).await;
        assert_eq!(Client::new(first).get("/").await.text, "one");

        let second = free_address();
        balancer.listeners[0].addresses = vec![second];
        world.change(plan_of(&balancer)).await;
        while tokio::net::TcpStream::connect(first).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while tokio::net::TcpStream::connect(second).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(Client::new(second).get("/").await.text, "one");

        balancer.listeners[0].addresses = vec![first, second];
        world.change(plan_of(&balancer)).await;
        while tokio::net::TcpStream::connect(first).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(Client::new(first).get("/").await.text, "one");
    });
}

#[test]
fn acc_s0_23_a_port_that_is_taken_is_told_with_its_owner_and_had_once_it_is_free() {
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let address = balancer.listeners[0].addresses[0];
        let taken = net::bind(address, 1).unwrap();
        let mut world = World::start(plan_of(&balancer)).await;
        let key = ListenerKey { load_balancer: balancer.id.clone(), port: 80 };
        let state = world.observed.borrow().listeners[&key].clone();
        let ListenerState::Failed(problem) = state else { panic!("{state:?}") };
        assert!(
            problem.contains("in use by") && problem.contains(&std::process::id().to_string()),
            "{problem}"
        );
        drop(taken);
        world.wait_until(|observed| observed.listeners[&key] == ListenerState::Open).await;
        assert_eq!(Client::new(address).get("/").await.text, "one");
    });
}

#[test]
fn the_last_plan_holds_when_nobody_makes_plans_any_more() {
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let address = balancer.listeners[0].addresses[0];
        let World { plans, mut observed, drain, .. } = World::start(plan_of(&balancer)).await;
        drop(plans);
        // The check that finds the target gone comes after the director has found that there are no plans.
        server.is_healthy.set(false);
        observed
            .wait_for(|seen| seen.targets.values().all(|health| health.state == TargetState::Unhealthy))
            .await
            .unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_ok(), "the listener is still open");
        assert!(drain.finish(Duration::from_secs(10)).await);
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    });
}

#[test]
fn the_end_finishes_requests_and_closes_listeners() {
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let address = balancer.listeners[0].addresses[0];
        let world = World::start(plan_of(&balancer)).await;
        let slow = tokio::task::spawn_local(async move { Client::new(address).get("/slow").await.text });
        while server.n_requests.get() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let finished = tokio::task::spawn_local(world.drain.finish(Duration::from_secs(50)));
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.release();
        assert!(finished.await.unwrap());
        assert_eq!(slow.await.unwrap(), "one");
    });
}

#[test]
fn a_plan_is_followed_while_whoever_made_it_is_held_up() {
    run(async {
        let mut balancer = load_balancer(LoadBalancerKind::Application, Vec::new());
        let world = World::start(plan_of(&balancer)).await;
        let address = free_address();
        balancer.listeners[0].addresses = vec![address];
        world.plans.send_replace(Arc::new(plan_of(&balancer)));
        // This thread waits for another, as it would for a disk: nothing else is done on it.
        let client = std::thread::spawn(move || {
            let start = Instant::now();
            while std::net::TcpStream::connect(address).is_err() {
                assert!(start.elapsed() < Duration::from_secs(20), "nobody listens");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        client.join().unwrap();
    });
}
