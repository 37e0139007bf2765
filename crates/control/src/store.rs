//! Where Kubernetes objects live on one machine.
//!
//! Objects that people write are kept in a crash-safe file and acknowledged only once they are on the disk; what we
//! derive ourselves (pods, endpoint slices, events, statuses) lives in memory. All objects are in memory, so reading
//! never waits. A write blocks the calling thread for one flush of the disk; many objects applied together share it.
//!
//! It is *not* a controller: nothing here knows what an object means, beyond the defaults that an API server fills in.
//!
//! ```
//! # use std::rc::Rc;
//! use control::store::{Outcome, Query, Store};
//! use manifest::Object;
//! use serde_json::json;
//!
//! let store = Rc::new(Store::in_memory());
//! let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "value"}});
//! let applied = store.apply(vec![Object::from_value(config).unwrap()]).remove(0).unwrap();
//! assert_eq!(applied.outcome, Outcome::Created);
//! assert_eq!(store.list(&Query::of("ConfigMap")).objects.len(), 1);
//! ```

mod backup;
mod boundary;
mod contents;
mod definition;
mod depth;
mod disk;
mod earlier;
mod history;
mod merge;
pub(crate) mod metadata;
mod namespace;
mod owners;
mod pages;
pub(crate) mod record;
mod restore;
mod selector;
mod status;
mod steps;
mod transaction;
mod write;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use manifest::{Kind, Kinds, Object, Objects};
use plan::ObjectRef;
use tokio::sync::watch;
use tokio::time::Instant;

pub use backup::Backup;
pub use boundary::DatabaseFailure;
pub use depth::DEPTH;
pub(crate) use depth::is_deeper_than;
pub use disk::{Damage, OpenError};
pub use history::{HISTORY_BYTES, RESTING_BYTES, Watch, WatchEvent};
pub use merge::{LAST_APPLIED, merge_patch, remember, remembered, three_way};
pub use metadata::{Part, generated_name};
pub use owners::Propagation;
pub use pages::{Page, Place};
pub use restore::{RestoreError, Restored, back_up, restore};
pub use selector::{FieldSelector, LabelSelector};
pub(crate) use status::ordered;
pub use status::{Cause, Details, Reason, Status};
pub(crate) use steps::{Due, Step, TRACKING};
pub(crate) use transaction::has_finalizers;

use crate::given::{self, Given};
use crate::ownership;
use disk::{Batch, Disk, Loaded};
use history::History;
use owners::Owners;
use record::Content;

/// All objects. One counter, the revision, grows with every change of any object; it is what Kubernetes calls
/// `resourceVersion`, and never goes back, not even over a crash.
#[derive(Debug)]
pub struct Store {
    state: RefCell<State>,
    revision: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    objects: Arc<Objects>,
    /// Objects that follow from others. Those of [`KEPT_KINDS`] are on the disk.
    derived: BTreeSet<ObjectRef>,
    owners: Owners,
    /// The kinds of the program, and those that definitions among the objects declare.
    kinds: Arc<Kinds>,
    /// What is there from the start.
    given: Option<Given>,
    /// Objects whose latest form goes to the disk with the next commit, because nobody waits for it.
    unwritten: BTreeSet<ObjectRef>,
    /// When they go at the latest.
    write_at: Option<Instant>,
    /// When a backup is due.
    back_up_at: Option<Instant>,
    backed_up: Option<Instant>,
    /// The commit that is in the latest backup.
    backed_up_sequence: u64,
    notes: BTreeMap<String, String>,
    /// Notes that are on the disk until the next write.
    forgotten_notes: BTreeSet<String>,
    history: History,
    revision: u64,
    revision_ceiling: u64,
    disk: Disk,
}

/// How many revisions are reserved on the disk at a time.
const REVISION_STEP: u64 = 1 << 20;

/// On a namespace that nobody wrote: the object that it was made for.
pub const CREATED_FOR: &str = "forebay.dev/created-for";
/// Namespaces that are always there.
const NAMESPACES: &[&str] = &["default", "kube-system"];
/// Kinds of objects that follow from others and are kept all the same, because they tell what happened.
const KEPT_KINDS: &[&str] = &["Event", "ReplicaSet", "ControllerRevision"];

