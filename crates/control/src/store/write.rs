//! Writing: every change of objects goes through one transaction, is made durable and then told.

use std::sync::Arc;

use jiff::Timestamp;
use manifest::{DEFINITION, Kind, Object};
use plan::ObjectRef;
use serde_json::Value;
use tokio::time::Instant;

use super::disk::Batch;
use super::transaction::Transaction;
use super::{Applied, BACKUP_DELAY, BACKUP_INTERVAL, DeleteOptions, Mode, Part, Status, Store, WRITE_DELAY};
use crate::given::Given;
use crate::ownership::Trace;

impl Store {
    /// Stores a new object. A namespace that is not there is made, with a warning.
    ///
    /// # Errors
    /// [`Reason::AlreadyExists`], [`Reason::Invalid`], or that it cannot be made durable.
    pub fn create(&self, object: Object, mode: Mode) -> Result<Applied, Status> {
        self.create_by(object, mode, Trace::Untold)
    }

    /// The same, noted in the object.
    pub(crate) fn create_by(&self, object: Object, mode: Mode, trace: Trace<'_>) -> Result<Applied, Status> {
        self.write(mode, |transaction| transaction.create(object, trace))
    }

    /// Puts an object in the place of the one with its name. A revision or uid in it must be the stored one's.
    ///
    /// # Errors
    /// [`Reason::NotFound`], [`Reason::Conflict`], or that it cannot be made durable.
    pub fn replace(&self, object: Object, part: Part, mode: Mode) -> Result<Applied, Status> {
        self.replace_by(object, part, mode, Trace::Untold)
    }

    /// The same, noted in the object.
    pub(crate) fn replace_by(
        &self,
        object: Object,
        part: Part,
        mode: Mode,
        trace: Trace<'_>,
    ) -> Result<Applied, Status> {
        self.write(mode, |transaction| transaction.replace(object, part, trace))
    }

