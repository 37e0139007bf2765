//! The access log: one line for each request, written by a thread of its own.
//!
//! A core adds lines to a buffer of its own and hands the buffer over a few times a second, so that a batch costs one
//! write and traffic never waits: when the file takes nothing for long, lines are dropped and counted.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use jiff::Timestamp;
use net::Request;
use prometheus_client::metrics::counter::Counter;
use tracing::warn;

use crate::text;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// The end of a file, which is made if it is not there, and opened anew when it was moved away.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The end of the access log at which lines come in.
#[derive(Debug, Clone)]
pub struct AccessLog {
    batches: SyncSender<Batch>,
    dropped: Counter,
}

/// The end of the access log at which lines are written. It ends once every [`AccessLog`] has been dropped.
#[derive(Debug)]
pub struct AccessLogWriter {
    ended: Receiver<()>,
}

/// Lines that are written together.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    n_lines: u64,
}

/// Batches that may wait to be written.
const QUEUE: usize = 32;

/// Bytes of lines at which a core hands its batch over without waiting for more.
const BATCH_BYTES: usize = 64 * 1024;

/// Bytes of lines that a core keeps while the queue is full.
const KEPT_BYTES: usize = 1 << 20;

/// How long a line may wait for others to be written with.
const BATCH_PATIENCE: Duration = Duration::from_millis(50);

// === impl AccessLog ===

impl AccessLog {
    /// Opens the log. `dropped` counts lines that could not be written.
    pub(crate) fn start(sink: Sink, dropped: Counter) -> io::Result<(Self, AccessLogWriter)> {
        let out = Out::open(sink)?;
        let (batches, received) = mpsc::sync_channel(QUEUE);
        let (has_ended, ended) = mpsc::channel();
        let counter = dropped.clone();
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            write_batches(out, &received, &counter);
            drop(has_ended);
        })?;
        Ok((Self { batches, dropped }, AccessLogWriter { ended }))
    }
}

impl AccessLogWriter {
    /// Waits until everything is written. Returns whether it is.
    #[must_use]
    pub fn finish(self, patience: Duration) -> bool {
        self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

fn write_batches(mut out: Out, batches: &Receiver<Batch>, dropped: &Counter) {
    let mut is_failing = false;
    for batch in batches {
        match out.write(&batch.bytes) {
            Ok(()) => is_failing = false,
            Err(error) => {
                dropped.inc_by(batch.n_lines);
                if !std::mem::replace(&mut is_failing, true) {
                    warn!(%error, "the access log takes nothing; lines are dropped until it does");
                }
            }
        }
    }
}

/// What lines are written to.
enum Out {
    File { path: PathBuf, file: File },
    Stdout,
    Stderr,
}

impl Out {
    fn open(sink: Sink) -> io::Result<Self> {
        Ok(match sink {
            Sink::File(path) => Self::File { file: open_at_the_end(&path)?, path },
            Sink::Stdout => Self::Stdout,
            Sink::Stderr => Self::Stderr,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File { path, file } => {
                if was_moved_away(path, file) {
                    *file = open_at_the_end(path)?;
                }
                file.write_all(bytes)
            }
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
        }
    }
}

/// Who asks for what, and with which tokens in the query, is nobody else's business.
fn open_at_the_end(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Whether another file, or none, stands at the path: that is how logs are rotated.
fn was_moved_away(path: &Path, file: &File) -> bool {
    let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(open)) => !same(&there, &open),
        (Err(error), _) => error.kind() == io::ErrorKind::NotFound,
        (Ok(_), Err(_)) => false,
    }
}

/// The lines of one core.
pub(crate) struct Lines {
    log: AccessLog,
    batch: RefCell<Batch>,
    is_flush_due: Cell<bool>,
}

impl Lines {
    pub(crate) fn new(log: AccessLog) -> Self {
        Self { log, batch: RefCell::default(), is_flush_due: Cell::new(false) }
    }

    /// Adds a line. It is written a little later.
    pub(crate) fn add(self: &Rc<Self>, line: &Line<'_>) {
        let n_bytes = {
            let mut batch = self.batch.borrow_mut();
            if batch.bytes.len() >= KEPT_BYTES {
                self.log.dropped.inc();
                return;
            }
            line.write(&mut batch.bytes);
            batch.n_lines += 1;
            batch.bytes.len()
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
        self.log.dropped.inc_by(self.batch.borrow().n_lines);
    }

    fn hand_over(&self) {
        let batch = self.batch.take();
        if batch.n_lines == 0 {
            return;
        }
        match self.log.batches.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch)) => *self.batch.borrow_mut() = batch,
            Err(TrySendError::Disconnected(batch)) => {
                self.log.dropped.inc_by(batch.n_lines);
            }
        }
    }
}

