//! Fields that attributes of a listener put into every answer.

use std::sync::Arc;
use std::time::Duration;

use net::{Body, Method};
use plan::{Action, Condition, FixedResponse, LoadBalancerKind, Protocol, Redirect, RedirectPart, Rule};

use crate::world::{Client, Server, World, group, load_balancer, plan_of, run};

fn at(path: &str, action: Action) -> Rule {
    Rule::new(vec![Condition::paths(&[path])], action)
}

#[test]
fn acc_s0_20_every_answer_has_the_fields_that_attributes_name_and_none_tells_its_server() {
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let listener = &mut balancer.listeners[0];
        for (key, value) in [
            ("routing.http.response.server.enabled", "false"),
            ("routing.http.response.access_control_allow_origin.header_value", "https://a.example"),
            ("routing.http.response.access_control_allow_methods.header_value", "GET, POST"),
            ("routing.http.response.strict_transport_security.header_value", "max-age=31536000"),
            ("routing.http.response.x_content_type_options.header_value", "nosniff"),
        ] {
            listener.attributes.set(key, value).unwrap();
        }
        let fixed = FixedResponse { status: 403, content_type: None, message_body: None };
        let redirect = Redirect { path: RedirectPart::set("/else"), ..Redirect::keeping_everything(302) };
        let rules = [at("/fixed", Action::FixedResponse(fixed)), at("/redirect", Action::Redirect(redirect))];
        listener.rules = rules.map(Arc::new).into();
        let world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let expected = |answer: &crate::world::Answer| {
            let text = |name| answer.fields.text(name).map(str::to_owned);
            assert_eq!(text("access-control-allow-origin").as_deref(), Some("https://a.example"));
            assert_eq!(text("access-control-allow-methods").as_deref(), Some("GET, POST"));
            assert_eq!(text("strict-transport-security").as_deref(), Some("max-age=31536000"));
            assert_eq!(text("x-content-type-options").as_deref(), Some("nosniff"));
            assert_eq!(text("server"), None);
        };
        for (path, status) in [("/", 200), ("/fixed", 403), ("/redirect", 302)] {
            let answer = client.get(path).await;
            assert_eq!(answer.status, status, "{path}");
            expected(&answer);
        }
        let many = vec!["10.0.0.1"; 31].join(", ");
        for (method, more, status) in
            [(Method::TRACE, ("a", "b"), 405), (Method::GET, ("x-forwarded-for", many.as_str()), 463)]
        {
            let answer = client.send(method, "a.example.com", "/", Body::Empty, &[more]).await.unwrap();
            assert_eq!(answer.status, status);
            expected(&answer);
        }
        // What is no request is answered with them, too.
        let answer = client.send(Method::GET, "a b", "/", Body::Empty, &[]).await.unwrap();
        assert_eq!(answer.status, 400);
        expected(&answer);
        drop(world);
    });
}

#[test]
fn who_speaks_without_tls_where_it_is_spoken_gets_the_fields_too() {
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        balancer.listeners[0].protocol = Protocol::Https;
        let key = "routing.http.response.x_content_type_options.header_value";
        balancer.listeners[0].attributes.set(key, "nosniff").unwrap();
        let _world = World::start(plan_of(&balancer)).await;
        let answer = Client::new(balancer.listeners[0].addresses[0]).get("/").await;
        assert_eq!((answer.status, answer.fields.text("x-content-type-options")), (400, Some("nosniff")));
    });
}

#[test]
fn attributes_that_go_let_the_answers_be_as_they_are() {
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let key = "routing.http.response.x_frame_options.header_value";
        balancer.listeners[0].attributes.set(key, "DENY").unwrap();
        let world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        assert_eq!(client.get("/").await.fields.text("x-frame-options"), Some("DENY"));
        balancer.listeners[0].attributes.set(key, "").unwrap_err();
        balancer.listeners[0].attributes.set(key, "SAMEORIGIN").unwrap();
        world.plans.send_replace(Arc::new(plan_of(&balancer)));
        while client.get("/").await.fields.text("x-frame-options") != Some("SAMEORIGIN") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}
