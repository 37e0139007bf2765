//! What one request gets.

use std::sync::Arc;

use net::{Body, Method};
use plan::{
    Action, Condition, FixedResponse, Forward, ForwardTarget, LoadBalancerKind, Redirect, RedirectPart,
    Rewrite, Rule, SourceRanges, TargetGroupRef, Transform, TransformPart, Weight,
};

use crate::world::{
    Answer, Client, Server, World, forward_to, free_address, group, load_balancer, plan_of, run,
};

fn host(pattern: &str) -> Condition {
    Condition::hosts(&[pattern])
}

fn path(pattern: &str) -> Condition {
    Condition::paths(&[pattern])
}

#[test]
fn acc_s0_04_the_target_sees_the_forwarded_fields_and_the_client_its_answer() {
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let more = [("x-a", "1"), ("x-forwarded-for", "203.0.113.9")];
        let answer =
            client.send(Method::GET, "A.example.com:80", "/fields?q=%20", Body::Empty, &more).await.unwrap();
        assert_eq!(answer.status, 200);
        let lines: Vec<&str> = answer.text.lines().collect();
        assert_eq!(lines[0], "GET /fields?q=%20");
        for expected in [
            "x-a: 1",
            "host: A.example.com",
            "x-forwarded-for: 203.0.113.9, 127.0.0.1",
            "x-forwarded-proto: http",
            "x-forwarded-port: 80",
        ] {
            assert!(lines.contains(&expected), "{expected} is not in\n{}", answer.text);
        }
        assert!(answer.text.contains("x-amzn-trace-id: Root=1-"), "{}", answer.text);
    });
}

#[test]
fn rules_lead_to_target_groups_redirects_and_fixed_responses() {
    run(async {
        let (one, two) = (Server::start("one"), Server::start("two"));
        let groups = vec![group("g1", &[one.address]), group("g2", &[two.address])];
        let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
        let maintenance = FixedResponse {
            status: 503,
            content_type: Some("application/json".into()),
            message_body: Some("{}".into()),
        };
        let redirect = Redirect {
            protocol: RedirectPart::set("HTTPS"),
            port: RedirectPart::set("443"),
            ..Redirect::keeping_everything(301)
        };
        balancer.listeners[0].default_action = None;
        balancer.listeners[0].rules = [
            Rule::new(vec![host("one.example.com"), path("/api/*")], forward_to(&balancer, "g1")),
            Rule::new(vec![host("two.example.com")], forward_to(&balancer, "g2")),
            Rule::new(vec![path("/down")], Action::FixedResponse(maintenance)),
            Rule::new(vec![path("/old/*")], Action::Redirect(redirect)),
        ]
        .map(Arc::new)
        .into();
        let world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let ask =
            async |host, target| client.send(Method::GET, host, target, Body::Empty, &[]).await.unwrap();

        assert_eq!(ask("ONE.example.com.:80", "/api/x").await.text, "one");
        assert_eq!(ask("two.example.com", "/").await.text, "two");
        let down = ask("x", "/down").await;
        assert_eq!(
            (down.status, down.text.as_str(), down.fields.text("content-type")),
            (503, "{}", Some("application/json"))
        );
        let moved = ask("x.example.com", "/old/a?b=c").await;
        assert_eq!(
            (moved.status, moved.fields.text("location")),
            (301, Some("https://x.example.com:443/old/a?b=c"))
        );
        let nowhere = ask("nobody.example.com", "/x").await;
        assert_eq!((nowhere.status, nowhere.fields.text("x-forebay-reason")), (404, Some("no-route")));
        assert!(nowhere.text.contains("one.example.com, two.example.com"), "{}", nowhere.text);
        let metrics = world.metrics.encode();
        assert!(
            metrics.contains(
                r#"forebay_load_balancer_answers_total{load_balancer="lb",port="80",code="503",reason="fixed-response"} 1"#
            ),
            "{metrics}"
        );
    });
}

#[test]
fn bodies_of_all_sizes_pass_both_ways() {
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        for n_bytes in [0, 1, 16_384, 70_000, 1 << 20, (1 << 20) + 1, 5 << 20] {
            let answer = client.post("/echo", vec![b'x'; n_bytes]).await.unwrap();
            assert_eq!((answer.status, answer.text.len()), (200, n_bytes));
        }
    });
}

