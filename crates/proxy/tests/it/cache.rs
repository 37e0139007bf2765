//! Answers that are kept, where a rule says so.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use net::{Body, Drain, Limits, Method, Request, Response, StatusCode};
use plan::{Condition, FieldEdits, FieldSide, Handling, LoadBalancer, LoadBalancerKind, ResponseCache, Rule};
use plan::{Subject, Values};

use crate::world::{Answer, Client, World, forward_to, free_address, group, load_balancer, plan_of, run};

/// A target that answers each path as it is told, and counts what it is asked.
struct Origin {
    address: SocketAddr,
    n_requests: Rc<Cell<usize>>,
    /// How many it is asked at once before it answers what is slow; where it is 0 that only takes a while.
    waits_for: Rc<Cell<usize>>,
    /// Status, fields and body of each path; a path that has none is answered with its name.
    answers: Rc<RefCell<HashMap<&'static str, Said>>>,
    _drain: Drain,
}

type Said = (u16, Vec<(&'static str, String)>, String);

impl Origin {
    fn start() -> Self {
        let (address, n_requests) = (free_address(), Rc::new(Cell::new(0)));
        let answers: Rc<RefCell<HashMap<&'static str, Said>>> = Rc::default();
        let (count, told) = (Rc::clone(&n_requests), Rc::clone(&answers));
        let waits_for = Rc::<Cell<usize>>::default();
        let slow = Rc::new(Slow { waits_for: Rc::clone(&waits_for), n_now: Cell::new(0) });
        let handler = move |request: Request| {
            let (count, told, slow) = (Rc::clone(&count), Rc::clone(&told), Rc::clone(&slow));
            async move {
                if request.target.path() == "/health" {
                    return Response::new(StatusCode::OK);
                }
                count.set(count.get() + 1);
                let path = request.target.path().to_owned();
                let said = told.borrow().get(path.as_str()).cloned();
                if path.starts_with("/slow") && request.method == Method::GET && !slow.take_time().await {
                    return Response::new(StatusCode::GATEWAY_TIMEOUT);
                }
                let (status, fields, body) = said.unwrap_or((200, Vec::new(), path));
                let tag = fields.iter().find(|(name, _)| *name == "etag").map(|(_, tag)| tag.as_str());
                let is_known = tag.is_some() && request.fields.text("if-none-match") == tag;
                let status =
                    if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::from_u16(status).unwrap() };
                let body: Body = if is_known { Body::Empty } else { body.into() };
                let mut answer = Response::with_body(status, "text/plain", body);
                fields.iter().for_each(|(name, value)| answer.fields.push(name, value));
                answer
            }
        };
        let listener = net::bind(address, 1).unwrap().remove(0);
        let (drain, watch) = Drain::new();
        tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
        Self { address, n_requests, waits_for, answers, _drain: drain }
    }

    fn says(&self, path: &'static str, fields: &[(&'static str, &str)], body: &str) {
        self.says_with(path, 200, fields, body);
    }

    fn says_with(&self, path: &'static str, status: u16, fields: &[(&'static str, &str)], body: &str) {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.answers.borrow_mut().insert(path, (status, fields, body.to_owned()));
    }
}

/// What takes its time.
struct Slow {
    waits_for: Rc<Cell<usize>>,
    n_now: Cell<usize>,
}

impl Slow {
    /// Returns whether as many came as are waited for, in less time than a request waits for another.
    async fn take_time(&self) -> bool {
        let n_wanted = self.waits_for.get();
        if n_wanted == 0 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            return true;
        }
        // All who come in this round.
        self.n_now.set(self.n_now.get() + 1);
        let round = self.n_now.get().div_ceil(n_wanted) * n_wanted;
        for _ in 0..800 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.n_now.get() >= round {
                return true;
            }
        }
        false
    }
}

