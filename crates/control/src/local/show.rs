//! What people see of replicas: pods, sets, Deployments, endpoints.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use manifest::{Object, Workload};
use plan::ObjectRef;
use serde_json::Value;
use tokio::time::Instant;

use super::deployment::{self, Counts, Course, REVISION, Set, set_name};
use super::{Local, endpoints, pod};
use crate::store::metadata;

/// How long a rollout may take without anything coming of it, unless the Deployment says otherwise.
const PROGRESS_DEADLINE_SECONDS: u32 = 600;

impl Local {
    /// Writes down what there is now.
    pub(super) fn show(&mut self, workloads: &[Workload], now: Instant) {
        let objects = self.store.objects();
        let lives =
            |owner: &ObjectRef| objects.find(owner).is_some_and(|it| metadata::deletion(it).is_none());
        let deployments: Vec<&Workload> = workloads
            .iter()
            .filter(|workload| workload.owner.kind == "Deployment" && lives(&workload.owner))
            .collect();
        drop(objects);
        for workload in deployments {
            self.write_deployment(workload, now);
        }
        self.write_broken_deployments(workloads);
        self.write_endpoints();
    }

    /// Writes down that Deployments which cannot be run as they are written, and never ran, are not available.
    fn write_broken_deployments(&self, workloads: &[Workload]) {
        let objects = self.store.objects();
        let runs = |reference: &ObjectRef| {
            self.deployments.contains_key(reference) || workloads.iter().any(|it| it.owner == *reference)
        };
        let asking = objects.of_kind("Deployment").filter(|object| !manifest::is_of_platform(object));
        let broken = asking.filter(|object| !runs(&object.reference()));
        let broken: Vec<Arc<Object>> = broken.cloned().collect();
        drop(objects);
        for object in broken {
            let reference = object.reference();
            let problem = self.broken.get(&reference).map_or("its Events say why", String::as_str);
            let status = deployment::status_of_broken(&object, problem, Timestamp::now());
            self.write_refused(&object);
            self.store.set_status(&reference, status);
        }
    }

    /// Remembers a version of a Deployment that cannot be used among those that there were, and forgets the oldest such.
    /// Gives the number of the latest.
    fn write_refused(&self, deployment: &Object) -> Option<u64> {
        let objects = self.store.objects();
        let sets = || objects.of_kind("ReplicaSet").map(AsRef::as_ref);
        let new = deployment::refused_set(deployment, sets());
        new.into_iter().for_each(|set| self.store.derive(set));
        let objects = self.store.objects();
        let refused = deployment::refused(deployment, objects.of_kind("ReplicaSet").map(AsRef::as_ref));
        let n_forgotten = refused.len().saturating_sub(deployment::history_limit(deployment).max(1));
        let forgotten: Vec<ObjectRef> =
            refused[..n_forgotten].iter().map(|(_, set)| set.reference()).collect();
        let last = refused.last().map(|(revision, _)| *revision);
        drop(objects);
        forgotten.iter().for_each(|set| self.store.take_away(set));
        last
    }

    /// Writes down how pods are.
    pub(super) fn write_pods(&self) {
        let objects = self.store.objects();
        let running = self.replicas.iter().filter_map(|(reference, replica)| {
            let object = objects.get("Pod", &reference.namespace, &reference.name)?;
            Some((reference.clone(), replica.status(object)))
        });
        let unstartable = self.broken.iter().filter_map(|(reference, problem)| {
            let pod = objects.find(reference).filter(|object| object.kind.kind == "Pod")?;
            let waits = !self.replicas.contains_key(reference) && !pod::has_ended(pod);
            waits.then(|| (reference.clone(), pod::unstartable(pod, problem, Timestamp::now())))
        });
        let statuses: Vec<_> = running.chain(unstartable).collect();
        drop(objects);
        statuses.into_iter().for_each(|(pod, status)| self.store.set_status(&pod, status));
    }

