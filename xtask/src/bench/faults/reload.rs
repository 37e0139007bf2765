//! What it takes to change one of 10 000 rules, and what those notice of it who ask meanwhile.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::super::figures::{Table, count, part};
use super::super::http::Request;
use super::super::manifest::{Ingress, documents, rule_to, service};
use super::super::platform::Platform;
use super::super::proxy::ANSWER;
use super::super::rules::{N_HOSTS, many_rules};
use super::super::server::{Server, free_address, pinned};
use super::super::{Forebay, LOAD_CORE, constant_server, requests};
use super::asked::{Asked, Asking, Pace, milliseconds, now};

/// What is asked, of a rule in the middle.
const RATE: u32 = 2_000;
const CONNECTIONS: usize = 32;

/// For each way to change the table: how long it is asked, how much of that before the first change, and how long nothing is
/// done after each.
const SECONDS: u32 = 45;
const CALM: Duration = Duration::from_secs(5);
const RESTS: Duration = Duration::from_millis(1500);

/// The second around a change begins so long before it.
const BEFORE: Duration = Duration::from_millis(100);

/// How long a change may take, and how often it is looked whether it is there.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// Hosts of one Ingress, with ten rules each.
const HOSTS_OF_EACH: usize = 100;

/// Whose answer says which version of the table holds.
const HOST: &str = "version.example.com";

const COLUMNS: &[&str] =
    &["changes", "there p50 ms", "there max ms", "p50 ms", "p99 ms", "longest ms", "RSS MB"];

/// A way to change the table: it is told the port, the target and the version, and when time began to count.
struct Way {
    name: &'static str,
    change: fn(&Platform, u16, SocketAddr, u32) -> Result<Duration, String>,
}

const WAYS: &[Way] = &[
    Way {
        name: "all manifests read again after SIGHUP",
        change: |platform, port, target, version| {
            platform.write_manifest(&manifest(port, target, version))?;
            let start = now();
            platform.read_again();
            Ok(start)
        },
    },
    Way {
        name: "the Ingress with the rule applied",
        change: |platform, port, _, version| {
            let start = now();
            platform.apply(&changing(port, version))?;
            Ok(start)
        },
    },
];

pub(super) fn measure(forebay: &Forebay) -> Result<Table, String> {
    let target = free_address()?;
    let mut command = pinned(LOAD_CORE, &constant_server());
    command.arg(ANSWER).arg(target.to_string());
    let _target = Server::start("target", command)?;
    let port = free_address()?.port();
    let mut version = 0;
    let mut platform =
        Platform::start(forebay, &forebay.name, "faults-reload", &manifest(port, target, version), &[])?;
    let address = platform.address;
    let request =
        Request { host: Some("h500.example.com"), path: "/p5/predict", body: requests::wine(1)?.to_string() };
    platform.server.wait_for(|_| request.send(address))?;

    let pace = Pace { rate: RATE, connections: CONNECTIONS, seconds: SECONDS };
    let mut rows = Vec::new();
    for way in WAYS {
        let calm_bytes = platform.server.resident();
        let mut asking = Asking::start("reload", address, &request, pace)?;
        sleep(CALM);
        let (first, mut changes) = (now(), Vec::new());
        while !asking.is_over() {
            version += 1;
            let start = (way.change)(&platform, port, target, version)?;
            wait_for(version, address)?;
            changes.push((start, now()));
            sleep(RESTS);
        }
        let (asked, bytes) = (asking.finish()?, platform.server.resident());
        let is_calm = |asked: &&Asked| asked.due < first;
        let is_around = |asked: &&Asked| changes.iter().any(|change| is_around(*change, asked.due));
        let calm = figures(&[], asked.iter().filter(is_calm), calm_bytes);
        rows.push((format!("before: {}", way.name), calm));
        rows.push((way.name.to_owned(), figures(&changes, asked.iter().filter(is_around), bytes)));
    }
    let notes = vec![
        format!(
            "10 000 rules of {} Ingresses, and one more that changes again and again, under {RATE} requests a second over \
             {CONNECTIONS} connections",
            N_HOSTS / HOSTS_OF_EACH
        ),
        "there: until the changed rule answers; times of requests are of those due until then, and for a second at least"
            .to_owned(),
    ];
    Ok(Table { name: "reload of 10 000 rules", notes, columns: COLUMNS, rows })
}

/// Whether something is around a change: from before it until it is there, and for a second at least.
fn is_around((start, there): (Duration, Duration), due: Duration) -> bool {
    let end = there.max(start + Duration::from_secs(1));
    due + BEFORE >= start && due + BEFORE < end
}

fn figures<'a>(
    changes: &[(Duration, Duration)],
    asked: impl Iterator<Item = &'a Asked>,
    resident_bytes: u64,
) -> Vec<Option<f64>> {
    let there = milliseconds(changes.iter().map(|(start, there)| there.saturating_sub(*start)));
    let late = milliseconds(asked.map(Asked::late));
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory, shown in megabytes")]
    let megabytes = resident_bytes as f64 / 1e6;
    vec![
        count(changes.len()).filter(|_| !changes.is_empty()),
        part(&there, 500),
        part(&there, 1000),
        part(&late, 500),
        part(&late, 990),
        part(&late, 1000),
        Some(megabytes),
    ]
}

/// Waits until the table of a version holds.
fn wait_for(version: u32, address: SocketAddr) -> Result<(), String> {
    let request = Request { host: Some(HOST), path: "/", body: String::new() };
    let (start, version) = (Instant::now(), version.to_string());
    while start.elapsed() < PATIENCE {
        if request.send(address).is_ok_and(|told| told == version) {
            return Ok(());
        }
        sleep(LOOK);
    }
    Err(format!("version {version} of the rules is not there"))
}

/// All Ingresses of the table, which share a load balancer, and the targets.
fn manifest(port: u16, target: SocketAddr, version: u32) -> String {
    let of_hosts = |index: usize| {
        let hosts = index * HOSTS_OF_EACH..(index + 1) * HOSTS_OF_EACH;
        ingress(&format!("hosts-{index}"), port, &[], many_rules(hosts))
    };
    let tables = (0..N_HOSTS / HOSTS_OF_EACH).map(of_hosts);
    let all: Vec<String> = [service(&[target]), changing(port, version)].into_iter().chain(tables).collect();
    documents(&all)
}

/// The Ingress with the rule that changes.
fn changing(port: u16, version: u32) -> String {
    let action = format!(
        "{{\"type\": \"fixed-response\", \"fixedResponseConfig\": {{\"statusCode\": \"200\", \"contentType\": \
         \"text/plain\", \"messageBody\": \"{version}\"}}}}"
    );
    let rule = rule_to("version", "name: use-annotation", HOST, &["/"]);
    ingress("version", port, &[("actions.version", &action)], rule)
}

fn ingress(name: &str, port: u16, annotations: &[(&str, &str)], rules: String) -> String {
    let annotations = &[annotations, &[("group.name", "bench")]].concat();
    let listeners = &[("HTTP", port)];
    Ingress { name, annotations, listeners, tls: None, has_default: false, rules }.to_string()
}