fn caching(origin: &Origin, cache: &str) -> LoadBalancer {
    let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[origin.address])]);
    let cache = Some(ResponseCache::parse(cache).unwrap());
    balancer.listeners[0].default_handling = Some(Arc::new(Handling { cache, ..Handling::default() }));
    balancer
}

/// Asks over a connection of its own, which either core may get.
async fn ask(balancer: &LoadBalancer, method: Method, target: &str, more: &[(&str, &str)]) -> Answer {
    let client = Client::new(balancer.listeners[0].addresses[0]);
    client.send(method, "a.example.com", target, Body::Empty, more).await.unwrap()
}

async fn get(balancer: &LoadBalancer, target: &str, more: &[(&str, &str)]) -> Answer {
    ask(balancer, Method::GET, target, more).await
}

/// What an answer says of the cache, without its times.
fn status(answer: &Answer) -> String {
    let told = answer.fields.text("cache-status").unwrap_or("none");
    let parts = told.split("; ").filter(|part| !part.starts_with("ttl="));
    parts.collect::<Vec<_>>().join("; ")
}

#[test]
fn what_is_fresh_is_not_asked_for_again_on_any_core() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "1MB");
        let world = World::start(plan_of(&balancer)).await;
        origin.says("/a", &[("cache-control", "max-age=60"), ("etag", "\"1\"")], "hello");
        let first = get(&balancer, "/a", &[]).await;
        assert_eq!(
            (first.text.as_str(), status(&first).as_str()),
            ("hello", "forebay; fwd=uri-miss; fwd-status=200; stored")
        );
        for _ in 0..20 {
            let again = get(&balancer, "/a", &[]).await;
            assert_eq!(
                (again.status, again.text.as_str(), status(&again).as_str()),
                (200, "hello", "forebay; hit")
            );
            assert_eq!(again.fields.text("content-type"), Some("text/plain"));
            let age: u64 = again.fields.text("age").unwrap().parse().unwrap();
            assert!(age < 30, "{age}");
        }
        let head = ask(&balancer, Method::HEAD, "/a", &[]).await;
        assert_eq!((head.status, head.text.as_str(), status(&head).as_str()), (200, "", "forebay; hit"));
        assert_eq!(head.fields.text("content-length"), Some("5"));
        let known = get(&balancer, "/a", &[("if-none-match", "\"0\", W/\"1\"")]).await;
        assert_eq!((known.status, known.text.as_str(), known.fields.text("etag")), (304, "", Some("\"1\"")));
        assert_eq!(origin.n_requests.get(), 1);
        // What differs is another thing.
        for (target, host) in [("/a?b", "a.example.com"), ("/a", "b.example.com")] {
            let client = Client::new(balancer.listeners[0].addresses[0]);
            let other = client.send(Method::GET, host, target, Body::Empty, &[]).await.unwrap();
            assert!(status(&other).contains("uri-miss"), "{target} {host}");
        }
        let metrics = world.metrics.encode();
        for (result, n_lookups) in [("hit", 22), ("miss", 3)] {
            let line = format!(
                "forebay_response_cache_lookups_total{{load_balancer=\"lb\",port=\"80\",result=\"{result}\"}} {n_lookups}"
            );
            assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
        }
    });
}