#[test]
fn a_rule_rewrites_host_and_url_for_its_targets_and_says_where_it_cannot() {
    run(async {
        let server = Server::start("one");
        let groups = vec![group("g", &[server.address])];
        let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
        let action = forward_to(&balancer, "g");
        let transform = |part: TransformPart, regex: &str, replace: &str| {
            let rewrite = Rewrite { regex: part.search(regex).unwrap(), replace: replace.to_owned() };
            Transform { part, rewrites: vec![rewrite] }
        };
        let transforms = vec![
            transform(TransformPart::Url, "^/shop/([^?]*)", "/$1"),
            transform(TransformPart::HostHeader, "^(.+)\\.example\\.com$", "$1.internal"),
        ];
        let broken = vec![transform(TransformPart::Url, "^/broken", "")];
        let rule = |path: &str, transforms| Rule {
            transforms,
            ..Rule::new(vec![Condition::paths(&[path])], action.clone())
        };
        balancer.listeners[0].rules =
            [rule("/shop/*", transforms), rule("/broken*", broken)].map(Arc::new).into();
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);

        let seen = client.get("/shop/fields?x=1").await.text;
        assert!(seen.starts_with("GET /fields?x=1\n"), "{seen}");
        assert!(seen.contains("\nhost: a.internal\n"), "{seen}");
        // What no expression finds goes on as it came.
        let other = client.send(Method::GET, "elsewhere", "/shop/fields", Body::Empty, &[]).await.unwrap();
        assert!(other.text.contains("\nhost: elsewhere\n"), "{}", other.text);
        assert!(client.get("/fields").await.text.starts_with("GET /fields\n"));
        let failed = client.get("/broken").await;
        assert_eq!((failed.status, failed.fields.text("x-forebay-reason")), (500, Some("transform-failed")));
        assert_eq!(client.get("/broken/fields").await.status, 200);
    });
}

#[test]
fn a_load_balancer_says_why_it_has_no_answer() {
    run(async {
        let refusing = free_address();
        let canned = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closing = canned.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            loop {
                drop(canned.accept().await);
            }
        });
        let groups = vec![group("empty", &[]), group("refusing", &[refusing]), group("closing", &[closing])];
        let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
        let refused = balancer.target_groups.find("refusing").unwrap();
        let weightless = Action::Forward(Forward {
            targets: vec![ForwardTarget {
                target_group: TargetGroupRef::Group(refused),
                weight: Weight::new(0).unwrap(),
            }],
            stickiness: None,
        });
        balancer.listeners[0].rules = [
            Rule::new(vec![path("/refusing")], forward_to(&balancer, "refusing")),
            Rule::new(vec![path("/closing")], forward_to(&balancer, "closing")),
            Rule::new(vec![path("/weightless")], weightless),
        ]
        .map(Arc::new)
        .into();
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        for (target, status, reason) in [
            ("/empty", 503, "no-targets"),
            ("/refusing", 502, "target-unreachable"),
            ("/closing", 502, "target-closed"),
            ("/weightless", 503, "no-weight"),
        ] {
            let answer = client.get(target).await;
            assert_eq!(
                (answer.status, answer.fields.text("x-forebay-reason")),
                (status, Some(reason)),
                "{target}"
            );
        }
        let traced = client.send(Method::TRACE, "a", "/", Body::Empty, &[]).await.unwrap();
        assert_eq!(traced.status, 405);
        let many = vec!["10.0.0.1"; 31].join(",");
        let forwarded = [("x-forwarded-for", many.as_str())];
        let answer = client.send(Method::GET, "a", "/", Body::Empty, &forwarded).await.unwrap();
        assert_eq!(answer.status, 463);
    });
}

#[test]
fn acc_s3_19_connections_from_outside_the_source_ranges_are_closed_unread() {
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let ranges =
            |cidr: &str| SourceRanges { cidrs: vec![cidr.parse().unwrap()], prefix_lists: Vec::new() };
        balancer.listeners[0].source_ranges = Some(ranges("10.0.0.0/8"));
        let mut world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        assert!(client.post("/", "x").await.is_err());
        balancer.listeners[0].source_ranges = Some(ranges("127.0.0.0/8"));
        world.change(plan_of(&balancer)).await;
        while client.post("/", "x").await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(client.post("/", "x").await.unwrap().text, "one");
    });
}

#[test]
fn a_call_of_grpc_that_no_target_can_answer_is_told_so_in_its_own_words() {
    run(async {
        let server = Server::start("one");
        let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let _world = World::start(plan_of(&balancer)).await;
        let before = server.n_requests.get();
        let stream = tokio::net::TcpStream::connect(balancer.listeners[0].addresses[0]).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        let ask = async |content_type: &str| {
            let request =
                http::Request::post("http://a.example.com/inference.GRPCInferenceService/ServerLive")
                    .header("content-type", content_type)
                    .body(())
                    .unwrap();
            let (answer, _): (_, h2::SendStream<net::Bytes>) =
                client.clone().ready().await.unwrap().send_request(request, true).unwrap();
            let answer = answer.await.unwrap();
            let field = |name: &str| {
                let value = answer.headers().get(name);
                value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
            };
            (answer.status().as_u16(), field("grpc-status"), field("x-forebay-reason"))
        };
        let told = ask("application/grpc+proto").await;
        assert_eq!(told, (200, "12".to_owned(), "target-version".to_owned()));
        assert_eq!(server.n_requests.get(), before, "the target was not asked");
        assert_eq!(ask("application/json").await, (200, String::new(), String::new()));
    });
}

