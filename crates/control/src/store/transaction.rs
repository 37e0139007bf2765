//! One write: staged in memory, made durable, and only then told to anybody; or taken back.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use manifest::{DEFINITION, Object, Objects};
use plan::ObjectRef;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::boundary::DatabaseFailure;
use super::disk::{Batch, Form};
use super::history::Change;
use super::owners::Gone;
use super::record::Content;
use super::{
    Applied, CREATED_FOR, Cause, DeleteOptions, KEPT_KINDS, Outcome, Part, REVISION_STEP, Reason, State,
    Status, depth, merge, metadata,
};
use crate::admission::{self, Attempt, quota};
use crate::given;
use crate::ownership::{self, Trace};

/// Changes that are staged. Dropped without [`commit`](Self::commit), they are taken back.
pub(super) struct Transaction<'a> {
    pub(super) state: &'a mut State,
    pub(super) now: Timestamp,
    changes: Vec<Staged>,
    /// Objects that are no more, of which it is to be seen what follows.
    pub(super) gone: Vec<Gone>,
    /// Objects that wait for what they own.
    pub(super) waiting: Vec<Arc<Object>>,
    /// Whether what definitions declare is to be looked at again.
    declares: bool,
    revision_before: u64,
}

struct Staged {
    change: Change,
    kept: Kept,
}

/// Where a change is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    OnDisk,
    /// On the disk, with the next commit: nobody waits for it.
    Later,
    /// Because it follows from other objects, and would be found out again.
    InMemory,
}

impl<'a> Transaction<'a> {
    pub(super) fn begin(state: &'a mut State, now: Timestamp) -> Self {
        let revision_before = state.revision;
        Self {
            state,
            now,
            changes: Vec::new(),
            gone: Vec::new(),
            waiting: Vec::new(),
            declares: false,
            revision_before,
        }
    }

    /// Stores a new object. Its namespace is made if it is not there.
    pub(super) fn create(&mut self, mut object: Object, trace: Trace<'_>) -> Result<Applied, Status> {
        self.adopt(&mut object)?;
        let given = metadata::take_managers(&mut object);
        depth::check(&object)?;
        metadata::prepare_new(&mut object, &self.state.objects, self.now);
        ownership::trace(object.kind, None, &mut object.value, given, trace, self.now);
        let reference = object.reference();
        let mut warnings = self.ensure_namespace(&reference)?;
        self.admit(&mut object, None, &mut warnings)?;
        if let Some(existing) = self.find(&reference) {
            return Err(Status::already_exists(existing.kind, &existing.name));
        }
        let object = self.put(object, Kept::OnDisk);
        self.suspect(&object);
        if object.kind.key == "Namespace" {
            self.furnish();
        }
        Ok(Applied { object, outcome: Outcome::Created, warnings })
    }

    /// Puts an object in the place of the one with its name.
    pub(super) fn replace(
        &mut self,
        object: Object,
        part: Part,
        trace: Trace<'_>,
    ) -> Result<Applied, Status> {
        let old = self.existing(&object.reference(), object.kind)?;
        self.check_preconditions(&object.value, &old)?;
        self.change(object, &old, part, trace)
    }

    /// Changes an object by a function of its value.
    pub(super) fn modify(
        &mut self,
        old: &Arc<Object>,
        part: Part,
        trace: Trace<'_>,
        change: impl FnOnce(&Value) -> Result<Value, Status>,
    ) -> Result<Applied, Status> {
        let object = read_again(change(&old.value)?, old)?;
        self.check_preconditions(&object.value, old)?;
        self.change(object, old, part, trace)
    }

    /// Creates the object, or changes it so that it says what is wanted, as `kubectl apply` does.
    pub(super) fn apply(&mut self, mut wanted: Object) -> Result<Applied, Status> {
        merge::remember(&mut wanted.value);
        let Some(old) = self.find(&wanted.reference()) else {
            return self.create(wanted, Trace::Untold);
        };
        let applied = merge::remembered(&old.value);
        self.modify(&old, Part::Object, Trace::Untold, |live| {
            Ok(merge::three_way(applied.as_ref(), &wanted.value, live))
        })
    }

