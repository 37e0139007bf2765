//! The share of each target, by the algorithm of its group, with traffic.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plan::{LoadBalancer, LoadBalancerKind, attributes};

use crate::targets::Target;
use crate::world::{Client, World, group, load_balancer, plan_of, run};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A load balancer that chooses by an algorithm.
fn balancer(targets: &[Target], settings: &[(&str, &str)]) -> LoadBalancer {
    let addresses: Vec<SocketAddr> = targets.iter().map(|target| target.address).collect();
    let mut group = group("g", &addresses);
    for (key, value) in settings {
        group.attributes.set(key, value).unwrap();
    }
    load_balancer(LoadBalancerKind::Application, vec![group])
}

/// Asks so often over so many connections at once.
async fn ask(address: SocketAddr, n_clients: usize, n_each: usize) {
    let clients: Vec<_> = (0..n_clients)
        .map(|_| {
            tokio::task::spawn_local(async move {
                let client = Client::new(address);
                for _ in 0..n_each {
                    client.get("/").await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// The share of each target of 10 000 requests.
async fn shares(targets: &[Target], settings: &[(&str, &str)]) -> Vec<f64> {
    let balancer = balancer(targets, settings);
    let _world = World::start(plan_of(&balancer)).await;
    ask(balancer.listeners[0].addresses[0], 20, 500).await;
    let counts: Vec<usize> = targets.iter().map(Target::n_requests).collect();
    assert_eq!(counts.iter().sum::<usize>(), 10_000);
    counts.iter().map(|count| *count as f64 / 10_000.0).collect()
}

fn all_within(shares: &[f64], of: f64, by: f64) -> bool {
    shares.iter().all(|share| (share / of - 1.0).abs() <= by)
}

#[test]
fn acc_s3_64_round_robin_gives_each_the_same_within_a_hundredth() {
    run(async {
        let shares = shares(&NAMES.map(Target::start), &[(attributes::ALGORITHM, "round_robin")]).await;
        assert!(all_within(&shares, 1.0 / 3.0, 0.01), "{shares:?}");
    });
}

#[test]
fn acc_s3_64_least_outstanding_requests_gives_to_those_that_are_done_first() {
    run(async {
        let targets = NAMES.map(Target::start);
        // Two work at half the speed of the third, so it gets half of all.
        for (target, milliseconds) in targets.iter().zip([20, 20, 10]) {
            target.behaviour.takes.set(Duration::from_millis(milliseconds));
        }
        let shares = shares(&targets, &[(attributes::ALGORITHM, "least_outstanding_requests")]).await;
        assert!(all_within(&shares[..2], 0.25, 0.25), "{shares:?}");
        assert!(all_within(&shares[2..], 0.5, 0.25), "{shares:?}");
    });
}

#[test]
fn acc_s3_64_weighted_random_gives_each_the_same_in_the_long_run() {
    run(async {
        let shares = shares(&NAMES.map(Target::start), &[(attributes::ALGORITHM, "weighted_random")]).await;
        // Four times the spread of what is random.
        assert!(all_within(&shares, 1.0 / 3.0, 0.06), "{shares:?}");
    });
}

#[test]
fn acc_s3_64_the_power_of_two_choices_gives_little_to_the_slow() {
    run(async {
        let targets = NAMES.map(Target::start);
        targets[0].behaviour.takes.set(Duration::from_millis(25));
        let shares = shares(&targets, &[(attributes::ALGORITHM, "p2c_ewma")]).await;
        assert!(shares[0] < 0.1, "{shares:?}");
        assert!(shares[1..].iter().all(|share| *share > 0.25), "{shares:?}");
    });
}

#[test]
fn acc_s3_64_a_target_that_fails_more_than_its_peers_gets_less_and_comes_back_slowly() {
    run(async {
        let targets = NAMES.map(Target::start);
        let mitigated = [(attributes::ALGORITHM, "weighted_random"), (attributes::ANOMALY_MITIGATION, "on")];
        let balancer = balancer(&targets, &mitigated);
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        // The share of the first target in the next half second.
        let share = async || {
            let before = targets.each_ref().map(Target::n_requests);
            let until = Instant::now() + Duration::from_millis(500);
            while Instant::now() < until {
                ask(address, 10, 20).await;
            }
            let after = targets.each_ref().map(Target::n_requests);
            let [own, second, third] = [0, 1, 2].map(|index| after[index] - before[index]);
            own as f64 / (own + second + third) as f64
        };
        assert!(share().await > 0.25);
        targets[0].behaviour.one_fails_of.set(3);
        let until = Instant::now() + Duration::from_secs(12);
        while share().await > 0.1 {
            assert!(Instant::now() < until, "it still gets its part");
        }
        targets[0].behaviour.one_fails_of.set(0);
        let began = Instant::now();
        while share().await < 0.25 {
            assert!(Instant::now() < began + Duration::from_secs(30), "it does not come back");
        }
        assert!(began.elapsed() > Duration::from_secs(2), "it comes back at once");
    });
}

#[test]
fn acc_s3_54_the_share_of_a_new_target_follows_its_line() {
    const LASTS: Duration = Duration::from_secs(4);
    run(async {
        let targets = ["a", "b"].map(Target::start);
        let mut balancer = balancer(&targets[..1], &[]);
        // The shortest time that the attribute takes is half a minute.
        let seconds = LASTS.as_secs().to_string();
        balancer.target_groups[0].attributes.set_default(attributes::SLOW_START, &seconds);
        let mut world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        ask(address, 1, 10).await;
        balancer.target_groups[0].targets =
            group("g", &targets.each_ref().map(|target| target.address)).targets;
        world.change(plan_of(&balancer)).await;
        let began = Instant::now();
        while began.elapsed() < LASTS {
            let before = targets.each_ref().map(Target::n_requests);
            let from = began.elapsed();
            ask(address, 4, 100).await;
            let middle = (from + began.elapsed()) / 2;
            let [old, new] = [0, 1].map(|index| targets[index].n_requests() - before[index]);
            let share = new as f64 / (old + new) as f64;
            let line = 0.5 * (middle.as_secs_f64() / LASTS.as_secs_f64()).min(1.0);
            // Of the full share, by which a line is measured.
            assert!((share - line).abs() <= 0.05 * 0.5 + 0.01, "{share} after {middle:?}, not {line}");
        }
        let before = targets.each_ref().map(Target::n_requests);
        ask(address, 4, 100).await;
        // Each core has its own turns.
        assert!((targets[1].n_requests() - before[1]).abs_diff(200) <= 4);
    });
}

#[test]
fn acc_s3_54_targets_of_a_new_group_begin_with_their_full_share() {
    run(async {
        let targets = ["a", "b"].map(Target::start);
        let balancer = balancer(&targets, &[(attributes::SLOW_START, "900")]);
        let _world = World::start(plan_of(&balancer)).await;
        ask(balancer.listeners[0].addresses[0], 2, 100).await;
        assert!(targets[0].n_requests().abs_diff(100) <= 2);
    });
}
