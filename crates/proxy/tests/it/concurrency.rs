//! Never more than so many requests in a target.

use std::num::NonZeroU32;
use std::time::Duration;

use plan::{Concurrency, LoadBalancer, LoadBalancerKind};

use crate::targets::Target;
use crate::world::{Client, World, group, load_balancer, plan_of, run};

fn balancer(targets: &[Target], most: u32, waits: bool) -> LoadBalancer {
    let addresses: Vec<_> = targets.iter().map(|target| target.address).collect();
    let mut group = group("g", &addresses);
    group.concurrency = Some(Concurrency { most: NonZeroU32::new(most).unwrap(), waits });
    load_balancer(LoadBalancerKind::Application, vec![group])
}

/// The answers to so many requests at once, each by status and reason.
async fn at_once(balancer: &LoadBalancer, n_requests: usize) -> Vec<(u16, Option<String>)> {
    let address = balancer.listeners[0].addresses[0];
    let ask = move || async move {
        let answer = Client::new(address).get("/").await;
        (answer.status, answer.fields.text("x-forebay-reason").map(str::to_owned))
    };
    let asked: Vec<_> = (0..n_requests).map(|_| tokio::task::spawn_local(ask())).collect();
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.unwrap());
    }
    answers
}

#[test]
fn a_target_has_never_more_requests_than_it_takes_and_the_others_wait() {
    run(async {
        let targets = ["a", "b"].map(Target::start);
        targets.iter().for_each(|target| target.behaviour.takes.set(Duration::from_millis(20)));
        let balancer = balancer(&targets, 3, true);
        let world = World::start(plan_of(&balancer)).await;
        let answers = at_once(&balancer, 60).await;
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        for target in &targets {
            let most = target.behaviour.most_at_once.get();
            assert!((1..=3).contains(&most), "{most}");
            assert!(target.n_requests() >= 20, "both work");
        }
        let metrics = world.metrics.encode();
        assert!(
            metrics.contains("forebay_queued_requests{load_balancer=\"lb\",target_group=\"g\"} 0"),
            "{metrics}"
        );
    });
}

#[test]
fn what_goes_beyond_is_refused_at_once_where_nobody_may_wait() {
    run(async {
        let targets = ["a"].map(Target::start);
        targets[0].behaviour.takes.set(Duration::from_millis(300));
        let balancer = balancer(&targets, 2, false);
        let _world = World::start(plan_of(&balancer)).await;
        let mut answers = at_once(&balancer, 6).await;
        answers.sort();
        let busy = (503, Some("targets-busy".to_owned()));
        assert_eq!(answers[..2], [(200, None), (200, None)]);
        assert_eq!(answers[2..], [busy.clone(), busy.clone(), busy.clone(), busy]);
        assert_eq!(targets[0].behaviour.most_at_once.get(), 2);
        assert_eq!(at_once(&balancer, 1).await, [(200, None)]);
    });
}

#[test]
fn a_target_of_two_load_balancers_takes_no_more_for_that() {
    run(async {
        let targets = ["a"].map(Target::start);
        targets[0].behaviour.takes.set(Duration::from_millis(20));
        let one = balancer(&targets, 2, true);
        let mut two = balancer(&targets, 2, true);
        two.id = plan::LoadBalancerId::Service { namespace: "test".into(), name: "two".into() };
        two.name = "two".into();
        two.listeners[0].addresses = vec![crate::world::free_address()];
        let _world = World::start(plan::Plan {
            load_balancers: vec![one.clone(), two.clone()],
            ..plan::Plan::default()
        })
        .await;
        let (first, second) = tokio::join!(at_once(&one, 10), at_once(&two, 10));
        assert!(first.iter().chain(&second).all(|(status, _)| *status == 200), "{first:?} {second:?}");
        assert_eq!(targets[0].behaviour.most_at_once.get(), 2);
    });
}
