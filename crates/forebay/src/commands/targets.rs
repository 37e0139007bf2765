//! `forebay targets`: the health of every target.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::End;
use crate::globals::Globals;
use crate::output::table::Printer;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;

/// Show the health and load of every target; exit code 0 only when there is one and all are healthy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay targets
  forebay targets -n mlops
  forebay targets -w
  forebay targets -o json")]
pub(crate) struct Options {
    /// Only of this namespace [default: all]
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces")]
    namespace: Option<String>,

    /// Of all namespaces, as without -n
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Show them again when something changes
    #[arg(short, long, conflicts_with = "output")]
    watch: bool,

    /// How targets are printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// A target as the admin port tells of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    load_balancer: String,
    target_group: String,
    target: String,
    zone: Option<String>,
    zone_description: Option<String>,
    state: String,
    reason: Option<String>,
    description: String,
    in_flight: u32,
    rest: Option<Rest>,
}

/// That others are asked in its place.
#[derive(Debug, Deserialize)]
struct Rest {
    description: String,
}

/// A way in as the admin port tells of it.
#[derive(Debug, Deserialize)]
struct Endpoint {
    kind: String,
    namespace: String,
    name: String,
    /// Its name; empty when there is none.
    load_balancer: String,
    state: String,
    message: String,
    place: Option<String>,
    fix: Option<String>,
}

/// How often changes are looked for.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let platform = Platform::find(&globals.state_dir())?;
        let mut shown = String::new();
        // On a terminal the table stands where the one before stood.
        let clear = if options.watch && std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
        loop {
            let told = options.of_namespace(platform.admin("/targets").await?);
            let endpoints = options.of_namespace(platform.admin("/endpoints").await?);
            let endpoints: Vec<Endpoint> = serde_json::from_value(endpoints)?;
            if options.output == Output::Json {
                output::say(&(serde_json::to_string_pretty(&told)? + "\n"))?;
            }
            let targets: Vec<Target> = serde_json::from_value(told)?;
            let table = table(&targets);
            if options.output == Output::Text && table != shown {
                let _ = write!(std::io::stdout(), "{clear}");
                output::say(&table)?;
            }
            shown = table;
            if !options.watch {
                let without = without_targets(&targets, &endpoints, options.namespace.as_deref());
                without.iter().for_each(|line| eprintln!("{line}"));
                let all_healthy = targets.iter().all(|target| target.state == "healthy");
                return Ok(if all_healthy && without.is_empty() { End::Done } else { End::Failed });
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    })
}

impl Options {
    /// Of a list from the admin port, what is of the namespace that is asked for.
    fn of_namespace(&self, mut told: Value) -> Value {
        if let (Some(namespace), Some(list)) = (&self.namespace, told.as_array_mut()) {
            list.retain(|item| item["namespace"] == namespace.as_str());
        }
        told
    }
}

/// A line for each load balancer that leads to nobody, with the reason.
fn without_targets(targets: &[Target], endpoints: &[Endpoint], namespace: Option<&str>) -> Vec<String> {
    let failed = endpoints.iter().filter(|endpoint| endpoint.state != "ready");
    // Targets that are there say for themselves what is wrong with them.
    let is_shared = |endpoint: &Endpoint| endpoint.kind == "InferenceService";
    let alone = failed.filter(|endpoint| {
        is_shared(endpoint) || !targets.iter().any(|it| it.load_balancer == endpoint.load_balancer)
    });
    let mut lines: Vec<String> = alone
        .map(|endpoint| {
            let Endpoint { kind, namespace, name, message, place, fix, .. } = endpoint;
            let place = place.as_ref().map(|place| format!("\n  --> {place}")).unwrap_or_default();
            let fix = fix.as_ref().map(|fix| format!("\n  fix: {fix}")).unwrap_or_default();
            format!("{kind} {namespace}/{name} has no target: {message}{place}{fix}")
        })
        .collect();
    if targets.is_empty() && endpoints.is_empty() {
        let place = namespace.map(|name| format!(" in {name} namespace")).unwrap_or_default();
        lines.push(format!("there is no load balancer{place}, so there is no target"));
    }
    lines
}

fn table(targets: &[Target]) -> String {
    const HEADER: [&str; 7] =
        ["LOAD BALANCER", "TARGET GROUP", "TARGET", "ZONE", "STATE", "IN FLIGHT", "REASON"];
    let row = |target: &Target| {
        let reason = target.reason.as_deref().map(|code| format!("{code}: {}", target.description));
        let rest = target.rest.as_ref().map(|rest| rest.description.clone());
        let reasons: Vec<String> =
            reason.into_iter().chain(rest).chain(target.zone_description.clone()).collect();
        vec![
            target.load_balancer.clone(),
            target.target_group.clone(),
            target.target.clone(),
            target.zone.clone().unwrap_or_else(|| "-".to_owned()),
            target.state.clone(),
            target.in_flight.to_string(),
            reasons.join("; "),
        ]
    };
    let header = HEADER.map(str::to_owned).to_vec();
    Printer::default().print(&std::iter::once(header).chain(targets.iter().map(row)).collect::<Vec<_>>())
}
