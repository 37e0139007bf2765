use super::*;
use crate::metrics::Lookup;
use crate::record::tests::record;
use crate::record::{Act, Ended, Record, Text};
use expect_test::{Expect, expect};
use jiff::Timestamp;
use std::path::Path;
use std::rc::Rc;

const PREFIX: &str = "arn:aws:elasticloadbalancing:us-east-2:123456789012:";

/// A record of something that was no request.
fn refused() -> Record {
    let mut record = record();
    let (listener, connection) = (Rc::clone(&record.listener), record.connection);
    let peer = record.client;
    record.begin(&listener, &net::Connection { peer, local: peer, tls: None });
    record.connection = connection;
    let took = Duration::from_micros(1500);
    let reason = Some("content-length-and-transfer-encoding");
    record.ended = Ended { status: 400, reason, received: 120, sent: 300, took };
    record
}

#[track_caller]
fn check(form: Form, record: &Record, expected: &Expect) {
    let mut out = Vec::new();
    form.write(&mut out, Timestamp::from_second(1_796_000_000).unwrap(), record, PREFIX);
    expected.assert_eq(&String::from_utf8(out).unwrap());
}

#[test]
fn a_line_tells_the_whole_exchange() {
    check(
        Form::Text,
        &record(),
        &expect![[r#"
            time=2026-11-30T00:53:20.000000Z load_balancer=k8s-mlops-api port=80 client=192.0.2.7:50000 method=GET host="a.example.com" path="/x?y=1" status=200 reason=- target=127.78.0.2:8080 received=120 sent=300 seconds=0.001500 target_seconds=0.001200 trace="Root=1-a-b"
        "#]],
    );
    check(
        Form::Text,
        &refused(),
        &expect![[r#"
            time=2026-11-30T00:53:20.000000Z load_balancer=k8s-mlops-api port=80 client=192.0.2.7:50000 method=- host="" path="" status=400 reason=content-length-and-transfer-encoding target=- received=120 sent=300 seconds=0.001500 target_seconds=- trace=""
        "#]],
    );
}

#[test]
fn a_line_tells_what_became_of_it_at_a_cache() {
    let mut record = record();
    record.lookup = Some(Lookup::Hit);
    (record.target, record.target_took, record.target_status) = (None, None, None);
    let line = |form: Form| {
        let mut out = Vec::new();
        form.write(&mut out, Timestamp::from_second(1_796_000_000).unwrap(), &record, PREFIX);
        String::from_utf8(out).unwrap()
    };
    assert!(line(Form::Text).ends_with(" trace=\"Root=1-a-b\" cache=hit\n"), "{}", line(Form::Text));
    assert!(line(Form::Json).contains(",\"status\":200,\"cache\":\"hit\","), "{}", line(Form::Json));
}

#[test]
fn acc_s3_48_a_line_has_all_fields_of_an_alb_in_their_order() {
    check(
        Form::Alb,
        &record(),
        &expect![[r#"
            http 2026-11-30T00:53:20.000000Z app/k8s-mlops-api/50dc6c495c0c9188 192.0.2.7:50000 127.78.0.2:8080 0.000 0.001 0.000 200 200 120 300 "GET http://a.example.com:80/x?y=1 HTTP/1.1" "curl/8.5" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/k8s-mlops-api/73e2d6bc24d8a067 "Root=1-a-b" "-" "-" 3 2026-11-30T00:53:19.998500Z "forward" "-" "-" "127.78.0.2:8080" "200" "-" "-" TID_0000000000000001000000000000abcd "-" "-" "-"
        "#]],
    );
    check(
        Form::Alb,
        &refused(),
        &expect![[r#"
            http 2026-11-30T00:53:20.000000Z app/k8s-mlops-api/50dc6c495c0c9188 192.0.2.7:50000 - -1 -1 -1 400 - 120 300 "- http://k8s-mlops-api:80- -" "-" - - - "-" "-" "-" - 2026-11-30T00:53:19.998500Z "-" "-" "content-length-and-transfer-encoding" "-" "-" "Ambiguous" "BothTeClPresent" TID_0000000000000001000000000000abcd "-" "-" "-"
        "#]],
    );
}

#[test]
fn a_redirect_is_written_with_where_it_leads() {
    let mut redirect = record();
    redirect.set(Text::Location, b"https://a.example.com:443/x?y=1");
    redirect.act = Some(Act::Redirect);
    (redirect.group, redirect.target, redirect.target_status) = (None, None, None);
    (redirect.asked_at, redirect.target_took) = (None, None);
    redirect.ended.status = 301;
    redirect.ended.reason = Some("redirect");
    check(
        Form::Alb,
        &redirect,
        &expect![[r#"
            http 2026-11-30T00:53:20.000000Z app/k8s-mlops-api/50dc6c495c0c9188 192.0.2.7:50000 - -1 -1 -1 301 - 120 300 "GET http://a.example.com:80/x?y=1 HTTP/1.1" "curl/8.5" - - - "Root=1-a-b" "-" "-" 3 2026-11-30T00:53:19.998500Z "redirect" "https://a.example.com:443/x?y=1" "-" "-" "-" "-" "-" TID_0000000000000001000000000000abcd "-" "-" "-"
        "#]],
    );
}

#[test]
fn what_transforms_made_of_a_request_stands_at_the_end() {
    let mut rewritten = record();
    rewritten.set(Text::Host, b"a.internal");
    rewritten.set(Text::Url, b"/y?z=1");
    rewritten.transform = Some("TransformSuccess");
    check(
        Form::Alb,
        &rewritten,
        &expect![[r#"
            http 2026-11-30T00:53:20.000000Z app/k8s-mlops-api/50dc6c495c0c9188 192.0.2.7:50000 127.78.0.2:8080 0.000 0.001 0.000 200 200 120 300 "GET http://a.example.com:80/x?y=1 HTTP/1.1" "curl/8.5" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/k8s-mlops-api/73e2d6bc24d8a067 "Root=1-a-b" "-" "-" 3 2026-11-30T00:53:19.998500Z "forward" "-" "-" "127.78.0.2:8080" "200" "-" "-" TID_0000000000000001000000000000abcd "a.internal" "/y?z=1" "TransformSuccess"
        "#]],
    );
}

#[test]
fn a_line_of_json_says_what_there_is() {
    check(
        Form::Json,
        &record(),
        &expect![[r#"
            {"time":"2026-11-30T00:53:20.000000Z","load_balancer":"k8s-mlops-api","tags":{"Environment":"Production"},"port":80,"client":"192.0.2.7:50000","protocol":"HTTP/1.1","method":"GET","host":"a.example.com","path":"/x?y=1","user_agent":"curl/8.5","trace":"Root=1-a-b","rule":3,"status":200,"target_group":"mlops/api:80","target":"127.78.0.2:8080","targets_asked":1,"target_status":200,"received":120,"sent":300,"seconds":0.001500,"target_seconds":0.001200}
        "#]],
    );
    check(
        Form::Json,
        &refused(),
        &expect![[r#"
            {"time":"2026-11-30T00:53:20.000000Z","load_balancer":"k8s-mlops-api","tags":{"Environment":"Production"},"port":80,"client":"192.0.2.7:50000","protocol":"-","status":400,"reason":"content-length-and-transfer-encoding","received":120,"sent":300,"seconds":0.001500}
        "#]],
    );
}

#[test]
fn no_value_ends_its_line() {
    let mut hostile = record();
    hostile.set(Text::TraceId, "a\"\n\u{1b}[2J\\ü".as_bytes());
    hostile.set(Text::UserAgent, b"\" \xff\" - -\n");
    let line = |form: Form| {
        let mut out = Vec::new();
        form.write(&mut out, Timestamp::UNIX_EPOCH, &hostile, PREFIX);
        String::from_utf8(out).unwrap()
    };
    let text = line(Form::Text);
    assert!(text.ends_with("trace=\"a\\x22\\x0a\\x1b[2J\\x5c\\xc3\\xbc\"\n"), "{text}");
    let alb = line(Form::Alb);
    assert!(alb.contains(" \"\\x22 \\xff\\x22 - -\\x0a\" "), "{alb}");
    let json = line(Form::Json);
    assert!(json.contains(r#""user_agent":"\" �\" - -\u000a","trace":"a\"\u000a\u001b[2J\\ü""#), "{json}");
    for line in [text, alb, json] {
        assert_eq!(line.matches('\n').count(), 1);
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = net::runtime().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let folder = std::env::temp_dir().join(format!("forebay-access-log-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("log");
    let stream = Some((Sink::File(path.clone()), Form::Text));
    let counters = Counters::default();
    let settings = LogSettings { stream, ..LogSettings::default() };
    let (log, writer) = Logs::start(settings, counters.clone()).unwrap();
    let n_lines = |path: &Path| std::fs::read_to_string(path).map_or(0, |text| text.lines().count());
    run(async {
        let lines = Rc::new(Lines::new(log));
        for round in 1..=2 {
            lines.add_request(&record());
            lines.add_request(&record());
            while n_lines(&path) < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::fs::rename(&path, folder.join(format!("log.{round}"))).unwrap();
        }
        lines.add_request(&record());
        lines.finish().await;
    });
    assert!(writer.finish(Duration::from_secs(10)));
    assert_eq!([1, 2].map(|round| n_lines(&folder.join(format!("log.{round}")))), [2, 2]);
    assert_eq!((n_lines(&path), counters.dropped.get()), (1, 0));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn lines_that_nobody_takes_are_dropped_and_counted_and_nobody_waits() {
    let counters = Counters::default();
    // Nobody reads from this queue, as when a disk hangs.
    let (batches, received) = mpsc::sync_channel(QUEUE);
    let log = Logs {
        batches,
        counters: counters.clone(),
        stream: Some(Form::Text),
        has_store: false,
        arn_prefix: PREFIX.into(),
    };
    let n_lines = 40_000;
    let written = run(async {
        let lines = Rc::new(Lines::new(log));
        for _ in 0..n_lines {
            lines.add_request(&record());
        }
        let (n_bytes, n_lines) = lines.kept();
        assert!(n_bytes < (1 << 20) + 1000);
        n_lines
    });
    let queued: u64 = received.try_iter().map(|batch| batch.n_lines).sum();
    assert!(counters.dropped.get() > 0);
    assert_eq!(written + queued + counters.dropped.get(), n_lines);
}

/// A store that fails as often as it is told, and takes its time.
struct Failing {
    n_times: usize,
    kept: mpsc::Sender<String>,
}

impl LogStore for Failing {
    fn put(&mut self, bucket: &str, key: &str, _: &[u8]) -> Result<(), String> {
        if self.n_times > 0 {
            self.n_times -= 1;
            return Err("away".to_owned());
        }
        self.kept.send(format!("{bucket}/{key}")).map_err(|error| error.to_string())
    }
}

#[test]
fn an_object_is_tried_until_its_store_is_back_and_dropped_with_its_lines_when_it_never_is() {
    for (n_times, n_kept) in [(2, 1), (usize::MAX, 0)] {
        let (kept, received) = mpsc::channel();
        let counters = Counters::default();
        let shipper = store::Shipper::start(Box::new(Failing { n_times, kept }), counters.clone());
        let object = || store::Object { bucket: "b".into(), key: "k".into(), bytes: vec![1], n_lines: 7 };
        shipper.bring(object());
        shipper.finish();
        assert_eq!(received.try_iter().count(), n_kept);
        assert_eq!(
            (counters.objects.get(), counters.dropped.get()),
            (n_kept as u64, 7 * (1 - n_kept as u64))
        );
        assert_eq!(counters.waiting.get(), 0);
    }
}

#[test]
fn what_waits_for_a_store_is_bounded_and_the_oldest_goes_first() {
    /// A store that hangs.
    struct Hanging(Receiver<()>);
    impl LogStore for Hanging {
        fn put(&mut self, _: &str, _: &str, _: &[u8]) -> Result<(), String> {
            self.0.recv().map_err(|error| error.to_string())
        }
    }
    let (release, held) = mpsc::channel();
    let counters = Counters::default();
    let shipper = store::Shipper::start(Box::new(Hanging(held)), counters.clone());
    for _ in 0..20 {
        let bytes = vec![0; 8 << 20];
        shipper.bring(store::Object { bucket: "b".into(), key: "k".into(), bytes, n_lines: 1 });
    }
    // Eight of them fit, and the one that is being brought may be counted among them or not.
    let n_dropped = counters.dropped.get();
    assert!((11..=12).contains(&n_dropped), "{n_dropped}");
    (0..20).for_each(|_| release.send(()).unwrap());
    shipper.finish();
    assert_eq!(counters.dropped.get() + counters.objects.get(), 20);
}