    /// Deletes an object, or marks it as to be deleted when somebody has to finish with it first.
    pub(super) fn delete(
        &mut self,
        old: &Arc<Object>,
        options: &DeleteOptions,
    ) -> Result<Arc<Object>, Status> {
        if options.uid.as_deref().is_some_and(|uid| Some(uid) != metadata::text(old, "uid")) {
            return Err(Status::conflict(
                old.kind,
                &old.name,
                "the UID in the precondition is not the object's",
            ));
        }
        let stored = metadata::text(old, "resourceVersion");
        if options.resource_version.as_deref().is_some_and(|wanted| Some(wanted) != stored) {
            return Err(Status::conflict(
                old.kind,
                &old.name,
                "the resourceVersion in the precondition is not the object's: it has been modified",
            ));
        }
        if old.kind.key == "Namespace" {
            return self.delete_namespace(old, options);
        }
        if old.kind.key == DEFINITION {
            return self.delete_definition(old, options);
        }
        if let Some(who) = manifest::deletion_protection(old, &self.state.objects) {
            let why = format!("{who} says deletion_protection.enabled=true: set it to false first");
            return Err(Status::forbidden(old.kind, &old.name, &why));
        }
        let (old, waits) = &self.propagate(old, options);
        let waits = *waits;
        let ends_gracefully = old.kind.key == "Pod" && options.grace_period_seconds != Some(0);
        if !ends_gracefully && !waits && !has_finalizers(old) {
            let last = self.take_away(old);
            self.finish_definition(old);
            return Ok(last);
        }
        if metadata::deletion(old).is_some() {
            return Ok(Arc::clone(old));
        }
        let mut object = Object::clone(old);
        let grace =
            options.grace_period_seconds.or(old.value["spec"]["terminationGracePeriodSeconds"].as_u64());
        object.value["metadata"]["deletionTimestamp"] = json!(metadata::time(self.now));
        object.value["metadata"]["deletionGracePeriodSeconds"] = json!(grace.unwrap_or(0));
        if waits {
            return Ok(self.wait_for_dependents(old, object));
        }
        Ok(self.put(object, Kept::OnDisk))
    }

    /// Stores an object that is derived from others, in a namespace that is there, and not kept on the disk.
    pub(super) fn derive(&mut self, mut object: Object) {
        let status = object.value.get("status").cloned();
        let old = self.find(&object.reference());
        match &old {
            Some(old) => metadata::prepare_changed(&mut object, old, Part::Object, &self.state.objects),
            None if self.is_ending_or_gone(&object.namespace) => return,
            None => {
                metadata::prepare_new(&mut object, &self.state.objects, self.now);
                // What is there from the start is the same object after a restart.
                if given::is_given(&object.reference()) {
                    object.value["metadata"]["uid"] =
                        json!(metadata::uid_of(&object.reference().to_string()));
                }
            }
        }
        if let Some(status) = status {
            object.value["status"] = status;
        }
        // Who waits for something goes on waiting.
        if let Some(finalizers) = old.as_ref().and_then(|old| old.value["metadata"].get("finalizers")) {
            object.value["metadata"]["finalizers"] = finalizers.clone();
        }
        if old.as_ref().is_none_or(|old| metadata::differ(&object.value, &old.value)) {
            if old.is_none() {
                self.state.derived.insert(object.reference());
            }
            self.put(object, Kept::Later);
        }
    }

    /// Stores the pod of a controller, which may be refused like one that somebody writes.
    pub(super) fn create_pod(&mut self, mut pod: Object) -> Result<(), Status> {
        (pod.kind.fill)(&mut pod, None, &self.state.objects);
        self.admit(&mut pod, None, &mut Vec::new())?;
        self.derive(pod);
        Ok(())
    }

