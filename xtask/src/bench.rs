//! `cargo xtask bench …`: figures beside a peer, in the same run.

mod load;
mod proxy;
mod serving;
mod server;

use crate::tools;

const HELP: &str = "\
usage: cargo xtask bench <what>

  proxy      CPU per proxied request, beside HAProxy
  serving    requests per second and CPU per request of the model server, beside the limit of its stack and MLServer";

/// Runs the benchmark that is named.
pub(crate) fn bench(what: Option<&str>) -> Result<(), String> {
    match what {
        Some("proxy") => proxy::bench(),
        Some("serving") => serving::bench(),
        _ => Err(HELP.to_owned()),
    }
}

/// Builds the product and the servers to measure against, as they are shipped.
fn build() -> Result<(), String> {
    tools::run("cargo", &["build", "--release", "--locked", "-p", "forebay", "-p", "bench"])
}

/// The middle one of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
