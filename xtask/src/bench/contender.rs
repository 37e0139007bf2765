//! Servers that are measured beside each other.

use std::net::SocketAddr;
use std::time::Duration;

use super::ROUNDS;
use super::load::Load;
use super::report::{Case, Row};
use super::server::Server;

/// A server that takes part.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) server: Server,
    pub(super) address: SocketAddr,
    /// Where it speaks TLS, if it does.
    pub(super) secure: Option<SocketAddr>,
    /// How long it took from its start to its first prediction, where that is measured.
    pub(super) start: Option<Duration>,
}

/// Whether a proxy writes a line into a file for each request: we in the form of an Application Load Balancer, HAProxy by
/// `option httplog`, nginx in its combined form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logs {
    No,
    Yes,
}

/// Runs a load on each server in turns, after a short one that warms all of them up.
pub(super) fn measure(case: String, contenders: &[&Contender], load: &Load) -> Result<Case, String> {
    eprintln!("xtask: measuring {case}");
    let warm_up = Load { seconds: 1, ..load.clone() };
    for contender in contenders {
        warm_up.run(contender)?;
    }
    let row = |contender: &&Contender| Row {
        server: contender.name.clone(),
        start: contender.start,
        figures: Vec::with_capacity(ROUNDS),
    };
    let mut rows: Vec<Row> = contenders.iter().map(row).collect();
    for _ in 0..ROUNDS {
        for (contender, row) in contenders.iter().zip(&mut rows) {
            row.figures.push(load.run(contender)?);
        }
    }
    Ok(Case { name: case, rows })
}
