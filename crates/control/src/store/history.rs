//! What changed lately, so that somebody who watches can go on from where he was.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use manifest::{Kind, Object};
use plan::ObjectRef;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::pages::Place;
use super::{Query, Status, Store, metadata};

/// About how many bytes the changes that are remembered may take; who is further behind lists again. It is some ten thousand
/// changes of small objects; of a table of 10 000 rules that changes again and again it is the last version or two. The
/// latest change is always remembered.
pub const HISTORY_BYTES: usize = 32 << 20;

/// About how many bytes they may take after a while, when whoever watches has been told of them. It is for tables of thousands of
/// rules, which would be in memory twice for as long as nothing else happens.
pub const RESTING_BYTES: usize = 4 << 20;
/// How long that is.
const WHILE: Duration = Duration::from_secs(60);

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
    changes: VecDeque<Remembered>,
    /// Of all of them.
    n_bytes: usize,
    /// All changes after this revision are remembered.
    complete_after: u64,
}

#[derive(Debug)]
struct Remembered {
    change: Change,
    n_bytes: usize,
    since: Instant,
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
    /// The next objects of those that there were at first.
    initial: VecDeque<Arc<Object>>,
    rest: Rest,
    seen: u64,
}

/// What is still to be told of the objects that there were at first.
#[derive(Debug)]
enum Rest {
    Nothing,
    /// Those after a place; `None` for all.
    After(Option<Place>),
}

// === impl History ===

impl History {
    pub(super) fn new(revision: u64) -> Self {
        Self { changes: VecDeque::new(), n_bytes: 0, complete_after: revision }
    }

    pub(super) fn record(&mut self, change: Change) {
        let n_bytes = change.n_bytes();
        self.n_bytes += n_bytes;
        self.changes.push_back(Remembered { change, n_bytes, since: Instant::now() });
        while self.changes.len() > 1 && self.n_bytes > HISTORY_BYTES {
            self.forget_one();
        }
    }

    /// Forgets changes of a while ago that take much. Tells when to look again.
    pub(super) fn forget_old(&mut self, now: Instant) -> Option<Instant> {
        while self.n_bytes > RESTING_BYTES
            && let Some(oldest) = self.changes.front()
        {
            let until = oldest.since + WHILE;
            if now < until {
                return Some(until);
            }
            self.forget_one();
        }
        None
    }

    /// The objects of a kind that changed after a revision, as they were then.
    ///
    /// # Errors
    /// [`Reason::Expired`](super::Reason::Expired) when nobody remembers how they were.
    pub(super) fn as_of(
        &self,
        kind: &Kind,
        revision: u64,
    ) -> Result<BTreeMap<ObjectRef, Option<Arc<Object>>>, Status> {
        let mut changed = BTreeMap::new();
        for change in self.since(revision)? {
            let Some(object) = change.before.as_ref().or(change.after.as_ref()) else { continue };
            if object.kind == kind {
                changed.entry(object.reference()).or_insert_with(|| change.before.clone());
            }
        }
        Ok(changed)
    }

    fn forget_one(&mut self) {
        let Some(forgotten) = self.changes.pop_front() else { return };
        self.n_bytes -= forgotten.n_bytes;
        self.complete_after = forgotten.change.revision;
    }

    /// The changes after a revision, oldest first.
    ///
    /// # Errors
    /// [`Reason::Expired`](super::Reason::Expired) when some of them are forgotten.
    pub(super) fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, Status> {
        if revision < self.complete_after {
            return Err(Status::expired(revision, self.complete_after));
        }
        let first = self.changes.partition_point(|remembered| remembered.change.revision <= revision);
        Ok(self.changes.range(first..).map(|remembered| &remembered.change))
    }
}

// === impl Change ===

impl Change {
    /// About how many bytes it takes. What was before is what came after an earlier one.
    fn n_bytes(&self) -> usize {
        self.after.as_ref().or(self.before.as_ref()).map_or(0, |object| bytes_of(&object.value))
    }

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

/// About how many bytes a value takes: its texts, itself, and the node of a tree that each object with fields is.
fn bytes_of(value: &Value) -> usize {
    const ITSELF: usize = size_of::<Value>();
    const NODE: usize = 11 * (size_of::<String>() + ITSELF);
    let more = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes_of).sum(),
        Value::Object(fields) => {
            NODE + fields.iter().map(|(name, value)| name.len() + bytes_of(value)).sum::<usize>()
        }
    };
    ITSELF + more
}

// === impl Watch ===

impl Watch {
    /// A watch that tells the changes after a revision, and before them what there was at it if that is wanted.
    pub(super) fn new(store: Rc<Store>, query: Query, seen: u64, with_initial: bool) -> Self {
        let revisions = store.revisions();
        let rest = if with_initial { Rest::After(None) } else { Rest::Nothing };
        Self { store, revisions, query, initial: VecDeque::new(), rest, seen }
    }

    /// Waits for the next change. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Reason::Expired`](super::Reason::Expired) when the watch fell too far behind; it is over then.
    pub async fn next(&mut self) -> Result<WatchEvent, Status> {
        if self.is_at_initial_objects()?
            && let Some(object) = self.initial.pop_front()
        {
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

    /// Whether what comes next is an object that was there when the watch began. They are read a few at a time, as they were
    /// then, so that a watch that nobody reads keeps none of them.
    ///
    /// # Errors
    /// [`Reason::Expired`](super::Reason::Expired) when nobody remembers any more how they were.
    pub fn is_at_initial_objects(&mut self) -> Result<bool, Status> {
        while self.initial.is_empty()
            && let Rest::After(place) = &self.rest
        {
            let page = self.store.few(&self.query, self.seen, place.as_ref())?;
            self.rest = page.next_place().map_or(Rest::Nothing, |place| Rest::After(Some(place)));
            self.initial = page.objects.into();
        }
        Ok(!self.initial.is_empty())
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
