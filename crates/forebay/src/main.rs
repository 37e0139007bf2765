//! The `forebay` command.

mod admin;
mod api;
mod bundle;
mod commands;
mod endpoints;
mod findings;
mod globals;
mod manifests;
mod platform;
mod runtime;
mod sample;
mod signals;
mod storage;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::run()
}
