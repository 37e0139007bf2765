//! What changed lately, so that somebody who watches can go on from where he was.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use manifest::Object;
use tokio::sync::watch;

use super::{Query, Status, Store, metadata};

/// How many changes are remembered. Who is further behind lists again.
pub const HISTORY_LENGTH: usize = 512;

/// One change of one object: created without `before`, deleted without `after`.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) before: Option<Arc<Object>>,
    pub(super) after: Option<Arc<Object>>,
}

/// The latest changes, oldest first.
#[derive(Debug)]
pub(super) struct History {
    changes: VecDeque<Change>,
    /// All changes after this revision are remembered.
    complete_after: u64,
}

/// What a watch tells.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// An object is there that was not, or that was not selected.
    Added(Arc<Object>),
    /// A selected object changed.
    Modified(Arc<Object>),
    /// An object is gone, or no longer selected. Its last form, with the revision at which it went.
    Deleted(Arc<Object>),
}

/// A stream of changes. Holds a place in the history, not a queue: a watch that nobody reads costs nothing.
#[derive(Debug)]
pub struct Watch {
    store: Rc<Store>,
    revisions: watch::Receiver<u64>,
    query: Query,
    initial: VecDeque<Arc<Object>>,
    seen: u64,
}

// === impl History ===

impl History {
    pub(super) fn new(revision: u64) -> Self {
        Self { changes: VecDeque::new(), complete_after: revision }
    }

    pub(super) fn record(&mut self, change: Change) {
        if self.changes.len() == HISTORY_LENGTH
            && let Some(forgotten) = self.changes.pop_front()
        {
            self.complete_after = forgotten.revision;
        }
        self.changes.push_back(change);
    }

    /// The changes after a revision, oldest first.
    ///
    /// # Errors
    /// [`Reason::Expired`](super::Reason::Expired) when some of them are forgotten.
    pub(super) fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, Status> {
        if revision < self.complete_after {
            return Err(Status::expired(revision, self.complete_after));
        }
        let first = self.changes.partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(first..))
    }
}

// === impl Change ===

impl Change {
    /// What the change means to somebody who asked for `query`.
    fn event(&self, query: &Query) -> Option<WatchEvent> {
        let before = self.before.as_ref().filter(|object| query.matches(object));
        let after = self.after.as_ref().filter(|object| query.matches(object));
        Some(match (before, after) {
            (None, None) => return None,
            (None, Some(after)) => WatchEvent::Added(Arc::clone(after)),
            (Some(_), Some(after)) => WatchEvent::Modified(Arc::clone(after)),
            (Some(before), None) => WatchEvent::Deleted(metadata::at_revision(before, self.revision)),
        })
    }
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(store: Rc<Store>, query: Query, initial: Vec<Arc<Object>>, seen: u64) -> Self {
        let revisions = store.revisions();
        Self { store, revisions, query, initial: initial.into(), seen }
    }

    /// Waits for the next change. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Reason::Expired`](super::Reason::Expired) when the watch fell too far behind; it is over then.
    pub async fn next(&mut self) -> Result<WatchEvent, Status> {
        if let Some(object) = self.initial.pop_front() {
            return Ok(WatchEvent::Added(object));
        }
        loop {
            self.revisions.borrow_and_update();
            if let Some(event) = self.take_next()? {
                return Ok(event);
            }
            if self.revisions.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The revision up to which everything was told: what a bookmark says.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.seen
    }

    fn take_next(&mut self) -> Result<Option<WatchEvent>, Status> {
        let state = self.store.state.borrow();
        for change in state.history.since(self.seen)? {
            self.seen = change.revision;
            if let Some(event) = change.event(&self.query) {
                return Ok(Some(event));
            }
        }
        self.seen = self.seen.max(state.revision);
        Ok(None)
    }
}