    /// Writes the ReplicaSet of a set.
    pub(super) fn write_set(&self, workload: &Workload, object: &Object, set: &Set, now: Instant) {
        let counts = self.counts(&workload.owner, &set.template_hash, workload.min_ready, now);
        let objects = self.store.objects();
        let name = set_name(&object.name, &set.template_hash);
        let before = objects.get("ReplicaSet", &object.namespace, &name).cloned();
        drop(objects);
        let written = deployment::set_object(object, set, counts, before.as_deref(), workload);
        if let Some(mut written) = written {
            let reference = written.reference();
            let before = before.as_ref().map_or(&Value::Null, |before| &before.value);
            self.refusals.tell_in(&mut written.value["status"], &reference, before);
            self.store.derive(written);
        }
    }

    fn write_deployment(&mut self, workload: &Workload, now: Instant) {
        let owner = &workload.owner;
        let objects = self.store.objects();
        let Some(object) = objects.get("Deployment", &owner.namespace, &owner.name).cloned() else { return };
        drop(objects);
        let served = self.served(&object);
        let Some(mut deployment) = self.deployments.remove(owner) else { return };
        let mut all = Counts::default();
        for set in &deployment.sets {
            let counts = self.counts(owner, &set.template_hash, workload.min_ready, now);
            all.all += counts.all;
            all.ready += counts.ready;
            all.available += counts.available;
            if set.template_hash == workload.template_hash {
                all.updated = counts.all;
            }
            self.write_set(workload, &served, set, now);
        }
        let patience_seconds = progress_deadline_seconds(&object);
        let deadline = deployment.deadline(all, workload.replicas, patience_seconds, now);
        let is_stuck = deadline.is_some_and(|deadline| deadline <= now);
        deadline.filter(|_| !is_stuck).into_iter().for_each(|at| self.wake_at(at));
        let not_yet_available: Vec<Instant> = self
            .replicas
            .values()
            .filter(|replica| replica.owner == *owner)
            .filter_map(|replica| replica.available_at(workload.min_ready).filter(|at| *at > now))
            .collect();
        not_yet_available.into_iter().for_each(|at| self.wake_at(at));
        let mut revision = deployment.sets.last().map_or(0, |set| set.revision);
        let earlier = self.earlier.get(owner);
        let mut course = match (workload.is_paused, is_stuck) {
            (true, _) => Course::Paused,
            (_, true) => Course::Stuck,
            _ => Course::Going,
        };
        if let Some(earlier) = earlier {
            // What runs is not of the template that is there now.
            all.updated = 0;
            course = Course::Refused(earlier.sentence(&object));
            revision = revision.max(self.write_refused(&object).unwrap_or(0));
        }
        if revision > 0 {
            self.store.annotate(owner, REVISION, &revision.to_string());
        }
        let now = Timestamp::now();
        let mut status = deployment::status(&object, workload, all, course, now);
        if let Some(earlier) = earlier {
            earlier.tell_in(&mut status, &object, &metadata::time(now));
        }
        let set = set_name(&object.name, &workload.template_hash);
        let set = ObjectRef::new("ReplicaSet", &owner.namespace, &set);
        self.refusals.tell_in(&mut status, &set, &object.value);
        self.store.set_status(owner, status);
        self.deployments.insert(owner.clone(), deployment);
    }

    fn write_endpoints(&self) {
        let objects = self.store.objects();
        let written = endpoints::of_services(&objects);
        let wanted: BTreeSet<ObjectRef> = written.iter().map(Object::reference).collect();
        let kinds = ["EndpointSlice", "Endpoints"];
        let ours =
            kinds.iter().flat_map(|kind| objects.of_kind(kind)).filter(|object| endpoints::is_ours(object));
        let stale: Vec<ObjectRef> =
            ours.map(|object| object.reference()).filter(|object| !wanted.contains(object)).collect();
        drop(objects);
        stale.iter().for_each(|object| self.store.take_away(object));
        written.into_iter().for_each(|object| self.store.derive(object));
    }
}

/// A number that no Deployment can have counts as none.
fn progress_deadline_seconds(deployment: &Object) -> u32 {
    let written = deployment.value["spec"]["progressDeadlineSeconds"].as_u64();
    written.and_then(|seconds| seconds.try_into().ok()).unwrap_or(PROGRESS_DEADLINE_SECONDS)
}
