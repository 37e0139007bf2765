//! What a user types. A new command is a file in this folder, a line here, and a case in the tests.

use std::process::ExitCode;

use clap::Parser as _;

use crate::globals::Globals;

/// One binary that serves machine-learning models behind a load balancer, from Kubernetes YAML.
#[derive(Debug, clap::Parser)]
#[command(name = "forebay", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    globals: Globals,
}

#[derive(Debug, clap::Subcommand)]
enum Command {}

/// How a command ended. The exit codes are part of the contract: 0 done, 1 failed or a finding of severity error,
/// 2 bad usage, 124 a wait timed out, 130 interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Done.
    Done,
    /// It failed, and has said why.
    Failed,
    /// A wait timed out.
    TimedOut,
    /// The user interrupted it.
    Interrupted,
}

/// Parses the arguments and runs the command.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let end: anyhow::Result<End> = match cli.command {};
    #[expect(unreachable_code, reason = "there are no commands yet")]
    match end {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::FAILURE,
        Ok(End::TimedOut) => ExitCode::from(124),
        Ok(End::Interrupted) => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
