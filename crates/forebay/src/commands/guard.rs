//! `forebay guard`: a small process beside the platform that waits for its end, however it ends, and ends what it left.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use super::End;

/// End the processes of a platform once it has ended; started by `forebay up`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What their marks begin with
    mark: String,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<End> {
    // The platform holds the other end, and never writes.
    let _ = io::stdin().read(&mut [0]);
    control::local::end_marked(&options.mark);
    Ok(End::Done)
}

/// Starts one for this process. It is in a group of its own, so that what ends the platform does not end it.
pub(crate) fn start(mark: &str) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["guard", mark]).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}
