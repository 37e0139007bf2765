//! Definitions of kinds: what becomes of their objects when they go, and whose kind an object is.

use std::sync::Arc;

use manifest::{Kind, Object};
use serde_json::{Value, json};

use super::transaction::{Kept, Transaction, has_finalizers};
use super::{DeleteOptions, Reason, Status, metadata};

/// The finalizer of a definition whose objects have to go first.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

impl Transaction<'_> {
    /// Makes an object's kind that of this store, in the version in which it is stored.
    ///
    /// # Errors
    /// [`Reason::NotFound`] where nothing declares it any more.
    pub(super) fn adopt(&self, object: &mut Object) -> Result<(), Status> {
        if !object.kind.is_declared() {
            return Ok(());
        }
        let declared = self.state.kinds.declared().iter().find(|kind| **kind == object.kind);
        let Some(kind) = declared else {
            let message = "the server could not find the requested resource";
            return Err(Status::new(Reason::NotFound, message));
        };
        object.kind = kind.storage();
        object.kind.write(&mut object.value);
        Ok(())
    }

    /// Deletes a definition, and first all objects of its kind. One of them that somebody has to finish with keeps it.
    pub(super) fn delete_definition(
        &mut self,
        old: &Arc<Object>,
        options: &DeleteOptions,
    ) -> Result<Arc<Object>, Status> {
        let (old, _) = &self.propagate(old, options);
        for object in self.declared_by(old) {
            // It may have gone with another one.
            if let Some(object) = self.find(&object.reference()) {
                self.delete(&object, &DeleteOptions::default())?;
            }
        }
        let is_empty = self.declared_by(old).is_empty();
        if is_empty && !has_finalizers_of_others(old) {
            return Ok(self.take_away(old));
        }
        if metadata::deletion(old).is_some() {
            return Ok(Arc::clone(old));
        }
        let mut object = Object::clone(old);
        object.value["metadata"]["deletionTimestamp"] = json!(metadata::time(self.now));
        object.value["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        if !is_empty {
            let finalizers = &mut object.value["metadata"]["finalizers"];
            match finalizers.as_array_mut() {
                Some(finalizers) => finalizers.push(json!(CLEANUP)),
                None => *finalizers = json!([CLEANUP]),
            }
            let condition = json!({
                "type": "Terminating",
                "status": "True",
                "lastTransitionTime": metadata::time(self.now),
                "reason": "InstanceDeletionInProgress",
                "message": "CustomResource deletion is in progress",
            });
            if let Some(conditions) = object.value["status"]["conditions"].as_array_mut() {
                conditions.retain(|it| it["type"] != "Terminating");
                conditions.push(condition);
            }
        }
        Ok(self.put(object, Kept::OnDisk))
    }

    /// Lets a definition go that was deleted, after the last object of its kind.
    pub(super) fn finish_definition(&mut self, gone: &Object) {
        let Some(definition) = gone.kind.definition() else { return };
        let Some(object) = self.find(&definition.object().reference()) else { return };
        if metadata::deletion(&object).is_none() || !self.declared_by(&object).is_empty() {
            return;
        }
        let mut object = Object::clone(&object);
        if let Some(finalizers) = object.value["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != CLEANUP);
        }
        let has_others = has_finalizers(&object);
        let object = self.put(object, Kept::OnDisk);
        if !has_others {
            self.take_away(&object);
        }
    }

    fn declared_by(&self, definition: &Object) -> Vec<Arc<Object>> {
        let is_it = |kind: &&&Kind| {
            let spec = &definition.value["spec"];
            kind.group == spec["group"] && kind.plural == spec["names"]["plural"]
        };
        let Some(kind) = self.state.kinds.declared().iter().find(is_it) else { return Vec::new() };
        self.state.objects.of_kind(kind.key).cloned().collect()
    }
}

fn has_finalizers_of_others(definition: &Object) -> bool {
    let all = definition.value["metadata"]["finalizers"].as_array();
    all.is_some_and(|all| all.iter().filter_map(Value::as_str).any(|finalizer| finalizer != CLEANUP))
}
