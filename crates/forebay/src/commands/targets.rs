//! `forebay targets`: the health of every target.

use std::time::Duration;

use serde::Deserialize;

use super::End;
use crate::globals::Globals;
use crate::output::table::Printer;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;

/// Show the health and load of every target; exit code 0 only when all are healthy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay targets
  forebay targets -w
  forebay targets -o json")]
pub(crate) struct Options {
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
    state: String,
    reason: Option<String>,
    description: String,
    in_flight: u32,
}

/// How often changes are looked for.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let platform = Platform::find(&globals.state_dir())?;
        let mut shown = String::new();
        loop {
            let told = platform.admin("/targets").await?;
            if options.output == Output::Json {
                output::say(&(serde_json::to_string_pretty(&told)? + "\n"))?;
            }
            let targets: Vec<Target> = serde_json::from_value(told)?;
            let table = table(&targets);
            if options.output == Output::Text && table != shown {
                output::say(&table)?;
            }
            shown = table;
            if !options.watch {
                let all_healthy = targets.iter().all(|target| target.state == "healthy");
                return Ok(if all_healthy { End::Done } else { End::Failed });
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    })
}

fn table(targets: &[Target]) -> String {
    const HEADER: [&str; 6] = ["LOAD BALANCER", "TARGET GROUP", "TARGET", "STATE", "IN FLIGHT", "REASON"];
    let row = |target: &Target| {
        let reason = target.reason.as_deref().map(|code| format!("{code}: {}", target.description));
        vec![
            target.load_balancer.clone(),
            target.target_group.clone(),
            target.target.clone(),
            target.state.clone(),
            target.in_flight.to_string(),
            reason.unwrap_or_default(),
        ]
    };
    let header = HEADER.map(str::to_owned).to_vec();
    Printer::default().print(&std::iter::once(header).chain(targets.iter().map(row)).collect::<Vec<_>>())
}