    /// Makes what is there from the start, and is not.
    pub(super) fn furnish(&mut self) {
        let Some(given) = self.state.given.clone() else { return };
        for object in given.missing(&self.state.objects, self.now) {
            self.derive(object);
        }
    }

    /// Renews the leases of nodes, and has nodes say that they were looked at.
    pub(super) fn renew(&mut self, has_heartbeat: bool) {
        let Some(given) = self.state.given.clone() else { return };
        for name in given.nodes() {
            let lease = ObjectRef::new("Lease", given::LEASES, &name);
            if let Some(lease) = self.find(&lease) {
                let value = given::renewed(&lease, self.now);
                self.put(Object { value, ..Object::clone(&lease) }, Kept::InMemory);
            }
            let node = has_heartbeat.then(|| self.find(&ObjectRef::new("Node", "", &name))).flatten();
            if let Some(node) = node {
                let status = given::seen(&node, self.now);
                self.set_status(&node, status);
            }
        }
    }

    /// Says on which node a pod runs.
    pub(super) fn bind(&mut self, old: &Arc<Object>, node: &str) {
        let mut object = Object::clone(old);
        object.value["spec"]["nodeName"] = json!(node);
        self.put(object, Kept::Later);
    }

    /// Writes the status of an object, which is found out again when it is lost.
    pub(super) fn set_status(&mut self, old: &Arc<Object>, status: Value) {
        if old.value.get("status") != Some(&status) {
            let mut object = Object::clone(old);
            object.value["status"] = status;
            self.put(object, Kept::InMemory);
        }
    }

    /// Sets an annotation, which is on the disk with the next commit.
    pub(super) fn annotate(&mut self, old: &Arc<Object>, key: &str, value: &str) {
        if old.annotation(key) != Some(value) {
            let mut object = Object::clone(old);
            let annotations = &mut object.value["metadata"]["annotations"];
            if !annotations.is_object() {
                *annotations = json!({});
            }
            annotations[key] = json!(value);
            self.put(object, Kept::Later);
        }
    }

    /// Takes an object away at once.
    pub(super) fn take_away(&mut self, old: &Arc<Object>) -> Arc<Object> {
        let reference = old.reference();
        self.state.revision += 1;
        Arc::make_mut(&mut self.state.objects).remove(&reference);
        self.state.owners.change(Some(old), None);
        self.gone.push(Gone::of(old, &self.state.kinds));
        self.declares |= old.kind.key == DEFINITION;
        let kept = kept_of(&reference, &self.state.derived, Kept::OnDisk);
        self.state.derived.remove(&reference);
        let change = Change { revision: self.state.revision, before: Some(Arc::clone(old)), after: None };
        self.changes.push(Staged { change, kept });
        metadata::at_revision(old, self.state.revision)
    }

    /// Makes everything staged durable and remembers it. What is derived needs no disk.
    pub(super) fn commit(mut self) -> Result<(), Status> {
        self.collect();
        self.count_again();
        let mut batch = Batch::default();
        for staged in &self.changes {
            let Change { before, after, .. } = &staged.change;
            let Some(object) = after.as_ref().or(before.as_ref()) else { continue };
            match staged.kept {
                Kept::OnDisk => {
                    self.state.keep_earlier(&staged.change, &mut batch);
                    let after = after.as_ref().map(|object| (Content::Written, serialised(object)));
                    batch.objects.push((object.reference(), after));
                }
                Kept::Later => self.state.write_later(object.reference()),
                Kept::InMemory => {}
            }
        }
        if !batch.objects.is_empty() || self.state.revision > self.state.revision_ceiling {
            let notes = batch.notes.clone();
            self.state.write_to_disk(batch).map_err(|error| Status::unwritable(&error))?;
            for (key, note) in notes {
                match note {
                    Some(note) => self.state.notes.insert(key, note),
                    None => self.state.notes.remove(&key),
                };
            }
        }
        if self.declares {
            let definitions = self.state.objects.of_kind(DEFINITION);
            self.state.kinds = Arc::new(self.state.kinds.declared_by(definitions));
        }
        for staged in self.changes.drain(..) {
            self.state.history.record(staged.change);
        }
        self.revision_before = self.state.revision;
        Ok(())
    }