#[test]
fn what_is_not_for_others_is_not_kept() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "1MB");
        let _world = World::start(plan_of(&balancer)).await;
        const CC: &str = "cache-control";
        type Fields<'a> = &'a [(&'static str, &'a str)];
        let rows: [(Fields<'_>, Fields<'_>); 8] = [
            (&[], &[]),
            (&[(CC, "no-store, max-age=60")], &[]),
            (&[(CC, "private, max-age=60")], &[]),
            (&[(CC, "max-age=60"), ("set-cookie", "a=b")], &[]),
            (&[(CC, "max-age=60"), ("vary", "*")], &[]),
            (&[(CC, "max-age=60")], &[("authorization", "Basic YTpi")]),
            (&[(CC, "max-age=60")], &[(CC, "no-store")]),
            (&[(CC, "max-age=60")], &[("range", "bytes=0-1")]),
        ];
        for (fields, more) in rows {
            origin.says("/a", fields, "private");
            let before = origin.n_requests.get();
            for _ in 0..2 {
                let answer = get(&balancer, "/a", more).await;
                assert!(
                    !status(&answer).contains("stored") && !status(&answer).contains("hit"),
                    "{fields:?} {more:?}"
                );
            }
            assert_eq!(origin.n_requests.get(), before + 2, "{fields:?} {more:?}");
        }
        // Predictions are POST: each is asked for.
        origin.says("/a", &[(CC, "max-age=60")], "prediction");
        for _ in 0..2 {
            let answer = ask(&balancer, Method::POST, "/a", &[]).await;
            assert_eq!(status(&answer), "forebay; fwd=method; fwd-status=200");
        }
    });
}

#[test]
fn who_asks_the_same_at_the_same_time_waits_for_one_and_nobody_for_what_is_for_one_client() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "4MB, object=1MB");
        let _world = World::start(plan_of(&balancer)).await;
        let herd = async |target: &'static str, more: &'static [(&'static str, &'static str)]| {
            let before = origin.n_requests.get();
            let all = (0..20).map(|_| {
                let balancer = balancer.clone();
                tokio::task::spawn_local(async move { get(&balancer, target, more).await })
            });
            let mut answers = Vec::new();
            for one in all.collect::<Vec<_>>() {
                answers.push(one.await.unwrap());
            }
            (answers, origin.n_requests.get() - before)
        };
        // One of each of the two cores asks. How many wait for the rest of what is long hangs on how soon that comes.
        for (target, length, most) in [("/slow", 100, 2), ("/slow-and-long", 900_000, 20)] {
            origin.says(target, &[("cache-control", "max-age=60")], &"x".repeat(length));
            let (answers, n_asked) = herd(target, &[]).await;
            assert!((1..=most).contains(&n_asked), "{target}: {n_asked}");
            assert!(answers.iter().all(|answer| answer.status == 200 && answer.text.len() == length));
            let n_collapsed = answers.iter().filter(|answer| status(answer).contains("; collapsed")).count();
            assert_eq!(n_collapsed, 20 - n_asked, "{target}");
        }
        // What nobody else can have is waited for once, and who has a name waits for nobody.
        origin.says("/slow-and-private", &[("cache-control", "private")], "for one");
        assert_eq!(herd("/slow-and-private", &[]).await.1, 20);
        origin.waits_for.set(20);
        for (target, more) in [
            ("/slow-and-private", &[][..]),
            ("/slow-1", &[("authorization", "Basic YTpi")]),
            ("/slow-2", &[("cookie", "user=alice")]),
            ("/slow-3", &[("cache-control", "no-cache")]),
        ] {
            let (answers, n_asked) = herd(target, more).await;
            assert!(n_asked % 20 == 0 && answers.iter().all(|answer| answer.status == 200), "{target}");
        }
        origin.waits_for.set(0);
        // What fails for one is asked for by each.
        origin.says_with("/slow-and-broken", 500, &[], "no");
        let (answers, n_asked) = herd("/slow-and-broken", &[]).await;
        assert!(n_asked == 20 && answers.iter().all(|answer| answer.status == 500));
    });
}

