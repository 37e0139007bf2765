//! What the control loop needs of a cluster, be it this machine or a Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use manifest::{Object, Objects, Workload};
use plan::{ObjectRef, Observed};
use serde_json::Value;

use crate::conditions::{self, Condition};
use crate::events::Event;

/// The version of an object that goes on, because the object cannot be used as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// It.
    pub object: Arc<Object>,
    /// What is wrong with the object as it is, and how to mend it.
    pub problem: String,
}

/// A cluster. Nothing here waits: what is asked for is done or begun, and what comes of it is a change that
/// [`changed`](Self::changed) tells. Asking for what is already so is free.
#[expect(async_fn_in_trait, reason = "the control plane runs on one thread; nothing has to be `Send`")]
pub trait Cluster {
    /// Every object there is, as of now: the same `Arc` as before if nothing has changed.
    fn objects(&mut self) -> Arc<Objects>;

    /// Waits until anything is different from what the last [`objects`](Self::objects) showed, or until it is time to
    /// look after the workloads. Dropping the future loses nothing.
    async fn changed(&mut self);

    /// Makes objects say what they say here, creating those that are not there. Fields that others set stay.
    fn apply(&mut self, objects: Vec<Object>);

    /// Deletes an object.
    fn delete(&mut self, object: &ObjectRef);

    /// Makes `status` of an object this.
    fn write_status(&mut self, object: &ObjectRef, status: Value);

    /// Tells that something happened to an object.
    fn record_event(&mut self, object: &ObjectRef, event: &Event);

    /// The versions of objects from before changes that nobody has called good yet, also over a restart.
    fn earlier_versions(&self) -> Vec<Object>;

    /// Forgets the earlier versions of objects that are good as they are, or whose earlier version is of no use.
    fn settle(&mut self, is_settled: &dyn Fn(&ObjectRef) -> bool);

    /// The ids of the load balancers that there were the last time, also over a restart.
    fn load_balancers(&self) -> BTreeSet<String>;

    /// Remembers which load balancers there are.
    fn remember_load_balancers(&mut self, ids: &BTreeSet<String>);

    /// Tells which objects make no workload as they are, with what is wrong, and which of them go on as they were. Statuses
    /// say so.
    fn go_on_with(&mut self, earlier: BTreeMap<ObjectRef, Earlier>, broken: &BTreeMap<ObjectRef, String>);

    /// Has the replicas of all these workloads run, and of no others. A workload that is not here although its owner
    /// is still an object could not be understood: its replicas stay as they are.
    ///
    /// `observed` says which replicas still answer requests; none is ended before it is done with them.
    fn keep_workloads(&mut self, workloads: &[Workload], observed: &Observed);

    /// The address of a load balancer, the same for the same id as long as there is one.
    ///
    /// # Errors
    /// Why there is none.
    fn load_balancer_address(&mut self, id: &str, is_in_use: &dyn Fn(&str) -> bool)
    -> Result<IpAddr, String>;

    /// Ends everything that was started, gracefully.
    async fn stop(self);
}

// === impl Earlier ===

impl Earlier {
    /// `generation 3 cannot be used, so generation 2 goes on: …`
    #[must_use]
    pub fn sentence(&self, now: &Object) -> String {
        let generation = |object: &Object| object.value["metadata"]["generation"].as_u64();
        let versions = match (generation(now), generation(&self.object)) {
            (Some(now), Some(earlier)) if now != earlier => {
                format!("generation {now} cannot be used, so generation {earlier} goes on")
            }
            _ => "this version cannot be used, so the last good one goes on".to_owned(),
        };
        format!("{versions}: {}", self.problem)
    }

    /// The generation that is served.
    pub(crate) fn generation(&self) -> &Value {
        &self.object.value["metadata"]["generation"]
    }

    /// Says in a status which generation is served, and why.
    pub(crate) fn tell_in(&self, status: &mut Value, object: &Object, now: &str) {
        let condition = Condition::new(ACCEPTED, false).because("Invalid", self.sentence(object));
        let written = conditions::list(&[condition], &object.value["status"]["conditions"], now);
        let Some(condition) = written.as_array().and_then(|list| list.first()) else { return };
        if let Some(conditions) = status["conditions"].as_array_mut() {
            conditions.push(condition.clone());
        }
    }
}

/// The condition that is there only while it does not hold: whether an object is served as it is.
const ACCEPTED: &str = "Accepted";