fn reason(answer: &Answer) -> (u16, Option<&str>) {
    (answer.status, answer.fields.text("x-forebay-reason"))
}

#[test]
fn a_path_may_be_read_as_anybody_likes_where_no_rule_asks_for_it() {
    run(async {
        let target = Server::start("target");
        let long = format!("/{}", "a;/".repeat(2_000));
        for (asked_for, refusal) in [("/*", None), ("/other/*", Some("ambiguous-path"))] {
            let groups = vec![group("all", &[target.address])];
            let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
            let of_host = vec![Condition::hosts(&["other.example.com"]), path(asked_for)];
            let not_found =
                Action::FixedResponse(FixedResponse { status: 404, content_type: None, message_body: None });
            let all = forward_to(&balancer, "all");
            let rules = [Rule::new(of_host, not_found), Rule::new(vec![path("/*")], all)];
            balancer.listeners[0].rules = rules.map(Arc::new).into();
            let _world = World::start(plan_of(&balancer)).await;
            let client = Client::new(balancer.listeners[0].addresses[0]);
            assert_eq!(reason(&client.get(&long).await).1, refusal, "{asked_for}");
            // Targets get one spelling all the same.
            let answer = client.get("/./fields/x/%2e%2e/../%66ields").await;
            assert_eq!(answer.text.lines().next(), Some("GET /fields"), "{asked_for}");
        }
    });
}

#[test]
fn no_spelling_of_a_path_gets_past_a_rule() {
    run(async {
        let (open, guarded) = (Server::start("open"), Server::start("guarded"));
        let groups = vec![group("open", &[open.address]), group("guarded", &[guarded.address])];
        let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
        balancer.listeners[0].rules = [
            Rule::new(vec![path("/c/*")], forward_to(&balancer, "open")),
            Rule::new(vec![path("/fields*")], forward_to(&balancer, "guarded")),
            Rule::new(
                vec![Condition::paths(&["/m:predict", "/caf%C3%A9", "/%7Eroot", "/thé"])],
                forward_to(&balancer, "guarded"),
            ),
            Rule::new(vec![path("/s;v=1")], forward_to(&balancer, "open")),
        ]
        .map(Arc::new)
        .into();
        balancer.listeners[0].default_action = Some(Action::FixedResponse(FixedResponse {
            status: 404,
            content_type: None,
            message_body: None,
        }));
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        // What means the guarded path goes to its rule, and to its target in one spelling.
        for sent in [
            "/c/../fields",
            "/c/%2e%2E/fields",
            "/./fields",
            "/%66ields",
            "/c/d/.%2e/../fields",
            "/../fields",
            "/;/../fields",
        ] {
            let answer = client.get(&format!("{sent}?a=%2e/..")).await;
            assert_eq!(
                (answer.status, answer.text.lines().next()),
                (200, Some("GET /fields?a=%2e/..")),
                "{sent}"
            );
        }
        for sent in ["/m%3Apredict", "/m%3apredict", "/caf%c3%a9", "/~root", "/%7eroot", "/th%C3%A9"] {
            assert_eq!(client.get(sent).await.text, "guarded", "{sent}");
        }
        // What some targets would read as that path goes nowhere.
        for sent in [
            "/c/..%2ffields",
            "/c/..%2Ffields",
            "/c/..%5cfields",
            "/c/..\\fields",
            "/c/..;/fields",
            "/c/..;a=b/fields",
            "/c/%252e%252e/fields",
            "/c/..%252ffields",
            "/c/%2e%2e%2ffields",
            "//fields",
            "/;x/%2ffields",
            "/%2ffields",
            "//x/fields",
            "/\\x/fields",
            "/s;v=1/..;/fields",
        ] {
            let answer = client.get(sent).await;
            assert_eq!(reason(&answer), (400, Some("ambiguous-path")), "{sent}");
        }
        for sent in
            ["/c/%c0%ae%c0%ae/fields", "/c/%00", "/fields%0a", "/fields%0D%0A", "/c/%", "/c/%2", "/c/%u002e"]
        {
            let answer = client.get(sent).await;
            assert_eq!(reason(&answer), (400, Some("malformed-path")), "{sent}");
        }
        // Where all readings lead to the same, the path is the target's to read, and goes on as it came.
        for sent in ["/c//x", "/c/a%2Fb", "/c/a;v=1/b", "/c/50%25", "/c/a\\b"] {
            let answer = client.get(sent).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, "open"), "{sent}");
        }
        // A rule that names a path letter for letter means it.
        assert_eq!(client.get("/s;v=1").await.text, "open");
    });
}
