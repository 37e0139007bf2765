//! The lines of one core, until they are handed over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use jiff::Timestamp;

use super::{CheckLine, ConnectionLine, LogName, Logs, TlsFlow, alb, connection, health_check, nlb};
use crate::names::ListenerNames;
use crate::record::Record;

/// Where a line goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    /// Where the operator wants all of them.
    Stream,
    /// Into an object of a load balancer's log.
    Object(Arc<LogName>),
}

/// Lines that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Which of them go where, one after the other.
    pieces: Vec<Piece>,
    pub(super) n_lines: u64,
}

#[derive(Debug)]
struct Piece {
    to: To,
    end: usize,
    n_lines: u64,
}

/// Bytes of lines at which a core hands its batch over without waiting for more.
const BATCH_BYTES: usize = 64 * 1024;

/// Bytes of lines that a core keeps while the queue is full.
const KEPT_BYTES: usize = 1 << 20;

/// How long a line may wait for others to be written with.
const BATCH_PATIENCE: Duration = Duration::from_millis(50);

/// The lines of one core.
pub(crate) struct Lines {
    logs: Logs,
    batch: RefCell<Batch>,
    is_flush_due: Cell<bool>,
}

// === impl Batch ===

/// The time, as it was read when this core last heard of anything.
fn now() -> Timestamp {
    Timestamp::try_from(std::time::UNIX_EPOCH + net::since_epoch()).unwrap_or_default()
}

impl Batch {
    /// What goes where, and how many lines that is.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&To, &[u8], u64)> {
        let mut start = 0;
        self.pieces.iter().map(move |piece| {
            let bytes = &self.bytes[start..piece.end];
            start = piece.end;
            (&piece.to, bytes, piece.n_lines)
        })
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn add(&mut self, to: &To, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.n_lines += 1;
        let end = self.bytes.len();
        match self.pieces.last_mut().filter(|piece| piece.to == *to) {
            Some(piece) => (piece.end, piece.n_lines) = (end, piece.n_lines + 1),
            None => self.pieces.push(Piece { to: to.clone(), end, n_lines: 1 }),
        }
    }
}

// === impl Lines ===

impl Lines {
    pub(crate) fn new(logs: Logs) -> Self {
        Self { logs, batch: RefCell::default(), is_flush_due: Cell::new(false) }
    }

    /// Whether requests that come to a listener are written of.
    pub(crate) fn are_of_requests(&self, listener: &ListenerNames) -> bool {
        self.logs.stream.is_some() || (self.logs.has_store && listener.access_log.is_some())
    }

    /// Writes of a request that has ended.
    pub(crate) fn add_request(self: &Rc<Self>, record: &Record) {
        let time = now();
        if let Some(form) = self.logs.stream {
            self.add(&To::Stream, |out| form.write(out, time, record, &self.logs.arn_prefix));
        }
        self.add_to(record.listener.access_log.as_ref(), |out| {
            alb::write(out, time, record, &self.logs.arn_prefix);
        });
    }

    /// Writes of a connection that was opened to an Application Load Balancer, or was not.
    pub(crate) fn add_connection(self: &Rc<Self>, listener: &ListenerNames, line: &ConnectionLine<'_>) {
        self.add_to(listener.connection_log.as_ref(), |out| connection::write(out, listener, line));
    }

    /// Writes of a connection that a Network Load Balancer ended TLS of.
    pub(crate) fn add_flow(self: &Rc<Self>, listener: &ListenerNames, flow: &TlsFlow<'_>) {
        self.add_to(listener.access_log.as_ref(), |out| nlb::write(out, listener, flow));
    }

    /// Writes of a check of a target.
    pub(crate) fn add_check(self: &Rc<Self>, log: &Arc<LogName>, line: &CheckLine<'_>) {
        self.add_to(Some(log), |out| health_check::write(out, line));
    }

    fn add_to(self: &Rc<Self>, log: Option<&Arc<LogName>>, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(log) = log.filter(|_| self.logs.has_store) {
            self.add(&To::Object(Arc::clone(log)), write);
        }
    }

    /// Adds a line. It is written a little later.
    fn add(self: &Rc<Self>, to: &To, write: impl FnOnce(&mut Vec<u8>)) {
        let n_bytes = {
            let mut batch = self.batch.borrow_mut();
            if batch.n_bytes() >= KEPT_BYTES {
                self.logs.counters.dropped.inc();
                return;
            }
            batch.add(to, write);
            batch.n_bytes()
        };
        if n_bytes >= BATCH_BYTES {
            self.hand_over();
        }
        if !self.is_flush_due.replace(true) {
            let lines = Rc::clone(self);
            tokio::task::spawn_local(async move {
                loop {
                    tokio::time::sleep(BATCH_PATIENCE).await;
                    lines.hand_over();
                    if lines.batch.borrow().n_lines == 0 {
                        break;
                    }
                }
                lines.is_flush_due.set(false);
            });
        }
    }

    /// Hands over what there is, waiting a moment for room when the queue is full: for the end.
    pub(crate) async fn finish(&self) {
        const TRIES: u32 = 20;
        for _ in 0..TRIES {
            self.hand_over();
            if self.batch.borrow().n_lines == 0 {
                return;
            }
            tokio::time::sleep(BATCH_PATIENCE).await;
        }
        self.logs.counters.dropped.inc_by(self.batch.borrow().n_lines);
    }

    fn hand_over(&self) {
        let batch = self.batch.take();
        if batch.n_lines == 0 {
            return;
        }
        match self.logs.batches.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch)) => *self.batch.borrow_mut() = batch,
            Err(TrySendError::Disconnected(batch)) => {
                self.logs.counters.dropped.inc_by(batch.n_lines);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, u64) {
        let batch = self.batch.borrow();
        (batch.n_bytes(), batch.n_lines)
    }
}
