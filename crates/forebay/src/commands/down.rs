//! `forebay down`: ends a running platform.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::End;
use crate::globals::Globals;
use crate::output;
use crate::platform::{Platform, is_running};

/// End the running platform: requests finish, replicas stop
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay down
  forebay down --purge    and forget everything that was applied")]
pub(crate) struct Options {
    /// Remove the state folder too
    #[arg(long)]
    purge: bool,

    /// How long it may take, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let state_dir = globals.state_dir();
    let found = Platform::find(&state_dir);
    match &found {
        Ok(platform) => end(platform, Duration::from_secs(options.timeout))?,
        Err(_) if options.purge => {}
        Err(error) => bail!("{error:#}"),
    }
    if options.purge && state_dir.exists() {
        purge(&state_dir)?;
    }
    if let (Ok(platform), false) = (found, globals.quiet) {
        output::say(&format!("ended (pid {})\n", platform.pid))?;
    }
    Ok(End::Done)
}

fn end(platform: &Platform, patience: Duration) -> anyhow::Result<()> {
    let pid = platform.pid.to_string();
    let status = Command::new("kill").arg(&pid).status().context("cannot run `kill`")?;
    if !status.success() {
        bail!("cannot end the platform (pid {pid})");
    }
    let start = Instant::now();
    while is_running(platform.pid) {
        if start.elapsed() > patience {
            bail!(
                "the platform (pid {pid}) has not ended after {} s\n  help: end it at once with `kill -9 {pid}`",
                patience.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Removes the state folder, if it is one.
fn purge(state_dir: &Path) -> anyhow::Result<()> {
    if !["objects.redb", "examples", "backups"].iter().any(|name| state_dir.join(name).exists()) {
        bail!("`{}` does not look like a state folder; nothing was removed", state_dir.display());
    }
    std::fs::remove_dir_all(state_dir).with_context(|| format!("cannot remove `{}`", state_dir.display()))?;
    output::say(&format!("removed {}\n", state_dir.display()))?;
    Ok(())
}
