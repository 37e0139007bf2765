//! The tracer: who says what is recorded, and where spans are handed in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{oneshot, watch};

use crate::context::{SpanId, TraceId, TraceParent, trace_state};
use crate::export::{self, Counts, Entered, MOST_WAITING, MOST_WAITING_BYTES, Waiting};
use crate::sampler::Sampler;
use crate::settings::Settings;
use crate::span::Spans;

/// Records traces. A clone is another handle to the same; when the last one is dropped, its thread ends.
#[derive(Debug, Clone)]
pub struct Tracer {
    queue: Sender<Entered>,
    waiting: Arc<Waiting>,
    counts: Counts,
    sampler: Sampler,
    /// Tells that there is no time to try things again any more.
    ending: Arc<watch::Sender<bool>>,
}

/// Where a request stands in its trace.
#[derive(Debug)]
pub struct Trace {
    id: TraceId,
    span: SpanId,
    parent: Option<TraceParent>,
    is_sampled: bool,
    state: Option<Vec<u8>>,
}

// === impl Tracer ===

impl Tracer {
    /// Starts the thread that sends spans.
    ///
    /// # Errors
    /// When there is no thread to be had, or no certificates to trust for `https`.
    pub fn start(settings: Settings, counts: Counts) -> io::Result<Self> {
        let (queue, entered) = mpsc::channel(MOST_WAITING);
        let (ending, is_ending) = watch::channel(false);
        let waiting = Arc::<Waiting>::default();
        let sampler = settings.sampler;
        export::start(settings, entered, Arc::clone(&waiting), counts.clone(), is_ending)?;
        Ok(Self { queue, waiting, counts, sampler, ending: Arc::new(ending) })
    }

    /// Takes up the trace of a request by the values of its fields `traceparent` and `tracestate`, or begins one. `random`
    /// gives any numbers.
    pub fn begin<'a>(
        &self,
        parents: impl IntoIterator<Item = &'a [u8]>,
        states: impl IntoIterator<Item = &'a [u8]>,
        mut random: impl FnMut() -> u64,
    ) -> Trace {
        let mut parents = parents.into_iter();
        // Of two nobody knows which one is meant.
        let parent = match (parents.next(), parents.next()) {
            (Some(parent), None) => TraceParent::parse(parent),
            _ => None,
        };
        let id = parent.map_or_else(|| TraceId::from_random([random(), random()]), |parent| parent.trace);
        Trace {
            id,
            span: SpanId::from_random(random()),
            parent,
            is_sampled: self.sampler.is_sampled(id, parent),
            // It says something of the trace that the parent names, and of no other.
            state: parent.and_then(|_| trace_state(states)),
        }
    }

    /// Hands in what was recorded, unless too much waits.
    pub fn enter(&self, spans: Spans) {
        let (n_bytes, n_spans) = (spans.json.len(), spans.n_spans);
        let n_before = self.waiting.add(n_bytes);
        let has_room = n_before + n_bytes <= MOST_WAITING_BYTES;
        if !has_room || self.queue.try_send(Entered::Spans(spans)).is_err() {
            self.waiting.remove(n_bytes);
            self.counts.dropped.inc_by(n_spans);
        }
    }

    /// What became of spans so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Waits until what was handed in so far is sent or given up, but not longer than `patience`. It is for the end: nothing is
    /// tried more than once from then on.
    pub async fn finish(&self, patience: Duration) {
        self.ending.send_replace(true);
        let (sent, is_sent) = oneshot::channel();
        let flush = async {
            if self.queue.send(Entered::Flush(sent)).await.is_ok() {
                let _ = is_sent.await;
            }
        };
        let _ = tokio::time::timeout(patience, flush).await;
    }
}

// === impl Trace ===

impl Trace {
    /// The number of the trace.
    #[must_use]
    pub fn id(&self) -> TraceId {
        self.id
    }

    /// The span of the request.
    #[must_use]
    pub fn span(&self) -> SpanId {
        self.span
    }

    /// Whether its spans are recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// The span of the one who asks, if there is one.
    #[must_use]
    pub fn parent(&self) -> Option<SpanId> {
        self.parent.map(|parent| parent.parent)
    }

    /// What `tracestate` says from here on.
    #[must_use]
    pub fn state(&self) -> Option<&[u8]> {
        self.state.as_deref()
    }

    /// What `traceparent` says to who is asked within this span of ours; `None` where it says what it said before: nothing is
    /// recorded here, nor by who asks.
    #[must_use]
    pub fn parent_of(&self, span: SpanId) -> Option<TraceParent> {
        let is_left_alone = !self.is_sampled && self.parent.is_some_and(|parent| !parent.is_sampled);
        let said = TraceParent { trace: self.id, parent: span, is_sampled: self.is_sampled };
        (!is_left_alone).then_some(said)
    }
}
