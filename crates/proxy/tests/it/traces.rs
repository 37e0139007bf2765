//! Traces of requests, as a collector on loopback reads them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::{Body, Drain, Limits, Method, Request, Response, StatusCode};
use plan::{Action, Condition, LoadBalancer, LoadBalancerKind, Redirect, Rule};
use serde_json::Value;
use traces::{Endpoint, Sampler, Settings, Tracer};

use crate::world::{Client, Server, World, free_address, group, load_balancer, of_ours, plan_of, run};

/// A collector that keeps what it reads.
struct Collector {
    address: SocketAddr,
    spans: Rc<RefCell<Vec<Value>>>,
    _drain: Drain,
}

impl Collector {
    fn start() -> Self {
        Self::answering(StatusCode::OK)
    }

    fn answering(status: StatusCode) -> Self {
        let (spans, address) = (Rc::<RefCell<Vec<Value>>>::default(), free_address());
        let kept = Rc::clone(&spans);
        let handler = move |request: Request| {
            let kept = Rc::clone(&kept);
            async move {
                assert_eq!(request.target.path(), "/v1/traces");
                assert_eq!(request.fields.text("content-type"), Some("application/json"));
                let body = request.body.collect(64 << 20).await.unwrap();
                let read: Value = serde_json::from_slice(&body).unwrap();
                let spans = read["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array();
                kept.borrow_mut().extend(spans.unwrap().iter().cloned());
                Response::new(status)
            }
        };
        let (drain, watch) = Drain::new();
        let listener = net::bind(address, 1).unwrap().remove(0);
        tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
        Self { address, spans, _drain: drain }
    }

    fn all(&self) -> Vec<Value> {
        self.spans.borrow().clone()
    }
}

/// A data plane that records traces.
struct Tracing {
    world: World,
    tracer: Tracer,
}

impl Tracing {
    async fn start(balancer: &LoadBalancer, collector: SocketAddr, sampler: Sampler) -> Self {
        let metrics = proxy::Metrics::default();
        let mut settings = Settings::new(Endpoint::below(&format!("http://{collector}")).unwrap(), "forebay");
        settings.sampler = sampler;
        let tracer = Tracer::start(settings, metrics.traces().clone()).unwrap();
        let settings =
            proxy::Settings { n_cores: 2, traces: Some(tracer.clone()), ..proxy::Settings::default() };
        Self { world: World::start_as(plan_of(balancer), metrics, settings).await, tracer }
    }

    /// Ends it as SIGTERM does.
    async fn end(self) -> proxy::Metrics {
        self.world.drain.finish(Duration::from_secs(20)).await;
        self.tracer.finish(Duration::from_secs(5)).await;
        self.world.metrics
    }
}

fn application(servers: &[&Server]) -> (LoadBalancer, SocketAddr) {
    let targets: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &targets)]);
    let address = balancer.listeners[0].addresses[0];
    (balancer, address)
}

/// An attribute of a span.
fn said<'a>(span: &'a Value, key: &str) -> &'a str {
    let attributes = span["attributes"].as_array().unwrap();
    let of_key = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = of_key.map(|attribute| &attribute["value"]).unwrap_or(&Value::Null);
    value["stringValue"].as_str().or(value["intValue"].as_str()).unwrap_or_default()
}

/// The value of a field that a target was sent, by what it answered.
fn field<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn ask(client: &Client, target: &str, fields: &[(&str, &str)]) -> crate::world::Answer {
    client.send(Method::GET, "api.example.com:8080", target, Body::Empty, fields).await.unwrap()
}

fn of_kind(spans: &[Value], kind: u64) -> Vec<&Value> {
    spans.iter().filter(|span| span["kind"] == kind).collect()
}

const SERVER: u64 = 2;
const CLIENT: u64 = 3;

