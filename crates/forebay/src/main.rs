//! The `forebay` command.

mod commands;
mod globals;
mod platform;
mod runtime;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::run()
}