    /// Has the quotas of namespaces say what is used now, where that is otherwise than it was.
    fn count_again(&mut self) {
        if self.state.objects.of_kind("ResourceQuota").next().is_none() {
            return;
        }
        let changes = self.changes.iter().map(|staged| &staged.change);
        let counted = changes
            .filter(|it| quota::is_counted_otherwise(it.before.as_deref(), it.after.as_deref()))
            .filter_map(|it| it.after.as_ref().or(it.before.as_ref()));
        let namespaces = counted.map(|object| object.namespace.clone()).collect();
        self.count(&namespaces);
    }

    pub(super) fn count(&mut self, namespaces: &BTreeSet<String>) {
        for (quota, status) in quota::statuses(&self.state.objects, namespaces) {
            if let Some(old) = self.find(&quota) {
                self.set_status(&old, status);
            }
        }
    }

    pub(super) fn find(&self, reference: &ObjectRef) -> Option<Arc<Object>> {
        self.state.objects.get(&reference.kind, &reference.namespace, &reference.name).cloned()
    }

    fn existing(&self, reference: &ObjectRef, kind: &'static manifest::Kind) -> Result<Arc<Object>, Status> {
        self.find(reference).ok_or_else(|| Status::not_found(kind, &reference.name))
    }

    fn change(
        &mut self,
        mut object: Object,
        old: &Arc<Object>,
        part: Part,
        trace: Trace<'_>,
    ) -> Result<Applied, Status> {
        self.adopt(&mut object)?;
        let given = metadata::take_managers(&mut object);
        depth::check(&object)?;
        metadata::prepare_changed(&mut object, old, part, &self.state.objects);
        check_new_finalizers(&object, old)?;
        // What somebody has changed is kept.
        if given::is_given(&old.reference()) {
            self.state.derived.remove(&old.reference());
        }
        ownership::trace(object.kind, Some(&old.value), &mut object.value, given, trace, self.now);
        let waits_for_more = ["Namespace", "Pod"].contains(&old.kind.key) || has_finalizers(&object);
        if metadata::deletion(old).is_some() && !waits_for_more {
            let object = self.take_away(old);
            self.finish_namespace(&old.namespace);
            self.finish_definition(old);
            return Ok(Applied { object, outcome: Outcome::Configured, warnings: Vec::new() });
        }
        let mut warnings = Vec::new();
        if part == Part::Object {
            self.admit(&mut object, Some(old), &mut warnings)?;
        }
        object.value["metadata"]["resourceVersion"] = old.value["metadata"]["resourceVersion"].clone();
        if object.value == old.value {
            return Ok(Applied { object: Arc::clone(old), outcome: Outcome::Unchanged, warnings });
        }
        let object = self.put(object, Kept::OnDisk);
        // An owner may have been brought who is not there.
        if object.value["metadata"].get("ownerReferences") != old.value["metadata"].get("ownerReferences") {
            self.suspect(&object);
        }
        Ok(Applied { object, outcome: Outcome::Configured, warnings })
    }

    fn admit(
        &self,
        object: &mut Object,
        old: Option<&Object>,
        warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        admission::admit(&mut Attempt { object, old, all: &self.state.objects, warnings })
    }