#[test]
fn a_trace_goes_from_client_through_load_balancer_to_target() {
    run(async {
        let (server, collector) = (Server::start("one"), Collector::start());
        let (mut balancer, address) = application(&[&server]);
        let old =
            Rule::new(vec![Condition::paths(&["/old"])], Action::Redirect(Redirect::keeping_everything(301)));
        balancer.listeners[0].rules = vec![old.into()];
        let tracing = Tracing::start(&balancer, collector.address, Sampler::default()).await;
        let client = Client::new(address);
        let fields = [
            ("traceparent", PARENT),
            ("tracestate", "rojo=00f0"),
            ("tracestate", "congo=t61"),
            ("user-agent", "curl/8.5"),
            ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678"),
        ];
        let answer = ask(&client, "/fields?key=secret", &fields).await;
        assert_eq!(field(&answer.text, "tracestate"), ["rojo=00f0,congo=t61"]);
        let sent = field(&answer.text, "traceparent");
        assert_eq!(sent.len(), 1, "{}", answer.text);
        ask(&client, "/old", &[]).await;
        let metrics = tracing.end().await;

        let spans = collector.all();
        let (ours, theirs) = (of_kind(&spans, SERVER)[0], of_kind(&spans, CLIENT));
        assert_eq!(
            (ours["traceId"].as_str(), ours["parentSpanId"].as_str()),
            (Some(TRACE), Some("00f067aa0ba902b7"))
        );
        assert_eq!((theirs.len(), &theirs[0]["parentSpanId"]), (1, &ours["spanId"]));
        assert_eq!(sent[0], format!("00-{TRACE}-{}-01", theirs[0]["spanId"].as_str().unwrap()));
        assert_eq!(
            (ours["name"].as_str(), ours["traceState"].as_str()),
            (Some("GET"), Some("rojo=00f0,congo=t61"))
        );
        let text = ours.to_string();
        assert!(!text.contains("secret") && ours["status"].is_null(), "{text}");
        for (key, value) in [
            ("http.request.method", "GET"),
            ("url.path", "/fields"),
            ("url.scheme", "http"),
            ("server.address", "api.example.com"),
            ("server.port", "8080"),
            ("client.address", "127.0.0.1"),
            ("user_agent.original", "curl/8.5"),
            ("network.protocol.version", "1.1"),
            ("http.response.status_code", "200"),
            ("forebay.load_balancer", "lb"),
            ("forebay.rule", "0"),
            ("forebay.target_group", "g"),
            ("forebay.target", &server.address.to_string()),
            ("forebay.reason", ""),
            ("error.type", ""),
        ] {
            assert_eq!(said(ours, key), value, "{key}");
        }
        let link = said(ours, "aws.x_amzn_trace_id");
        assert!(
            link.starts_with("Self=1-") && link.ends_with("Root=1-67891233-abcdef012345678912345678"),
            "{link}"
        );
        for (key, value) in [
            ("server.address", server.address.ip().to_string()),
            ("server.port", server.address.port().to_string()),
            ("http.response.status_code", "200".to_owned()),
            ("http.request.resend_count", String::new()),
        ] {
            assert_eq!(said(theirs[0], key), value, "{key}");
        }
        let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(time(ours, "startTimeUnixNano") <= time(theirs[0], "startTimeUnixNano"));
        assert!(time(theirs[0], "startTimeUnixNano") <= time(theirs[0], "endTimeUnixNano"));
        // A trace that begins here has no parent, and what is answered here asks nobody.
        let redirect = of_kind(&spans, SERVER)[1];
        assert!(redirect["parentSpanId"].is_null() && redirect["traceId"] != TRACE, "{redirect}");
        assert_eq!((said(redirect, "forebay.reason"), said(redirect, "forebay.rule")), ("redirect", "1"));
        assert_eq!((spans.len(), metrics.traces().exported.get()), (3, 3));
        assert!(metrics.encode().contains("forebay_trace_spans_exported_total 3\n"));
    });
}

#[test]
fn every_target_that_is_asked_has_a_span_of_its_own() {
    run(async {
        let (server, gone) = (Server::start("one"), Server::start("two"));
        let (collector, broken) = (Collector::start(), gone.address);
        let mut group = group("g", &[server.address, broken]);
        // Nobody but requests finds out that it has gone.
        group.health_check.interval = Duration::from_secs(300);
        let balancer = load_balancer(LoadBalancerKind::Application, vec![of_ours(group)]);
        let address = balancer.listeners[0].addresses[0];
        let tracing = Tracing::start(&balancer, collector.address, Sampler::default()).await;
        let client = Client::new(address);
        gone.stop();
        for _ in 0..8 {
            assert_eq!(ask(&client, "/fields", &[("traceparent", PARENT)]).await.status, 200);
        }
        tracing.end().await;
        let spans = collector.all();
        let clients = of_kind(&spans, CLIENT);
        let failed: Vec<_> =
            clients.iter().filter(|span| said(span, "forebay.target") == broken.to_string()).collect();
        assert!(!failed.is_empty(), "{spans:?}");
        for span in failed {
            assert_eq!(
                (said(span, "error.type"), &span["status"]["code"]),
                ("target-unreachable", &2.into()),
                "{span}"
            );
            let again = clients.iter().find(|other| {
                other["parentSpanId"] == span["parentSpanId"]
                    && said(other, "http.request.resend_count") == "1"
            });
            let again = again.expect("it was sent again");
            assert_eq!(said(again, "http.response.status_code"), "200");
            assert_ne!(again["spanId"], span["spanId"]);
        }
    });
}

