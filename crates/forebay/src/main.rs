//! The `forebay` command.

mod acme;
mod admin;
mod api;
mod applied;
mod arguments;
mod bundle;
mod certificate;
mod certificate_names;
mod client;
mod commands;
mod duration;
mod endpoints;
mod explanation;
mod findings;
mod following;
mod given_models;
mod globals;
mod kept_certificates;
mod limits;
mod log_store;
mod manifests;
mod memory;
mod model_repository;
mod output;
mod platform;
mod progress;
mod reach;
mod reread;
mod resource;
mod rest;
mod rows;
mod runtime;
mod sample;
mod shown;
mod signals;
mod storage;
mod tls_files;
mod traces;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Futures of requests are longer than what the system's allocator keeps at hand for each thread (decision 18).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    commands::run()
}
