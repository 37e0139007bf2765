//! `forebay targets`: the health of every target.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;

use super::End;
use crate::globals::Globals;
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A table.
    Text,
    /// A list of objects.
    Json,
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
                println!("{}", serde_json::to_string_pretty(&told)?);
            }
            let targets: Vec<Target> = serde_json::from_value(told)?;
            let table = table(&targets);
            if options.output == Output::Text && table != shown {
                print!("{table}");
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
    let mut rows =
        vec![["LOAD BALANCER", "TARGET GROUP", "TARGET", "STATE", "IN FLIGHT", "REASON"].map(str::to_owned)];
    rows.extend(targets.iter().map(|target| {
        let reason = target.reason.as_deref().map(|code| format!("{code}: {}", target.description));
        [
            target.load_balancer.clone(),
            target.target_group.clone(),
            target.target.clone(),
            target.state.clone(),
            target.in_flight.to_string(),
            reason.unwrap_or_default(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("   ").trim_end());
    }
    text
}
