//! Having the replicas run that workloads want: one pass over all of them.
//!
//! A pass looks at what there is, decides and acts. It never waits; what it begins wakes the control loop when something
//! comes of it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use manifest::{Container, Object, Objects, Program, RestartPolicy, Workload};
use plan::{ObjectRef, Observed};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::container::{Handle, Runner};
use super::deployment::{self, Counts, Deployment, REVISION, Set, set_name};
use super::descendants::MARK;
use super::environment::{Identity, launch};
use super::pod::TEMPLATE_HASH;
use super::replica::Replica;
use super::rollout::{self, SetSize};
use super::{Local, nodes, pod, service_links};
use crate::events::Event;
use crate::store::{CREATED_FOR, DeleteOptions, Due, Mode, Step, generated_name, has_finalizers, metadata};

/// When to try again what could not be begun, for example for want of an address.
const RETRY: Duration = Duration::from_secs(1);
/// Lower values are given up first.
pub(super) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

impl Local {
    pub(super) fn keep(&mut self, workloads: &[Workload], observed: &Observed) {
        let now = Instant::now();
        self.wake_at = None;
        self.containers_changed.mark_unchanged();
        self.replicas.values_mut().for_each(|replica| replica.look(now));
        let deadlines: Vec<Instant> =
            self.replicas.values_mut().filter_map(|replica| replica.end_in_time(now)).collect();
        deadlines.into_iter().for_each(|at| self.wake_at(at));

        for (object, message) in self.store.collect_garbage() {
            self.platform.recorder.record(&object, &Event::warning("OwnerRefInvalidNamespace", message));
        }
        self.store.furnish_again();
        let objects = self.store.objects();
        self.tell_of_namespaces(&objects);
        self.let_deleted_go(&objects, now);
        let is_ending = |workload: &&Workload| {
            let owner = objects.find(&workload.owner);
            owner.is_some_and(|owner| metadata::deletion(owner).is_some())
        };
        for workload in workloads {
            match workload.owner.kind.as_str() {
                // It waits for its pods to go, and makes no new ones.
                "Deployment" if is_ending(&workload) => {}
                "Deployment" => self.keep_deployment(workload, &objects, now),
                _ => self.keep_pod(workload, &objects, now),
            }
        }
        self.go_on_leaving(&objects, observed, now);
        drop(objects);

        self.write_pods();
        self.follow_controllers(now);
        self.keep_claims();
        self.show(workloads, now);
        self.store.look_after_file(now).into_iter().for_each(|at| self.wake_at(at));
    }

    /// Tells of namespaces that nobody wrote: one is made for every object that names it.
    fn tell_of_namespaces(&mut self, objects: &Objects) {
        for namespace in objects.of_kind("Namespace") {
            if let Some(object) = namespace.annotation(CREATED_FOR)
                && self.told_namespaces.insert(namespace.name.clone())
            {
                let message = format!("the namespace was not there and has been created for {object}");
                self.platform
                    .recorder
                    .record(&namespace.reference(), &Event::normal("NamespaceCreated", message));
            }
        }
    }

    // --- replicas that go ---