#[test]
fn what_may_be_stale_while_its_target_is_asked_is_answered_at_once_and_new_a_little_later() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "1MB");
        let _world = World::start(plan_of(&balancer)).await;
        const STALE: &str = "forebay; hit; detail=stale-while-revalidate";
        let lasts = ("cache-control", "max-age=0, stale-while-revalidate=60");
        for (path, fields) in [("/a", &[lasts][..]), ("/b", &[lasts, ("etag", "\"1\"")]), ("/slow", &[lasts])]
        {
            origin.says(path, fields, "one");
            assert!(status(&get(&balancer, path, &[]).await).contains("stored"), "{path}");
            origin.says(path, &[lasts, ("etag", "\"2\"")], "two");
            let old = get(&balancer, path, &[]).await;
            assert_eq!((old.text.as_str(), status(&old).as_str()), ("one", STALE), "{path}");
            while get(&balancer, path, &[]).await.text != "two" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let before = origin.n_requests.get();
            // What is good still is asked for in short, by one of each core at a time.
            for _ in 0..20 {
                let again = get(&balancer, path, &[("if-none-match", "\"0\"")]).await;
                assert_eq!((again.text.as_str(), status(&again).as_str()), ("two", STALE), "{path}");
            }
            assert!(origin.n_requests.get() > before || path == "/slow", "{path}");
        }
        // Where it fails it is left alone for a while, and what is kept goes on.
        origin.says_with("/a", 500, &[], "down");
        let before = origin.n_requests.get();
        for _ in 0..40 {
            assert_eq!(get(&balancer, "/a", &[]).await.text, "two");
        }
        assert!(origin.n_requests.get() <= before + 2, "one of each core");
    });
}

#[test]
fn clients_that_stay_with_a_target_share_what_is_kept_and_not_where_they_belong() {
    run(async {
        let origin = Origin::start();
        let mut balancer = caching(&origin, "1MB, ttl=60s");
        let mut sticky = group("g", &[origin.address]);
        sticky.attributes.set("stickiness.enabled", "true").unwrap();
        balancer.target_groups = vec![sticky].into();
        let _world = World::start(plan_of(&balancer)).await;
        let first = get(&balancer, "/a", &[]).await;
        let cookie = first.fields.text("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap();
        assert!(cookie.starts_with("AWSALB=") && status(&first).contains("stored"), "{}", status(&first));
        let own = get(&balancer, "/a", &[("cookie", cookie)]).await;
        assert_eq!((status(&own).as_str(), own.fields.text("set-cookie")), ("forebay; hit", None));
        let both = format!("{cookie}; user=alice");
        assert!(!status(&get(&balancer, "/a", &[("cookie", &both)]).await).contains("hit"));
        // What a target sets is for one client.
        origin.says("/b", &[("set-cookie", "user=alice"), ("cache-control", "max-age=60")], "for alice");
        assert!(!status(&get(&balancer, "/b", &[]).await).contains("stored"));
    });
}

#[test]
fn what_became_of_a_request_at_a_cache_is_known_afterwards() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "1MB, ttl=60s");
        let recall = proxy::Recall::default();
        let settings = proxy::Settings { recall: recall.clone(), ..proxy::Settings::default() };
        let _world = World::start_as(plan_of(&balancer), proxy::Metrics::default(), settings).await;
        let asked = ["aa", "bb"].map(|id| format!("Root=1-00000001-0000000000000000000000{id}"));
        for (trace, expected) in asked.iter().zip(["miss", "hit"]) {
            assert_eq!(get(&balancer, "/a", &[("x-amzn-trace-id", trace)]).await.status, 200);
            let past = recall.about(trace.trim_start_matches("Root=")).await;
            let told: Vec<_> = past.iter().map(|past| (past.cache, past.trace.contains("Self="))).collect();
            // It has the id that a target would have got.
            assert_eq!(told, [(Some(expected), true)]);
        }
    });
}

