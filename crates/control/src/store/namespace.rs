//! Namespaces on their way out: everything in them is deleted, and they wait for what has to wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use manifest::Object;
use serde_json::{Value, json};

use super::transaction::{Kept, Transaction, has_finalizers};
use super::{DeleteOptions, Status, metadata};
use crate::conditions::{self, Condition};

/// Namespaces that may not be deleted.
const IMMORTAL: &[&str] = &["default", "kube-system", "kube-public"];

impl Transaction<'_> {
    pub(super) fn delete_namespace(
        &mut self,
        old: &Arc<Object>,
        options: &DeleteOptions,
    ) -> Result<Arc<Object>, Status> {
        if IMMORTAL.contains(&old.name.as_str()) {
            return Err(Status::forbidden(old.kind, &old.name, "this namespace may not be deleted"));
        }
        let (old, _) = &self.propagate(old, options);
        let inside_options =
            DeleteOptions { uid: None, resource_version: None, propagation: None, ..*options };
        for object in self.inside(&old.name) {
            // It may have gone with another one.
            if let Some(object) = self.find(&object.reference()) {
                self.delete(&object, &inside_options)?;
            }
        }
        let mut object = Object::clone(old);
        object.value["status"]["phase"] = json!("Terminating");
        if metadata::deletion(old).is_none() {
            object.value["metadata"]["deletionTimestamp"] = json!(metadata::time(self.now));
        }
        self.tell_what_remains(&mut object);
        let object = self.put(object, Kept::OnDisk);
        self.finish_namespace(&old.name);
        Ok(object)
    }

    /// Takes a namespace away that is being deleted, once nothing is left in it that somebody has to finish with; otherwise
    /// says in it what that is.
    pub(super) fn finish_namespace(&mut self, namespace: &str) {
        let Some(object) = self.state.objects.get("Namespace", "", namespace).cloned() else { return };
        if metadata::deletion(&object).is_none() {
            return;
        }
        let inside = self.inside(namespace);
        let is_empty = inside.iter().all(|object| self.is_leftover(object));
        if is_empty && !has_finalizers(&object) {
            inside.iter().chain([&object]).for_each(|object| drop(self.take_away(object)));
            return;
        }
        let mut told = Object::clone(&object);
        self.tell_what_remains(&mut told);
        if told.value != object.value {
            self.put(told, Kept::InMemory);
        }
    }

    /// Makes the finalizers in a namespace's `spec` these. Without any, nothing keeps a namespace that is being deleted.
    pub(super) fn finalize(&mut self, old: &Arc<Object>, wanted: &Value) -> Arc<Object> {
        let mut object = Object::clone(old);
        let finalizers = match &wanted["spec"]["finalizers"] {
            Value::Array(finalizers) => finalizers.clone(),
            _ => Vec::new(),
        };
        let is_done = finalizers.is_empty() && metadata::deletion(old).is_some() && !has_finalizers(old);
        object.value["spec"]["finalizers"] = json!(finalizers);
        let object = self.put(object, Kept::OnDisk);
        if is_done { self.take_away(&object) } else { object }
    }

    fn inside(&self, namespace: &str) -> Vec<Arc<Object>> {
        self.state.objects.iter().filter(|object| object.namespace == namespace).cloned().collect()
    }

    fn is_leftover(&self, object: &Object) -> bool {
        object.kind.key != "Pod" && self.state.derived.contains(&object.reference())
    }

    fn tell_what_remains(&self, namespace: &mut Object) {
        let (mut kinds, mut finalizers) = (BTreeMap::new(), BTreeMap::new());
        let inside = self.inside(&namespace.name);
        for object in inside.iter().filter(|object| !self.is_leftover(object)) {
            let kind = object.kind;
            *kinds.entry(format!("{}.{}", kind.plural, kind.group)).or_insert(0) += 1;
            let written = object.value["metadata"]["finalizers"].as_array().into_iter().flatten();
            for finalizer in written.filter_map(Value::as_str) {
                *finalizers.entry(finalizer.to_owned()).or_insert(0) += 1;
            }
        }
        let listed = |counts: &BTreeMap<String, usize>, word: &str| {
            let all: Vec<String> =
                counts.iter().map(|(name, n)| format!("{name} {word} {n} resource instances")).collect();
            all.join(", ")
        };
        let remaining = if kinds.is_empty() {
            Condition::new("NamespaceContentRemaining", false)
                .because("ContentRemoved", "All content successfully removed")
        } else {
            let message = format!("Some resources are remaining: {}", listed(&kinds, "has"));
            Condition::new("NamespaceContentRemaining", true).because("SomeResourcesRemain", message)
        };
        let held = if finalizers.is_empty() {
            Condition::new("NamespaceFinalizersRemaining", false)
                .because("ContentHasNoFinalizers", "All content-preserving finalizers finished")
        } else {
            let message = format!(
                "Some content in the namespace has finalizers remaining: {}",
                listed(&finalizers, "in")
            );
            Condition::new("NamespaceFinalizersRemaining", true).because("SomeFinalizersRemain", message)
        };
        let all = [
            Condition::new("NamespaceDeletionDiscoveryFailure", false)
                .because("ResourcesDiscovered", "All resources successfully discovered"),
            Condition::new("NamespaceDeletionGroupVersionParsingFailure", false)
                .because("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            Condition::new("NamespaceDeletionContentFailure", false).because(
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            remaining,
            held,
        ];
        let before = namespace.value["status"]["conditions"].clone();
        namespace.value["status"]["conditions"] = conditions::list(&all, &before, &metadata::time(self.now));
    }
}
