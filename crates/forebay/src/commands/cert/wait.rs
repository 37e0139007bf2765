//! `forebay cert wait`: until clients of a host are shown a certificate that is for it.

use std::time::Duration;

use anyhow::bail;
use serde_json::json;

use super::End;
use crate::duration;
use crate::globals::Globals;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;
use crate::shown::{self, Shown};

/// Wait until every listener shows a certificate for a host that holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay cert wait api.example.com
  forebay cert wait api.example.com --by-others --timeout 2m    for one that came by ACME or was brought

Exit code 124 when that takes too long.")]
pub(super) struct Options {
    /// The host
    host: String,

    /// Wait for one that somebody else than the local authority has signed
    #[arg(long)]
    by_others: bool,

    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    timeout: Duration,

    /// How it is told
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// How long to rest between two looks.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(async {
        let start = tokio::time::Instant::now();
        loop {
            let platform = Platform::find(&globals.state_dir())?;
            let listeners = shown::listeners(&platform, &options.host).await?;
            let mut all = Vec::new();
            for listener in listeners.iter().filter(|listener| listener.tls) {
                all.push(shown::ask(listener, &options.host, globals).await);
            }
            let problem = problem(&all, options);
            if problem.is_none() {
                return told(&all, options);
            }
            if start.elapsed() >= options.timeout {
                eprintln!("error: {}: {}", options.host, problem.unwrap_or_default());
                return Ok(End::TimedOut);
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// What there still is to wait for.
fn problem(all: &[Shown], options: &Options) -> Option<String> {
    let of_local_authority = |shown: &&Shown| options.by_others && shown.is_ours;
    match all.iter().find_map(Shown::problem) {
        _ if all.is_empty() => Some("no listener with TLS has a rule for it".to_owned()),
        None if all.iter().any(|shown| of_local_authority(&shown)) => {
            Some("the local authority stands in".to_owned())
        }
        problem => problem,
    }
}

fn told(all: &[Shown], options: &Options) -> anyhow::Result<End> {
    let Some(facts) = all.first().and_then(|shown| shown.facts.as_ref()) else { bail!("no certificate") };
    match options.output {
        Output::Json => {
            let all: serde_json::Value = all.iter().map(Shown::json).collect();
            output::say(&format!("{}\n", json!({"host": options.host, "certificates": all})))?;
        }
        Output::Text => {
            let (whose, until) = (&facts.issuer, facts.until.strftime("%Y-%m-%d"));
            output::say(&format!("{} has a certificate of {whose}, until {until}\n", options.host))?;
        }
    }
    Ok(End::Done)
}
