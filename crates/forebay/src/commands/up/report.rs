//! What `forebay up` says when everything is there that can be: where it answers, what runs, and what cannot come, with the
//! place and the fix.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::admin::Admin;
use crate::commands::End;
use crate::endpoints::{self, Endpoint};
use crate::globals::Globals;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::progress::{Cause, Progress, Workload, Written};
use crate::{log_store, memory, reach, sample};

/// How long the platform waits for endpoints without a word.
const QUIET_PATIENCE: Duration = Duration::from_secs(3);

/// How long the platform waits for what is on its way before it says what is not there.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// How long it waits for the rest of the replicas, and for what does not look as if it will come, once nothing else is on
/// its way.
const COMPLETE_PATIENCE: Duration = Duration::from_secs(2);

/// Everything that runs, with how far it is.
struct State {
    endpoints: Vec<(Endpoint, Progress)>,
    /// What no load balancer leads to.
    workloads: Vec<Workload>,
    is_complete: bool,
}

/// Waits until everything is there that can be, says so, and goes on for as long as nobody ends it.
pub(super) async fn report_and_wait(
    output: Output,
    globals: &Globals,
    admin: &Admin,
    platform: &Platform,
    written: Written,
    start: Instant,
    is_public: bool,
) -> anyhow::Result<End> {
    let state = settled(admin, &written).await;
    let seconds = start.elapsed().as_secs_f64();
    // Whoever opens ports to others hears of it, however quiet it is to be.
    let reach = (is_public || !globals.quiet)
        .then(|| reach::line(&admin.plan.borrow(), &admin.observed.borrow(), is_public));
    match output {
        Output::Json => {
            if let Some(reach) = reach {
                eprintln!("{reach}");
            }
            print_json(&state, platform, seconds);
        }
        Output::Text => {
            let logs = log_store::line(&admin.plan.borrow(), &admin.log_place).filter(|_| !globals.quiet);
            let more: Vec<String> = reach.into_iter().chain(logs).collect();
            print_text(&state, platform, seconds, &more, globals).await;
        }
    }
    drop((state, written));
    memory::forget_the_start();
    std::future::pending().await
}

/// What there is, once nothing is on its way any more, and what starts beside the first has had a moment.
async fn settled(admin: &Admin, written: &Written) -> State {
    // The control loop has its first turn before anybody asks what came of it: statuses of an earlier start say nothing.
    tokio::task::yield_now().await;
    let mut observed = admin.observed.clone();
    let mut revisions = admin.store.revisions();
    let start = Instant::now();
    let mut deadline = start + READY_PATIENCE;
    let mut has_told = false;
    loop {
        let state = State::now(admin, written);
        if !has_told && start.elapsed() > QUIET_PATIENCE {
            has_told = true;
            state.tell_who_is_waited_for();
        }
        let waits = state.has(|progress| matches!(progress, Progress::Starting(_)));
        let doubts = state.has(|progress| matches!(progress, Progress::Doubtful(_)));
        if (!waits && !doubts && state.is_complete) || Instant::now() > deadline {
            return state;
        }
        if !waits {
            deadline = deadline.min(Instant::now() + COMPLETE_PATIENCE);
        }
        tokio::select! {
            _ = observed.changed() => {}
            _ = revisions.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

fn print_json(state: &State, platform: &Platform, seconds: f64) {
    let line = json!({
        "ready": state.all().all(Progress::is_ready),
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "endpoints": endpoints::json(&state.endpoints),
        "workloads": endpoints::workloads_json(&state.workloads),
        "kubeconfig": platform.kubeconfig,
        "admin": platform.admin,
    });
    told(&format!("{line}\n"));
}

async fn print_text(state: &State, platform: &Platform, seconds: f64, more: &[String], globals: &Globals) {
    let mut text = String::new();
    for (endpoint, progress) in &state.endpoints {
        text.push_str(&format!("{}  {}\n", endpoint.object(), described(progress, &endpoint.url)));
    }
    for Workload { object, progress } in &state.workloads {
        text.push_str(&format!("{object}  {}\n", described(progress, "runs; no load balancer leads to it")));
    }
    match state.all().filter(|progress| !progress.is_ready()).count() {
        0 => text.push_str(&format!("ready in {seconds:.2} s\n")),
        n_left => text.push_str(&format!("started in {seconds:.2} s, {n_left} not ready\n")),
    }
    for line in more {
        text.push_str(&format!("{line}\n"));
    }
    if globals.quiet {
        return told(&text);
    }
    let mut lines = Vec::new();
    let authority = globals.authority_file();
    for (endpoint, progress) in &state.endpoints {
        if progress.is_ready()
            && let Some(found) = sample::sample(endpoint, &authority).await
        {
            lines.push(sample::curl(endpoint, Some(&found), &authority));
        }
    }
    if !lines.is_empty() {
        text.push_str(&format!("\ntry:\n  {}\n", lines.join("\n  ")));
    }
    text.push_str(&format!("\nkubectl: export KUBECONFIG={}\n", platform.kubeconfig.display()));
    text.push_str(&format!("admin {}, Ctrl-C to stop\n", platform.admin));
    told(&text);
}

/// How far something is, in a line, with the place and the fix on lines of their own.
fn described(progress: &Progress, ready: &str) -> String {
    match progress {
        Progress::Ready => ready.to_owned(),
        Progress::ReadyAsBefore(sentence) => format!("{ready}\n  note: {sentence}"),
        Progress::Starting(message) => format!("not ready yet: {message}"),
        Progress::Doubtful(cause) | Progress::Cannot(cause) => {
            let Cause { reason, place, fix } = cause;
            let place = place.as_ref().map(|place| format!("\n  --> {place}")).unwrap_or_default();
            let fix = fix.as_ref().map(|fix| format!("\n  fix: {fix}")).unwrap_or_default();
            format!("failed: {reason}{place}{fix}")
        }
    }
}

/// Prints, if anybody still reads: the platform goes on without a reader.
fn told(text: &str) {
    if let Err(error) = output::say(text) {
        tracing::warn!(%error, "standard output takes nothing");
    }
}

// === impl State ===

impl State {
    fn now(admin: &Admin, written: &Written) -> Self {
        admin.look(written, |world| Self {
            endpoints: endpoints::endpoints(world),
            workloads: world.workloads_alone(),
            is_complete: world.is_complete(),
        })
    }

    fn all(&self) -> impl Iterator<Item = &Progress> {
        let workloads = self.workloads.iter().map(|workload| &workload.progress);
        self.endpoints.iter().map(|(_, progress)| progress).chain(workloads)
    }

    fn has(&self, is_meant: impl Fn(&Progress) -> bool) -> bool {
        self.all().any(is_meant)
    }

    fn tell_who_is_waited_for(&self) {
        let endpoints = self.endpoints.iter().map(|(endpoint, progress)| (endpoint.object(), progress));
        let workloads = self.workloads.iter().map(|it| (it.object.clone(), &it.progress));
        for (object, progress) in endpoints.chain(workloads) {
            if let Progress::Starting(message) = progress {
                eprintln!("waiting for {object}: {message}");
            }
        }
    }
}