    /// Changes an object by a function of its value, for patches of any kind.
    ///
    /// # Errors
    /// [`Reason::NotFound`], [`Reason::Conflict`] when the result names another revision, what the function says, or
    /// that it cannot be made durable.
    pub fn modify(
        &self,
        key: (&'static Kind, &str, &str),
        part: Part,
        mode: Mode,
        change: impl FnOnce(&Value) -> Result<Value, Status>,
    ) -> Result<Applied, Status> {
        self.modify_by(key, part, mode, Trace::Untold, change)
    }

    /// The same, noted in the object.
    pub(crate) fn modify_by(
        &self,
        (kind, namespace, name): (&'static Kind, &str, &str),
        part: Part,
        mode: Mode,
        trace: Trace<'_>,
        change: impl FnOnce(&Value) -> Result<Value, Status>,
    ) -> Result<Applied, Status> {
        let old = self.get(kind, namespace, name)?;
        self.write(mode, |transaction| transaction.modify(&old, part, trace, change))
    }

    /// Applies objects as `kubectl apply` does: what is written is set, what was applied before and left is removed,
    /// what others set stays. One flush of the disk for all of them.
    pub fn apply(&self, objects: Vec<Object>) -> Vec<Result<Applied, Status>> {
        // What definitions declare is there only when they are.
        let is_definition: Vec<bool> = objects.iter().map(|object| object.kind.key == DEFINITION).collect();
        if !is_definition.contains(&true) {
            return self.apply_together(objects);
        }
        let (definitions, others) = objects.into_iter().partition(|object| object.kind.key == DEFINITION);
        let mut definitions = self.apply_together(definitions).into_iter();
        let mut others = self.apply_together(others).into_iter();
        let in_order = is_definition.into_iter();
        in_order.filter_map(|is| if is { definitions.next() } else { others.next() }).collect()
    }

    fn apply_together(&self, objects: Vec<Object>) -> Vec<Result<Applied, Status>> {
        let n_objects = objects.len();
        let written = self.write(Mode::Commit, |transaction| {
            Ok(objects.into_iter().map(|object| transaction.apply(object)).collect())
        });
        written.unwrap_or_else(|status| vec![Err(status); n_objects])
    }

    /// Deletes an object. A pod, and an object with finalizers, is marked and goes later. Returns its last form.
    ///
    /// # Errors
    /// [`Reason::NotFound`], [`Reason::Conflict`] for another uid, or that it cannot be made durable.
    pub fn delete(
        &self,
        (kind, namespace, name): (&'static Kind, &str, &str),
        options: &DeleteOptions,
        mode: Mode,
    ) -> Result<Arc<Object>, Status> {
        let old = self.get(kind, namespace, name)?;
        self.write(mode, |transaction| transaction.delete(&old, options))
    }

    /// Deletes several objects at once, those that are there.
    ///
    /// # Errors
    /// As of [`delete`](Self::delete); none is deleted then.
    pub fn delete_all(
        &self,
        objects: &[Arc<Object>],
        options: &DeleteOptions,
        mode: Mode,
    ) -> Result<(), Status> {
        self.write(mode, |transaction| {
            for object in objects {
                if let Some(object) = transaction.find(&object.reference()) {
                    transaction.delete(&object, options)?;
                }
            }
            Ok(())
        })
    }

    /// Makes the finalizers in the `spec` of a namespace those of a wanted one.
    ///
    /// # Errors
    /// [`Reason::NotFound`], or that it cannot be made durable.
    pub fn finalize(
        &self,
        (kind, name): (&'static Kind, &str),
        wanted: &Value,
        mode: Mode,
    ) -> Result<Arc<Object>, Status> {
        let old = self.get(kind, "", name)?;
        self.write(mode, |transaction| Ok(transaction.finalize(&old, wanted)))
    }

    /// Deletes objects that came with an owner who is not there.
    ///
    /// Tells of objects that name an owner where none can be, with what they name.
    pub(crate) fn collect_garbage(&self) -> Vec<(ObjectRef, String)> {
        let is_quiet = self.state.borrow().owners.has_no_suspects();
        let mut misplaced = Vec::new();
        if !is_quiet {
            self.write_in_memory(|transaction| misplaced = transaction.collect_suspects());
        }
        misplaced
    }

    /// Says what is there from the start, and makes it.
    pub fn furnish(&self, given: Given) {
        self.state.borrow_mut().given = Some(given);
        self.furnish_again();
    }

    /// Makes what is there from the start, and was taken away.
    pub(crate) fn furnish_again(&self) {
        let is_whole = {
            let state = self.state.borrow();
            let missing = state.given.as_ref().map(|given| given.missing(&state.objects, Timestamp::now()));
            missing.is_none_or(|missing| missing.is_empty())
        };
        if !is_whole {
            self.write_in_memory(|transaction| {
                transaction.furnish();
            });
        }
    }

    /// Renews the leases of nodes in memory, and, where it is time, has nodes say that they were looked at. Tells the
    /// revisions before and after: nothing else has changed between them.
    pub(crate) fn renew(&self, has_heartbeat: bool) -> (u64, u64) {
        let before = self.revision();
        self.write_in_memory(|transaction| transaction.renew(has_heartbeat));
        (before, self.revision())
    }

    /// Says on which node a pod runs.
    pub(crate) fn bind(&self, pod: &ObjectRef, node: &str) {
        self.write_in_memory(|transaction| {
            if let Some(old) = transaction.find(pod) {
                transaction.bind(&old, node);
            }
        });
    }

    /// Keeps a note, or forgets it. It is durable when this returns `Ok`.
    ///
    /// # Errors
    /// That it cannot be made durable.
    pub fn set_note(&self, key: &str, note: Option<&str>) -> Result<(), Status> {
        let mut state = self.state.borrow_mut();
        if state.notes.get(key).map(String::as_str) == note {
            return Ok(());
        }
        let notes = vec![(key.to_owned(), note.map(ToOwned::to_owned))];
        let written = state.write_to_disk(Batch { notes, ..Batch::default() });
        written.map_err(|error| Status::unwritable(&error))?;
        match note {
            Some(note) => state.notes.insert(key.to_owned(), note.to_owned()),
            None => state.notes.remove(key),
        };
        Ok(())
    }

    /// Does what is due: writes what nobody waits for, backups, and forgets. Tells when to look again.
    pub(crate) fn look_after_file(&self, now: Instant) -> Option<Instant> {
        let state = &mut *self.state.borrow_mut();
        if state.unwritten.is_empty() {
            state.write_at = None;
        } else if *state.write_at.get_or_insert(now + WRITE_DELAY) <= now {
            state.write_at = None;
            if let Err(error) = state.write_to_disk(Batch::default()) {
                tracing::warn!(%error, "what happened lately is not on the disk yet");
                state.write_at = Some(now + BACKUP_INTERVAL);
            }
        }
        if state.disk.sequence() == state.backed_up_sequence {
            state.back_up_at = None;
        } else {
            let earliest = state.backed_up.map_or(now, |last| last + BACKUP_INTERVAL);
            if *state.back_up_at.get_or_insert(earliest.max(now + BACKUP_DELAY)) <= now {
                state.back_up(now);
            }
        }
        let forget_at = state.history.forget_old(now);
        [state.write_at, state.back_up_at, forget_at].into_iter().flatten().min()
    }

    /// Writes what nobody waited for, and a last backup.
    pub fn finish(&self) {
        let state = &mut *self.state.borrow_mut();
        if !state.unwritten.is_empty()
            && let Err(error) = state.write_to_disk(Batch::default())
        {
            tracing::warn!(%error, "what happened lately is not on the disk");
        }
        if state.disk.sequence() != state.backed_up_sequence {
            state.back_up(Instant::now());
        }
    }

    /// Stores an object that follows from others, in memory, or with the next commit if it tells what happened. Status and all are taken as they are.
    pub(crate) fn derive(&self, object: Object) {
        self.write_in_memory(|transaction| transaction.derive(object));
    }

    /// Stores the pod of a controller, in memory.
    ///
    /// # Errors
    /// That it is not admitted.
    pub(crate) fn create_pod(&self, pod: Object) -> Result<(), Status> {
        self.write(Mode::Commit, |transaction| transaction.create_pod(pod))
    }

    /// Writes the status of an object, in memory only. An object that is gone needs none.
    pub(crate) fn set_status(&self, reference: &ObjectRef, status: Value) {
        self.write_in_memory(|transaction| {
            if let Some(old) = transaction.find(reference) {
                transaction.set_status(&old, status);
            }
        });
    }

    /// Sets an annotation that follows from other objects. It is on the disk after the object's next change.
    pub(crate) fn annotate(&self, reference: &ObjectRef, key: &str, value: &str) {
        self.write_in_memory(|transaction| {
            if let Some(old) = transaction.find(reference) {
                transaction.annotate(&old, key, value);
            }
        });
    }

    /// Takes an object away at once: one that is derived, or one whose graceful end is reached.
    pub(crate) fn take_away(&self, reference: &ObjectRef) {
        self.write_in_memory(|transaction| {
            if let Some(old) = transaction.find(reference) {
                transaction.take_away(&old);
                transaction.finish_namespace(&reference.namespace);
            }
        });
    }

    /// A write that cannot be refused, and that the next pass of the control loop repeats should the disk be needed and
    /// fail.
    pub(super) fn write_in_memory(&self, change: impl FnOnce(&mut Transaction<'_>)) {
        let written = self.write(Mode::Commit, |transaction| {
            change(transaction);
            Ok(())
        });
        if let Err(status) = written {
            tracing::warn!(%status, "a change that follows from others is put off");
        }
    }

    pub(super) fn write<T>(
        &self,
        mode: Mode,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut state = self.state.borrow_mut();
        let before = state.revision;
        let mut transaction = Transaction::begin(&mut state, Timestamp::now());
        let written = change(&mut transaction)?;
        if mode == Mode::Commit {
            transaction.commit()?;
        } else {
            drop(transaction);
        }
        let revision = state.revision;
        drop(state);
        if revision != before {
            self.revision.send_replace(revision);
        }
        Ok(written)
    }
}