    /// Lets replicas go whose pod is being deleted, or whose owner is no more.
    fn let_deleted_go(&mut self, objects: &Objects, now: Instant) {
        let exists =
            |object: &ObjectRef| objects.get(&object.kind, &object.namespace, &object.name).is_some();
        self.deployments.retain(|owner, _| exists(owner));
        self.refusals.keep(|owner| objects.find(owner).is_some_and(|owner| lacks_pods(owner)));
        let sets = objects.of_kind("ReplicaSet");
        for set in sets.filter(|set| owner_of(set).is_some_and(|owner| !exists(&owner))) {
            self.store.take_away(&set.reference());
        }
        let mut orphans = Vec::new();
        for (pod, replica) in &mut self.replicas {
            match objects.get("Pod", &pod.namespace, &pod.name) {
                None => replica.end(),
                // Another has its name by now: one that was deleted at once and made anew.
                Some(object) if metadata::text(object, "uid").is_some_and(|uid| uid != replica.pod_uid) => {
                    replica.end();
                }
                Some(object) if metadata::deletion(object).is_some() => {
                    let granted = object.value["metadata"]["deletionGracePeriodSeconds"].as_u64();
                    replica.grace =
                        granted.map_or(replica.grace, |it| replica.grace.min(Duration::from_secs(it)));
                    replica.leave(now);
                }
                // Whoever kept it has let it go: it is a pod of its own.
                Some(object) if !exists(&replica.owner) && owner_of(object).is_none_or(|it| exists(&it)) => {
                    replica.stand_alone(pod);
                }
                Some(_) if !exists(&replica.owner) => orphans.push(pod.clone()),
                Some(_) => {}
            }
        }
        orphans.iter().for_each(|pod| self.give_up(pod, now));
        // Pods that were never started, or have ended, have nobody else to finish with them.
        let deleted = objects.of_kind("Pod").filter(|pod| metadata::deletion(pod).is_some());
        let deleted = deleted.filter(|pod| !has_finalizers(pod)).map(|pod| pod.reference());
        for pod in deleted.filter(|pod| !self.replicas.contains_key(pod)) {
            self.store.take_away(&pod);
        }
        let logs = &self.platform.logs;
        self.ended.retain(|pod| {
            let is_there = exists(pod);
            if !is_there {
                logs.forget(&pod.namespace, &pod.name);
            }
            is_there
        });
    }

    /// Lets one replica go, and its pod with it.
    fn give_up(&mut self, pod: &ObjectRef, now: Instant) {
        let Some(replica) = self.replicas.get_mut(pod) else { return };
        replica.leave(now);
        let Some(kind) = manifest::kind_named("Pod") else { return };
        let options = DeleteOptions {
            grace_period_seconds: Some(replica.grace.as_secs().max(1)),
            ..DeleteOptions::default()
        };
        let _ = self.store.delete((kind, &pod.namespace, &pod.name), &options, Mode::Commit);
    }

    fn go_on_leaving(&mut self, objects: &Objects, observed: &Observed, now: Instant) {
        let looks: Vec<Instant> =
            self.replicas.values_mut().filter_map(|replica| replica.go_on(now, observed)).collect();
        looks.into_iter().for_each(|at| self.wake_at(at));
        let gone = self.replicas.iter().filter(|(_, replica)| replica.is_gone());
        let gone: Vec<ObjectRef> = gone.map(|(pod, _)| pod.clone()).collect();
        let mut ends = Vec::new();
        for pod in gone {
            let Some(replica) = self.replicas.remove(&pod) else { continue };
            // What was waiting for this end goes on in the next pass.
            self.wake_at(now);
            let object = objects.get("Pod", &pod.namespace, &pod.name);
            let is_deleted =
                object.is_none_or(|pod| metadata::deletion(pod).is_some() && !has_finalizers(pod));
            let is_waited_for = object.is_some_and(|pod| metadata::deletion(pod).is_some());
            match object {
                // It ended by itself, or somebody wants to know how: that stays to be seen.
                Some(object) if !is_deleted && (is_waited_for || !replica.makes_room()) => {
                    ends.push(Step::Status(pod.clone(), replica.status(object)));
                    self.ended.insert(pod);
                }
                // The pod of a changed bare Pod stays, and gets a new replica.
                _ => {
                    self.platform.logs.forget(&pod.namespace, &pod.name);
                    if is_deleted {
                        self.store.take_away(&pod);
                    }
                }
            }
        }
        self.store.take(ends, Due::Now);
    }

    // --- bare pods ---

