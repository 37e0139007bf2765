//! Which target gets a request, and what happens when targets fail.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use plan::{LoadBalancerKind, attributes};

use crate::world::{Client, Server, World, group, load_balancer, of_ours, plan_of, run};

#[test]
fn acc_s1_07_requests_spread_evenly_over_targets() {
    run(async {
        let servers = ["a", "b", "c"].map(Server::start);
        let addresses = servers.each_ref().map(|server| server.address);
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &addresses)]);
        let _world = World::start(plan_of(&balancer)).await;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..10 {
            let client = Client::new(balancer.listeners[0].addresses[0]);
            for _ in 0..30 {
                *counts.entry(client.get("/").await.text).or_default() += 1;
            }
        }
        assert!(counts.values().all(|count| (90..=110).contains(count)), "{counts:?}");
    });
}

#[test]
fn acc_s3_121_an_unhealthy_target_gets_nothing_until_it_is_well_again() {
    run(async {
        let servers = ["a", "b"].map(Server::start);
        let addresses = servers.each_ref().map(|server| server.address);
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &addresses)]);
        let mut world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let state_is = |address, state| {
            move |observed: &std::sync::Arc<plan::Observed>| {
                observed
                    .targets
                    .iter()
                    .any(|(key, health)| key.address == address && health.state.as_str() == state)
            }
        };

        servers[0].is_healthy.set(false);
        world.wait_until(state_is(addresses[0], "unhealthy")).await;
        let health = world
            .observed
            .borrow()
            .targets
            .iter()
            .find(|(key, _)| key.address == addresses[0])
            .unwrap()
            .1
            .clone();
        assert_eq!(health.reason.unwrap().as_str(), "Target.ResponseCodeMismatch");
        assert!(
            health.description.contains("[503]") && health.description.contains("/health"),
            "{}",
            health.description
        );
        for _ in 0..10 {
            assert_eq!(client.get("/").await.text, "b");
        }

        // When nobody is healthy, everybody is asked: better than no answer.
        servers[1].is_healthy.set(false);
        world.wait_until(state_is(addresses[1], "unhealthy")).await;
        let answers: Vec<String> = vec![client.get("/").await.text, client.get("/").await.text];
        assert!(answers.contains(&"a".to_owned()) && answers.contains(&"b".to_owned()), "{answers:?}");

        servers[0].is_healthy.set(true);
        world.wait_until(state_is(addresses[0], "healthy")).await;
        assert_eq!(client.get("/").await.text, "a");
    });
}

/// A load on the balancer from several clients, until it is told to stop. Returns answers and failures.
async fn load(address: std::net::SocketAddr, stop: Rc<Cell<bool>>) -> (usize, Vec<String>) {
    let client = Client::new(address);
    let (mut n_answers, mut failures) = (0, Vec::new());
    while !stop.get() {
        match client.post("/predict", r#"{"features":{"store_id":1}}"#).await {
            Ok(answer) if answer.status == 200 => n_answers += 1,
            Ok(answer) => {
                failures.push(format!("{} {:?}", answer.status, answer.fields.text("x-forebay-reason")));
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    (n_answers, failures)
}

#[test]
fn acc_s1_03_a_target_that_goes_away_under_load_costs_no_request() {
    run(async {
        let servers = ["a", "b"].map(Server::start);
        let addresses = servers.each_ref().map(|server| server.address);
        let pure = of_ours(group("g", &addresses));
        let balancer = load_balancer(LoadBalancerKind::Application, vec![pure]);
        let mut world = World::start(plan_of(&balancer)).await;
        let stop = Rc::new(Cell::new(false));
        let address = balancer.listeners[0].addresses[0];
        let clients: Vec<_> =
            (0..16).map(|_| tokio::task::spawn_local(load(address, Rc::clone(&stop)))).collect();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            servers[0].stop();
            world
                .wait_until(|observed| {
                    let gone = |(key, health): (&plan::TargetKey, &plan::health::TargetHealth)| {
                        key.address == addresses[0] && health.state.as_str() == "unhealthy"
                    };
                    observed.targets.iter().any(gone)
                })
                .await;
        }
        stop.set(true);
        for client in clients {
            let (n_answers, failures) = client.await.unwrap();
            assert!(n_answers > 0 && failures.is_empty(), "{n_answers} answers, {failures:?}");
        }
    });
}

#[test]
fn requests_wait_a_moment_when_the_only_replica_is_being_replaced() {
    run(async {
        let server = Server::start("before");
        let pure = of_ours(group("g", &[server.address]));
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![pure]);
        let mut world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        assert_eq!(Client::new(address).get("/").await.text, "before");

        server.stop();
        balancer.target_groups[0].targets.clear();
        world.change(plan_of(&balancer)).await;
        let waiting =
            tokio::task::spawn_local(async move { Client::new(address).post("/predict", "{}").await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let replacement = Server::start("after");
        balancer.target_groups[0].targets = group("g", &[replacement.address]).targets;
        world.change(plan_of(&balancer)).await;
        assert_eq!(waiting.await.unwrap().unwrap().text, "after");
    });
}

#[test]
fn a_replica_that_still_loads_its_model_is_not_the_last_word() {
    run(async {
        let servers = ["a", "b"].map(Server::start);
        let pure = of_ours(group("g", &servers.each_ref().map(|server| server.address)));
        let balancer = load_balancer(LoadBalancerKind::Application, vec![pure]);
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        servers[0].is_loading.set(true);
        for _ in 0..4 {
            assert_eq!(client.post("/predict", "{}").await.unwrap().text, "b");
        }
        servers[1].is_loading.set(true);
        let address = balancer.listeners[0].addresses[0];
        let waiting =
            tokio::task::spawn_local(async move { Client::new(address).post("/predict", "{}").await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        servers[0].is_loading.set(false);
        assert_eq!(waiting.await.unwrap().unwrap().text, "a");
    });
}

#[test]
fn a_post_that_may_have_been_seen_is_not_sent_again() {
    run(async {
        let closing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closing.local_addr().unwrap();
        let n_connections = Rc::new(Cell::new(0));
        let count = Rc::clone(&n_connections);
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = closing.accept().await.unwrap();
                let mut bytes = [0; 4096];
                let n_bytes = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.unwrap_or(0);
                if bytes[..n_bytes].starts_with(b"POST") {
                    count.set(count.get() + 1);
                }
            }
        });
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[address])]);
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let answer = client.post("/pay", "1").await.unwrap();
        assert_eq!((answer.status, n_connections.get()), (502, 1));
    });
}

