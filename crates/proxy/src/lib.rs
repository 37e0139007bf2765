//! Executes a plan: the data plane.
//!
//! One thread directs, one thread per core works. The director owns listening sockets and the way from one plan to the
//! next, and beside it [`health`] checks targets; the cores accept connections, route requests and keep connections to
//! targets. They share nothing but the counters and states of each target.
//!
//! [`exchange`] reads like the way of one request; [`respond`] alone knows which cause has which status.

mod attempt;
mod cache;
mod check;
mod compression;
#[cfg(test)]
mod cost;
mod desync;
mod director;
mod door;
mod exchange;
mod filters;
mod forward;
mod group;
mod handled;
mod header_modification;
mod headers;
mod health;
mod hedge;
mod line;
mod listener;
mod logs;
mod metrics;
mod mirror;
mod multiplexed;
mod names;
mod pace;
mod pool;
mod random;
mod rates;
mod recall;
mod record;
mod refusal;
mod relay;
mod replay;
mod respond;
mod retry_budget;
mod silence;
mod snapshot;
mod spans;
mod speech;
mod stickiness;
mod target;
mod tcp;
mod text;
mod tls;
mod udp;
mod websocket;
mod weigh;
mod worker;
mod zonal;

use std::sync::Arc;

use net::{Drain, DrainWatch, Gate, KeyRing, Limits};
use plan::{Observed, Plan};
use tokio::sync::{mpsc, oneshot, watch};
use traces::Tracer;

pub use desync::is_non_compliant;
pub use logs::{Form, LogSettings, LogStore, LogWriter, Logs, Sink};
pub use metrics::Metrics;
pub use recall::{Past, Recall};
pub use refusal::{Refusal, read_request};

/// What the fuzz targets run, and the tests with them.
#[doc(hidden)]
pub mod fuzzing {
    /// Any bytes are directives for caches, and what they say is bounded; they are tags of answers, and each is among its own.
    pub fn cache_fields(bytes: &[u8]) {
        crate::cache::fuzz(bytes);
    }
}

/// How the data plane runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads that carry traffic.
    pub n_cores: usize,
    /// What is written of requests and connections, if anything is.
    pub logs: Option<Logs>,
    /// Who records the traces of requests, if anybody does.
    pub traces: Option<Tracer>,
    /// Who asks what became of requests.
    pub recall: Recall,
    /// What clients may ask.
    pub limits: Limits,
    /// Where their connections are counted.
    pub gate: Gate,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            n_cores: net::n_cores(),
            logs: None,
            traces: None,
            recall: Recall::default(),
            limits: Limits::default(),
            gate: Gate::default(),
        }
    }
}

/// Opens logs, whose lines these metrics count. They end once the data plane has; then wait for the writer.
///
/// # Errors
/// When a file cannot be opened, or no thread started.
pub fn open_logs(settings: LogSettings, metrics: &Metrics) -> std::io::Result<(Logs, LogWriter)> {
    Logs::start(settings, metrics.logs.clone())
}

/// Commands that may wait for a core. A core takes them between two requests, so they never pile up.
const COMMAND_QUEUE: usize = 64;

/// Runs the data plane until `drain` says to end, on threads of its own: whoever waits for this may be held up as long as it
/// likes, by a disk for one.
///
/// `plans` says what is wanted, `keys` has the certificates that plans name, `observed` is told what is. When it ends, every connection has finished the request it
/// was at.
///
/// # Errors
/// When a thread cannot be started, or the one that directs has ended before it was told to.
pub async fn run(
    plans: watch::Receiver<Arc<Plan>>,
    keys: watch::Receiver<Arc<KeyRing>>,
    observed: watch::Sender<Arc<Observed>>,
    metrics: Metrics,
    settings: Settings,
    drain: DrainWatch,
) -> std::io::Result<()> {
    let (cores_drain, first_watch) = Drain::new();
    let wake = Arc::new(tokio::sync::Notify::new());
    let shared = worker::Shared { seal: stickiness::Seal::new(), rates: metrics.rates() };
    let mut commands = Vec::new();
    for index in 0..settings.n_cores {
        let (sender, receiver) = mpsc::channel(COMMAND_QUEUE);
        let (metrics, settings, watch) = (metrics.clone(), settings.clone(), cores_drain.watch());
        let shared = shared.clone();
        net::spawn_core(&format!("core-{index}"), move || {
            worker::run(index, receiver, metrics, settings, shared, watch)
        })?;
        commands.push(sender);
    }
    settings.recall.connect(&commands);
    let logs = settings.logs.clone();
    drop((first_watch, settings));
    let (tell_end, end) = oneshot::channel();
    let told = drain.clone();
    net::spawn_thread("director", move || async move {
        director::Director::new(commands, metrics, wake, logs).run(plans, keys, observed, told).await;
        let _ = tell_end.send(());
    })?;
    end.await.map_err(|_| std::io::Error::other("the thread that directs has ended"))?;
    cores_drain.finish(DRAIN_PATIENCE).await;
    // Whoever waits for the end waits for the cores too.
    drop(drain);
    Ok(())
}

/// How long connections may take to finish when the data plane ends.
const DRAIN_PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
