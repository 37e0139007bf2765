//! Requests that are sent to another target group beside their own, to try it with what clients really ask.
//!
//! A copy is a request of its own, by which the one of the client is not touched: it leaves when the body is there and kept, has a
//! task and memory of its own, is not repeated, and what comes of it nobody hears. It says that it is one, and one that says so
//! is not copied again.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use net::{Body, Request};
use plan::Percent;

use crate::attempt::Attempt;
use crate::group::{Wish, WorkerGroup};
use crate::listener::WorkerListener;
use crate::metrics::{Metrics, MirrorMetrics};
use crate::replay::Replayable;

/// Where copies of requests go, as one worker sees it.
pub(crate) struct Mirror {
    group: Rc<WorkerGroup>,
    percent: Percent,
    /// What requests have earned of the next copy, in hundredths.
    earned: Cell<u8>,
    under_way: UnderWay,
    metrics: MirrorMetrics,
}

/// The field that tells a copy from what a client asked.
const MIRRORED: &str = "x-forebay-mirrored";

/// Copies of one route that a core has under way at a time; what comes beyond is not copied. Each route has its own, so that a target
/// that hangs takes no copies from others.
const MOST_UNDER_WAY: usize = 64;

/// How long one may take in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read, so that its connection can be used again. A longer one is broken off.
const MOST_READ: u64 = 1 << 20;

/// The copies of a route that a core has under way.
#[derive(Debug, Clone, Default)]
struct UnderWay(Rc<Cell<usize>>);

/// One of them, for as long as this lives.
struct Place(UnderWay);

// === impl Mirror ===

impl Mirror {
    /// Where a load balancer with these target groups sends copies of requests, if one of them is it.
    pub(crate) fn of(asked: &plan::Mirror, groups: &[Rc<WorkerGroup>], metrics: &Metrics) -> Option<Self> {
        let key = asked.target_group.as_ref()?;
        let group = groups.iter().find(|group| group.group.key == *key)?;
        Some(Self {
            group: Rc::clone(group),
            percent: asked.percent,
            earned: Cell::new(0),
            under_way: UnderWay::default(),
            metrics: metrics.mirror(&group.group.load_balancer_name, key),
        })
    }

    /// Whether a request is one that is copied.
    pub(crate) fn takes(&self, request: &Request) -> bool {
        if request.fields.contains(MIRRORED) {
            return false;
        }
        let mut earned = self.earned.get();
        let is_turn = self.percent.takes_turn(&mut earned);
        self.earned.set(earned);
        is_turn
    }

    /// Sends a copy of a request as its target gets it, if it can be done.
    pub(crate) fn send(&self, listener: &Rc<WorkerListener>, request: &Request, body: &Replayable) {
        // What goes over to another protocol has no end that a copy could have.
        if request.fields.contains("upgrade") || !body.is_there() {
            self.metrics.unkept.inc();
            return;
        }
        let Some(place) = self.under_way.take() else {
            self.metrics.too_many.inc();
            return;
        };
        let Some(body) = body.copy(&listener.worker.keeping) else {
            self.metrics.unkept.inc();
            return;
        };
        let Request { method, target, version, fields, connection, .. } = request;
        let (method, target, connection) = (method.clone(), target.clone(), connection.clone());
        let mut fields = fields.clone();
        fields.push(MIRRORED, "1");
        let copy = Request { method, target, version: *version, fields, body: Body::Empty, connection };
        let (listener, group, metrics) = (Rc::clone(listener), Rc::clone(&self.group), self.metrics.clone());
        tokio::task::spawn_local(async move {
            let asking = ask(&listener, &group, &copy, &body, &metrics);
            if tokio::time::timeout(PATIENCE, asking).await.is_err() {
                metrics.failed.inc();
            }
            drop(place);
        });
    }
}

/// Asks a target, and reads its answer to the end.
async fn ask(
    listener: &WorkerListener,
    group: &WorkerGroup,
    request: &Request,
    body: &Replayable,
    metrics: &MirrorMetrics,
) {
    let Some(taken) = group.take(&Wish::default(), &listener.worker) else {
        metrics.no_targets.inc();
        return;
    };
    group.group.metrics.routed.inc();
    let attempt = Attempt { target: &taken.target, group, request, body, listener, asked: None, span: None };
    let mut answer = match attempt.ask_in_time().await {
        Ok(answered) => answered.response.body,
        Err(failure) => {
            if failure.is_some_and(|failure| failure.is_of_target()) {
                taken.target.failed();
            }
            metrics.failed.inc();
            return;
        }
    };
    let mut n_read = 0;
    while n_read < MOST_READ
        && let Some(Ok(piece)) = answer.chunk().await
    {
        n_read += piece.len() as u64;
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror").field("group", &self.group.group.key).finish_non_exhaustive()
    }
}

// === impl UnderWay ===

impl UnderWay {
    /// A place for one more, if there is one.
    fn take(&self) -> Option<Place> {
        if self.0.get() >= MOST_UNDER_WAY {
            return None;
        }
        self.0.set(self.0.get() + 1);
        Some(Place(self.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let n_under_way = &self.0.0;
        n_under_way.set(n_under_way.get().saturating_sub(1));
    }
}