    fn keep_pod(&mut self, workload: &Workload, objects: &Objects, now: Instant) {
        let pod = &workload.owner;
        let Some(object) = objects.get("Pod", &pod.namespace, &pod.name) else { return };
        // What a pod of somebody is made of follows from the one who made it, and what runs to its end is not begun anew.
        let is_replaced = owner_of(object).is_none() && workload.restart == RestartPolicy::Always;
        match self.replicas.get_mut(pod) {
            _ if pod::has_ended(object) => {}
            None if metadata::deletion(object).is_none() => self.start_on_a_node(object, workload, now),
            Some(replica) if replica.is_adopted() => {
                replica.template_hash.clone_from(&workload.template_hash);
            }
            Some(replica) if is_replaced && replica.template_hash != workload.template_hash => {
                replica.leave(now);
            }
            _ => {}
        }
    }

    /// Starts the replica of a pod, on the node that it names or else on the best one.
    fn start_on_a_node(&mut self, object: &Object, workload: &Workload, now: Instant) {
        if object.value["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty()) {
            self.start(object, workload, now);
            return;
        }
        let Some(node) = self.node_for(&object.value["spec"], &object.reference(), workload) else { return };
        self.store.bind(&object.reference(), &node);
        let objects = self.store.objects();
        if let Some(object) = objects.find(&object.reference()) {
            self.start(object, workload, now);
        }
    }

    /// The node on which another pod runs best, if there is one; otherwise that is told of.
    fn node_for(&self, spec: &Value, about: &ObjectRef, workload: &Workload) -> Option<String> {
        let objects = self.store.objects();
        let owner = objects.find(&workload.owner).and_then(|pod| owner_of(pod));
        let is_ours = |pod: &ObjectRef, replica: &Replica| {
            let of_same = || objects.find(pod).is_some_and(|pod| owner_of(pod) == owner);
            replica.owner == workload.owner || (owner.is_some() && of_same())
        };
        let ours = self.replicas.iter().filter(|(pod, replica)| is_ours(pod, replica));
        let ours: BTreeSet<&ObjectRef> = ours.map(|(pod, _)| pod).collect();
        let nodes = nodes::all(&objects);
        if nodes.is_empty() {
            return Some(self.settings.node_name.clone());
        }
        let best = nodes::best(&nodes, spec, &objects, &ours).map(ToOwned::to_owned);
        if best.is_none() {
            let n_nodes = nodes.len();
            let message = format!(
                "0/{n_nodes} nodes are available: {n_nodes} node(s) were unschedulable or had untolerated taints"
            );
            self.platform.recorder.record(about, &Event::warning("FailedScheduling", message));
        }
        best
    }

    // --- deployments ---

    /// The version of an object that its replicas are made of.
    pub(super) fn served(&self, object: &Arc<Object>) -> Arc<Object> {
        let earlier = self.earlier.get(&object.reference());
        Arc::clone(earlier.map_or(object, |earlier| &earlier.object))
    }

