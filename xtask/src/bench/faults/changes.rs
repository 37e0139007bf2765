//! Whether a request is lost over changes of everything, with an access log and metrics on, and whether both count all.

use std::fs;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use super::super::figures::{Table, count, part};
use super::super::manifest::{rule, service};
use super::super::platform::Platform;
use super::super::proxy::ANSWER;
use super::super::server::{Server, free_address, pinned};
use super::super::{Forebay, LOAD_CORE, constant_server};
use super::asked::{Asked, Asking, Pace, milliseconds};
use super::world::{World, access_log, of_iris, of_others};

/// What is asked of the replicas, and as much of the targets of others: 500 000 requests together.
const PACE: Pace = Pace { rate: 2_000, connections: 32, seconds: 125 };

/// Between two changes.
const PAUSE: Duration = Duration::from_millis(400);

/// How long it takes at most until lines are in the file that were logged before.
const LOGGED: Duration = Duration::from_secs(2);

/// A change, one after the other. Each is told the round, and what is wanted of the platform.
type Change = fn(&Platform, &mut World, &[SocketAddr], usize) -> Result<(), String>;

const CHANGES: &[(&str, Change)] = &[
    ("Ingresses with other rules applied", |platform, world, _, round| {
        world.rules = rule(&format!("h{round}.example.com"), &["/a", "/b"]);
        platform.apply(&world.ingress())
    }),
    ("manifests read again after SIGHUP", |platform, world, _, round| {
        world.rules = rule(&format!("again{round}.example.com"), &["/"]);
        platform.write_manifest(&world.manifest())?;
        platform.read_again();
        Ok(())
    }),
    ("rollouts", |platform, _, _, _| {
        platform.run(&["rollout", "restart", "isvc/iris"])?;
        platform.run(&["rollout", "status", "isvc/iris", "--timeout", "60s"])
    }),
    ("scaled up", |platform, _, _, _| platform.run(&["scale", "isvc/iris", "--replicas", "5"])),
    ("scaled down", |platform, _, _, _| platform.run(&["scale", "isvc/iris", "--replicas", "2"])),
    ("targets drained", |platform, _, targets, round| {
        let others: Vec<SocketAddr> = targets
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != round % targets.len())
            .map(|(_, it)| *it)
            .collect();
        platform.apply(&service(&others))
    }),
    ("targets back again", |platform, _, targets, _| platform.apply(&service(targets))),
];

pub(super) fn measure(forebay: &Forebay) -> Result<Table, String> {
    let targets = [free_address()?, free_address()?, free_address()?];
    let mut command = pinned(LOAD_CORE, &constant_server());
    command.arg(ANSWER).args(targets.map(|target| target.to_string()));
    let _targets = Server::start("targets", command)?;
    let mut world = World { port: free_address()?.port(), targets: &targets, rules: String::new() };
    let mut platform = world.start(forebay, "changes")?;
    let address = platform.address;
    let [ours, theirs] = [of_iris()?, of_others()?];
    for request in [&ours, &theirs] {
        platform.server.wait_for(|_| request.send(address))?;
    }
    sleep(LOGGED);
    let (logged, counted) = (n_lines()?, platform.metric(METRIC)?);

    let mut asking = [
        Asking::start("changes-ours", address, &ours, PACE)?,
        Asking::start("changes-theirs", address, &theirs, PACE)?,
    ];
    let mut done = vec![0; CHANGES.len()];
    let mut round = 0;
    while !asking.iter_mut().all(Asking::is_over) {
        for ((_, change), done) in CHANGES.iter().zip(&mut done) {
            if !asking.iter_mut().all(Asking::is_over) {
                change(&platform, &mut world, &targets, round)?;
                *done += 1;
                sleep(PAUSE);
            }
        }
        round += 1;
    }
    let [ours, theirs] = asking;
    let asked: Vec<Asked> = [ours.finish()?, theirs.finish()?].concat();
    let counted = platform.metric(METRIC)? - counted;
    platform.server.end()?;
    let logged = n_lines()? - logged;

    let took = milliseconds(asked.iter().map(|asked| asked.took));
    let mut rows = vec![
        ("requests", count(asked.len())),
        ("failed", count(asked.iter().filter(|asked| !asked.is_success).count())),
        ("lines of the access log", count(logged)),
        ("forebay_requests_routed_total", Some(counted)),
        ("p50 ms", part(&took, 500)),
        ("p99 ms", part(&took, 990)),
        ("longest ms", part(&took, 1000)),
    ];
    rows.extend(CHANGES.iter().zip(done).map(|((name, _), done)| (*name, count(done))));
    let rows = rows.into_iter().map(|(name, figure)| (name.to_owned(), vec![figure])).collect();
    let notes = vec![format!(
        "{} requests a second to each of replicas and targets of others, over {} connections each, with changes in turns",
        PACE.rate, PACE.connections
    )];
    Ok(Table { name: "changes", notes, columns: &["figure"], rows })
}

/// Counts requests for which a target was chosen.
const METRIC: &str = "forebay_requests_routed_total";

fn n_lines() -> Result<usize, String> {
    let log = access_log("changes")?;
    let text = fs::read(&log).map_err(|error| format!("{log}: {error}"))?;
    Ok(text.iter().filter(|byte| **byte == b'\n').count())
}
