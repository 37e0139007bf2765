//! Several changes that follow from others, made at once: all of them are there after a crash, or none.

use manifest::Object;
use plan::ObjectRef;
use serde_json::{Value, json};

use super::transaction::{Kept, Transaction};
use super::{DeleteOptions, Mode, Status, Store, metadata};
use crate::ownership::Trace;

/// The finalizer with which the pods of a Job wait until their end has been counted.
pub(crate) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// One of several changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// An object as it follows from others, which is made anew after a restart.
    Derive(Object),
    /// The status of an object.
    Status(ObjectRef, Value),
    /// A new owner, for an object that nobody controls.
    Adopt(ObjectRef, Value),
    /// An object that has this uid for an owner has it no longer.
    Release(ObjectRef, String),
    /// A pod need not wait any longer until its end is counted.
    Counted(ObjectRef),
    /// An object is deleted.
    Delete(ObjectRef, DeleteOptions),
    /// An object goes at once.
    TakeAway(ObjectRef),
}

/// When changes are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Before anything follows from them.
    Now,
    /// Soon: whoever made them would find them out again.
    Soon,
}

impl Store {
    /// Stores what a controller has made: on the disk, or in memory, where it is made anew after a restart. What is there already,
    /// or would be in a namespace that is not, is passed over.
    ///
    /// # Errors
    /// That it is not admitted.
    pub(crate) fn make(&self, object: Object, is_kept: bool) -> Result<(), Status> {
        self.write(Mode::Commit, |transaction| {
            let is_there = transaction.find(&object.reference()).is_some();
            match is_kept {
                _ if is_there || transaction.is_ending_or_gone(&object.namespace) => Ok(()),
                true => transaction.create(object, Trace::Untold).map(drop),
                false => transaction.create_pod(object),
            }
        })
    }

    /// Makes changes, in their order. What is not there any more is passed over.
    pub(crate) fn take(&self, steps: Vec<Step>, due: Due) {
        let kept = if due == Due::Now { Kept::OnDisk } else { Kept::Later };
        if !steps.is_empty() {
            self.write_in_memory(|transaction| {
                steps.into_iter().for_each(|step| transaction.step(step, kept));
            });
        }
    }
}

impl Transaction<'_> {
    fn step(&mut self, step: Step, kept: Kept) {
        match step {
            Step::Derive(object) => self.derive(object),
            Step::Status(reference, status) => {
                self.alter(&reference, kept, |object| object["status"] = status);
            }
            Step::Adopt(reference, owner) => self.alter(&reference, kept, |object| {
                let owners = &mut object["metadata"]["ownerReferences"];
                match owners.as_array_mut() {
                    Some(owners) if owners.iter().any(|owner| owner["controller"] == true) => {}
                    Some(owners) => owners.push(owner),
                    None => *owners = json!([owner]),
                }
            }),
            Step::Release(reference, uid) => self.alter(&reference, kept, |object| {
                without(&mut object["metadata"], "ownerReferences", |owner| owner["uid"] == *uid);
            }),
            Step::Counted(reference) => self.alter(&reference, kept, |object| {
                without(&mut object["metadata"], "finalizers", |finalizer| finalizer == TRACKING);
            }),
            Step::Delete(reference, options) => {
                if let Some(object) = self.find(&reference) {
                    let _ = self.delete(&object, &options);
                }
            }
            Step::TakeAway(reference) => {
                if let Some(object) = self.find(&reference) {
                    self.take_away(&object);
                    self.finish_namespace(&reference.namespace);
                }
            }
        }
    }

    /// Changes an object as it is, if that makes a difference.
    fn alter(&mut self, reference: &ObjectRef, kept: Kept, change: impl FnOnce(&mut Value)) {
        let Some(old) = self.find(reference) else { return };
        let mut object = Object::clone(&old);
        change(&mut object.value);
        if metadata::differ(&object.value, &old.value) {
            self.put(object, kept);
        }
    }
}

/// Takes items out of a list, and the list when none is left.
fn without(fields: &mut Value, list: &str, is_meant: impl Fn(&Value) -> bool) {
    let Some(fields) = fields.as_object_mut() else { return };
    let Some(items) = fields.get_mut(list).and_then(Value::as_array_mut) else { return };
    items.retain(|item| !is_meant(item));
    if items.is_empty() {
        fields.remove(list);
    }
}