    fn keep_deployment(&mut self, workload: &Workload, objects: &Objects, now: Instant) {
        let owner = &workload.owner;
        let Some(object) = objects.get("Deployment", &owner.namespace, &owner.name) else { return };
        let object = &self.served(object);
        let last_revision = object.annotation(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut deployment = self
            .deployments
            .remove(owner)
            .unwrap_or_else(|| Deployment::of(object, objects.of_kind("ReplicaSet").map(AsRef::as_ref), now));
        let goes_on = self.earlier.contains_key(owner);
        let last_refused = if goes_on { 0 } else { self.last_refused(object, objects) };
        let wanted = if workload.is_paused {
            deployment.sizes_while_paused(workload.replicas)
        } else {
            deployment.turn_to(&workload.template_hash, last_revision, last_refused, now);
            let sizes: Vec<SetSize> =
                deployment.sets.iter().map(|set| self.size(owner, set, workload, now)).collect();
            let (old, new) = sizes.split_at(sizes.len() - 1);
            let (new_wanted, old_wanted) = rollout::step(workload.replicas, workload.rollout, new[0], old);
            old_wanted.into_iter().chain([new_wanted]).collect()
        };
        for (set, wanted) in deployment.sets.iter_mut().zip(wanted) {
            self.resize(owner, set, wanted);
        }
        for set in &deployment.sets {
            self.write_set(workload, object, set, now);
            self.fit(workload, set, object, now);
        }
        let kept = deployment::history_limit(object);
        let replicas = &self.replicas;
        let is_empty =
            |set: &Set| !replicas.values().any(|r| r.owner == *owner && r.template_hash == set.template_hash);
        for forgotten in deployment.forget_old(kept, is_empty) {
            let name = set_name(&owner.name, &forgotten);
            self.store.take_away(&ObjectRef::new("ReplicaSet", &owner.namespace, &name));
        }
        self.deployments.insert(owner.clone(), deployment);
    }

    /// The number of the last version of a Deployment that was refused, 0 when there is none. One whose template can be
    /// used meanwhile is remembered no longer: it gets a set with replicas.
    fn last_refused(&self, deployment: &Arc<Object>, objects: &Objects) -> u64 {
        let sets = objects.of_kind("ReplicaSet").map(AsRef::as_ref);
        let refused = deployment::refused(deployment, sets);
        for (_, set) in refused.iter().filter(|(_, set)| deployment::has_template_of(set, deployment)) {
            self.store.take_away(&set.reference());
        }
        refused.last().map_or(0, |(revision, _)| *revision)
    }

    /// The replicas of a set that are not on their way out.
    fn staying<'a>(
        &'a self,
        owner: &'a ObjectRef,
        hash: &'a str,
    ) -> impl Iterator<Item = (&'a ObjectRef, &'a Replica)> {
        self.replicas.iter().filter(move |(_, replica)| {
            replica.owner == *owner && replica.template_hash == hash && !replica.is_leaving()
        })
    }

    fn size(&self, owner: &ObjectRef, set: &Set, workload: &Workload, now: Instant) -> SetSize {
        let running = self
            .replicas
            .values()
            .filter(|r| r.owner == *owner && r.template_hash == set.template_hash)
            .count();
        let counts = self.counts(owner, &set.template_hash, workload.min_ready, now);
        SetSize {
            wanted: set.wanted,
            available: counts.available,
            running: u32::try_from(running).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn counts(&self, owner: &ObjectRef, hash: &str, min_ready: Duration, now: Instant) -> Counts {
        let mut counts = Counts::default();
        for (_, replica) in self.staying(owner, hash) {
            counts.all += 1;
            counts.ready += u32::from(replica.is_ready());
            counts.available += u32::from(replica.available_at(min_ready).is_some_and(|at| at <= now));
        }
        counts
    }

    fn resize(&self, owner: &ObjectRef, set: &mut Set, wanted: u32) {
        let before = set.wanted;
        if wanted == before {
            return;
        }
        set.wanted = wanted;
        let direction = if wanted > before { "up" } else { "down" };
        let name = set_name(&owner.name, &set.template_hash);
        let message = format!("Scaled {direction} replica set {name} from {before} to {wanted}");
        self.platform.recorder.record(owner, &Event::normal("ScalingReplicaSet", message));
    }

    /// Starts replicas of a set, or lets some go.
    fn fit(&mut self, workload: &Workload, set: &Set, deployment: &Object, now: Instant) {
        let owner = &workload.owner;
        let staying: Vec<ObjectRef> =
            self.staying(owner, &set.template_hash).map(|(pod, _)| pod.clone()).collect();
        let wanted = usize::try_from(set.wanted).unwrap_or(usize::MAX);
        if staying.len() < wanted {
            let Some(workload) = self.workload_of_set(workload, set, deployment) else { return };
            (staying.len()..wanted).for_each(|_| self.add(&workload, set, now));
        } else if staying.len() > wanted {
            let n_too_many = staying.len() - wanted;
            self.least_worth(staying, now).into_iter().take(n_too_many).for_each(|pod| {
                let message = format!("Deleted pod: {}", pod.name);
                let set = ObjectRef::new(
                    "ReplicaSet",
                    &owner.namespace,
                    &set_name(&owner.name, &set.template_hash),
                );
                self.platform.recorder.record(&set, &Event::normal("SuccessfulDelete", message));
                self.give_up(&pod, now);
            });
        }
    }

    /// What the replicas of a set are made of: for an old one, what its ReplicaSet still says.
    fn workload_of_set<'a>(
        &self,
        workload: &'a Workload,
        set: &Set,
        deployment: &Object,
    ) -> Option<Cow<'a, Workload>> {
        if set.template_hash == workload.template_hash {
            return Some(Cow::Borrowed(workload));
        }
        let objects = self.store.objects();
        let name = set_name(&deployment.name, &set.template_hash);
        let written = objects.get("ReplicaSet", &deployment.namespace, &name)?;
        let mut earlier = deployment.clone();
        let template = &mut earlier.value["spec"]["template"];
        *template = written.value["spec"]["template"].clone();
        template["metadata"]["labels"].as_object_mut()?.remove(TEMPLATE_HASH);
        let earlier = manifest::workload_of(&earlier, &objects)?;
        Some(Cow::Owned(Workload { template_hash: set.template_hash.clone(), ..earlier }))
    }

