//! Traces from a client through the load balancer to a replica, as a collector reads them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{PATIENCE, Platform, Request};

use crate::serve::Serving;
use crate::{FOREBAY, folder, project};

const BODY: &str = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector that takes everything.
struct Collector {
    address: SocketAddr,
    requests: Receiver<(String, Value)>,
}

/// A span, and the name of the service that sent it.
type Sent = (String, Value);

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, mut stream) = (sender.clone(), BufReader::new(stream));
                std::thread::spawn(move || {
                    loop {
                        let (mut head, mut line) = (String::new(), String::new());
                        while stream.read_line(&mut line).unwrap_or_default() > 2 {
                            head += &std::mem::take(&mut line);
                        }
                        let lower = head.to_ascii_lowercase();
                        let Some(length) = lower.split("content-length: ").nth(1) else { return };
                        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
                        stream.read_exact(&mut body).unwrap();
                        let _ = sender.send((head, serde_json::from_slice(&body).unwrap()));
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                        stream.get_mut().write_all(answer).unwrap();
                    }
                });
            }
        });
        Self { address, requests }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans that come until there are so many of one trace.
    fn spans(&self, trace: &str, n_spans: usize) -> Vec<Sent> {
        let mut spans = Vec::new();
        while spans.len() < n_spans {
            let came = self.requests.recv_timeout(PATIENCE);
            assert!(came.is_ok(), "{spans:?}");
            let (head, body) = came.unwrap();
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            let resource = &body["resourceSpans"][0];
            let service = text(&resource["resource"], "service.name").to_owned();
            let all = resource["scopeSpans"][0]["spans"].as_array().unwrap();
            // Probes of a replica are in no trace.
            let is_probe = |span: &Value| text(span, "url.path").starts_with("/v2/health/");
            assert!(service == "forebay" || !all.iter().any(is_probe), "{all:?}");
            let of_trace = all.iter().filter(|span| span["traceId"] == trace);
            spans.extend(of_trace.map(|span| (service.clone(), span.clone())));
        }
        spans
    }
}

/// An attribute.
fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    let attributes = of["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = found.map_or(&Value::Null, |attribute| &attribute["value"]);
    value["stringValue"].as_str().or(value["intValue"].as_str()).unwrap_or_default()
}

#[test]
fn a_trace_leads_from_client_over_load_balancer_and_replica_to_the_prediction() {
    let collector = Collector::start();
    let manifest = format!(
        "
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: iris, namespace: default}}
spec: {{predictor: {{sklearn: {{storageUri: '{}'}}}}}}
",
        project("examples/iris/model")
    );
    let folder = folder(&[("iris.yaml", &manifest)]);
    let mut platform = Platform::start(
        FOREBAY,
        &[&folder.path().display().to_string(), "--otlp-endpoint", &collector.url()],
    );
    let (address, host) = platform.endpoint("iris");
    let answer = Request::post(address, "/v1/models/iris:predict", BODY)
        .host(&host)
        .with("traceparent", PARENT)
        .with("tracestate", "rojo=1")
        .send();
    assert_eq!(answer.status, 200, "{}", answer.text);
    // SIGTERM: what was recorded is sent.
    platform.stop();
    let spans = collector.spans(TRACE, 4);
    let find = |service: &str, kind: u32| {
        let found: Vec<_> =
            spans.iter().filter(|(name, span)| name == service && span["kind"] == kind).collect();
        assert_eq!(found.len(), 1, "{service} {kind}: {spans:?}");
        &found[0].1
    };
    let (edge, asked) = (find("forebay", 2), find("forebay", 3));
    let (replica, prediction) = (find("forebay-serve", 2), find("forebay-serve", 1));
    assert_eq!(edge["parentSpanId"], "00f067aa0ba902b7");
    for (child, parent) in [(asked, edge), (replica, asked), (prediction, replica)] {
        assert_eq!(child["parentSpanId"], parent["spanId"], "{child}");
    }
    assert!(spans.iter().all(|(_, span)| span["traceState"] == "rojo=1"));
    assert_eq!(replica["name"], "POST /v1/models/{model}:predict");
    assert_eq!(
        (text(replica, "http.response.status_code"), text(prediction, "forebay.model")),
        ("200", "iris")
    );
    let link = text(edge, "aws.x_amzn_trace_id");
    assert!(link.starts_with("Root=1-") && text(replica, "aws.x_amzn_trace_id") == link, "{link}");
}

#[test]
fn a_model_server_heeds_the_variables_of_opentelemetry() {
    let collector = Collector::start();
    let model = format!("iris={}", project("examples/iris/model"));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret%20key".to_owned()),
        ("OTEL_SERVICE_NAME", "iris-models".to_owned()),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off".to_owned()),
    ];
    let serving = Serving::start_with(&[&model], &variables);
    let ask = |path: &str, parent: Option<&str>| {
        let request = Request::post(serving.address, path, BODY);
        let request = parent.into_iter().fold(request, |request, parent| request.with("traceparent", parent));
        request.send().status
    };
    // One that nobody asked to record, one that is refused, and one that is answered.
    assert_eq!(ask("/v1/models/iris:predict", None), 200);
    assert_eq!(ask("/v1/models/none:predict", Some(PARENT)), 404);
    assert_eq!(ask("/v1/models/iris:predict", Some(PARENT)), 200);
    let spans = collector.spans(TRACE, 3);
    let statuses: Vec<&str> = spans.iter().map(|(_, span)| text(span, "http.response.status_code")).collect();
    assert_eq!(statuses, ["404", "200", ""]);
    assert!(spans.iter().all(|(service, _)| service == "iris-models"));
    testkit::wait_until("they are counted", || {
        let metrics = Request::get(serving.address, "/metrics").send().text;
        metrics.lines().any(|line| line == "forebay_model_trace_spans_total{result=\"exported\"} 3")
    });
    assert!(collector.requests.try_recv().is_err(), "nothing else is sent");
}

#[test]
fn without_a_collector_all_goes_on_and_ends() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let model = format!("iris={}", project("examples/iris/model"));
    let endpoint = format!("http://{nobody}");
    let mut serving = Serving::start(&[&model, "--otlp-endpoint", &endpoint]);
    for _ in 0..20 {
        assert_eq!(serving.post("/v1/models/iris:predict", BODY).0, 200);
    }
    // A batch is gathered for a second.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(serving.post("/v1/models/iris:predict", BODY).0, 200);
    let began = Instant::now();
    let said = serving.end();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(said.matches("traces cannot be sent; requests go on").count(), 1, "{said}");
    let wrong = testkit::run(FOREBAY, &["serve", &model, "--otlp-endpoint", "localhost:4317"]);
    let problem = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && problem.contains("is no endpoint of a collector"), "{problem}");
}
