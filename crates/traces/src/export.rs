//! The thread that sends spans: batches, one after another, over one connection (OTLP/HTTP with JSON).
//!
//! A collector that is slow or away costs memory up to a bound, and then spans; they are counted. What it refuses for now is
//! tried again, as late as it asks for ("OTLP Specification", OTLP/HTTP Throttling), a few times.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tokio::sync::mpsc::Receiver;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::warn;

use crate::json::push_text;
use crate::settings::Settings;
use crate::span::Spans;

/// What became of spans. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Those that a collector took.
    pub exported: Counter,
    /// Those that no collector took, or for which there was no room.
    pub dropped: Counter,
}

/// What the thread is sent.
#[derive(Debug)]
pub(crate) enum Entered {
    Spans(Spans),
    /// To be answered when all before it is sent.
    Flush(oneshot::Sender<()>),
}

/// Bytes of spans that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct Waiting(AtomicUsize);

/// Requests whose spans may wait to be sent.
pub(crate) const MOST_WAITING: usize = 8192;
/// Bytes of their spans that may.
pub(crate) const MOST_WAITING_BYTES: usize = 16 << 20;

/// Spans that are sent together, and how long the first of them waits for others.
const BATCH_SPANS: u64 = 512;
const BATCH_PATIENCE: Duration = Duration::from_secs(1);

/// How often a batch is sent, at most.
const TRIES: u32 = 5;
/// The time before it is sent again: twice as long each time, or as long as the collector asks for.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Bytes of a collector's answer that are read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The sender of batches.
struct Exporter {
    client: Client,
    settings: Settings,
    /// What stands before the spans of a batch: who sends them.
    head: Vec<u8>,
    counts: Counts,
    is_ending: watch::Receiver<bool>,
    is_well: bool,
}

/// Why a batch did not arrive.
struct Problem {
    text: String,
    /// Whether it may be sent again, and when, if the collector says so.
    again: Option<Option<Duration>>,
}

// === impl Waiting ===

impl Waiting {
    /// Counts more bytes. Returns how many there were.
    pub(crate) fn add(&self, n_bytes: usize) -> usize {
        self.0.fetch_add(n_bytes, Ordering::Relaxed)
    }

    pub(crate) fn remove(&self, n_bytes: usize) {
        self.0.fetch_sub(n_bytes, Ordering::Relaxed);
    }
}

/// Starts the thread. It ends when nobody is left to send.
pub(crate) fn start(
    settings: Settings,
    entered: Receiver<Entered>,
    waiting: Arc<Waiting>,
    counts: Counts,
    is_ending: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut client = Client::builder()
        .connect_timeout(settings.timeout)
        .timeout(settings.timeout)
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(1)
        .default_headers(settings.headers.clone())
        .user_agent(concat!("forebay/", env!("CARGO_PKG_VERSION")));
    if !settings.endpoint.is_https() {
        // A system without certificates can send all the same.
        client = client.tls_certs_only([]);
    }
    let client = client.build().map_err(|error| io::Error::other(chain(&error)))?;
    let head = head(&settings.resource);
    let mut exporter = Exporter { client, settings, head, counts, is_ending, is_well: true };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("traces".to_owned());
    thread.spawn(move || runtime.block_on(exporter.send_all(entered, &waiting)))?;
    Ok(())
}

/// An `ExportTraceServiceRequest` up to its first span.
fn head(resource: &[(String, String)]) -> Vec<u8> {
    let mut head = b"{\"resourceSpans\":[{\"resource\":{\"attributes\":[".to_vec();
    for (index, (key, value)) in resource.iter().enumerate() {
        head.extend_from_slice(if index == 0 { b"{\"key\":" } else { b",{\"key\":" });
        push_text(&mut head, key.as_bytes());
        head.extend_from_slice(b",\"value\":{\"stringValue\":");
        push_text(&mut head, value.as_bytes());
        head.extend_from_slice(b"}}");
    }
    head.extend_from_slice(b"]},\"scopeSpans\":[{\"scope\":{\"name\":\"forebay\",\"version\":");
    push_text(&mut head, env!("CARGO_PKG_VERSION").as_bytes());
    head.extend_from_slice(b"},\"spans\":[");
    head
}

