use super::*;
use expect_test::expect;

fn line() -> Line<'static> {
    Line {
        time: Timestamp::from_second(1_796_000_000).unwrap(),
        load_balancer: "k8s-mlops-api",
        port: 80,
        client: "127.0.0.1:50000".parse().unwrap(),
        asked: b"method=GET host=\"a\" path=\"/x\" ",
        status: 200,
        reason: None,
        target: Some("127.78.0.2:8080".parse().unwrap()),
        received: 120,
        sent: 300,
        took: Duration::from_micros(1500),
        target_took: Some(Duration::from_micros(1200)),
        trace_id: Some("Root=1-a-b"),
    }
}

fn text(line: &Line<'_>) -> String {
    let mut out = Vec::new();
    line.write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_tells_the_whole_exchange() {
    expect![[r#"
        time=2026-11-30T00:53:20.000000Z load_balancer=k8s-mlops-api port=80 client=127.0.0.1:50000 method=GET host="a" path="/x" status=200 reason=- target=127.78.0.2:8080 received=120 sent=300 seconds=0.001500 target_seconds=0.001200 trace="Root=1-a-b"
    "#]]
    .assert_eq(&text(&line()));
    let nothing = Line {
        asked: b"",
        status: 400,
        reason: Some("no-host"),
        target: None,
        target_took: None,
        trace_id: None,
        ..line()
    };
    expect![[r#"
        time=2026-11-30T00:53:20.000000Z load_balancer=k8s-mlops-api port=80 client=127.0.0.1:50000 method=- host="" path="" status=400 reason=no-host target=- received=120 sent=300 seconds=0.001500 target_seconds=- trace=""
    "#]]
    .assert_eq(&text(&nothing));
}

#[test]
fn no_value_ends_its_line() {
    let line = Line { trace_id: Some("a\"\n\u{1b}[2J\\ü"), ..line() };
    let text = text(&line);
    assert_eq!(text.matches('\n').count(), 1);
    assert!(text.ends_with("trace=\"a\\x22\\x0a\\x1b[2J\\x5c\\xc3\\xbc\"\n"), "{text}");
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
    let dropped = Counter::default();
    let (log, writer) = AccessLog::start(Sink::File(path.clone()), dropped.clone()).unwrap();
    let n_lines = |path: &Path| std::fs::read_to_string(path).map_or(0, |text| text.lines().count());
    run(async {
        let lines = Rc::new(Lines::new(log));
        for round in 1..=2 {
            lines.add(&line());
            lines.add(&line());
            while n_lines(&path) < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::fs::rename(&path, folder.join(format!("log.{round}"))).unwrap();
        }
        lines.add(&line());
        lines.finish().await;
    });
    assert!(writer.finish(Duration::from_secs(10)));
    assert_eq!([1, 2].map(|round| n_lines(&folder.join(format!("log.{round}")))), [2, 2]);
    assert_eq!((n_lines(&path), dropped.get()), (1, 0));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn lines_that_nobody_takes_are_dropped_and_counted_and_nobody_waits() {
    let dropped = Counter::default();
    // Nobody reads from this queue, as when a disk hangs.
    let (batches, received) = mpsc::sync_channel(QUEUE);
    let log = AccessLog { batches, dropped: dropped.clone() };
    let n_lines = 40_000;
    let written = run(async {
        let lines = Rc::new(Lines::new(log));
        for _ in 0..n_lines {
            lines.add(&line());
        }
        let kept = lines.batch.borrow();
        assert!(kept.bytes.len() < KEPT_BYTES + 1000);
        kept.n_lines
    });
    let queued: u64 = received.try_iter().map(|batch| batch.n_lines).sum();
    assert!(dropped.get() > 0);
    assert_eq!(written + queued + dropped.get(), n_lines);
}
