//! The `forebay` command.

mod commands;
mod globals;
mod manifests;
mod platform;
mod runtime;
mod storage;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::run()
}
