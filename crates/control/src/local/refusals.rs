//! Sets whose pods are not admitted: what is told of them, and when it is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use plan::ObjectRef;
use serde_json::Value;
use tokio::time::Instant;

use crate::conditions::{self, Condition};
use crate::store::metadata;

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// By the set whose pod was refused.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_set: BTreeMap<ObjectRef, Refusal>,
}

#[derive(Debug)]
struct Refusal {
    why: String,
    wait: Duration,
    again_at: Instant,
}

// === impl Refusals ===

impl Refusals {
    /// When another pod of a set may be tried, if not now.
    pub(super) fn waits_until(&self, set: &ObjectRef, now: Instant) -> Option<Instant> {
        self.by_set.get(set).map(|refusal| refusal.again_at).filter(|at| *at > now)
    }

    /// Notes that a pod was refused. Tells when to try again.
    pub(super) fn note(&mut self, set: &ObjectRef, why: &str, now: Instant) -> Instant {
        let wait = self.by_set.get(set).map_or(FIRST, |before| (before.wait * 2).min(LONGEST));
        let again_at = now + wait;
        self.by_set.insert(set.clone(), Refusal { why: why.to_owned(), wait, again_at });
        again_at
    }

    /// Forgets what a set was refused, because a pod of it was admitted.
    pub(super) fn forget(&mut self, set: &ObjectRef) {
        self.by_set.remove(set);
    }

    /// Forgets sets that are no more, or want no more pods.
    pub(super) fn keep(&mut self, lacks: impl Fn(&ObjectRef) -> bool) {
        self.by_set.retain(|set, _| lacks(set));
    }

    /// Says in a status that pods of a set are refused, and why.
    pub(super) fn tell_in(&self, status: &mut Value, set: &ObjectRef, before: &Value) {
        let Some(refusal) = self.by_set.get(set) else { return };
        let failure = Condition::new("ReplicaFailure", true).because("FailedCreate", refusal.why.clone());
        let now = metadata::time(Timestamp::now());
        let written = conditions::list(&[failure], &before["status"]["conditions"], &now);
        let list = &mut status["conditions"];
        match (list.as_array_mut(), written) {
            (Some(list), Value::Array(written)) => list.extend(written),
            (None, written) => *list = written,
            _ => {}
        }
    }
}
