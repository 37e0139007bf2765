//! Asking the cores what became of a request: each remembers its last ones ([`crate::record`]).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::director::Command;
use crate::metrics::Lookup;
use crate::record::{Act, Record, Text};

/// Whom to ask about requests that have ended. Clones ask the same.
#[derive(Debug, Clone, Default)]
pub struct Recall {
    /// Who ask keeps no core alive.
    cores: Arc<Mutex<Vec<mpsc::WeakSender<Command>>>>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// When it came.
    pub time: Timestamp,
    /// Who asked.
    pub client: SocketAddr,
    /// The id and the name of the load balancer that it came to, and the port there.
    pub load_balancer: [String; 2],
    /// See above.
    pub port: u16,
    /// Whether that listener ends TLS.
    pub is_tls: bool,
    /// Method, host, and path with query.
    pub asked: [String; 3],
    /// `X-Amzn-Trace-Id` as the target got it.
    pub trace: String,
    /// The priority of the rule that was followed, from 1; 0 for the default action; `None` where it came to none.
    pub rule: Option<usize>,
    /// What that rule does: `forward`, `redirect` or `fixed-response`.
    pub act: Option<&'static str>,
    /// Where a redirect leads.
    pub location: String,
    /// The key of the target group.
    pub target_group: Option<String>,
    /// The target that was asked last, and how many were.
    pub target: Option<SocketAddr>,
    /// See above.
    pub n_asked: u32,
    /// From the head of the request until that target was asked.
    pub until_asked: Option<Duration>,
    /// From then until it began its answer.
    pub target_took: Option<Duration>,
    /// The status of that.
    pub target_status: Option<u16>,
    /// The status that the client got.
    pub status: u16,
    /// Why the answer is the load balancer's own, or not whole.
    pub reason: Option<&'static str>,
    /// What became of it where answers are kept: `hit`, `miss`, `revalidated`, `stale` or `bypass`.
    pub cache: Option<&'static str>,
    /// From the head of the request to the end of the answer, or to when it was handed on.
    pub took: Duration,
}

/// How long the cores may take for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests that one core tells of. Clients choose trace ids as they like.
pub(crate) const MOST: usize = 100;

// === impl Recall ===

impl Recall {
    /// Lets these cores be asked.
    pub(crate) fn connect(&self, cores: &[mpsc::Sender<Command>]) {
        *self.lock() = cores.iter().map(mpsc::Sender::downgrade).collect();
    }

    /// The last requests whose trace id has this text in it, the newest last; of all where it is empty.
    pub async fn about(&self, trace: &str) -> Vec<Past> {
        let cores: Vec<_> = self.lock().iter().filter_map(mpsc::WeakSender::upgrade).collect();
        let (answer, mut answers) = mpsc::channel(cores.len().max(1));
        let trace: Arc<str> = trace.into();
        for core in cores {
            let question = Command::Recall { trace: Arc::clone(&trace), answer: answer.clone() };
            let _ = tokio::time::timeout(PATIENCE, core.send(question)).await;
        }
        drop(answer);
        let mut all: Vec<Past> = Vec::new();
        while let Ok(Some(past)) = tokio::time::timeout(PATIENCE, answers.recv()).await {
            all.extend(past);
        }
        all.sort_by_key(|past| past.time);
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<mpsc::WeakSender<Command>>> {
        self.cores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Past ===

impl Past {
    pub(crate) fn of(record: &Record) -> Self {
        let text = |text: Text| String::from_utf8_lossy(record.text(text)).into_owned();
        let ago = SignedDuration::try_from(record.started.elapsed()).unwrap_or_default();
        let now = Timestamp::now();
        let (listener, ended) = (&record.listener, &record.ended);
        Self {
            time: now.checked_sub(ago).unwrap_or(now),
            client: record.client,
            load_balancer: [listener.load_balancer_id.clone(), listener.load_balancer.clone()],
            port: listener.port,
            is_tls: listener.is_tls,
            asked: [text(Text::Method), text(Text::Authority), text(Text::Target)],
            trace: text(Text::TraceId),
            rule: record.rule,
            act: record.act.map(Act::as_str),
            location: text(Text::Location),
            target_group: record.group.as_ref().map(|group| group.key.clone()),
            target: record.target,
            n_asked: record.n_asked,
            until_asked: record.asked_at.map(|at| at.saturating_duration_since(record.started)),
            target_took: record.target_took,
            target_status: record.target_status,
            status: ended.status,
            reason: ended.reason,
            cache: record.lookup.map(Lookup::as_str),
            took: ended.took,
        }
    }
}
