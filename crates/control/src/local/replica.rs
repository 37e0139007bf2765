//! One replica of a workload: a pod whose containers are processes.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use manifest::{Object, RestartPolicy, Workload};
use plan::{ObjectRef, Observed};
use serde_json::Value;
use tokio::time::Instant;

use super::container::{Handle, State, Status};
use super::drain;
use super::pod::Facts;

/// A replica that runs, or is about to end.
#[derive(Debug)]
pub(super) struct Replica {
    /// The Deployment or Pod that wants it.
    pub(super) owner: ObjectRef,
    /// Which pod it is the replica of, among those that have had the name.
    pub(super) pod_uid: String,
    pub(super) template_hash: String,
    pub(super) address: Ipv4Addr,
    pub(super) started: Timestamp,
    /// How long it may take to finish, and then to end.
    pub(super) grace: Duration,
    pub(super) restart: RestartPolicy,
    /// When it has run for as long as it may.
    deadline: Option<Instant>,
    /// Why it failed, whatever its containers say: a reason and a sentence.
    failed: Option<(&'static str, &'static str)>,
    containers: Vec<(String, Handle)>,
    ready_since: Option<Instant>,
    leaving: Option<Leaving>,
}

/// How far a replica is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Out of the endpoints, finishing what it has.
    Draining { since: Instant },
    /// Told to end.
    Ending,
}

/// Whom to give up first when there are too many: the smallest goes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth {
    is_running: bool,
    is_ready: bool,
    deletion_cost: i64,
    ready_for: Duration,
    fewer_restarts: std::cmp::Reverse<u32>,
    age: Duration,
}

impl Replica {
    pub(super) fn new(
        workload: &Workload,
        pod_uid: &str,
        address: Ipv4Addr,
        started: Timestamp,
        containers: Vec<(String, Handle)>,
    ) -> Self {
        let ran_for = Timestamp::now().duration_since(started).unsigned_abs();
        let left = workload.active_deadline.map(|deadline| deadline.saturating_sub(ran_for));
        Self {
            owner: workload.owner.clone(),
            pod_uid: pod_uid.to_owned(),
            template_hash: workload.template_hash.clone(),
            address,
            started,
            grace: workload.termination_grace,
            restart: workload.restart,
            deadline: left.and_then(|left| Instant::now().checked_add(left)),
            failed: None,
            containers,
            ready_since: None,
            leaving: None,
        }
    }

    /// The status of its pod.
    pub(super) fn status(&self, pod: &Object) -> Value {
        let (containers, address) = (self.statuses(), self.address.to_string());
        let facts = Facts {
            containers: &containers,
            address: &address,
            started: self.started,
            failure: self.failed.filter(|_| self.is_gone()),
        };
        super::pod::status(pod, &facts, Timestamp::now())
    }

    fn statuses(&self) -> Vec<(String, Status)> {
        self.containers.iter().map(|(name, handle)| (name.clone(), handle.status())).collect()
    }

    /// Takes in what its containers are now.
    pub(super) fn look(&mut self, now: Instant) {
        let is_ready = self.containers.iter().all(|(_, handle)| handle.status().is_ready);
        self.ready_since = if is_ready { self.ready_since.or(Some(now)) } else { None };
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready_since.is_some()
    }

    /// Whether it has been ready for long enough; otherwise when it will have been.
    pub(super) fn available_at(&self, min_ready: Duration) -> Option<Instant> {
        self.ready_since.map(|since| since + min_ready)
    }

    /// Makes it the replica of its pod, which nobody else keeps any more.
    pub(super) fn stand_alone(&mut self, pod: &ObjectRef) {
        self.owner = pod.clone();
        self.template_hash.clear();
    }

    /// Whether nobody has said yet what it is made of, since it stands alone.
    pub(super) fn is_adopted(&self) -> bool {
        self.template_hash.is_empty()
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Takes it out: first it finishes, then it ends. One that never got a request has nothing to finish.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.leaving.is_some() {
            return;
        }
        if self.is_ready() {
            self.leaving = Some(Leaving::Draining { since: now });
        } else {
            self.end();
        }
    }

    /// Tells its containers to end.
    pub(super) fn end(&mut self) {
        self.leaving = Some(Leaving::Ending);
        self.containers.iter().for_each(|(_, handle)| handle.stop(self.grace));
    }

    /// Ends it when it has run for as long as it may; otherwise gives the time at which it will have.
    pub(super) fn end_in_time(&mut self, now: Instant) -> Option<Instant> {
        let deadline = self.deadline.filter(|_| self.leaving.is_none())?;
        if deadline > now {
            return Some(deadline);
        }
        self.failed =
            Some(("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"));
        self.end();
        None
    }

    /// Whether it was told to make room, and neither failed nor came to its end by itself.
    pub(super) fn makes_room(&self) -> bool {
        self.is_leaving() && self.failed.is_none()
    }

    /// Goes on with leaving. Gives the time to look again although nothing happened.
    pub(super) fn go_on(&mut self, now: Instant, observed: &Observed) -> Option<Instant> {
        let Some(Leaving::Draining { since }) = self.leaving else { return None };
        let left_for = now - since;
        if drain::is_over(self.address.into(), left_for, self.grace, observed) {
            self.end();
            return None;
        }
        Some(now + drain::look_again_after(left_for, self.grace))
    }

    /// Whether nothing of it is left.
    pub(super) fn is_gone(&self) -> bool {
        self.containers.iter().all(|(_, handle)| handle.status().is_gone)
    }

    pub(super) fn worth(&self, deletion_cost: i64, now: Instant) -> Worth {
        let statuses: Vec<Status> = self.containers.iter().map(|(_, handle)| handle.status()).collect();
        Worth {
            is_running: statuses.iter().all(|status| matches!(status.state, State::Running { .. })),
            is_ready: self.is_ready(),
            deletion_cost,
            ready_for: self.ready_since.map_or(Duration::ZERO, |since| now - since),
            fewer_restarts: std::cmp::Reverse(statuses.iter().map(|status| status.restarts).sum()),
            age: Timestamp::now().duration_since(self.started).unsigned_abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_given_up_first() {
        let second = Duration::from_secs(1);
        let best = || Worth {
            is_running: true,
            is_ready: true,
            deletion_cost: 0,
            ready_for: second * 10,
            fewer_restarts: std::cmp::Reverse(0),
            age: second * 10,
        };
        let in_order = [
            Worth { is_running: false, ..best() },
            Worth { is_ready: false, ready_for: Duration::ZERO, ..best() },
            Worth { deletion_cost: -1, ..best() },
            Worth { ready_for: second, ..best() },
            Worth { fewer_restarts: std::cmp::Reverse(1), ..best() },
            Worth { age: second, ..best() },
            best(),
            Worth { deletion_cost: 1, ..best() },
        ];
        assert!(in_order.is_sorted());
    }
}