#[test]
fn a_request_that_is_hedged_has_a_span_for_each_target() {
    run(async {
        let servers = ["one", "two"].map(Server::start);
        let targets = servers.each_ref().map(|server| server.address);
        let collector = Collector::start();
        let balancer = load_balancer(LoadBalancerKind::Application, vec![of_ours(group("g", &targets))]);
        let address = balancer.listeners[0].addresses[0];
        let tracing = Tracing::start(&balancer, collector.address, Sampler::default()).await;
        let asking = tokio::task::spawn_local(async move { Client::new(address).get("/slow").await.status });
        while servers.iter().any(|server| server.n_requests.get() == 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        servers[1].release();
        assert_eq!(asking.await.unwrap(), 200);
        servers[0].release();
        tracing.end().await;
        let spans = collector.all();
        let to = |target: SocketAddr| {
            let clients = of_kind(&spans, CLIENT).into_iter();
            let found: Vec<_> =
                clients.filter(|span| said(span, "forebay.target") == target.to_string()).collect();
            assert_eq!(found.len(), 1, "{spans:?}");
            found[0]
        };
        let [silent, answering] = targets.map(to);
        assert_eq!(
            (said(silent, "forebay.reason"), said(answering, "http.response.status_code")),
            ("another-answered", "200")
        );
        assert!(silent["status"].is_null() && silent["spanId"] != answering["spanId"], "{silent}");
        assert_eq!(silent["parentSpanId"], answering["parentSpanId"]);
    });
}

#[test]
fn what_is_not_sampled_is_not_recorded_and_targets_hear_of_that() {
    run(async {
        let (server, collector) = (Server::start("one"), Collector::start());
        let (balancer, address) = application(&[&server]);
        let unsampled = PARENT.replace("-01", "-00");
        for (name, fields, expected) in [
            (
                "parentbased_always_on",
                vec![("traceparent", unsampled.as_str()), ("tracestate", "A B,c=1")],
                unsampled.as_str(),
            ),
            ("always_off", vec![("traceparent", PARENT)], "-00"),
            ("always_off", vec![], "-00"),
            // Neither is a trace that is known: another one begins.
            ("parentbased_always_off", vec![("traceparent", "00-1-2-01"), ("tracestate", "a=1")], "-00"),
            ("parentbased_always_off", vec![("traceparent", PARENT), ("traceparent", PARENT)], "-00"),
        ] {
            let sampler = Sampler::named(name, 1.0).unwrap();
            let mut balancer = balancer.clone();
            balancer.listeners[0].addresses = vec![free_address()];
            let tracing = Tracing::start(&balancer, collector.address, sampler).await;
            let answer = ask(&Client::new(balancer.listeners[0].addresses[0]), "/fields", &fields).await;
            let sent = field(&answer.text, "traceparent");
            assert!(sent.len() == 1 && sent[0].ends_with(expected), "{name}: {}", answer.text);
            assert_ne!(sent[0], PARENT, "{name}");
            let state = field(&answer.text, "tracestate");
            assert_eq!(state.is_empty(), fields.len() < 2 || expected == "-00", "{name}: {state:?}");
            tracing.end().await;
        }
        assert_eq!(collector.all(), Vec::<Value>::new());
        // Where no traces are recorded, a field is a field.
        let world = World::start(plan_of(&balancer)).await;
        let answer =
            ask(&Client::new(address), "/fields", &[("traceparent", "x"), ("tracestate", "A B")]).await;
        assert_eq!(
            (field(&answer.text, "traceparent"), field(&answer.text, "tracestate")),
            (vec!["x"], vec!["A B"])
        );
        let answer = ask(&Client::new(address), "/fields", &[]).await;
        assert_eq!(field(&answer.text, "traceparent"), Vec::<&str>::new());
        drop(world);
    });
}

#[test]
fn a_collector_that_is_away_slow_or_broken_costs_requests_nothing() {
    run(async {
        let server = Server::start("one");
        // Nobody is there; somebody takes connections and says nothing; somebody fails.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let failing = Collector::answering(StatusCode::INTERNAL_SERVER_ERROR);
        for collector in [free_address(), silent.local_addr().unwrap(), failing.address] {
            let (balancer, address) = application(&[&server]);
            let tracing = Tracing::start(&balancer, collector, Sampler::default()).await;
            let client = Client::new(address);
            let began = std::time::Instant::now();
            for _ in 0..300 {
                assert_eq!(ask(&client, "/", &[]).await.status, 200);
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(1200)).await;
            assert_eq!(ask(&client, "/", &[]).await.status, 200);
            let began = std::time::Instant::now();
            let metrics = tracing.end().await;
            assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
            assert_eq!(metrics.traces().exported.get(), 0);
        }
        assert!(!failing.all().is_empty());
    });
}