    /// Stages an object as it is, at the next revision.
    pub(super) fn put(&mut self, mut object: Object, kept: Kept) -> Arc<Object> {
        self.state.revision += 1;
        object.value["metadata"]["resourceVersion"] = json!(self.state.revision.to_string());
        object.source = None;
        self.declares |= object.kind.key == DEFINITION;
        let kept = kept_of(&object.reference(), &self.state.derived, kept);
        let after = Arc::new(object);
        let before = Arc::make_mut(&mut self.state.objects).insert(Arc::clone(&after));
        self.state.owners.change(before.as_deref(), Some(&after));
        let change = Change { revision: self.state.revision, before, after: Some(Arc::clone(&after)) };
        self.changes.push(Staged { change, kept });
        after
    }

    fn check_preconditions(&self, wanted: &Value, old: &Object) -> Result<(), Status> {
        let says_otherwise = |field: &str| {
            wanted["metadata"][field].as_str().is_some_and(|text| Some(text) != metadata::text(old, field))
        };
        if says_otherwise("resourceVersion") {
            let why =
                "the object has been modified; please apply your changes to the latest version and try again";
            return Err(Status::conflict(old.kind, &old.name, why));
        }
        if says_otherwise("uid") {
            return Err(Status::conflict(
                old.kind,
                &old.name,
                "the UID in the object is not that of the stored one",
            ));
        }
        Ok(())
    }

    fn ensure_namespace(&mut self, of: &ObjectRef) -> Result<Vec<String>, Status> {
        let namespace = of.namespace.as_str();
        if !self.is_ending_or_gone(namespace) {
            return Ok(Vec::new());
        }
        if self.state.objects.get("Namespace", "", namespace).is_some() {
            return Ok(Vec::new());
        }
        let metadata = json!({"name": namespace, "annotations": {CREATED_FOR: of.to_string()}});
        let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        let object = Object::from_value(value).map_err(|finding| Status::from(&*finding))?;
        self.create(object, Trace::Untold)?;
        Ok(vec![format!("namespace `{namespace}` was not there and has been created")])
    }

    pub(super) fn is_ending_or_gone(&self, namespace: &str) -> bool {
        let object = self.state.objects.get("Namespace", "", namespace);
        !namespace.is_empty() && object.is_none_or(|object| metadata::deletion(object).is_some())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        for Staged { change, kept } in self.changes.drain(..).rev() {
            let objects = Arc::make_mut(&mut self.state.objects);
            self.state.owners.change(change.after.as_deref(), change.before.as_deref());
            match (change.before, change.after) {
                (Some(before), Some(_)) => drop(objects.insert(before)),
                (Some(before), None) => {
                    if kept != Kept::OnDisk {
                        self.state.derived.insert(before.reference());
                    }
                    objects.insert(before);
                }
                (None, Some(after)) => {
                    self.state.derived.remove(&after.reference());
                    objects.remove(&after.reference());
                }
                (None, None) => {}
            }
        }
        self.state.revision = self.revision_before;
    }
}

// === impl State ===

impl State {
    /// Writes a batch with the ceiling under which revisions stay; the ceiling is raised before it is reached.
    pub(super) fn write_to_disk(&mut self, mut batch: Batch) -> Result<(), DatabaseFailure> {
        let is_near = self.revision + REVISION_STEP / 2 > self.revision_ceiling;
        let ceiling = if is_near { self.revision + REVISION_STEP } else { self.revision_ceiling };
        batch.revision_ceiling = ceiling;
        let Self { objects, derived, unwritten, notes, forgotten_notes, disk, .. } = self;
        // What is noted anew under the same key comes after it.
        let forgotten = forgotten_notes.iter().map(|key| (key.clone(), None));
        batch.notes = forgotten.chain(batch.notes).collect();
        let waited_for: BTreeSet<&ObjectRef> = batch.objects.iter().map(|(reference, _)| reference).collect();
        let along = unwritten.iter().filter(|reference| !waited_for.contains(reference));
        let along: Vec<_> =
            along.map(|reference| (reference.clone(), durable_form(reference, objects, derived))).collect();
        batch.objects.extend(along);
        disk.commit(&batch, || Batch {
            objects: durable(objects, derived),
            notes: notes.iter().map(|(key, note)| (key.clone(), Some(note.clone()))).collect(),
            revision_ceiling: ceiling,
        })?;
        self.unwritten.clear();
        self.write_at = None;
        self.revision_ceiling = ceiling;
        self.forgotten_notes.clear();
        Ok(())
    }