/// How long what nobody waits for may lie in memory before it is written.
const WRITE_DELAY: Duration = Duration::from_secs(2);
/// How long after a change a backup is made.
const BACKUP_DELAY: Duration = Duration::from_secs(5);
/// How long there is between two backups, unless the platform ends.
const BACKUP_INTERVAL: Duration = Duration::from_secs(3 * 60);

/// Which objects somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Their kind.
    pub kind: &'static Kind,
    /// Their namespace; `None` for all.
    pub namespace: Option<String>,
    /// Requirements on their labels.
    pub labels: LabelSelector,
    /// Requirements on their fields.
    pub fields: FieldSelector,
}

/// An answer to a [`Query`].
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// By namespace and name.
    pub objects: Vec<Arc<Object>>,
    /// The revision they were read at; a watch from here misses nothing.
    pub revision: u64,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The object as it is stored now.
    pub object: Arc<Object>,
    /// Whether it changed.
    pub outcome: Outcome,
    /// Sentences for the one who wrote.
    pub warnings: Vec<String>,
}

/// Whether a write changed anything, in the words of `kubectl apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It is different now.
    Configured,
    /// It already was so; the revision stays.
    Unchanged,
}

/// Whether a write is done or only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is done.
    #[default]
    Commit,
    /// It is checked and answered, and nothing is stored.
    DryRun,
}

/// How an object is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    /// Only if it has this uid.
    pub uid: Option<String>,
    /// Only if it is still as it was at this revision.
    pub resource_version: Option<String>,
    /// Time for a pod to end; 0 takes it away at once.
    pub grace_period_seconds: Option<u64>,
    /// What becomes of what it owns; as it says itself unless said.
    pub propagation: Option<Propagation>,
}

/// How long a file may still be in use by somebody who is ending, and how often it is looked.
const LAST_HOLD: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(10);

// === impl Store: reading ===

impl Store {
    /// Opens the store in a file, which is made if it is not there.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be read.
    pub fn open(file: &Path) -> Result<Self, OpenError> {
        let until = std::time::Instant::now() + LAST_HOLD;
        let (disk, loaded) = loop {
            match Disk::at(file) {
                // Whoever has just ended may have left its lock, for a moment, to a child that it was starting (flock(2)).
                Err(OpenError::InUse) if std::time::Instant::now() < until => std::thread::sleep(LOOK),
                opened => break opened?,
            }
        };
        Self::start(file, disk, loaded)
    }

