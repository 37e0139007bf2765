//! Requests that go to another target group too, where a rule says so.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{Body, Drain, Limits, Method, Request, Response, StatusCode};
use plan::{Condition, Handling, LoadBalancer, LoadBalancerKind, Mirror, Percent, Rule, ServicePortName};

use crate::targets::Target;
use crate::world::{Client, Server, World, forward_to, free_address, group, load_balancer, plan_of, run};

/// A load balancer whose requests go to `main`, and so many of them to `shadow` too.
fn mirroring(main: SocketAddr, shadow: &[SocketAddr], percent: i64) -> LoadBalancer {
    let groups = vec![group("main", &[main]), group("shadow", shadow)];
    let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
    balancer.listeners[0].default_handling = Some(copied_to("shadow", percent));
    balancer
}

/// So many requests go to this target group too.
fn copied_to(name: &str, percent: i64) -> Arc<Handling> {
    let mirror = Mirror {
        service: name.into(),
        port: ServicePortName::Number(80),
        percent: Percent::new(percent).unwrap(),
        target_group: Some(name.into()),
    };
    Arc::new(Handling { mirror: Some(mirror), ..Handling::default() })
}

/// What a request was: its line, whether it says that it is a copy, and its body.
type Seen = (String, Option<String>, Vec<u8>);

/// A target that writes down what it is asked.
fn witness() -> (SocketAddr, Rc<RefCell<Vec<Seen>>>, Drain) {
    let (address, seen) = (free_address(), Rc::new(RefCell::new(Vec::new())));
    let told = Rc::clone(&seen);
    let handler = move |request: Request| {
        let seen = Rc::clone(&told);
        async move {
            if request.target.path() != "/health" {
                let line = format!("{} {}", request.method, request.target.as_str());
                let copy = request.fields.text("x-forebay-mirrored").map(str::to_owned);
                let body = request.body.collect(4 << 20).await.unwrap();
                seen.borrow_mut().push((line, copy, body.to_vec()));
            }
            Response::with_body(StatusCode::OK, "text/plain", "witness")
        }
    };
    let listener = net::bind(address, 1).unwrap().remove(0);
    let (drain, watch) = Drain::new();
    tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
    (address, seen, drain)
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn has(world: &World, line: &str) -> bool {
    world.metrics.encode().lines().any(|told| told == line)
}

#[test]
fn a_share_of_requests_is_copied_and_the_others_are_left_alone() {
    run(async {
        let ((main, asked, _one), (shadow, copied, _two)) = (witness(), witness());
        let balancer = mirroring(main, &[shadow], 25);
        let world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        for number in 0..200 {
            let answer =
                client.post(&format!("/predict?n={number}"), format!("body {number}")).await.unwrap();
            assert_eq!((answer.status, answer.text.as_str()), (200, "witness"));
        }
        until(|| copied.borrow().len() == 50).await;
        assert_eq!(asked.borrow().len(), 200);
        assert!(asked.borrow().iter().all(|(_, copy, _)| copy.is_none()));
        for (line, copy, body) in copied.borrow().iter() {
            let number = line.strip_prefix("POST /predict?n=").unwrap();
            assert_eq!((copy.as_deref(), body), (Some("1"), &format!("body {number}").into_bytes()));
        }
        // Each group is counted by itself.
        for (name, n_requests) in [("main", 200), ("shadow", 50)] {
            let labels = format!("{{load_balancer=\"lb\",target_group=\"{name}\"}}");
            assert!(has(&world, &format!("forebay_requests_routed_total{labels} {n_requests}")), "{name}");
        }
        // A copy is not copied again.
        let more = [("x-forebay-mirrored", "1")];
        for _ in 0..8 {
            client.send(Method::GET, "a.example.com", "/", Body::Empty, &more).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((asked.borrow().len(), copied.borrow().len()), (208, 50));
    });
}

#[test]
fn a_target_of_copies_that_hangs_or_fails_costs_clients_nothing() {
    run(async {
        let (main, shadow) = (Server::start("main"), Target::start("shadow"));
        let balancer = mirroring(main.address, &[shadow.address], 100);
        let world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        shadow.hang(true);
        let began = Instant::now();
        for _ in 0..20 {
            let client = Client::new(address);
            for _ in 0..20 {
                assert_eq!(client.get("/").await.text, "main");
            }
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(main.n_requests.get(), 400);
        // Each of the two cores has 64 copies under way, and the others were not made.
        let metrics = world.metrics.encode();
        let dropped = metrics.lines().find_map(|line| {
            line.strip_prefix(
                "forebay_uncopied_requests_total{load_balancer=\"lb\",target_group=\"shadow\",reason=\"too-many\"} ",
            )
        });
        let n_dropped: usize = dropped.unwrap().parse().unwrap();
        assert!((272..=336).contains(&n_dropped), "{n_dropped}");
        shadow.hang(false);
        until(|| shadow.n_requests() == 400 - n_dropped).await;
        // There is room again.
        until(|| world.state_of(shadow.address) == Some("healthy")).await;
        assert_eq!(Client::new(address).get("/").await.text, "main");
        until(|| shadow.n_requests() == 401 - n_dropped).await;
    });
}

#[test]
fn a_target_of_copies_that_hangs_takes_none_from_another_route() {
    run(async {
        let (main, hanging) = (Server::start("main"), Target::start("hanging"));
        let (other, copied, _drain) = witness();
        let mut balancer = mirroring(main.address, &[hanging.address], 100);
        let groups = ["main", "shadow", "other"].into_iter().zip([main.address, hanging.address, other]);
        balancer.target_groups = groups.map(|(name, at)| group(name, &[at])).collect::<Vec<_>>().into();
        let rule = Rule::new(vec![Condition::paths(&["/other"])], forward_to(&balancer, "main"));
        balancer.listeners[0].rules = vec![Rule { handling: Some(copied_to("other", 100)), ..rule }.into()];
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        hanging.hang(true);
        for _ in 0..10 {
            let client = Client::new(address);
            for _ in 0..40 {
                assert_eq!(client.get("/").await.text, "main");
            }
        }
        for number in 1..=10 {
            assert_eq!(Client::new(address).get("/other").await.text, "main");
            until(|| copied.borrow().len() == number).await;
        }
    });
}

#[test]
fn what_is_not_copied_is_counted_and_goes_its_way() {
    run(async {
        let main = Server::start("main");
        let balancer = mirroring(main.address, &[], 100);
        let world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let is_counted = |reason: &str, n_requests: usize| {
            let labels = format!("{{load_balancer=\"lb\",target_group=\"shadow\",reason=\"{reason}\"}}");
            has(&world, &format!("forebay_uncopied_requests_total{labels} {n_requests}"))
        };
        assert_eq!(client.post("/", "short").await.unwrap().text, "main");
        until(|| is_counted("no-targets", 1)).await;
        // More than is kept of a body passes through.
        let long = client.post("/echo", vec![b'x'; (1 << 20) + 1]).await.unwrap();
        assert_eq!(long.text.len(), (1 << 20) + 1);
        until(|| is_counted("unkept", 1)).await;
        assert!(is_counted("failed", 0) && is_counted("too-many", 0));
    });
}