    /// Remembers that an object is to be written. Those that are gone meanwhile are not remembered without end: on a disk
    /// that takes nothing for long they would be many, and history that comes back does no harm.
    fn write_later(&mut self, reference: ObjectRef) {
        self.unwritten.insert(reference);
        if self.unwritten.len() > UNWRITTEN_LIMIT {
            let objects = &self.objects;
            self.unwritten
                .retain(|object| objects.get(&object.kind, &object.namespace, &object.name).is_some());
        }
    }

    /// Writes a backup. Without one the platform goes on, and tries again later.
    pub(super) fn back_up(&mut self, now: Instant) {
        self.backed_up = Some(now);
        self.back_up_at = None;
        match self.disk.back_up() {
            Ok(()) => self.backed_up_sequence = self.disk.sequence(),
            Err(error) => tracing::warn!(%error, "no backup of the object store could be written"),
        }
    }
}

/// How many objects may wait for being written before those that are gone are forgotten.
const UNWRITTEN_LIMIT: usize = 10_000;

/// Where a change of an object is kept that would be kept so if it did not follow from others.
fn kept_of(reference: &ObjectRef, derived: &BTreeSet<ObjectRef>, kept: Kept) -> Kept {
    match (derived.contains(reference), KEPT_KINDS.contains(&reference.kind.as_str())) {
        (false, _) => kept,
        (true, true) => Kept::Later,
        (true, false) => Kept::InMemory,
    }
}

/// An object as it is written to the disk.
fn durable_form(reference: &ObjectRef, objects: &Objects, derived: &BTreeSet<ObjectRef>) -> Form {
    let object = objects.get(&reference.kind, &reference.namespace, &reference.name)?;
    let content = if derived.contains(reference) { Content::Following } else { Content::Written };
    Some((content, serialised(object)))
}

fn durable(objects: &Objects, derived: &BTreeSet<ObjectRef>) -> Vec<(ObjectRef, Form)> {
    let references = objects.iter().map(|object| object.reference());
    let durable = references.filter(|reference| kept_of(reference, derived, Kept::OnDisk) != Kept::InMemory);
    durable.map(|reference| (reference.clone(), durable_form(&reference, objects, derived))).collect()
}

fn serialised(object: &Object) -> Vec<u8> {
    object.value.to_string().into_bytes()
}

pub(crate) fn has_finalizers(object: &Object) -> bool {
    object.value["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

/// Refuses finalizers that come when an object is being deleted already.
fn check_new_finalizers(object: &Object, old: &Object) -> Result<(), Status> {
    if metadata::deletion(old).is_none() {
        return Ok(());
    }
    let of =
        |object: &'_ Object| object.value["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let before = of(old);
    let new: Vec<String> =
        of(object).iter().filter(|it| !before.contains(it)).map(ToString::to_string).collect();
    if new.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        new.join(", ")
    );
    let cause = Cause { reason: "FieldValueForbidden", message, field: "metadata.finalizers".to_owned() };
    Err(Status::invalid(old.kind, &old.name, vec![cause]))
}

/// Reads a value that a change produced, which must still be the same object.
fn read_again(value: Value, old: &Object) -> Result<Object, Status> {
    let kind = old.kind.storage();
    let is_of_kind = value["kind"] == kind.kind && value["apiVersion"] == kind.api_version();
    let object = Object::of_kind(kind, value).map_err(|finding| Status::from(&*finding))?;
    if !is_of_kind || object.reference() != old.reference() {
        return Err(Status::new(
            Reason::BadRequest,
            "the kind, name and namespace of an object cannot be changed",
        ));
    }
    Ok(object)
}
