//! Series of one metric, by their labels. Load balancers and target groups come and go: what was counted of those that went is
//! forgotten, so that a platform that runs for long tells no more than there is.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::family::Family;

/// Labels that begin with a load balancer.
pub(super) trait OfBalancer: Clone + Hash + Eq {
    /// Its name.
    fn load_balancer(&self) -> &str;

    /// The listener, where the series is of one.
    fn port(&self) -> Option<u16> {
        None
    }

    /// The target group, where the series is of one.
    fn target_group(&self) -> Option<&str> {
        None
    }
}

/// The series of a metric. Clones are the same.
#[derive(Debug)]
pub(super) struct AllSeries<S, M> {
    family: Family<S, M>,
    known: Arc<Mutex<HashSet<S>>>,
}

// Not derived: what is counted need not be cloned for that.
impl<S, M> Clone for AllSeries<S, M> {
    fn clone(&self) -> Self {
        Self { family: self.family.clone(), known: Arc::clone(&self.known) }
    }
}

impl<S: OfBalancer, M: Default> Default for AllSeries<S, M> {
    fn default() -> Self {
        Self { family: Family::default(), known: Arc::default() }
    }
}

// === impl AllSeries ===

impl<S: OfBalancer, M: Clone + Default> AllSeries<S, M> {
    /// The metric, for who prints it.
    pub(super) fn family(&self) -> Family<S, M> {
        self.family.clone()
    }

    /// What is counted under these labels.
    pub(super) fn get(&self, labels: &S) -> M {
        self.known().insert(labels.clone());
        self.family.get_or_create_owned(labels)
    }

    /// Forgets those whose load balancer, listener or target group is not there any more.
    pub(super) fn retain(&self, is_there: impl Fn(&str, Option<u16>, Option<&str>) -> bool) {
        self.known().retain(|labels| {
            let stays = is_there(labels.load_balancer(), labels.port(), labels.target_group());
            if !stays {
                self.family.remove(labels);
            }
            stays
        });
    }

    fn known(&self) -> MutexGuard<'_, HashSet<S>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