#[test]
fn what_says_nothing_of_others_is_neither_kept_of_nor_given_to_who_sends_cookies() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "1MB, ttl=60s");
        let _world = World::start(plan_of(&balancer)).await;
        let (alice, bob) = ([("cookie", "user=alice")], [("cookie", "user=bob")]);
        // The tag is that of a template, so the target says of any page that it has not changed.
        let tag = ("etag", "\"1\"");
        for fields in [&[tag][..], &[tag, ("cache-control", "no-cache")]] {
            origin.says("/a", fields, "for alice");
            let first = get(&balancer, "/a", &alice).await;
            assert!(first.text == "for alice" && !status(&first).contains("stored"), "{}", status(&first));
            origin.says("/a", fields, "for others");
            assert_eq!(get(&balancer, "/a", &bob).await.text, "for others");
            assert_eq!(get(&balancer, "/a", &[]).await.text, "for others");
            // What nobody in particular gets is not for alice.
            origin.says("/a", fields, "for alice");
            assert_eq!(get(&balancer, "/a", &alice).await.text, "for alice", "{fields:?}");
        }
        origin.says("/b", &[("cache-control", "max-age=60")], "for all");
        assert!(status(&get(&balancer, "/b", &alice).await).contains("stored"));
        assert_eq!(status(&get(&balancer, "/b", &bob).await), "forebay; hit");
    });
}

#[test]
fn what_is_stale_is_asked_for_in_short_and_what_changed_is_new() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "1MB");
        let _world = World::start(plan_of(&balancer)).await;
        let fields = |tag: &'static str| {
            [("cache-control", "max-age=0, stale-if-error=60"), ("etag", tag), ("x-a", tag)]
        };
        origin.says("/a", &fields("\"1\""), "one");
        assert_eq!(get(&balancer, "/a", &[]).await.text, "one");
        let still = get(&balancer, "/a", &[]).await;
        assert_eq!(
            (still.status, still.text.as_str(), status(&still).as_str()),
            (200, "one", "forebay; fwd=stale; fwd-status=304")
        );
        // A client that has it is told so, whatever else it has.
        let known = get(&balancer, "/a", &[("if-none-match", "\"0\", \"1\"")]).await;
        assert_eq!((known.status, known.text.as_str()), (304, ""));
        let unknown = get(&balancer, "/a", &[("if-none-match", "\"0\"")]).await;
        assert_eq!((unknown.status, unknown.text.as_str()), (200, "one"));
        origin.says("/a", &fields("\"2\""), "two");
        let news = get(&balancer, "/a", &[]).await;
        assert_eq!(
            (news.text.as_str(), status(&news).as_str()),
            ("two", "forebay; fwd=stale; fwd-status=200; stored")
        );
        // Something old is better than an error, where its origin says so.
        origin.says_with("/a", 503, &[], "down");
        let old = get(&balancer, "/a", &[]).await;
        assert_eq!(
            (old.status, old.text.as_str(), status(&old).as_str()),
            (200, "two", "forebay; fwd=stale; fwd-status=503; detail=stale-if-error")
        );
        assert_eq!(get(&balancer, "/other", &[]).await.text, "/other");
    });
}

#[test]
fn requests_say_how_fresh_it_has_to_be_and_changes_take_it_out() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "1MB, ttl=60s");
        let _world = World::start(plan_of(&balancer)).await;
        let only = [("cache-control", "only-if-cached")];
        let absent = get(&balancer, "/a", &only).await;
        assert_eq!((absent.status, absent.fields.text("x-forebay-reason")), (504, Some("not-cached")));
        assert_eq!(origin.n_requests.get(), 0);
        // It says nothing of how long it is fresh, so the rule does.
        assert!(status(&get(&balancer, "/a", &[]).await).contains("stored"));
        assert_eq!(status(&get(&balancer, "/a", &only).await), "forebay; hit");
        let asked = get(&balancer, "/a", &[("cache-control", "no-cache")]).await;
        assert_eq!(status(&asked), "forebay; fwd=request; fwd-status=200; stored");
        assert_eq!(status(&get(&balancer, "/a", &[]).await), "forebay; hit");
        // What may have changed is asked for anew, by whatever core; what failed to change is not.
        origin.says_with("/a", 500, &[], "failed");
        assert_eq!(ask(&balancer, Method::PUT, "/a", &[]).await.status, 500);
        assert_eq!(status(&get(&balancer, "/a", &[]).await), "forebay; hit");
        origin.says("/a", &[], "changed");
        assert_eq!(ask(&balancer, Method::PUT, "/a", &[]).await.status, 200);
        for _ in 0..4 {
            assert_eq!(get(&balancer, "/a", &[]).await.text, "changed");
        }
    });
}

