//! What annotations of ours have done to requests of rules and to their answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{Body, Method};
use plan::{
    Condition, Cors, CorsWish, FieldEdits, FieldSide, Handling, Hedging, LoadBalancer, LoadBalancerKind,
    Replay, Rule, Subject, Values,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::targets::Target;
use crate::world::{
    Answer, Client, Server, World, forward_to, free_address, group, load_balancer, plan_of, run,
};

/// A load balancer with a rule for `/fields` and below that is handled, and a default action that is not.
fn handled(server: &Server, handling: Handling) -> LoadBalancer {
    let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
    let conditions = vec![Condition::paths(&["/fields", "/fields/*"])];
    let rule = Rule::new(conditions, forward_to(&balancer, "g"));
    balancer.listeners[0].rules = vec![Rule { handling: Some(Arc::new(handling)), ..rule }.into()];
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
        balancer.listeners[0].default_handling = balancer.listeners[0].rules.remove(0).handling.clone();
        world.plans.send_replace(Arc::new(plan_of(&balancer)));
        while about(&ask(&client, "/other", &[]).await) != changed(200) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn a_post_stays_one_over_a_redirect_of_308() {
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        let redirect = plan::Redirect::keeping_everything(308);
        balancer.listeners[0].default_action = Some(plan::Action::Redirect(redirect));
        let _world = World::start(plan_of(&balancer)).await;
        let answer = Client::new(balancer.listeners[0].addresses[0]).post("/a?b", "{}").await.unwrap();
        assert_eq!(
            (answer.status, answer.fields.text("location")),
            (308, Some("http://a.example.com:80/a?b"))
        );
    });
}