    /// Pods in the order in which they are given up.
    fn least_worth(&self, mut pods: Vec<ObjectRef>, now: Instant) -> Vec<ObjectRef> {
        let objects = self.store.objects();
        let cost = |pod: &ObjectRef| {
            let object = objects.get("Pod", &pod.namespace, &pod.name)?;
            object.annotation(DELETION_COST)?.parse().ok()
        };
        pods.sort_by_cached_key(|pod| {
            self.replicas.get(pod).map(|replica| replica.worth(cost(pod).unwrap_or(0), now))
        });
        pods
    }

    /// Adds a replica to a set.
    fn add(&mut self, workload: &Workload, set: &Set, now: Instant) {
        let owner = &workload.owner;
        let set_name = set_name(&owner.name, &set.template_hash);
        let objects = self.store.objects();
        let Some(set) = objects.get("ReplicaSet", &owner.namespace, &set_name).cloned() else { return };
        drop(objects);
        if let Some(at) = self.refusals.waits_until(&set.reference(), now) {
            self.wake_at(at);
            return;
        }
        let name = generated_name(&format!("{set_name}-"));
        let zone = self.zone_of_next(workload);
        let spec = &set.value["spec"]["template"]["spec"];
        let Some(node) = self.node_for(spec, &set.reference(), workload) else { return };
        let Some(pod) = pod::new(&name, workload, &set, &node, zone) else { return };
        let reference = pod.reference();
        if let Err(refusal) = self.store.create_pod(pod) {
            let message = format!("Error creating: {}", refusal.message);
            self.platform.recorder.record(&set.reference(), &Event::warning("FailedCreate", message));
            let again_at = self.refusals.note(&set.reference(), &refusal.message, now);
            self.wake_at(again_at);
            return;
        }
        self.refusals.forget(&set.reference());
        let message = format!("Created pod: {name}");
        self.platform.recorder.record(&set.reference(), &Event::normal("SuccessfulCreate", message));
        let objects = self.store.objects();
        if let Some(pod) = objects.get("Pod", &reference.namespace, &reference.name).cloned() {
            drop(objects);
            self.start(&pod, workload, now);
            if !self.replicas.contains_key(&reference) {
                self.store.take_away(&reference);
            }
        }
    }