/// What is known of a request from its head.
pub(crate) fn asked(request: &Request) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    push_word(&mut out, "method", request.method.as_str().as_bytes());
    push_text(&mut out, "host", request.authority().as_bytes());
    push_text(&mut out, "path", request.target.as_str().as_bytes());
    out
}

/// One line: everything that is told of a request, as `name=value` in an order that does not change.
pub(crate) struct Line<'a> {
    pub(crate) time: Timestamp,
    pub(crate) load_balancer: &'a str,
    pub(crate) port: u16,
    pub(crate) client: SocketAddr,
    /// See [`asked`]; nothing when what came was no request.
    pub(crate) asked: &'a [u8],
    pub(crate) status: u16,
    pub(crate) reason: Option<&'static str>,
    pub(crate) target: Option<SocketAddr>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// From the head of the request to the last byte of the answer.
    pub(crate) took: Duration,
    /// From sending the request to the head of the target's answer.
    pub(crate) target_took: Option<Duration>,
    pub(crate) trace_id: Option<&'a str>,
}

impl Line<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        text::push_moment(label(out, "time="), self.time);
        push_word(label(out, " "), "load_balancer", self.load_balancer.as_bytes());
        text::push_number(label(out, "port="), u64::from(self.port));
        text::push_socket(label(out, " client="), self.client);
        match self.asked {
            [] => _ = label(out, " method=- host=\"\" path=\"\" "),
            asked => label(out, " ").extend_from_slice(asked),
        }
        text::push_number(label(out, "status="), u64::from(self.status));
        label(label(out, " reason="), self.reason.unwrap_or("-"));
        match self.target {
            Some(target) => text::push_socket(label(out, " target="), target),
            None => _ = label(out, " target=-"),
        }
        text::push_number(label(out, " received="), self.received);
        text::push_number(label(out, " sent="), self.sent);
        text::push_seconds(label(out, " seconds="), self.took);
        match self.target_took {
            Some(took) => text::push_seconds(label(out, " target_seconds="), took),
            None => _ = label(out, " target_seconds=-"),
        }
        push_text(label(out, " "), "trace", self.trace_id.unwrap_or_default().as_bytes());
        // In the place of the space behind the last value.
        out.pop();
        out.push(b'\n');
    }
}

/// Appends what stands before a value, which is to follow there.
fn label<'a>(out: &'a mut Vec<u8>, label: &str) -> &'a mut Vec<u8> {
    out.extend_from_slice(label.as_bytes());
    out
}

/// A value that has no spaces.
fn push_word(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    push_escaped(out, value);
    out.push(b' ');
}

/// A value that may have anything.
fn push_text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    push_escaped(out, value);
    out.extend_from_slice(b"\" ");
}

/// Bytes that could end a value, or a line, or move a terminal's cursor are written as `\x0a`.
fn push_escaped(out: &mut Vec<u8>, mut value: &[u8]) {
    while let Some(at) = value.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f..)) {
        out.extend_from_slice(&value[..at]);
        // Writing to a vector does not fail.
        let _ = write!(out, "\\x{:02x}", value[at]);
        value = &value[at + 1..];
    }
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests;
