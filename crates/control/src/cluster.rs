//! What the control loop needs of a cluster, be it this machine or a Kubernetes.

use std::net::IpAddr;
use std::sync::Arc;

use manifest::{Object, Objects, Workload};
use plan::{ObjectRef, Observed};
use serde_json::Value;

use crate::events::Event;

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