    /// The zone that has the fewest replicas of a workload, where these are spread over some.
    fn zone_of_next<'a>(&self, workload: &'a Workload) -> Option<&'a str> {
        let objects = self.store.objects();
        let staying = self.staying(&workload.owner, &workload.template_hash);
        let pods = staying.filter_map(|(pod, _)| objects.get("Pod", &pod.namespace, &pod.name));
        let zones: Vec<&str> = pods.filter_map(|pod| pod.labels().get(pod::ZONE).copied()).collect();
        let n_in = |zone: &&str| zones.iter().filter(|other| *other == zone).count();
        workload.zones.iter().map(String::as_str).min_by_key(n_in)
    }

    // --- starting ---

    /// Starts the replica of a pod.
    fn start(&mut self, pod: &Object, workload: &Workload, now: Instant) {
        let reference = pod.reference();
        let taken: BTreeSet<_> = self.replicas.values().map(|replica| replica.address).collect();
        let Some(address) = self.block.next_replica(|address| taken.contains(&address)) else {
            let message = "no loopback address is free for another replica";
            self.platform.recorder.record(&workload.owner, &Event::warning("FailedCreate", message));
            self.wake_at(now + RETRY);
            return;
        };
        let node = pod.value["spec"]["nodeName"].as_str().unwrap_or(&self.settings.node_name);
        let message = format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name);
        self.platform.recorder.record(&reference, &Event::normal("Scheduled", message));
        if workload.containers.iter().any(|container| container.cpu_limit.is_some()) {
            // Nothing is ignored silently.
            let message = "CPU limits are not enforced on one machine yet; memory limits are";
            self.platform.recorder.record(&reference, &Event::normal("LimitNotEnforced", message));
        }
        let identity = Identity {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: metadata::text(pod, "uid").unwrap_or_default().to_owned(),
            address: address.into(),
            node: node.to_owned(),
        };
        let begun = pod.value["status"]["startTime"].as_str().and_then(|time| time.parse().ok());
        let started = begun.filter(|_| pod::runs_to_its_end(pod)).unwrap_or_else(Timestamp::now);
        if pod::runs_to_its_end(pod) {
            // Whoever comes after a crash has to know that it was started.
            let mut status = pod.value["status"].clone();
            status["startTime"] = json!(metadata::time(started));
            self.store.take(vec![Step::Status(reference.clone(), status)], Due::Now);
        }
        let containers = workload.containers.iter().map(|container| {
            let n_starts = pod::n_starts(pod, &container.name);
            let handle = self.start_container(container, &reference, &identity, workload, n_starts);
            (container.name.clone(), handle)
        });
        let replica = Replica::new(workload, &identity.uid, address, started, containers.collect());
        self.replicas.insert(reference, replica);
    }

    fn start_container(
        &self,
        container: &Container,
        pod: &ObjectRef,
        identity: &Identity,
        workload: &Workload,
        n_starts: u32,
    ) -> Handle {
        let folder = workload.working_directory.as_deref();
        // What is no text is for nobody here.
        let inherited = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let inherited = inherited.chain(self.settings.environment.iter().cloned());
        let mut launch = launch(container, identity, folder, inherited, &self.settings.program);
        let objects = self.store.objects();
        if let Some(object) =
            objects.find(pod).filter(|_| !matches!(container.program, Program::Forebay { .. }))
        {
            // What comes later wins.
            launch.environment.splice(0..0, service_links::of(object, &objects));
        }
        drop(objects);
        let mark = format!("{}{}/{}", self.platform.mark, identity.uid, container.name);
        launch.environment.push((MARK.to_owned(), mark.clone()));
        // Our own program starts no other.
        let mark = matches!(container.program, Program::Command { .. }).then_some(mark);
        Handle::start(Runner {
            container: container.clone(),
            pod: pod.clone(),
            launch,
            mark,
            address: identity.address,
            grace: workload.termination_grace,
            restart: workload.restart,
            n_starts,
            platform: Rc::clone(&self.platform),
        })
    }
}

/// Whether a set wants more pods than it has. Of what else has pods made nobody knows.
fn lacks_pods(set: &Object) -> bool {
    if !set.value["spec"]["replicas"].is_u64() {
        return true;
    }
    let number = |part: &str| set.value[part]["replicas"].as_u64().unwrap_or(0);
    number("spec") > number("status")
}

/// The object that controls an object.
pub(super) fn owner_of(object: &Object) -> Option<ObjectRef> {
    let owners = object.value["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some(ObjectRef::new(owner["kind"].as_str()?, &object.namespace, owner["name"].as_str()?))
}
