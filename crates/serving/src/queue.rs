//! The requests for one model that wait on one core to be predicted together.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use models::Prediction;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::call::Asked;
use crate::fault::Fault;

/// The requests for one model that wait on one core.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) waiting: RefCell<VecDeque<Waiting>>,
    /// The rows of all of them.
    pub(crate) n_rows: Cell<usize>,
    /// Whether a task leads it.
    pub(crate) is_led: Cell<bool>,
    /// Told when there is a batch of them.
    pub(crate) arrived: Notify,
}

/// A request that waits, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) asked: Asked,
    pub(crate) since: Instant,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What was asked comes back with its answer, for it says how that is told.
pub(crate) type Answer = (Asked, Result<Prediction, Fault>);

// === impl Queue ===

impl Queue {
    pub(crate) fn push(&self, waiting: Waiting) {
        self.n_rows.update(|n_rows| n_rows + waiting.asked.decoded.batch.n_rows);
        self.waiting.borrow_mut().push_back(waiting);
    }

    /// Since when the first one waits.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.waiting.borrow().front().map(|waiting| waiting.since)
    }

    /// Takes out the first request and those that can be joined with it, as far as there is room. Requests whose clients
    /// have left are dropped on the way; the others keep their order.
    pub(crate) fn take(&self, max_rows: usize) -> Vec<Waiting> {
        let (mut batch, mut n_rows) = (Vec::<Waiting>::new(), 0);
        let mut others = VecDeque::new();
        for waiting in self.waiting.take() {
            let rows = &waiting.asked.decoded.batch;
            let fits = match batch.first() {
                None => true,
                Some(Waiting { asked: first, .. }) => {
                    n_rows + rows.n_rows <= max_rows
                        && first.first_ask() == waiting.asked.first_ask()
                        && first.decoded.batch.is_like(rows)
                }
            };
            if waiting.answer.is_closed() {
                continue;
            }
            if fits {
                n_rows += rows.n_rows;
                batch.push(waiting);
            } else {
                others.push_back(waiting);
            }
        }
        self.n_rows.set(others.iter().map(|waiting| waiting.asked.decoded.batch.n_rows).sum());
        *self.waiting.borrow_mut() = others;
        batch
    }
}