#[test]
fn answers_differ_by_what_they_vary_with_and_by_their_rule() {
    run(async {
        let origin = Origin::start();
        let mut balancer = caching(&origin, "1MB");
        let handling = balancer.listeners[0].default_handling.clone();
        let canary = Condition::wildcards(Subject::http_header("x-canary"), &["1"]);
        let rule = Rule::new(vec![canary], forward_to(&balancer, "g"));
        balancer.listeners[0].rules = vec![Rule { handling, ..rule }.into()];
        let mut world = World::start(plan_of(&balancer)).await;
        origin.says("/a", &[("cache-control", "max-age=60"), ("vary", "accept-language")], "text");
        let (german, english) = ([("accept-language", "de")], [("accept-language", "en")]);
        assert!(status(&get(&balancer, "/a", &german).await).contains("uri-miss"));
        assert!(status(&get(&balancer, "/a", &english).await).contains("vary-miss"));
        assert_eq!(status(&get(&balancer, "/a", &german).await), "forebay; hit");
        assert_eq!(status(&get(&balancer, "/a", &english).await), "forebay; hit");
        let other_rule = [("accept-language", "de"), ("x-canary", "1")];
        assert!(status(&get(&balancer, "/a", &other_rule).await).contains("uri-miss"));
        // Another plan goes on with what is kept.
        let path = Rule::new(vec![Condition::paths(&["/none"])], forward_to(&balancer, "g"));
        balancer.listeners[0].rules.insert(0, path.into());
        world.change(plan_of(&balancer)).await;
        for more in [&german[..], &english, &other_rule] {
            assert_eq!(status(&get(&balancer, "/a", more).await), "forebay; hit", "{more:?}");
        }
        assert_eq!(origin.n_requests.get(), 3);
    });
}

/// A rule for requests with this method, which does and is handled as what is done where none holds.
fn rule_of_method(balancer: &LoadBalancer, method: &str) -> Rule {
    let values = Values::Texts(vec![method.to_owned()]);
    let condition = Condition { subject: Subject::HTTP_REQUEST_METHOD, values };
    let handling = balancer.listeners[0].default_handling.clone();
    Rule { handling, ..Rule::new(vec![condition], forward_to(balancer, "g")) }
}

#[test]
fn a_change_takes_out_what_was_asked_before_it_and_by_other_rules() {
    run(async {
        let origin = Origin::start();
        let mut balancer = caching(&origin, "1MB");
        let writes = rule_of_method(&balancer, "PUT");
        balancer.listeners[0].rules = vec![writes.into()];
        let _world = World::start(plan_of(&balancer)).await;
        let lasts = [("cache-control", "max-age=60")];
        origin.says("/a", &lasts, "old");
        assert!(status(&get(&balancer, "/a", &[]).await).contains("stored"));
        origin.says("/a", &lasts, "new");
        assert_eq!(ask(&balancer, Method::PUT, "/a", &[]).await.status, 200);
        assert_eq!(get(&balancer, "/a", &[]).await.text, "new");
        // What is on its way when it changes is what was there before.
        origin.says("/slow", &lasts, "old");
        let (slow, ()) = tokio::join!(get(&balancer, "/slow", &[]), async {
            while origin.n_requests.get() < 4 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            origin.says("/slow", &lasts, "new");
            assert_eq!(ask(&balancer, Method::PUT, "/slow", &[]).await.status, 200);
        });
        assert_eq!(
            (slow.text.as_str(), status(&slow).as_str()),
            ("old", "forebay; fwd=uri-miss; fwd-status=200")
        );
        assert_eq!(get(&balancer, "/slow", &[]).await.text, "new");
    });
}