#[test]
fn acc_s3_53_a_deregistered_target_gets_nothing_new_and_finishes_what_it_has() {
    run(async {
        let servers = ["a", "b"].map(Server::start);
        let addresses = servers.each_ref().map(|server| server.address);
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &addresses[..1])]);
        balancer.target_groups[0].attributes.set(attributes::DEREGISTRATION_DELAY, "30").unwrap();
        let mut world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        let slow = tokio::task::spawn_local(async move { Client::new(address).get("/slow").await.text });
        while servers[0].n_requests.get() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        balancer.target_groups[0].targets = group("g", &addresses[1..]).targets;
        world.change(plan_of(&balancer)).await;
        assert_eq!(world.state_of(addresses[0]), Some("draining"));
        assert_eq!(Client::new(address).get("/").await.text, "b");
        servers[0].release();
        assert_eq!(slow.await.unwrap(), "a");
        world.wait_until(|observed| observed.targets.keys().all(|key| key.address != addresses[0])).await;
    });
}

#[test]
fn acc_s3_64_least_outstanding_requests_avoids_the_busy_target() {
    run(async {
        let servers = ["a", "b"].map(Server::start);
        let addresses = servers.each_ref().map(|server| server.address);
        let mut least = group("g", &addresses);
        least.attributes.set(attributes::ALGORITHM, "least_outstanding_requests").unwrap();
        let balancer = load_balancer(LoadBalancerKind::Application, vec![least]);
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        let slow = tokio::task::spawn_local(async move { Client::new(address).get("/slow").await.text });
        let busy = loop {
            match servers.iter().position(|server| server.n_requests.get() == 1) {
                Some(busy) => break busy,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        for _ in 0..10 {
            Client::new(address).get("/").await;
        }
        assert_eq!(servers[busy].n_requests.get(), 1);
        assert_eq!(servers[1 - busy].n_requests.get(), 10);
        servers[busy].release();
        slow.await.unwrap();
    });
}

/// A target that answers GET and closes its connection at random moments after an answer, without having said so.
async fn forgetful() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn_local(async move {
        // A linear congruential generator, so that every run closes at the same moments.
        let mut random = 1_u64;
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (n_answers, patience) = (1 + (random >> 60), Duration::from_micros((random >> 40) % 2000));
            tokio::task::spawn_local(async move {
                for _ in 0..n_answers {
                    let mut bytes = [0; 4096];
                    let n_bytes = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.unwrap_or(0);
                    if !bytes[..n_bytes].ends_with(b"\r\n\r\n") {
                        return;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
                }
                tokio::time::sleep(patience).await;
            });
        }
    });
    address
}

#[test]
fn a_target_that_closes_idle_connections_at_random_moments_costs_no_get() {
    run(async {
        let target = forgetful().await;
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[target])]);
        let world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        let clients: Vec<_> = (0..8)
            .map(|_| {
                tokio::task::spawn_local(async move {
                    let client = Client::new(address);
                    let mut others = Vec::new();
                    for _ in 0..250 {
                        let answer = client.get("/").await;
                        if answer.text != "ok" {
                            others.push((
                                answer.status,
                                answer.fields.text("x-forebay-reason").map(str::to_owned),
                            ));
                        }
                    }
                    others
                })
            })
            .collect();
        for client in clients {
            assert_eq!(client.await.unwrap(), []);
        }
        let metrics = world.metrics.encode();
        assert!(
            !metrics.contains("forebay_retries_total{load_balancer=\"lb\",target_group=\"g\"} 0"),
            "{metrics}"
        );
    });
}

#[test]
fn a_request_in_chunks_that_meets_a_closed_connection_is_sent_again_too() {
    run(async {
        let target = forgetful().await;
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[target])]);
        let world = World::start(plan_of(&balancer)).await;
        let mut client = tokio::net::TcpStream::connect(balancer.listeners[0].addresses[0]).await.unwrap();
        let request =
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx\r\n\r\n\r\n0\r\n\r\n";
        for _ in 0..300 {
            tokio::io::AsyncWriteExt::write_all(&mut client, request).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"ok") {
                let mut bytes = [0; 4096];
                let n_bytes = tokio::io::AsyncReadExt::read(&mut client, &mut bytes).await.unwrap();
                answer.extend_from_slice(&bytes[..n_bytes]);
                let text = String::from_utf8_lossy(&answer);
                assert!(n_bytes > 0 && text.starts_with("HTTP/1.1 200 "), "{text}");
            }
        }
        let metrics = world.metrics.encode();
        assert!(
            !metrics.contains("forebay_retries_total{load_balancer=\"lb\",target_group=\"g\"} 0"),
            "{metrics}"
        );
    });
}
