//! Limits as users meet them: of bodies, of memory, of descriptors.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use net::{Body, BodyError, BodyStream, Bytes, Fields, Http2Connection, Method, Outgoing};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{PATIENCE, Platform, Request, run, wait_until};
use tokio::task::LocalSet;

use crate::serve::Serving;
use crate::{FOREBAY, folder, project};

#[test]
fn config_show_tells_every_limit_and_what_changes_it() {
    let nowhere = folder(&[]);
    let state = nowhere.path().display().to_string();
    let show = |more: &[&str]| {
        let arguments = [&["config", "show", "--state-dir", &state], more].concat();
        let output = run(FOREBAY, &arguments);
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (is_done, table, _) = show(&["--limit", "client-connections=12"]);
    let line = table.lines().find(|line| line.starts_with("client-connections")).unwrap();
    assert!(is_done && line.split_whitespace().take(3).eq(["client-connections", "12", "1000"]), "{table}");
    let (_, text, _) = show(&["-o", "json"]);
    let limits: Vec<Value> = serde_json::from_str(&text).unwrap();
    for name in ["body-rate", "connections", "buffered-bytes", "serve: bodies"] {
        let limit = limits.iter().find(|limit| limit["name"] == name).expect(name);
        assert!(limit["value"].as_u64() > Some(0) && limit["meaning"].is_string(), "{limit}");
    }
    let (is_done, _, problem) = show(&["--limit", "conections=1"]);
    assert!(!is_done && problem.contains("there is no limit `conections`"), "{problem}");
}

#[test]
fn large_bodies_at_once_do_not_take_more_memory_than_there_is() {
    const LIMIT: u64 = 64 << 20;
    let model = format!("iris={}", project("examples/iris/model"));
    let variables = [("FOREBAY_MEMORY_LIMIT", LIMIT.to_string())];
    let mut serving = Serving::start_with(&[&model], &variables);
    let address = serving.address;
    let row = "[6.8,2.8,4.8,1.4],";
    let body = format!(r#"{{"instances":[{}[6.0,3.4,4.5,1.6]]}}"#, row.repeat(6_000_000 / row.len()));
    let asking: Vec<_> = (0..12)
        .map(|_| {
            let body = body.clone();
            std::thread::spawn(move || {
                let answer = Request::post(address, "/v1/models/iris:predict", &body).try_send();
                answer.map(|answer| (answer.status, answer.text))
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for one in asking {
        let (status, text) = one.join().unwrap().unwrap();
        assert!(status == 200 || (status == 503 && text.contains("memory")), "{status} {text:.200}");
        statuses.push(status);
    }
    assert!(statuses.contains(&200), "{statuses:?}");
    let text = std::fs::read_to_string(format!("/proc/{}/status", serving.pid())).unwrap();
    let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().strip_suffix("kB").unwrap().trim().parse().unwrap();
    // A test build is larger than the product by what its symbols take.
    assert!(peak * 1024 < LIMIT + (64 << 20), "{peak} kB, {statuses:?}");
    let small = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
    assert_eq!(Request::post(address, "/v1/models/iris:predict", small).send().status, 200);
    serving.end();
}

/// A platform in a shell that allows no more than 256 descriptors.
fn starved() -> (Platform, TempDir) {
    let script = format!("#!/bin/sh\nulimit -n 256\nexec {FOREBAY} \"$@\"\n");
    let folder = folder(&[("forebay", &script)]);
    let program = folder.path().join("forebay");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (Platform::start(program.to_str().unwrap(), &[&project("examples/iris")]), folder)
}

fn admin_metrics(platform: &Platform) -> String {
    let admin = platform.ready()["admin"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    Request::get(admin, "/metrics").send().text
}

#[test]
fn silent_clients_do_not_take_the_last_descriptors() {
    let (platform, _folder) = starved();
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let mut silent = Vec::new();
    for n in 0..400 {
        let mut stream = TcpStream::connect(gateway).unwrap();
        let beginnings: [&[u8]; 4] = [
            b"",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HT",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x82",
        ];
        let _ = stream.write_all(beginnings[n % 4]);
        silent.push(stream);
        if n % 50 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    for _ in 0..20 {
        let answer = Request::get(gateway, "/v2/health/live").host(&host).send();
        assert_eq!(answer.status, 200, "{:?} {}", answer.fields, answer.text);
    }
    let targets: Vec<Value> = serde_json::from_str(&platform.ok(&["targets", "-o", "json"])).unwrap();
    assert!(targets.iter().all(|target| target["state"] == "healthy"), "{targets:?}");
    let metrics = admin_metrics(&platform);
    assert!(metrics.contains("forebay_connections_shed_total{"), "{metrics}");
    drop(silent);
}

/// A body that begins with these bytes, and of which nothing more comes.
struct Stalled(Option<&'static [u8]>);

impl BodyStream for Stalled {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Bytes::from_static(bytes)))))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

/// Asks 300 times over four connections of HTTP/2, with bodies that stall, until told to stop.
fn stall(
    gateway: SocketAddr,
    host: &str,
    first: Option<&'static [u8]>,
) -> (mpsc::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = mpsc::channel();
    let mut fields = Fields::new();
    fields.push("host", host);
    let asking = std::thread::spawn(move || {
        let runtime = net::runtime().unwrap();
        LocalSet::new().block_on(&runtime, async {
            for _ in 0..4 {
                let connection = Http2Connection::open(gateway, None, PATIENCE).await.unwrap();
                for _ in 0..75 {
                    let (connection, fields) = (connection.clone(), fields.clone());
                    tokio::task::spawn_local(async move {
                        let body = Body::Stream(Box::new(Stalled(first)));
                        let (method, target) = (&Method::POST, "/v1/models/sklearn-iris:predict");
                        let asked = Outgoing { method, target, fields: &fields, body, timeout: PATIENCE };
                        drop(connection.send(asked).await);
                    });
                }
            }
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    });
    (stop, asking)
}

#[test]
fn bodies_that_stall_hold_up_no_target_before_they_begin_and_never_the_last_descriptors() {
    let (platform, _folder) = starved();
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let ask = || Request::get(gateway, "/v2/health/live").host(&host).send();
    assert_eq!(ask().status, 200);

    let (stop, asking) = stall(gateway, &host, None);
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..20 {
        assert_eq!(ask().status, 200);
    }
    stop.send(()).unwrap();
    asking.join().unwrap();

    let (stop, asking) = stall(gateway, &host, Some(b"{"));
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..20 {
        let answer = ask();
        let is_told = answer.status == 503 && answer.field("x-forebay-reason") == Some("no-descriptors");
        assert!(answer.status == 200 || is_told, "{answer:?}");
    }
    assert!(admin_metrics(&platform).contains("forebay_"));
    stop.send(()).unwrap();
    asking.join().unwrap();
    wait_until("they are gone", || ask().status == 200);
}