#[test]
fn acc_s0_20_a_browser_that_asks_first_is_answered_past_the_gate_of_the_rule() {
    run(async {
        let server = Server::start("one");
        let origins = vec!["https://app.example.com".to_owned(), "https://*.pages.example".to_owned()];
        let headers = Some(vec!["x-api-key".to_owned(), "content-type".to_owned()]);
        let exposed_headers = vec!["x-request-id".to_owned()];
        let wish = CorsWish {
            origins,
            headers,
            exposed_headers,
            credentials: true,
            max_age_seconds: Some(600),
            ..CorsWish::default()
        };
        let cors = Some(Cors::new(wish).unwrap());
        let mut balancer = handled(&server, Handling { cors, ..Handling::default() });
        let subject = Subject::http_header("x-api-key");
        let gate = Condition { subject, values: Values::Secrets(vec!["token1".to_owned()]) };
        Arc::make_mut(&mut balancer.listeners[0].rules[0]).conditions.push(gate);
        balancer.listeners[0].default_action = None;
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let preflight = async |target: &str, origin: &str, method: &str, headers: &str| {
            let more = [
                ("origin", origin),
                ("access-control-request-method", method),
                ("access-control-request-headers", headers),
            ];
            client.send(Method::OPTIONS, "a.example.com", target, Body::Empty, &more).await.unwrap()
        };
        let told = |answer: &Answer, name: &str| answer.fields.text(name).map(str::to_owned);
        let app = "https://app.example.com";
        let good = preflight("/fields", app, "PUT", "content-type, X-Api-Key").await;
        assert_eq!((good.status, told(&good, "x-forebay-reason").as_deref()), (204, Some("cors-preflight")));
        for (name, value) in [
            ("access-control-allow-origin", app),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
            ("access-control-allow-headers", "x-api-key, content-type"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(told(&good, name).as_deref(), Some(value), "{name}");
        }
        let vary: Vec<&[u8]> = good.fields.all("vary").collect();
        assert!(vary.contains(&&b"origin"[..]), "{vary:?}");
        assert_eq!(server.n_requests.get(), 0);

        for (origin, method, headers) in [
            ("https://app.example.com.evil.example", "PUT", ""),
            (app, "PROPFIND", ""),
            (app, "PUT", "x-other"),
        ] {
            let bad = preflight("/fields", origin, method, headers).await;
            assert_eq!((bad.status, told(&bad, "x-forebay-reason").as_deref()), (403, Some("cors-refused")));
            assert_eq!(told(&bad, "access-control-allow-methods"), None);
            assert!(bad.text.contains("forebay.dev/cors"), "{}", bad.text);
        }
        // Elsewhere it is a request as others are.
        assert_eq!(preflight("/other", app, "PUT", "").await.status, 404);

        // The request itself has to pass the gate, and its page may read what it gets.
        let ask = async |origin: &str, key: &str| {
            let more = [("origin", origin), ("x-api-key", key)];
            client.send(Method::PUT, "a.example.com", "/fields", Body::Empty, &more).await.unwrap()
        };
        let answer = ask("https://a.pages.example", "token1").await;
        assert_eq!((answer.status, server.n_requests.get()), (200, 1));
        assert_eq!(told(&answer, "access-control-allow-origin").as_deref(), Some("https://a.pages.example"));
        assert_eq!(told(&answer, "access-control-expose-headers").as_deref(), Some("x-request-id"));
        assert_eq!(ask(app, "token2").await.status, 404);
        // Whoever is not allowed gets an answer that its browser keeps from it.
        let other = ask("https://other.example", "token1").await;
        assert_eq!((other.status, told(&other, "access-control-allow-origin")), (200, None));
        assert_eq!(told(&other, "vary").as_deref(), Some("origin"));
    });
}

#[test]
fn pages_of_every_origin_may_read_answers_where_all_may() {
    run(async {
        let server = Server::start("one");
        let cors =
            Some(Cors::new(CorsWish { origins: vec!["*".to_owned()], ..CorsWish::default() }).unwrap());
        let answer_fields = edits(FieldSide::Answer, &[("x-a", "1")], &[]);
        let balancer = handled(&server, Handling { cors, answer_fields, ..Handling::default() });
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let origin = [("origin", "https://app.example.com")];
        let answer = ask(&client, "/fields", &origin).await;
        assert_eq!((answer.status, answer.fields.text("access-control-allow-origin")), (200, Some("*")));
        assert_eq!((answer.fields.text("vary"), answer.fields.text("x-a")), (None, Some("1")));
        // Whoever keeps what came without an origin may give it to a page.
        let without = ask(&client, "/fields", &[]).await;
        assert_eq!(without.fields.text("access-control-allow-origin"), Some("*"));
        // OPTIONS that asks for nothing goes to the target.
        let options =
            client.send(Method::OPTIONS, "a.example.com", "/fields", Body::Empty, &origin).await.unwrap();
        assert!(options.text.starts_with("OPTIONS /fields"), "{}", options.text);
    });
}

#[test]
fn answers_tell_who_gave_them_where_that_is_asked_for_and_the_load_balancer_names_nobody_for_its_own() {
    run(async {
        let server = Server::start("one");
        let mut balancer = handled(&server, Handling { tells_target: true, ..Handling::default() });
        for group in &mut balancer.target_groups {
            group.revisions = [(server.address.ip(), "6d4f5b".to_owned())].into();
        }
        let _world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let answer = ask(&client, "/fields", &[]).await;
        let expected = format!("g/6d4f5b/{}", server.address);
        assert_eq!(answer.fields.text("x-served-by"), Some(expected.as_str()));
        assert_eq!(ask(&client, "/other", &[]).await.fields.text("x-served-by"), None);
        let own = client.send(Method::TRACE, "a.example.com", "/fields", Body::Empty, &[]).await.unwrap();
        assert_eq!((own.status, own.fields.text("x-served-by")), (405, None));
    });
}

/// A load balancer in front of two targets, of which one takes its time, where everything is handled so.
async fn slow_and_fast(replay: Replay, handling: Handling) -> (World, Client, [Target; 2]) {
    let targets = ["slow", "fast"].map(Target::start);
    targets[0].behaviour.takes.set(Duration::from_secs(2));
    let mut group = group("g", &targets.each_ref().map(|target| target.address));
    group.health_check.interval = Duration::from_secs(10);
    group.replay = replay;
    let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group]);
    balancer.listeners[0].default_handling = Some(Arc::new(handling));
    let world = World::start(plan_of(&balancer)).await;
    let client = Client::new(balancer.listeners[0].addresses[0]);
    (world, client, targets)
}

