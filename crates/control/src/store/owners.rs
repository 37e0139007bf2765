//! What becomes of objects whose owners go ("Garbage Collection", Kubernetes documentation): they follow, or are let go of, or
//! their owner waits for them.
//!
//! An owner is known by its uid. What has gone is remembered in the transaction, and what follows from it is done when that is
//! committed, one step after another, so that chains may be as long as they like.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use manifest::{KINDS, Kinds, Object, Objects};
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
    pub(super) fn of(object: &Object, kinds: &Kinds) -> Self {
        let uid = metadata::text(object, "uid").unwrap_or_default().to_owned();
        Self { uid, owners: owners(object, kinds) }
    }
}

// === impl Transaction ===

impl Transaction<'_> {
    /// Deals with what an object owns that is to be deleted, and with the finalizers that tell what becomes of it. Gives the
    /// object as it is then, and whether it has to wait for what it owns.
    pub(super) fn propagate(&mut self, owner: &Arc<Object>, options: &DeleteOptions) -> (Arc<Object>, bool) {
        let propagation = options.propagation.or_else(|| Propagation::of(owner));
        if propagation == Some(Propagation::Orphan) {
            for dependent in self.dependents(owner) {
                self.let_go(&dependent, |uid| Some(uid) == metadata::text(owner, "uid"));
            }
        }
        let waits = propagation == Some(Propagation::Foreground)
            && self.dependents(owner).iter().any(|it| blocks(it, owner));
        // It may have been let go of by one that it owns itself.
        let owner = self.find(&owner.reference()).unwrap_or_else(|| Arc::clone(owner));
        let done = if waits { &[ORPHAN][..] } else { &[ORPHAN, FOREGROUND] };
        if propagation.is_none() || !finalizers(&owner).any(|finalizer| done.contains(&finalizer)) {
            return (owner, waits);
        }
        (self.put(without_finalizers(&owner, done), Kept::OnDisk), waits)
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
                self.delete_dependents(&owner);
            } else if let Some(gone) = self.gone.pop() {
                self.follow(&gone);
            } else {
                return;
            }
        }
    }

    /// Deletes what is owned by an object that waits for it, and by no other that stays; and lets that one go if it has nothing
    /// to wait for any more.
    fn delete_dependents(&mut self, owner: &Arc<Object>) {
        let uid = metadata::text(owner, "uid").unwrap_or_default();
        let mut freed = BTreeSet::from([(owner.reference(), uid.to_owned())]);
        for dependent in self.dependents(owner) {
            let Some(mut dependent) = self.find(&dependent.reference()) else { continue };
            if self.has_owner(&dependent) {
                self.let_go(&dependent, |it| it == uid);
                continue;
            }
            let below = self.dependents(&dependent);
            // One that waits for what waits for it would do so for ever.
            if below.iter().any(|it| is_waiting(it)) {
                dependent = self.block_nobody(&dependent);
                freed.extend(owners(&dependent, &self.state.kinds));
            }
            let propagation = (!below.is_empty()).then_some(Propagation::Foreground);
            self.delete_dependent(&dependent, &DeleteOptions { propagation, ..DeleteOptions::default() });
        }
        for (owner, uid) in &freed {
            self.finish_owner(owner, uid);
        }
    }

    /// Deletes what was owned by an object that has gone, and by nobody else; and lets owners go that waited for it.
    fn follow(&mut self, gone: &Gone) {
        let dependents = self.state.owners.dependents.get(&gone.uid).cloned().unwrap_or_default();
        for reference in dependents {
            let Some(dependent) = self.find(&reference) else { continue };
            if !is_owned_by(&dependent, &gone.uid, &self.state.kinds) {
                continue;
            }
            if self.has_owner(&dependent) {
                self.let_go(&dependent, |uid| uid == gone.uid);
            } else {
                self.delete_dependent(&dependent, &DeleteOptions::default());
            }
        }
        for (owner, uid) in &gone.owners {
            self.finish_owner(owner, uid);
        }
    }

    /// Lets an owner go that has waited for what it owned, if nothing of that keeps it any more.
    fn finish_owner(&mut self, owner: &ObjectRef, uid: &str) {
        let waits = |object: &Arc<Object>| metadata::text(object, "uid") == Some(uid) && is_waiting(object);
        let Some(owner) = self.find(owner).filter(waits) else { return };
        if self.dependents(&owner).iter().any(|dependent| blocks(dependent, &owner)) {
            return;
        }
        let object = self.put(without_finalizers(&owner, &[FOREGROUND]), Kept::OnDisk);
        if finalizers(&object).next().is_none() {
            self.take_away(&object);
            self.finish_namespace(&object.namespace);
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
        let is_misplaced = misplaced(object).next().is_some();
        if uids(object).next().is_some() && (is_misplaced || !self.has_owner(object)) {
            self.state.owners.suspects.insert(object.reference());
        }
    }

    /// Deletes objects that came with an owner who is still not there. Tells of those that name one where none can be.
    pub(super) fn collect_suspects(&mut self) -> Vec<(ObjectRef, String)> {
        let mut told = Vec::new();
        for reference in std::mem::take(&mut self.state.owners.suspects) {
            let Some(object) = self.find(&reference) else { continue };
            told.extend(misplaced(&object).map(|owner| (reference.clone(), where_none_is(owner, &object))));
            if !self.has_owner(&object) {
                self.delete_dependent(&object, &DeleteOptions::default());
            }
        }
        told
    }

    fn dependents(&self, owner: &Object) -> Vec<Arc<Object>> {
        let uid = metadata::text(owner, "uid").unwrap_or_default();
        let all = self.state.owners.dependents.get(uid).into_iter().flatten();
        all.filter_map(|reference| self.find(reference))
            .filter(|it| is_owned_by(it, uid, &self.state.kinds))
            .collect()
    }

    /// Whether one of those that an object names as its owners is there, and does not wait for the object to go. Of one that
    /// cannot be looked up nobody knows.
    fn has_owner(&self, object: &Object) -> bool {
        references(object).any(|reference| {
            let Some(owner) = owner_named(reference, object, &self.state.kinds) else { return true };
            self.find(&owner).is_some_and(|owner| {
                metadata::text(&owner, "uid") == reference["uid"].as_str() && !is_waiting(&owner)
            })
        })
    }

    /// Has no owner wait for an object.
    fn block_nobody(&mut self, dependent: &Arc<Object>) -> Arc<Object> {
        let mut object = Object::clone(dependent);
        let owners = object.value["metadata"]["ownerReferences"].as_array_mut();
        for owner in owners.into_iter().flatten().filter(|owner| owner["blockOwnerDeletion"] == true) {
            owner["blockOwnerDeletion"] = json!(false);
        }
        self.put(object, Kept::OnDisk)
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

/// The owners in a namespace that an object names which is in none itself.
fn misplaced(object: &Object) -> impl Iterator<Item = &Value> {
    let is_of_namespace = |reference: &&Value| {
        let api_version = reference["apiVersion"].as_str().unwrap_or_default();
        let mut kinds = KINDS.iter().filter(|kind| kind.is_namespaced && reference["kind"] == kind.kind);
        kinds.any(|kind| kind.api_version() == api_version)
    };
    references(object).filter(move |reference| !object.kind.is_namespaced && is_of_namespace(reference))
}

/// `ownerRef [apps/v1/Deployment, namespace: , name: api, uid: …] does not exist in namespace ""`
fn where_none_is(owner: &Value, object: &Object) -> String {
    let part = |field: &str| owner[field].as_str().unwrap_or_default();
    let named = ["apiVersion", "kind"].map(part).join("/");
    let (namespace, name, uid) = (&object.namespace, part("name"), part("uid"));
    format!(
        "ownerRef [{named}, namespace: {namespace}, name: {name}, uid: {uid}] does not exist in namespace {namespace:?}"
    )
}

fn uids(object: &Object) -> impl Iterator<Item = &str> {
    references(object).filter_map(|owner| owner["uid"].as_str()).filter(|uid| !uid.is_empty())
}

fn finalizers(object: &Object) -> impl Iterator<Item = &str> {
    object.value["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn without_finalizers(object: &Object, done: &[&str]) -> Object {
    let mut object = object.clone();
    if let Some(metadata) = object.value["metadata"].as_object_mut()
        && let Some(finalizers) = metadata.get_mut("finalizers").and_then(Value::as_array_mut)
    {
        finalizers.retain(|finalizer| !finalizer.as_str().is_some_and(|it| done.contains(&it)));
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        }
    }
    object
}

/// Whether an object is being deleted, and waits until what it owns has gone.
fn is_waiting(object: &Object) -> bool {
    metadata::deletion(object).is_some() && finalizers(object).any(|finalizer| finalizer == FOREGROUND)
}

/// The owner that a reference in an object means. None when it cannot be looked up: it is of a group, version or kind that is
/// not served, or in a namespace while the object is in none.
fn owner_named(reference: &Value, object: &Object, kinds: &Kinds) -> Option<ObjectRef> {
    let api_version = reference["apiVersion"].as_str()?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let name = reference["kind"].as_str()?;
    let kind = kinds.find(group, version, name)?;
    let namespace = match (kind.is_namespaced, object.kind.is_namespaced) {
        (false, _) => "",
        (true, true) => object.namespace.as_str(),
        (true, false) => return None,
    };
    Some(ObjectRef::new(kind.key, namespace, reference["name"].as_str()?))
}

/// The owners of an object that can be looked up, with their uids.
fn owners(object: &Object, kinds: &Kinds) -> Vec<(ObjectRef, String)> {
    let named = |it: &Value| Some((owner_named(it, object, kinds)?, it["uid"].as_str()?.to_owned()));
    references(object).filter_map(named).collect()
}

fn is_owned_by(object: &Object, uid: &str, kinds: &Kinds) -> bool {
    references(object).any(|it| it["uid"].as_str() == Some(uid) && owner_named(it, object, kinds).is_some())
}

/// Whether an owner that waits has to wait for this object.
fn blocks(dependent: &Object, owner: &Object) -> bool {
    let uid = metadata::text(owner, "uid");
    references(dependent).any(|it| it["uid"].as_str() == uid && it["blockOwnerDeletion"] == true)
}
