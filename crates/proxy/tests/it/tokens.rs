//! Tokens in header fields that let requests in.

use std::sync::Arc;

use net::{Body, Method};
use plan::{Action, Condition, FixedResponse, LoadBalancerKind, Rule, Subject, Values};

use crate::world::{Client, Server, World, forward_to, group, load_balancer, plan_of, run};

#[test]
fn acc_s2_22_acc_s2_32_a_token_lets_in_to_the_letter_and_who_has_none_may_be_told_so() {
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let values = Values::Secrets(vec!["token1".to_owned(), "Token2".to_owned()]);
        let gate = Condition { subject: Subject::http_header("x-api-key"), values };
        let told = FixedResponse { status: 401, content_type: None, message_body: None };
        balancer.listeners[0].rules = [
            Rule::new(vec![Condition::paths(&["/*"]), gate], forward_to(&balancer, "g")),
            Rule::new(vec![Condition::paths(&["/told/*"])], Action::FixedResponse(told)),
        ]
        .map(Arc::new)
        .into();
        balancer.listeners[0].default_action = None;
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        for (target, token, status) in [
            ("/", "token1", 200),
            ("/", "Token2", 200),
            ("/", "TOKEN1", 404),
            ("/", "token2", 404),
            ("/told/x", "token1", 200),
            ("/told/x", "", 401),
        ] {
            let fields = [("X-Api-Key", token)];
            let answer = client.send(Method::GET, "a", target, Body::Empty, &fields).await.unwrap();
            assert_eq!(answer.status, status, "{target} {token}");
            assert_eq!(answer.fields.contains("www-authenticate"), status == 401, "{target} {token}");
        }
    });
}
