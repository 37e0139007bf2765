//! How often clients may ask, where a rule says so.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{Body, Method};
use plan::{Condition, Cors, CorsWish, Handling, LoadBalancer, LoadBalancerKind, RateLimit, Rule};

use crate::world::{Answer, Client, Server, World, forward_to, group, load_balancer, plan_of, run};

/// A load balancer whose rule for `/limited` has a limit, and whose default action has none.
fn limited(server: &Server, limit: &str) -> LoadBalancer {
    let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
    let rate_limit = Some(RateLimit::parse(limit).unwrap());
    let handling = Some(Arc::new(Handling { rate_limit, ..Handling::default() }));
    let rule = Rule::new(vec![Condition::paths(&["/limited"])], forward_to(&balancer, "g"));
    balancer.listeners[0].rules = vec![Rule { handling, ..rule }.into()];
    balancer
}

async fn ask(client: &Client, target: &str, more: &[(&str, &str)]) -> Answer {
    client.send(Method::GET, "a.example.com", target, Body::Empty, more).await.unwrap()
}

#[test]
fn over_seconds_and_cores_and_plans_no_more_and_no_fewer_pass_than_may() {
    const RATE: f64 = 50.0;
    const BURST: f64 = 50.0;
    const SECONDS: u64 = 4;
    run(async {
        let server = Server::start("one");
        let mut balancer = limited(&server, "50/s");
        let mut world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        let (n_passed, n_refused) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let began = Instant::now();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let (n_passed, n_refused) = (Rc::clone(&n_passed), Rc::clone(&n_refused));
                tokio::task::spawn_local(async move {
                    // Each connection is one of either core.
                    while began.elapsed() < Duration::from_secs(SECONDS) {
                        let answer = ask(&Client::new(address), "/limited", &[]).await;
                        let told = answer.fields.text("x-forebay-reason");
                        match (answer.status, told) {
                            (200, None) => n_passed.set(n_passed.get() + 1),
                            (429, Some("rate-limited")) => n_refused.set(n_refused.get() + 1),
                            other => panic!("{other:?}"),
                        }
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(SECONDS / 2)).await;
        // Another plan has the same limit still.
        let other = Rule::new(vec![Condition::paths(&["/other"])], forward_to(&balancer, "g"));
        balancer.listeners[0].rules.insert(0, other.into());
        world.change(plan_of(&balancer)).await;
        for client in clients {
            client.await.unwrap();
        }
        let may = BURST + RATE * began.elapsed().as_secs_f64();
        let passed = f64::from(n_passed.get());
        assert!((passed / may - 1.0).abs() <= 0.01, "{passed} passed, {may} may");
        assert!(n_refused.get() > 200, "{} were refused", n_refused.get());
        assert_eq!(server.n_requests.get(), n_passed.get() as usize, "nobody asks a target in vain");
        let counted = format!(
            "forebay_load_balancer_answers_total{{load_balancer=\"lb\",port=\"80\",code=\"429\",reason=\"rate-limited\"}} {}",
            n_refused.get()
        );
        let metrics = world.metrics.encode();
        assert!(metrics.contains(&counted), "{counted} is not in\n{metrics}");
    });
}

#[test]
fn clients_are_told_apart_by_a_field_or_else_by_their_address() {
    run(async {
        let server = Server::start("one");
        let balancer = limited(&server, "2/h, by=header:x-api-key");
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let statuses = async |more: &[(&str, &str)]| {
            let mut statuses = Vec::new();
            for _ in 0..3 {
                statuses.push(ask(&client, "/limited", more).await.status);
            }
            statuses
        };
        assert_eq!(statuses(&[("x-api-key", "a")]).await, [200, 200, 429]);
        assert_eq!(statuses(&[("X-API-Key", "b")]).await, [200, 200, 429]);
        assert_eq!(statuses(&[]).await, [200, 200, 429]);
        let refused = ask(&client, "/limited", &[("x-api-key", "a")]).await;
        let wait: u64 = refused.fields.text("retry-after").unwrap().parse().unwrap();
        assert!((1790..=1800).contains(&wait), "{wait}");
        // Several are several clients, whichever of them lets the request in.
        for (number, expected) in [(0, 200), (1, 200), (2, 429)] {
            let other = format!("other-{number}");
            let both = [("x-api-key", other.as_str()), ("x-api-key", "c")];
            assert_eq!(ask(&client, "/limited", &both).await.status, expected);
        }
        // What another rule takes has no limit.
        for _ in 0..10 {
            assert_eq!(ask(&client, "/", &[]).await.status, 200);
        }
    });
}

#[test]
fn a_page_of_another_origin_may_read_that_it_asks_too_often_and_its_browser_may_ask_first() {
    run(async {
        let server = Server::start("one");
        let mut balancer = limited(&server, "1/h");
        let wish = CorsWish { origins: vec!["https://app.example.com".to_owned()], ..CorsWish::default() };
        let handling = balancer.listeners[0].rules[0].handling.as_deref().unwrap().clone();
        let cors = Some(Cors::new(wish).unwrap());
        Arc::make_mut(&mut balancer.listeners[0].rules[0]).handling =
            Some(Arc::new(Handling { cors, ..handling }));
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let origin = ("origin", "https://app.example.com");
        let asks_first = [origin, ("access-control-request-method", "PUT")];
        for expected in [200, 429] {
            let first = client.send(Method::OPTIONS, "a.example.com", "/limited", Body::Empty, &asks_first);
            assert_eq!(first.await.unwrap().status, 204);
            let answer = ask(&client, "/limited", &[origin]).await;
            let told = answer.fields.text("access-control-allow-origin");
            assert_eq!((answer.status, told), (expected, Some(origin.1)));
        }
    });
}

#[test]
fn another_limit_begins_anew() {
    run(async {
        let server = Server::start("one");
        let mut balancer = limited(&server, "1/h");
        let mut world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        assert_eq!(ask(&client, "/limited", &[]).await.status, 200);
        assert_eq!(ask(&client, "/limited", &[]).await.status, 429);
        balancer.listeners[0].rules = limited(&server, "2/h").listeners.remove(0).rules;
        world.change(plan_of(&balancer)).await;
        while ask(&client, "/limited", &[]).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ask(&client, "/limited", &[]).await.status, 200);
        assert_eq!(ask(&client, "/limited", &[]).await.status, 429);
    });
}
