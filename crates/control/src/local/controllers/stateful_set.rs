//! StatefulSet: pods with names of their own, one after the other, and replaced from the last to the first
//! ("StatefulSets", Kubernetes documentation). No claims are made for them, and no names resolve to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use manifest::Object;
use serde_json::{Value, json};

use super::made::{self, is_active, is_ending, is_ready};
use super::revisions::{REVISION_HASH, Revisions, of_pod};
use super::{Wanted, World, count};
use crate::local::pod::has_ended;

/// The pods of a set by their numbers.
type Pods<'a> = BTreeMap<usize, &'a Object>;

/// What a set asks for.
struct Asked<'a> {
    set: &'a Object,
    first: usize,
    replicas: usize,
    /// Pods below this number stay of the version that they are of.
    partition: usize,
    is_parallel: bool,
    /// Whether pods of other versions are replaced.
    rolls: bool,
    current: String,
    revisions: Revisions<'a>,
}

pub(super) fn wanted(set: &Arc<Object>, world: &World<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    let Some((selected, steps)) = made::selected(set, world) else { return wanted };
    wanted.steps = steps;
    let pods: Pods<'_> = selected.into_iter().filter_map(|pod| Some((ordinal(set, pod)?, pod))).collect();
    let asked = Asked::of(set, world);
    if !is_ending(set) {
        if asked.is_parallel {
            asked.fit_all(&pods, &mut wanted);
        } else {
            asked.fit_one(&pods, world, &mut wanted);
        }
        let in_use: BTreeSet<String> =
            pods.values().map(|pod| of_pod(pod).to_owned()).chain([asked.current.clone()]).collect();
        asked.revisions.keep(&in_use, &mut wanted);
    }
    wanted.status = Some(asked.status(&pods, world, &mut wanted));
    wanted
}

impl<'a> Asked<'a> {
    fn of(set: &'a Object, world: &World<'a>) -> Self {
        let spec = &set.value["spec"];
        let rolls = spec["updateStrategy"]["type"] != "OnDelete";
        let revisions = Revisions::of(set, world);
        let current = set.value["status"]["currentRevision"].as_str();
        let current = current.and_then(|name| name.strip_prefix(&format!("{}-", set.name)));
        let current = current.filter(|hash| revisions.is_known(hash)).unwrap_or(&revisions.latest).to_owned();
        let partition =
            if rolls { count(&spec["updateStrategy"]["rollingUpdate"]["partition"], 0) } else { 0 };
        Self {
            set,
            first: count(&spec["ordinals"]["start"], 0),
            replicas: count(&spec["replicas"], 1),
            partition,
            is_parallel: spec["podManagementPolicy"] == "Parallel",
            rolls,
            current,
            revisions,
        }
    }

    fn ordinals(&self) -> std::ops::Range<usize> {
        self.first..self.first.saturating_add(self.replicas)
    }

    /// Everything at once, but that one pod after the other is replaced.
    fn fit_all(&self, pods: &Pods<'_>, wanted: &mut Wanted) {
        let mut is_complete = true;
        for ordinal in self.ordinals() {
            is_complete &= self.has(ordinal, pods, wanted);
        }
        for pod in self.condemned(pods).filter(|pod| !is_ending(pod)) {
            wanted.delete(self.set, pod);
        }
        if is_complete {
            self.roll(pods, wanted);
        }
    }

    /// One step after the other: none is begun before all pods before it are ready.
    fn fit_one(&self, pods: &Pods<'_>, world: &World<'_>, wanted: &mut Wanted) {
        for ordinal in self.ordinals() {
            if !self.has(ordinal, pods, wanted) {
                return;
            }
            let is_available = |pod: &&Object| {
                let at = made::available_at(pod, made::min_ready_seconds(self.set));
                at.is_some_and(|at| at <= world.now) && !is_ending(pod)
            };
            if !pods.get(&ordinal).is_some_and(is_available) {
                return;
            }
        }
        if let Some(last) = self.condemned(pods).next_back() {
            if !is_ending(last) {
                wanted.delete(self.set, last);
            }
            return;
        }
        self.roll(pods, wanted);
    }