/// What ends it.
const TAIL: &[u8] = b"]}]}]}";

// === impl Exporter ===

impl Exporter {
    async fn send_all(&mut self, mut entered: Receiver<Entered>, waiting: &Waiting) {
        while let Some(first) = entered.recv().await {
            let due = Instant::now() + BATCH_PATIENCE;
            let (mut body, mut n_spans, mut flushed) = (self.head.clone(), 0, None);
            let mut next = Some(first);
            while let Some(taken) = next.take() {
                match taken {
                    Entered::Flush(sender) => {
                        flushed = Some(sender);
                        break;
                    }
                    Entered::Spans(spans) => {
                        waiting.remove(spans.json.len());
                        if n_spans > 0 {
                            body.push(b',');
                        }
                        body.extend_from_slice(&spans.json);
                        n_spans += spans.n_spans;
                    }
                }
                if n_spans < BATCH_SPANS {
                    next = tokio::time::timeout_at(due, entered.recv()).await.ok().flatten();
                }
            }
            if n_spans > 0 {
                body.extend_from_slice(TAIL);
                self.deliver(body, n_spans).await;
            }
            if let Some(flushed) = flushed {
                let _ = flushed.send(());
            }
        }
    }

    /// Sends a batch until it has arrived, or there is no sense in trying any more.
    async fn deliver(&mut self, body: Vec<u8>, n_spans: u64) {
        let mut pause = FIRST_PAUSE;
        for n_tries in 1.. {
            let problem = match self.post(body.clone()).await {
                Ok(n_rejected) => {
                    self.counts.exported.inc_by(n_spans.saturating_sub(n_rejected));
                    self.counts.dropped.inc_by(n_rejected.min(n_spans));
                    if !std::mem::replace(&mut self.is_well, true) {
                        // Who was told that they are not sent is told this, too.
                        warn!(endpoint = %self.settings.endpoint, "the collector takes traces again");
                    }
                    return;
                }
                Err(problem) => problem,
            };
            if std::mem::replace(&mut self.is_well, false) {
                let Problem { text, .. } = &problem;
                warn!(endpoint = %self.settings.endpoint, problem = text, "traces cannot be sent; requests go on");
            }
            let Some(asked_for) = problem.again.filter(|_| n_tries < TRIES && !*self.is_ending.borrow())
            else {
                break;
            };
            let time = asked_for.unwrap_or(pause).min(LONGEST_PAUSE);
            pause *= 2;
            // At the end it is tried once more, at once.
            let _ = tokio::time::timeout(time, self.is_ending.wait_for(|is_ending| *is_ending)).await;
        }
        self.counts.dropped.inc_by(n_spans);
    }

    /// Sends a batch once. Returns how many spans of it the collector did not want.
    async fn post(&self, body: Vec<u8>) -> Result<u64, Problem> {
        let request = self.client.post(self.settings.endpoint.url()).header(CONTENT_TYPE, "application/json");
        let lost = |error: &reqwest::Error| Problem { text: chain(error), again: Some(None) };
        let mut response = request.body(body).send().await.map_err(|error| lost(&error))?;
        let status = response.status();
        let wait =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // The connection is used again when the answer has been read.
        let mut answer = Vec::new();
        while answer.len() <= ANSWER_LIMIT
            && let Some(part) = response.chunk().await.map_err(|error| lost(&error))?
        {
            answer.extend_from_slice(&part);
        }
        match status {
            _ if status.is_success() => Ok(n_rejected(&answer)),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Problem {
                text: format!("the collector answers {status}"),
                again: Some(wait.map(Duration::from_secs)),
            }),
            _ => Err(Problem { text: format!("the collector answers {status}"), again: None }),
        }
    }
}

/// How many spans a collector did not want, by its answer (`ExportTracePartialSuccess`).
fn n_rejected(answer: &[u8]) -> u64 {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or_default()
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
