//! What is written of requests and connections: lines, by threads of their own.
//!
//! A core adds lines to a buffer of its own ([`Lines`]) and hands it over a few times a second, so that a batch costs one
//! write and traffic never waits. There one thread appends to the stream that the operator asked for ([`Sink`]), and gathers
//! what load balancers log into objects ([`objects`]); another gives these to their store ([`store`]). Whatever is full, slow
//! or away: lines are dropped then, and counted.

mod alb;
mod connection;
mod form;
mod health_check;
mod json;
mod lines;
mod nlb;
mod objects;
mod store;
mod stream;
mod text_form;
mod words;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use plan::resource::Account;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

pub(crate) use connection::{ConnectionLine, Handshake};
pub use form::Form;
pub(crate) use health_check::CheckLine;
pub(crate) use json::tags as tags_in_json;
pub(crate) use lines::Lines;
use lines::{Batch, To};
pub(crate) use nlb::TlsFlow;
pub(crate) use objects::LogName;
pub use store::LogStore;
pub use stream::Sink;

/// What is written, and where.
pub struct LogSettings {
    /// Where a line goes for every request of every load balancer, and its form.
    pub stream: Option<(Sink, Form)>,
    /// Who keeps the objects that load balancers log into; nobody: they log nothing.
    pub store: Option<Box<dyn LogStore>>,
    /// Whose load balancers they are said to be.
    pub account: Account,
    /// How long lines are gathered for one object ("Access log files", ALB user guide: five minutes).
    pub interval: Duration,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { stream: None, store: None, account: Account::default(), interval: Duration::from_secs(300) }
    }
}

/// The end of all logs at which lines come in.
#[derive(Debug, Clone)]
pub struct Logs {
    batches: SyncSender<Batch>,
    counters: Counters,
    /// The form of the stream, if there is one.
    stream: Option<Form>,
    /// Whether anybody keeps objects.
    has_store: bool,
    arn_prefix: Arc<str>,
}

/// The end of all logs at which lines are written. It ends once every [`Logs`] has been dropped.
#[derive(Debug)]
pub struct LogWriter {
    ended: Receiver<()>,
}

/// What is counted of logs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    /// Lines that could not be written.
    pub(crate) dropped: Counter,
    /// Objects that are kept by their store.
    pub(crate) objects: Counter,
    /// Bytes of objects that wait for their store.
    pub(crate) waiting: Gauge,
}

/// Batches that may wait to be written.
const QUEUE: usize = 32;

// === impl Logs ===

impl Logs {
    /// Opens the logs.
    pub(crate) fn start(settings: LogSettings, counters: Counters) -> io::Result<(Self, LogWriter)> {
        let LogSettings { stream, store, account, interval } = settings;
        let (sink, form) = stream.unzip();
        let out = sink.map(stream::Out::open).transpose()?;
        let (batches, received) = mpsc::sync_channel(QUEUE);
        let (has_ended, ended) = mpsc::channel();
        let logs = Self {
            batches,
            counters: counters.clone(),
            stream: form,
            has_store: store.is_some(),
            arn_prefix: account.arn_prefix().into(),
        };
        std::thread::Builder::new().name("logs".to_owned()).spawn(move || {
            let objects =
                store.map(|store| objects::Objects::new(store, account, interval, counters.clone()));
            write(out, objects, &received, &counters);
            drop(has_ended);
        })?;
        Ok((logs, LogWriter { ended }))
    }
}

impl LogWriter {
    /// Waits until everything is written. Returns whether it is.
    #[must_use]
    pub fn finish(self, patience: Duration) -> bool {
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Writes what comes, until nothing can come any more.
fn write(
    mut out: Option<stream::Out>,
    mut objects: Option<objects::Objects>,
    batches: &Receiver<Batch>,
    counters: &Counters,
) {
    loop {
        let due = objects.as_ref().and_then(objects::Objects::due);
        let batch = match due {
            None => batches.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => batches.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match batch {
            Ok(batch) => {
                for (to, bytes, n_lines) in batch.pieces() {
                    match (to, &mut out, &mut objects) {
                        (To::Stream, Some(out), _) => out.write(bytes, n_lines, &counters.dropped),
                        (To::Object(name), _, Some(objects)) => objects.add(name, bytes, n_lines),
                        _ => _ = counters.dropped.inc_by(n_lines),
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(objects) = &mut objects {
            objects.close_due(Instant::now());
        }
    }
    if let Some(objects) = objects {
        objects.finish();
    }
}

#[cfg(test)]
mod tests;