    /// Whether a pod is there; otherwise it is made, once the one before it has gone.
    fn has(&self, ordinal: usize, pods: &Pods<'_>, wanted: &mut Wanted) -> bool {
        match pods.get(&ordinal) {
            None => wanted.make(self.pod(ordinal, pods)),
            Some(pod) if has_ended(pod) && !is_ending(pod) => wanted.delete(self.set, pod),
            Some(pod) => return !is_ending(pod),
        }
        false
    }

    /// Pods beyond those that are wanted.
    fn condemned<'p>(&self, pods: &'p Pods<'a>) -> impl DoubleEndedIterator<Item = &'a Object> + use<'p, 'a> {
        let ordinals = self.ordinals();
        pods.iter().filter(move |(ordinal, _)| !ordinals.contains(ordinal)).map(|(_, pod)| *pod)
    }

    fn is_old(&self, ordinal: usize, pod: &Object) -> bool {
        ordinal >= self.first.saturating_add(self.partition) && of_pod(pod) != self.revisions.latest
    }

    /// Replaces the last pod that is of another version, once those behind it are ready.
    fn roll(&self, pods: &Pods<'_>, wanted: &mut Wanted) {
        if !self.rolls {
            return;
        }
        for (ordinal, pod) in pods.range(self.first.saturating_add(self.partition)..).rev() {
            if self.is_old(*ordinal, pod) {
                if !is_ending(pod) {
                    wanted.delete(self.set, pod);
                }
                return;
            }
            if !is_ready(pod) || is_ending(pod) {
                return;
            }
        }
    }

    fn pod(&self, ordinal: usize, pods: &Pods<'_>) -> Object {
        let n_current = match self.partition {
            0 => pods.values().filter(|pod| is_active(pod) && of_pod(pod) == self.current).count(),
            partition => partition,
        };
        let is_current = self.rolls && ordinal < self.first.saturating_add(n_current);
        let hash = if is_current { &self.current } else { &self.revisions.latest };
        let name = format!("{}-{ordinal}", self.set.name);
        let index = ordinal.to_string();
        let labels = [
            ("statefulset.kubernetes.io/pod-name", name.as_str()),
            ("apps.kubernetes.io/pod-index", index.as_str()),
            (REVISION_HASH, hash.as_str()),
        ];
        let mut pod = made::pod(self.set, &self.revisions.template(hash), &name, &labels);
        pod.value["spec"]["hostname"] = json!(name);
        let service = &self.set.value["spec"]["serviceName"];
        if service.as_str().is_some_and(|service| !service.is_empty()) {
            pod.value["spec"]["subdomain"] = service.clone();
        }
        pod
    }

    fn status(&self, pods: &Pods<'_>, world: &World<'_>, wanted: &mut Wanted) -> Value {
        let there: Vec<&Object> = pods.values().copied().filter(|pod| !has_ended(pod)).collect();
        let (ready, available, next) = made::readiness(&there, self.set, world.now);
        wanted.look_again(next);
        let of = |hash: &str| there.iter().filter(|pod| is_active(pod) && of_pod(pod) == hash).count();
        let updated = of(&self.revisions.latest);
        let is_done =
            self.rolls && updated == self.replicas && ready == self.replicas && there.len() == self.replicas;
        let current = if is_done { &self.revisions.latest } else { &self.current };
        let mut status = json!({
            "observedGeneration": self.set.value["metadata"]["generation"],
            "replicas": there.len(),
            "availableReplicas": available,
            "currentRevision": format!("{}-{current}", self.set.name),
            "updateRevision": format!("{}-{}", self.set.name, self.revisions.latest),
            "collisionCount": 0,
        });
        let counts =
            [("readyReplicas", ready), ("currentReplicas", of(current)), ("updatedReplicas", updated)];
        made::counted(&mut status, &counts);
        status
    }
}

/// The number of a pod, which its name ends with.
fn ordinal(set: &Object, pod: &Object) -> Option<usize> {
    let number_of = pod.name.strip_prefix(&set.name)?.strip_prefix('-')?;
    let ordinal = number_of.parse().ok()?;
    (number_of == format!("{ordinal}")).then_some(ordinal)
}
