//! Spans that come to a collector, or do not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use super::*;
use crate::{Endpoint, Kind, Span, SpanId, Tracer};

/// A collector that answers its requests one after the other as it is told, and then no more.
fn collector(answers: &'static [&'static str]) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.iter();
        while let Ok((stream, _)) = listener.accept() {
            let mut stream = BufReader::new(stream);
            loop {
                let (mut head, mut line) = (String::new(), String::new());
                while stream.read_line(&mut line).unwrap_or_default() > 2 {
                    head += &std::mem::take(&mut line);
                }
                let Some(length) =
                    head.to_ascii_lowercase().split("content-length: ").nth(1).map(str::to_owned)
                else {
                    break;
                };
                let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
                let _ = sender.send((head, serde_json::from_slice(&body).unwrap()));
                let Some(answer) = answers.next() else { return };
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (url, requests)
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

fn tracer(url: &str) -> Tracer {
    let settings = Settings::new(Endpoint::below(url).unwrap(), "forebay");
    Tracer::start(settings, Counts::default()).unwrap()
}

fn enter(tracer: &Tracer) -> crate::Trace {
    let parent: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let state: &[u8] = b"rojo=1";
    let trace = tracer.begin([parent], [state], || 0xabc);
    let (start, end) = (Duration::from_secs(1_796_000_000), Duration::new(1_796_000_001, 5));
    let span = Span {
        id: trace.span(),
        within: None,
        name: "GET",
        kind: Kind::Server,
        start,
        end,
        has_failed: true,
    };
    let mut spans = Spans::default();
    spans.add(&trace, &span, |attributes| {
        attributes.text("url.path", b"/a\"\n\xff");
        attributes.text("empty", b"");
        attributes.number("http.response.status_code", 503);
    });
    let asked = Span {
        id: SpanId::from_random(7),
        within: Some(trace.span()),
        kind: Kind::Client,
        has_failed: false,
        ..span
    };
    spans.add(&trace, &asked, |_| {});
    tracer.enter(spans);
    trace
}

fn finish(tracer: &Tracer) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tracer.finish(Duration::from_secs(20)));
}

#[test]
fn spans_come_as_the_json_of_otlp() {
    let (url, requests) = collector(&[FINE]);
    let tracer = tracer(&url);
    enter(&tracer);
    finish(&tracer);
    let (head, body) = requests.recv().unwrap();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\ncontent-type: application/json\r\n"), "{head}");
    let resource = &body["resourceSpans"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "forebay");
    let spans = resource["scopeSpans"][0]["spans"].clone();
    let common = |id: &str, parent: &str, kind: u32, flags: u32| {
        serde_json::json!({
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": id, "parentSpanId": parent,
            "traceState": "rojo=1", "flags": flags, "name": "GET", "kind": kind,
            "startTimeUnixNano": "1796000000000000000", "endTimeUnixNano": "1796000001000000005",
            "attributes": [],
        })
    };
    let mut server = common("0000000000000abc", "00f067aa0ba902b7", 2, 0x301);
    server["attributes"] = serde_json::json!([
        { "key": "url.path", "value": { "stringValue": "/a\"\n\u{fffd}" } },
        { "key": "http.response.status_code", "value": { "intValue": "503" } },
    ]);
    server["status"] = serde_json::json!({ "code": 2 });
    assert_eq!(spans, serde_json::json!([server, common("0000000000000007", "0000000000000abc", 3, 0x101)]));
    assert_eq!((tracer.counts().exported.get(), tracer.counts().dropped.get()), (2, 0));
}

#[test]
fn what_is_refused_for_now_is_sent_again_when_the_collector_says() {
    let (url, requests) = collector(&[
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
        FINE,
    ]);
    let tracer = tracer(&url);
    enter(&tracer);
    let first = requests.recv().unwrap().1;
    let again = std::time::Instant::now();
    assert_eq!(requests.recv().unwrap().1, first);
    assert_eq!(requests.recv().unwrap().1, first);
    assert!(again.elapsed() > Duration::from_millis(900), "{:?}", again.elapsed());
    finish(&tracer);
    assert_eq!((tracer.counts().exported.get(), tracer.counts().dropped.get()), (2, 0));
}

#[test]
fn what_is_refused_for_good_or_in_part_is_dropped_and_counted() {
    const PART: &str =
        "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"1\"}} ";
    let (url, requests) = collector(&["HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", PART]);
    let tracer = tracer(&url);
    enter(&tracer);
    requests.recv().unwrap();
    enter(&tracer);
    finish(&tracer);
    assert_eq!((tracer.counts().exported.get(), tracer.counts().dropped.get()), (1, 3));
}

#[test]
fn a_collector_that_is_away_costs_nobody_time_and_no_more_than_so_much_memory() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = Settings::new(
        Endpoint::below(&format!("http://{}", silent.local_addr().unwrap())).unwrap(),
        "forebay",
    );
    settings.timeout = Duration::from_millis(300);
    let tracer = Tracer::start(settings, Counts::default()).unwrap();
    let began = std::time::Instant::now();
    let n_entered = 2 * MOST_WAITING as u64;
    (0..n_entered).for_each(|_| _ = enter(&tracer));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let n_dropped = tracer.counts().dropped.get();
    assert!(n_dropped >= 2 * (n_entered - MOST_WAITING as u64) - 2 * 1024, "{n_dropped}");
    let began = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tracer.finish(Duration::from_millis(700)));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(tracer.counts().exported.get(), 0);
}
