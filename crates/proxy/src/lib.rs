//! Executes a plan: the data plane.
//!
//! One thread directs, one thread per core works. The director owns listening sockets, target health and the way from
//! one plan to the next; the cores accept connections, route requests and keep connections to targets. They share
//! nothing but the counters and states of each target.
//!
//! [`exchange`] reads like the way of one request; [`respond`] alone knows which cause has which status.

mod check;

mod director;
mod exchange;
mod forward;
mod headers;
mod metrics;
mod random;
mod respond;
mod snapshot;
mod target;
mod tcp;
mod worker;

use std::sync::Arc;

use net::{Drain, DrainWatch};
use plan::{Observed, Plan};
use tokio::sync::{mpsc, watch};

pub use metrics::Metrics;

/// How the data plane runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads that carry traffic.
    pub n_cores: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { n_cores: net::n_cores() }
    }
}

/// Commands that may wait for a core. A core takes them between two requests, so they never pile up.
const COMMAND_QUEUE: usize = 64;

/// Runs the data plane until `drain` says to end. Must run on a [`tokio::task::LocalSet`].
///
/// `plans` says what is wanted, `observed` is told what is. When it ends, every connection has finished the request it
/// was at.
///
/// # Errors
/// When a thread cannot be started.
pub async fn run(
    plans: watch::Receiver<Arc<Plan>>,
    observed: watch::Sender<Arc<Observed>>,
    metrics: Metrics,
    settings: Settings,
    drain: DrainWatch,
) -> std::io::Result<()> {
    let (cores_drain, first_watch) = Drain::new();
    let wake = Arc::new(tokio::sync::Notify::new());
    let mut commands = Vec::new();
    for index in 0..settings.n_cores {
        let (sender, receiver) = mpsc::channel(COMMAND_QUEUE);
        let (metrics, watch) = (metrics.clone(), cores_drain.watch());
        net::spawn_core(&format!("core-{index}"), move || worker::run(index, receiver, metrics, watch))?;
        commands.push(sender);
    }
    drop(first_watch);
    director::Director::new(commands, metrics, wake).run(plans, observed, drain.clone()).await;
    cores_drain.finish(DRAIN_PATIENCE).await;
    // Whoever waits for the end waits for the cores too.
    drop(drain);
    Ok(())
}

/// How long connections may take to finish when the data plane ends.
const DRAIN_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