/// Sooner than the slow target answers, however busy the machine is.
const SOON: Duration = Duration::from_millis(1500);

#[test]
fn another_target_is_asked_beside_a_slow_one_after_the_time_that_is_said_and_not_where_that_is_off() {
    run(async {
        let after = Some(Hedging::After(Duration::from_millis(50)));
        let (world, client, _targets) =
            slow_and_fast(Replay::Idempotent, Handling { hedging: after, ..Handling::default() }).await;
        for _ in 0..4 {
            let began = Instant::now();
            assert_eq!(ask(&client, "/", &[]).await.text, "fast");
            assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        }
        let hedges = |world: &World| {
            let text = world.metrics.encode();
            let of_name = text.lines().filter(|line| line.starts_with("forebay_hedges_total"));
            of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
        };
        assert!(hedges(&world) > 0);
        // What may not be repeated waits for its target.
        let posts = [client.post("/", "1").await.unwrap().text, client.post("/", "1").await.unwrap().text];
        assert!(posts.contains(&"slow".to_owned()), "{posts:?}");
        for off in [
            Handling { hedging: Some(Hedging::Off), ..Handling::default() },
            Handling { retries: Some(0), ..Handling::default() },
        ] {
            let (world, client, _targets) = slow_and_fast(Replay::Everything, off).await;
            let answers = [ask(&client, "/", &[]).await.text, ask(&client, "/", &[]).await.text];
            assert!(answers.contains(&"slow".to_owned()), "{answers:?}");
            assert_eq!(hedges(&world), 0);
        }
    });
}

#[test]
fn a_target_that_takes_too_long_is_given_up_for_another_where_that_may_be() {
    run(async {
        let try_timeout = Some(Duration::from_millis(100));
        let (_world, client, _targets) =
            slow_and_fast(Replay::Idempotent, Handling { try_timeout, ..Handling::default() }).await;
        let began = Instant::now();
        for _ in 0..2 {
            assert_eq!(ask(&client, "/", &[]).await.text, "fast");
        }
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        let limited = Handling { try_timeout, retries: Some(0), ..Handling::default() };
        let (_world, client, _targets) = slow_and_fast(Replay::Idempotent, limited).await;
        let began = Instant::now();
        let answers = [ask(&client, "/", &[]).await, ask(&client, "/", &[]).await];
        let slow = answers.iter().find(|answer| answer.status != 200).expect("the slow one has its turn");
        assert_eq!((slow.status, slow.fields.text("x-forebay-reason")), (504, Some("target-timeout")));
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    });
}

#[test]
fn what_a_target_may_have_seen_goes_out_as_often_as_is_said() {
    /// A server whose health is good, and that ends every other connection without an answer.
    async fn end_all(listener: tokio::net::TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let n_bytes = stream.read(&mut head).await.unwrap_or_default();
            if head[..n_bytes].starts_with(b"GET /health") {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
            }
        }
    }
    run(async {
        for (retries, expected) in [(None, [200, 200]), (Some(1), [200, 200]), (Some(0), [200, 502])] {
            let (server, address) = (Server::start("good"), free_address());
            tokio::task::spawn_local(end_all(tokio::net::TcpListener::bind(address).await.unwrap()));
            let mut balancer =
                load_balancer(LoadBalancerKind::Application, vec![group("g", &[address, server.address])]);
            balancer.listeners[0].default_handling =
                Some(Arc::new(Handling { retries, ..Handling::default() }));
            let _world = World::start(plan_of(&balancer)).await;
            let client = Client::new(balancer.listeners[0].addresses[0]);
            let mut statuses = [ask(&client, "/", &[]).await.status, ask(&client, "/", &[]).await.status];
            statuses.sort_unstable();
            assert_eq!(statuses, expected, "{retries:?}");
        }
    });
}
