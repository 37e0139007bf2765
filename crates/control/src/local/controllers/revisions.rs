//! The versions of a template as objects, for StatefulSets and DaemonSets: `kubectl rollout history` and `undo` read them.

use std::collections::BTreeSet;
use std::sync::Arc;

use manifest::Object;
use serde_json::{Value, json};

use super::{Wanted, World, count, number};
use crate::local::pod::{owner, short_hash};
use crate::store::Step;
use crate::store::record::crc64;

/// The label of pods that says which version they are of.
pub(super) const REVISION_HASH: &str = "controller-revision-hash";
/// How many old versions are remembered where nobody says.
const HISTORY: usize = 10;

/// The versions of one object's template.
pub(super) struct Revisions<'a> {
    of: &'a Object,
    known: Vec<&'a Arc<Object>>,
    /// What pods of the version that is wanted are labelled with.
    pub(super) latest: String,
}

impl<'a> Revisions<'a> {
    pub(super) fn of(of: &'a Object, world: &World<'a>) -> Self {
        let mut known = world.of(of, "ControllerRevision");
        known.sort_by_key(|revision| number(&revision.value["revision"]));
        let template = of.value["spec"]["template"].to_string();
        let latest = short_hash(&format!("{:016x}", crc64(template.as_bytes()))).to_owned();
        Self { of, known, latest }
    }

    /// The template of a version; the latest one's where it is not known any more.
    pub(super) fn template(&self, hash: &str) -> Value {
        let known = self.known.iter().find(|revision| hash_of(revision) == Some(hash) && hash != self.latest);
        let template = known.map(|revision| revision.value["data"]["spec"]["template"].clone());
        let mut template = template.unwrap_or_else(|| self.of.value["spec"]["template"].clone());
        if let Some(fields) = template.as_object_mut() {
            fields.remove("$patch");
        }
        template
    }

    pub(super) fn is_known(&self, hash: &str) -> bool {
        self.known.iter().any(|revision| hash_of(revision) == Some(hash))
    }

    /// Has the latest version written down as such, and old ones forgotten that no pod is of.
    pub(super) fn keep(&self, in_use: &BTreeSet<String>, wanted: &mut Wanted) {
        let newest = self.known.last();
        if newest.is_none_or(|newest| hash_of(newest) != Some(&self.latest)) {
            let last = newest.and_then(|newest| number(&newest.value["revision"])).unwrap_or(0);
            wanted.steps.extend(self.written(last.saturating_add(1)).map(Step::Derive));
        }
        let is_old = |revision: &&&Arc<Object>| {
            hash_of(revision).is_none_or(|hash| hash != self.latest && !in_use.contains(hash))
        };
        let old: Vec<&&Arc<Object>> = self.known.iter().filter(is_old).collect();
        let n_forgotten =
            old.len().saturating_sub(count(&self.of.value["spec"]["revisionHistoryLimit"], HISTORY));
        wanted.steps.extend(old[..n_forgotten].iter().map(|revision| Step::TakeAway(revision.reference())));
    }

    fn written(&self, revision: u64) -> Option<Object> {
        let mut template = self.of.value["spec"]["template"].clone();
        let mut labels = template["metadata"]["labels"].clone();
        if !labels.is_object() {
            labels = json!({});
        }
        labels[REVISION_HASH] = json!(self.latest);
        template.as_object_mut()?.insert("$patch".to_owned(), json!("replace"));
        let name = &self.of.name[..self.of.name.floor_char_boundary(240)];
        let value = json!({
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {"name": format!("{name}-{}", self.latest), "namespace": self.of.namespace, "labels": labels,
                "ownerReferences": [owner(self.of)]},
            "data": {"spec": {"template": template}},
            "revision": revision,
        });
        Object::from_value(value).ok()
    }
}

fn hash_of(revision: &Object) -> Option<&str> {
    revision.labels().get(REVISION_HASH).copied()
}

/// The version that a pod is of.
pub(super) fn of_pod(pod: &Object) -> &str {
    pod.labels().get(REVISION_HASH).copied().unwrap_or_default()
}
