//! What becomes of objects whose owners go ("Garbage Collection", Kubernetes documentation): they follow, or are let go of, or
//! their owner waits for them.
//!
//! An owner is known by its uid. What has gone is remembered in the transaction, and what follows from it is done when that is
//! committed, one step after another, so that chains may be as long as they like.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use manifest::{Object, Objects, kind_named};
use plan::ObjectRef;
use serde_json::{Value, json};

use super::transaction::{Kept, Transaction};
use super::{DeleteOptions, metadata};

/// What becomes of the objects that an object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They follow.
    Background,
    /// They stay, and belong to nobody any more.
    Orphan,
    /// The owner waits until they have gone.
    Foreground,
}

/// The finalizer of an owner that waits for what it owns.
const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an owner that lets go of what it owns.
const ORPHAN: &str = "orphan";

/// Which objects say that an object owns them, by its uid; and those whose owner was not there when they came.
#[derive(Debug, Default)]
pub(super) struct Owners {
    dependents: BTreeMap<String, BTreeSet<ObjectRef>>,
    suspects: BTreeSet<ObjectRef>,
}

/// An object that is no more: its uid, and its owners with theirs.
pub(super) struct Gone {
    uid: String,
    owners: Vec<(ObjectRef, String)>,
}

// === impl Propagation ===

impl Propagation {
    /// As a client writes it.
    #[must_use]
    pub fn named(written: &str) -> Option<Self> {
        match written {
            "Background" => Some(Self::Background),
            "Orphan" => Some(Self::Orphan),
            "Foreground" => Some(Self::Foreground),
            _ => None,
        }
    }

    /// As an object asks for it.
    fn of(object: &Object) -> Option<Self> {
        let has = |name: &str| finalizers(object).any(|finalizer| finalizer == name);
        if has(ORPHAN) {
            return Some(Self::Orphan);
        }
        has(FOREGROUND).then_some(Self::Foreground)
    }
}

// === impl Owners ===

impl Owners {
    pub(super) fn of(objects: &Objects) -> Self {
        let mut owners = Self::default();
        objects.iter().for_each(|object| owners.change(None, Some(object)));
        owners
    }

    pub(super) fn has_no_suspects(&self) -> bool {
        self.suspects.is_empty()
    }

    /// Takes in that an object is another now.
    pub(super) fn change(&mut self, before: Option<&Object>, after: Option<&Object>) {
        if let Some(before) = before {
            for uid in uids(before) {
                if let Some(dependents) = self.dependents.get_mut(uid) {
                    dependents.remove(&before.reference());
                    if dependents.is_empty() {
                        self.dependents.remove(uid);
                    }
                }
            }
        }
        if let Some(after) = after {
            for uid in uids(after) {
                self.dependents.entry(uid.to_owned()).or_default().insert(after.reference());
            }
        }
    }
}

// === impl Gone ===

impl Gone {
    pub(super) fn of(object: &Object) -> Self {
        let uid = metadata::text(object, "uid").unwrap_or_default().to_owned();
        let owners = references(object).filter_map(|owner| {
            let kind = kind_named(owner["kind"].as_str()?)?;
            let namespace = if kind.is_namespaced { object.namespace.as_str() } else { "" };
            let owner_of = ObjectRef::new(kind.kind, namespace, owner["name"].as_str()?);
            Some((owner_of, owner["uid"].as_str()?.to_owned()))
        });
        Self { uid, owners: owners.collect() }
    }
}

// === impl Transaction ===

