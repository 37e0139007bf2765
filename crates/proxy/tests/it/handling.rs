//! What annotations of ours have done to requests of rules and to their answers.

use std::sync::Arc;
use std::time::Duration;

use net::{Body, Method};
use plan::{Condition, FieldEdits, FieldSide, Handling, LoadBalancer, LoadBalancerKind, Rule};

use crate::world::{Answer, Client, Server, World, forward_to, group, load_balancer, plan_of, run};

/// A load balancer with a rule for `/fields` and below that is handled, and a default action that is not.
fn handled(server: &Server, handling: Handling) -> LoadBalancer {
    let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
    let conditions = vec![Condition::paths(&["/fields", "/fields/*"])];
    let rule = Rule::new(conditions, forward_to(&balancer, "g"));
    balancer.listeners[0].rules = vec![Rule { handling: Some(Arc::new(handling)), ..rule }];
    balancer
}

fn edits(side: FieldSide, set: &[(&str, &str)], remove: &[&str]) -> Option<FieldEdits> {
    let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Some(FieldEdits::new(side, set, remove.iter().map(|name| (*name).to_owned())).unwrap())
}

async fn ask(client: &Client, target: &str, more: &[(&str, &str)]) -> Answer {
    client.send(Method::GET, "a.example.com", target, Body::Empty, more).await.unwrap()
}

#[test]
fn targets_get_what_a_rule_sets_whatever_clients_say() {
    run(async {
        let server = Server::start("one");
        let request_fields = edits(FieldSide::Request, &[("x-tenant", "ml")], &["x-debug"]);
        let balancer = handled(&server, Handling { request_fields, ..Handling::default() });
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        // A client cannot say it itself, in either spelling, nor have it taken away as a field of its connection.
        for more in [
            &[("x-tenant", "other"), ("X-Debug", "1"), ("x-a", "1")][..],
            &[("X_Tenant", "other"), ("x_debug", "1"), ("x-a", "1")],
            &[("connection", "x-tenant"), ("x-a", "1")],
        ] {
            let seen = ask(&client, "/fields", more).await.text;
            let told: Vec<&str> =
                seen.lines().filter(|line| line.to_lowercase().contains("tenant")).collect();
            assert_eq!(told, ["x-tenant: ml"], "{more:?}: {seen}");
            assert!(!seen.to_lowercase().contains("debug") && seen.contains("x-a: 1"), "{more:?}: {seen}");
        }
    });
}

#[test]
fn answers_get_what_a_rule_sets_whoever_gives_them() {
    run(async {
        let server = Server::start("one");
        let answer_fields = edits(
            FieldSide::Answer,
            &[("cache-control", "no-store"), ("content-type", "text/x")],
            &["server"],
        );
        let mut balancer = handled(&server, Handling { answer_fields, ..Handling::default() });
        let world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let about = |answer: &Answer| {
            let text = |name| answer.fields.text(name).map(str::to_owned);
            (answer.status, text("cache-control"), text("content-type"), text("server"))
        };
        let changed = |status| (status, Some("no-store".to_owned()), Some("text/x".to_owned()), None);
        assert_eq!(about(&ask(&client, "/fields", &[]).await), changed(200));
        // TRACE is refused by the load balancer itself.
        let refused = client.send(Method::TRACE, "a.example.com", "/fields", Body::Empty, &[]).await.unwrap();
        assert_eq!(about(&refused), changed(405));
        // What is not of the rule stays what it is.
        let other = ask(&client, "/other", &[]).await;
        assert_eq!(about(&other), (200, None, Some("text/plain".to_owned()), None));

        // The same for what no rule takes, and with no rule any more.
        balancer.listeners[0].default_handling = balancer.listeners[0].rules.remove(0).handling;
        world.plans.send_replace(Arc::new(plan_of(&balancer)));
        while about(&ask(&client, "/other", &[]).await) != changed(200) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
