//! What models were asked and what they answered, for those who watch their data: CloudEvents 1.0, as KServe's logger
//! sends them.
//!
//! ```text
//! request → sample? → … → reply ──┐ try_send: a full queue drops, and counts what it drops
//!                                 ▼
//!                    one thread → a file of JSON lines, or POSTs to a sink
//! ```
//!
//! No request waits for it, and what may wait is bounded in number and in bytes. Only predictions that were answered are
//! logged, each as two events with one id, what came in and what went out, or as one of them. A client may choose the id with the field
//! `ce-id`.

mod cloud_event;
mod file;
mod http_sink;
mod one_line;

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use net::Bytes;
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::oneshot;

use crate::content::Content;
use crate::id::{new_id, random};
use crate::model_set::Entry;
use crate::reply::Reply;
use cloud_event::Exchange;

pub use http_sink::{NotASink, Sink};
pub(crate) use one_line::one_line;

/// Where predictions are logged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Lines of JSON at the end of a file: events in structured mode.
    File(PathBuf),
    /// POSTs in binary mode.
    Http(Sink),
}

/// What is logged of a prediction, by KServe's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogMode {
    /// What came in and what went out.
    #[default]
    All,
    /// What came in.
    Request,
    /// What went out.
    Response,
}

/// Which predictions are logged, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// Where to.
    pub target: LogTarget,
    /// What of each.
    pub mode: LogMode,
    /// The share of requests that are logged, from 0 to 1.
    pub sample: f64,
}

/// A log of predictions, and the thread that writes it. A clone is another handle to the same.
#[derive(Debug, Clone)]
pub struct PredictionLog {
    queue: Sender<Entered>,
    counts: Arc<LogCounts>,
    /// A request is logged when a random number is below.
    sample_below: u64,
}

/// What became of the predictions that were to be logged.
#[derive(Debug, Default)]
pub(crate) struct LogCounts {
    pub(crate) written: AtomicU64,
    pub(crate) dropped: AtomicU64,
    n_waiting_bytes: AtomicUsize,
}

/// What the thread is sent.
#[derive(Debug)]
enum Entered {
    Exchange(Box<Exchange>),
    /// To be answered when all before it is written.
    Flush(oneshot::Sender<()>),
}

/// The first half of what is logged: what is asked.
#[derive(Debug)]
pub(crate) struct Sampled {
    id: Option<String>,
    asked_at: Timestamp,
    content: Content,
    question: Bytes,
}

/// Predictions that may wait to be written.
const MOST_WAITING: usize = 4096;
/// Bytes of bodies that may wait to be written.
const MOST_WAITING_BYTES: usize = 32 << 20;
/// A sample of one in so many is all of them or none, as far as numbers of 64 bits can tell.
const ALL: f64 = 18_446_744_073_709_551_616.0;

// === impl PredictionLog ===

impl PredictionLog {
    /// Opens a log and starts its thread.
    ///
    /// # Errors
    /// When the file cannot be opened, or there is no thread to be had, or no certificates to trust for `https`.
    pub fn start(settings: LogSettings) -> io::Result<Self> {
        let LogSettings { target, mode, sample } = settings;
        let (queue, entered) = mpsc::channel(MOST_WAITING);
        let counts = Arc::new(LogCounts::default());
        let thread = std::thread::Builder::new().name("prediction-log".to_owned());
        let shared = Arc::clone(&counts);
        match target {
            LogTarget::File(path) => {
                let file = file::open(&path)?;
                thread.spawn(move || file::write_all(file, &path, mode, entered, &shared))?;
            }
            LogTarget::Http(sink) => {
                let client = http_sink::client(&sink)?;
                let runtime = net::runtime()?;
                thread.spawn(move || {
                    runtime.block_on(http_sink::send_all(&client, &sink, mode, entered, &shared));
                })?;
            }
        }
        // A float that is too large becomes the largest number.
        Ok(Self { queue, counts, sample_below: (sample * ALL) as u64 })
    }

    /// Waits until what was logged so far is written, but not longer than `patience`.
    pub async fn flush(&self, patience: Duration) {
        let (written, is_written) = oneshot::channel();
        let flush = async {
            if self.queue.send(Entered::Flush(written)).await.is_ok() {
                let _ = is_written.await;
            }
        };
        let _ = tokio::time::timeout(patience, flush).await;
    }

    pub(crate) fn counts(&self) -> &Arc<LogCounts> {
        &self.counts
    }

    /// The first half of what is logged of this request, if it is one of those that are.
    pub(crate) fn sample(&self, id: Option<&str>, content: Content, question: &[u8]) -> Option<Sampled> {
        let is_sampled = self.sample_below == u64::MAX || random() < self.sample_below;
        is_sampled.then(|| Sampled {
            id: id.map(str::to_owned),
            asked_at: Timestamp::now(),
            content,
            // A copy, for what came in is a part of a buffer that the connection wants back.
            question: Bytes::copy_from_slice(question),
        })
    }

    /// Logs a request and its answer, unless too much waits.
    pub(crate) fn enter(&self, sampled: Sampled, entry: &Entry, reply: &Reply) {
        let Sampled { id, asked_at, content, question } = sampled;
        let n_bytes = question.len() + reply.body.len();
        let n_before = self.counts.n_waiting_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        let exchange = || Exchange {
            id: id.unwrap_or_else(new_id),
            model: entry.name.clone(),
            version: entry.version.clone(),
            asked_at,
            content,
            question,
            answered_at: Timestamp::now(),
            answer_type: reply.content_type,
            answer: reply.body.clone(),
        };
        let has_room = n_before + n_bytes <= MOST_WAITING_BYTES;
        let is_entered = has_room && self.queue.try_send(Entered::Exchange(Box::new(exchange()))).is_ok();
        if !is_entered {
            self.counts.n_waiting_bytes.fetch_sub(n_bytes, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// === impl LogMode ===

impl FromStr for LogMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "request" => Ok(Self::Request),
            "response" => Ok(Self::Response),
            _ => Err(format!("`{text}` is none of all, request, response")),
        }
    }
}

// === impl LogCounts ===

impl LogCounts {
    /// Counts an exchange that waits no longer.
    fn done(&self, exchange: &Exchange, is_written: bool) {
        let n_bytes = exchange.question.len() + exchange.answer.len();
        self.n_waiting_bytes.fetch_sub(n_bytes, Ordering::Relaxed);
        let count = if is_written { &self.written } else { &self.dropped };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