impl Transaction<'_> {
    /// Deals with what an object owns that is to be deleted. Tells whether the object has to wait for it.
    pub(super) fn propagate(&mut self, owner: &Arc<Object>, options: &DeleteOptions) -> bool {
        match options.propagation.or_else(|| Propagation::of(owner)) {
            None | Some(Propagation::Background) => false,
            Some(Propagation::Orphan) => {
                for dependent in self.dependents(owner) {
                    self.let_go(&dependent, |uid| Some(uid) == metadata::text(owner, "uid"));
                }
                false
            }
            Some(Propagation::Foreground) => self.dependents(owner).iter().any(|it| blocks(it, owner)),
        }
    }

    /// Has an object wait for what it owns, which is deleted.
    pub(super) fn wait_for_dependents(&mut self, owner: &Arc<Object>, mut marked: Object) -> Arc<Object> {
        let metadata = &mut marked.value["metadata"];
        if !metadata["finalizers"].is_array() {
            metadata["finalizers"] = json!([]);
        }
        if let Some(finalizers) = metadata["finalizers"].as_array_mut()
            && !finalizers.contains(&json!(FOREGROUND))
        {
            finalizers.push(json!(FOREGROUND));
        }
        let marked = self.put(marked, Kept::OnDisk);
        self.waiting.push(Arc::clone(owner));
        marked
    }

    /// Does all that follows from objects that have gone, or wait for others.
    pub(super) fn collect(&mut self) {
        loop {
            if let Some(owner) = self.waiting.pop() {
                for dependent in self.dependents(&owner) {
                    let propagation = match self.dependents(&dependent).is_empty() {
                        true => Propagation::Background,
                        false => Propagation::Foreground,
                    };
                    let options =
                        DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
                    self.delete_dependent(&dependent, &options);
                }
            } else if let Some(gone) = self.gone.pop() {
                self.follow(&gone);
            } else {
                return;
            }
        }
    }

    /// Deletes what was owned by an object that has gone, and by nobody else; and lets owners go that waited for it.
    fn follow(&mut self, gone: &Gone) {
        let dependents = self.state.owners.dependents.get(&gone.uid).cloned().unwrap_or_default();
        for reference in dependents {
            let Some(dependent) = self.find(&reference) else { continue };
            if self.has_owner(&dependent) {
                self.let_go(&dependent, |uid| uid == gone.uid);
            } else {
                self.delete_dependent(&dependent, &DeleteOptions::default());
            }
        }
        for (owner, uid) in &gone.owners {
            let waits = |object: &Arc<Object>| {
                metadata::text(object, "uid") == Some(uid)
                    && metadata::deletion(object).is_some()
                    && finalizers(object).any(|finalizer| finalizer == FOREGROUND)
            };
            let Some(owner) = self.find(owner).filter(waits) else { continue };
            if self.dependents(&owner).iter().any(|dependent| blocks(dependent, &owner)) {
                continue;
            }
            let mut object = Object::clone(&owner);
            if let Some(finalizers) = object.value["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != FOREGROUND);
            }
            let object = self.put(object, Kept::OnDisk);
            if finalizers(&object).next().is_none() {
                self.take_away(&object);
                self.finish_namespace(&object.namespace);
            }
        }
    }

    /// Deletes an object because of another one. One that may not be deleted stays.
    fn delete_dependent(&mut self, dependent: &Arc<Object>, options: &DeleteOptions) {
        if let Err(status) = self.delete(dependent, options) {
            tracing::warn!(object = %dependent.reference(), %status, "an object stays that another one owned");
        }
        self.finish_namespace(&dependent.namespace);
    }

    /// Remembers an object that came with an owner who is not there.
    pub(super) fn suspect(&mut self, object: &Object) {
        if uids(object).next().is_some() && !self.has_owner(object) {
            self.state.owners.suspects.insert(object.reference());
        }
    }

    /// Deletes objects that came with an owner who is still not there.
    pub(super) fn collect_suspects(&mut self) {
        for reference in std::mem::take(&mut self.state.owners.suspects) {
            if let Some(object) = self.find(&reference).filter(|object| !self.has_owner(object)) {
                self.delete_dependent(&object, &DeleteOptions::default());
            }
        }
    }

    fn dependents(&self, owner: &Object) -> Vec<Arc<Object>> {
        let uid = metadata::text(owner, "uid").unwrap_or_default();
        let all = self.state.owners.dependents.get(uid).into_iter().flatten();
        all.filter_map(|reference| self.find(reference)).collect()
    }

    /// Whether one of those that an object names as its owners is there. Of a kind that is not known here nobody knows.
    fn has_owner(&self, object: &Object) -> bool {
        references(object).any(|reference| {
            let Some(kind) = reference["kind"].as_str().and_then(kind_named) else { return true };
            let namespace = if kind.is_namespaced { object.namespace.as_str() } else { "" };
            let name = reference["name"].as_str().unwrap_or_default();
            let owner = self.state.objects.get(kind.kind, namespace, name);
            owner.is_some_and(|owner| metadata::text(owner, "uid") == reference["uid"].as_str())
        })
    }

    /// Takes owners out of what an object says of its owners.
    fn let_go(&mut self, dependent: &Arc<Object>, is_meant: impl Fn(&str) -> bool) {
        let mut object = Object::clone(dependent);
        let Some(metadata) = object.value["metadata"].as_object_mut() else { return };
        let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) else { return };
        owners.retain(|owner| !owner["uid"].as_str().is_some_and(&is_meant));
        if owners.is_empty() {
            metadata.remove("ownerReferences");
        }
        self.put(object, Kept::OnDisk);
    }
}

fn references(object: &Object) -> impl Iterator<Item = &Value> {
    object.value["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

fn uids(object: &Object) -> impl Iterator<Item = &str> {
    references(object).filter_map(|owner| owner["uid"].as_str()).filter(|uid| !uid.is_empty())
}

fn finalizers(object: &Object) -> impl Iterator<Item = &str> {
    object.value["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether an owner that waits has to wait for this object.
fn blocks(dependent: &Object, owner: &Object) -> bool {
    let uid = metadata::text(owner, "uid");
    references(dependent).any(|it| it["uid"].as_str() == uid && it["blockOwnerDeletion"] == true)
}