    /// A store that forgets everything, for tests and examples.
    #[must_use]
    pub fn in_memory() -> Self {
        let backend =
            || redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new());
        let (disk, loaded) = Disk::new(backend).expect("memory can be written");
        Self::start(Path::new("memory"), disk, loaded).expect("memory can be written")
    }

    fn start(file: &Path, disk: Disk, loaded: Loaded) -> Result<Self, OpenError> {
        let revision = loaded.revision_ceiling;
        let following = loaded.objects.iter().filter(|(_, content)| *content == Content::Following);
        let derived = following.map(|(object, _)| object.reference()).collect();
        let objects: Objects = loaded.objects.into_iter().map(|(object, _)| of_this_build(object)).collect();
        let mut state = State {
            owners: Owners::of(&objects),
            kinds: Arc::new(loaded.kinds),
            given: None,
            objects: Arc::new(objects),
            derived,
            unwritten: BTreeSet::new(),
            write_at: None,
            back_up_at: None,
            backed_up: None,
            backed_up_sequence: 0,
            notes: loaded.notes.into_iter().collect(),
            forgotten_notes: BTreeSet::new(),
            history: History::new(revision),
            revision,
            revision_ceiling: revision,
            disk,
        };
        // Reserves revisions for this run before the first of them is given out.
        state
            .write_to_disk(Batch::default())
            .map_err(|failure| OpenError::Unusable { path: file.to_owned(), source: failure.into() })?;
        let store = Self { state: RefCell::new(state), revision: watch::Sender::new(revision) };
        for namespace in NAMESPACES {
            let value =
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            let object = Object::from_value(value).expect("a namespace is an object");
            // It is there already, except on the first day.
            let _ = store.create(object, Mode::Commit);
        }
        // What follows from others is not there yet.
        let quotas = store.objects();
        let namespaces = quotas.of_kind("ResourceQuota").map(|quota| quota.namespace.clone()).collect();
        drop(quotas);
        store.write_in_memory(|transaction| transaction.count(&namespaces));
        Ok(store)
    }

    /// Every object there is, as of now.
    #[must_use]
    pub fn objects(&self) -> Arc<Objects> {
        Arc::clone(&self.state.borrow().objects)
    }

    /// The kinds that there are, as of now.
    #[must_use]
    pub fn kinds(&self) -> Arc<Kinds> {
        Arc::clone(&self.state.borrow().kinds)
    }

    /// What people wrote, and what stands for it: not what follows from other objects and is found out again, nor the
    /// namespaces that are always there.
    #[must_use]
    pub fn written(&self) -> Vec<Arc<Object>> {
        let state = self.state.borrow();
        let is_always_there =
            |object: &Object| object.kind.key == "Namespace" && NAMESPACES.contains(&object.name.as_str());
        let written = state.objects.iter().filter(|object| {
            !state.derived.contains(&object.reference())
                && !is_always_there(object)
                && !given::is_given(&object.reference())
                && object.annotation(CREATED_FOR).is_none()
        });
        written.cloned().collect()
    }

    /// The revision of the latest change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// The revision, to wait for changes on.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// One object.
    ///
    /// # Errors
    /// [`Reason::NotFound`].
    pub fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Arc<Object>, Status> {
        let namespace = if kind.is_namespaced { namespace } else { "" };
        let state = self.state.borrow();
        state.objects.get(kind.key, namespace, name).cloned().ok_or_else(|| Status::not_found(kind, name))
    }

    /// The objects that a query selects.
    #[must_use]
    pub fn list(&self, query: &Query) -> List {
        let state = self.state.borrow();
        let objects = state.objects.of_kind(query.kind.key).filter(|object| query.matches(object));
        List { objects: objects.cloned().collect(), revision: state.revision }
    }

    /// Tells changes of the objects that a query selects: those after a revision, or, without one, first all that
    /// there are.
    ///
    /// # Errors
    /// [`Reason::Expired`] when changes after the revision are no longer known.
    pub fn watch(self: &Rc<Self>, query: Query, after: Option<u64>) -> Result<Watch, Status> {
        let state = self.state.borrow();
        let seen = after.unwrap_or(state.revision);
        let _ = state.history.since(seen)?;
        drop(state);
        Ok(Watch::new(Rc::clone(self), query, seen, after.is_none()))
    }

    /// Everything noted under keys that begin so.
    #[must_use]
    pub fn notes_with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        let state = self.state.borrow();
        let notes = state.notes.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        notes.map(|(key, note)| (key.clone(), note.clone())).collect()
    }

    /// What was noted under a key.
    #[must_use]
    pub fn note(&self, key: &str) -> Option<String> {
        self.state.borrow().notes.get(key).cloned()
    }
}

/// An object as this build keeps it.
fn of_this_build(mut object: Object) -> Object {
    ownership::migrate(object.kind, &mut object.value);
    object
}

// === impl Query ===

impl Query {
    /// All objects of a kind that is known.
    ///
    /// # Panics
    /// Never for a kind in [`manifest::KINDS`]; a name that is not there is a mistake of the caller's.
    #[must_use]
    pub fn of(kind: &str) -> Self {
        Self::of_kind(manifest::kind_named(kind).expect("the kind is known"))
    }

    /// All objects of a kind.
    #[must_use]
    pub fn of_kind(kind: &'static Kind) -> Self {
        Self { kind, namespace: None, labels: LabelSelector::default(), fields: FieldSelector::default() }
    }

    /// Whether an object is selected.
    #[must_use]
    pub fn matches(&self, object: &Object) -> bool {
        object.kind == self.kind
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == object.namespace)
            && (self.labels.is_empty() || self.labels.matches(&object.labels()))
            && self.fields.matches(object)
    }

    /// Whether neither labels nor fields matter.
    #[must_use]
    pub fn selects_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

// === impl Outcome ===

impl Outcome {
    /// The word that `kubectl apply` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}