#[test]
fn who_has_a_target_make_another_url_chooses_it_for_nobody_else() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "1MB, ttl=60s");
        let _world = World::start(plan_of(&balancer)).await;
        for field in
            ["x-forwarded-host", "X_Forwarded_Host", "forwarded", "x-original-url", "x-http-method-override"]
        {
            origin.says("/a", &[], "by evil.example");
            let poisoned = get(&balancer, "/a", &[(field, "evil.example")]).await;
            assert!(status(&poisoned).contains("stored"), "{field}");
            assert_eq!(status(&get(&balancer, "/a", &[(field, "evil.example")]).await), "forebay; hit");
            origin.says("/a", &[], "by us");
            let plain = get(&balancer, "/a", &[]).await;
            assert_eq!((plain.text.as_str(), status(&plain).contains("stored")), ("by us", true), "{field}");
            assert_eq!(ask(&balancer, Method::PUT, "/a", &[]).await.status, 200);
            assert!(status(&get(&balancer, "/a", &[(field, "evil.example")]).await).contains("uri-miss"));
            assert_eq!(ask(&balancer, Method::PUT, "/a", &[]).await.status, 200);
        }
    });
}

#[test]
fn what_another_target_would_say_or_who_is_told_something_else_is_asked_for_anew() {
    run(async {
        let [one, two] = [Origin::start(), Origin::start()];
        let mut balancer = caching(&one, "1MB, ttl=60s");
        let groups = vec![group("g", &[one.address]), group("h", &[two.address])];
        balancer.target_groups = groups.into();
        let mut world = World::start(plan_of(&balancer)).await;
        one.says("/a", &[], "one");
        two.says("/a", &[], "two");
        assert_eq!(get(&balancer, "/a", &[]).await.text, "one");
        balancer.listeners[0].default_action = Some(forward_to(&balancer, "h"));
        world.change(plan_of(&balancer)).await;
        assert_eq!(get(&balancer, "/a", &[]).await.text, "two");
        two.says("/a", &[], "two for ml");
        let fields = [("x-tenant".to_owned(), "ml".to_owned())];
        let told = FieldEdits::new(FieldSide::Request, fields, []).unwrap();
        let handling = balancer.listeners[0].default_handling.as_deref().unwrap().clone();
        let handling = Handling { request_fields: Some(told), ..handling };
        balancer.listeners[0].default_handling = Some(Arc::new(handling));
        world.change(plan_of(&balancer)).await;
        assert_eq!(get(&balancer, "/a", &[]).await.text, "two for ml");
    });
}

#[test]
fn long_answers_are_kept_while_they_pass_and_too_long_ones_are_not() {
    run(async {
        let origin = Origin::start();
        let balancer = caching(&origin, "4MB, object=1MB");
        let world = World::start(plan_of(&balancer)).await;
        let fields = [("cache-control", "max-age=60")];
        origin.says("/long", &fields, &"x".repeat(900_000));
        origin.says("/longer", &fields, &"x".repeat(1_100_000));
        assert_eq!(get(&balancer, "/long", &[]).await.text.len(), 900_000);
        let again = get(&balancer, "/long", &[]).await;
        assert_eq!((again.text.len(), status(&again).as_str()), (900_000, "forebay; hit"));
        for _ in 0..2 {
            let longer = get(&balancer, "/longer", &[]).await;
            assert_eq!(
                (longer.text.len(), status(&longer).as_str()),
                (1_100_000, "forebay; fwd=uri-miss; fwd-status=200")
            );
        }
        // The bound holds, whatever comes.
        for number in 0..20 {
            assert_eq!(get(&balancer, &format!("/long?{number}"), &[]).await.text.len(), 900_000);
        }
        assert_eq!(status(&get(&balancer, "/long?19", &[]).await), "forebay; hit");
        let metrics = world.metrics.encode();
        let kept = metrics.lines().find_map(|line| line.strip_prefix("forebay_response_cache_bytes "));
        let kept: usize = kept.unwrap().parse().unwrap();
        assert!((900_000..=4_000_000).contains(&kept), "{kept}");
    });
}
