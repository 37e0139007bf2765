//! What stays when somebody breaks an object that worked: its last good version goes on serving, also over a restart.
//!
//! So it is on AWS, too: a controller that cannot make sense of an object leaves the load balancer as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use manifest::{Compiled, Compiler, Defaults, Finding, Object, Objects, Workload, workloads};
use plan::{LoadBalancerId, ObjectRef};

use super::findings;
use crate::cluster::{Cluster, Earlier};

/// What compiled the last time.
#[derive(Debug, Default)]
pub(super) struct LastGood {
    objects: BTreeMap<ObjectRef, Arc<Object>>,
    /// By their ids as texts, which a cluster remembers.
    load_balancers: BTreeSet<String>,
    /// Objects that make no workload as they are, and what is wrong with them.
    without_workload: BTreeMap<ObjectRef, String>,
    /// Objects that are broken otherwise.
    broken: BTreeMap<ObjectRef, String>,
}

impl LastGood {
    /// What a cluster remembers from before a restart.
    pub(super) fn of(cluster: &impl Cluster) -> Self {
        let earlier = cluster.earlier_versions().into_iter();
        let objects = earlier.map(|object| (object.reference(), Arc::new(object))).collect();
        Self { objects, load_balancers: cluster.load_balancers(), ..Self::default() }
    }

    /// The workloads of objects; a broken object keeps the workload of its last good version.
    pub(super) fn workloads(&mut self, objects: &Objects) -> Vec<Workload> {
        let (mut all, findings) = workloads(objects);
        self.without_workload = culprits(&findings);
        if !self.without_workload.is_empty() {
            let (earlier, _) = workloads(&self.with_earlier(objects, &self.without_workload));
            let is_kept = |workload: &Workload| self.without_workload.contains_key(&workload.owner);
            all.extend(earlier.into_iter().filter(is_kept));
        }
        all
    }

    /// Compiles objects. The findings are those of the objects as they are; load balancers and children that were there
    /// before, and that a broken object would take away, are compiled from its last good version.
    pub(super) fn compile(
        &mut self,
        compiler: &Compiler,
        objects: &Objects,
        defaults: &Defaults,
    ) -> Rc<Compiled> {
        let mut compiled = compiler.compile(objects, defaults);
        self.broken = culprits(&compiled.findings);
        self.broken.extend(culprits(&compiled.findings_here));
        if !self.broken.is_empty() {
            let earlier = compiler.compile(&self.with_earlier(objects, &self.broken), defaults);
            self.keep_what_was(Rc::make_mut(&mut compiled), Rc::unwrap_or_clone(earlier), objects);
        }
        self.load_balancers =
            compiled.plan.load_balancers.iter().map(|balancer| balancer.id.to_string()).collect();
        let good = objects.iter().filter(|object| object.kind.has_effect());
        let good = good.map(|object| (object.reference(), Arc::clone(object)));
        let mut good: BTreeMap<_, _> = good.filter(|(reference, _)| !self.is_broken(reference)).collect();
        for culprit in self.broken.keys().chain(self.without_workload.keys()) {
            if let Some(object) = self.objects.remove(culprit) {
                good.insert(culprit.clone(), object);
            }
        }
        self.objects = good;
        compiled
    }

    fn is_broken(&self, object: &ObjectRef) -> bool {
        self.broken.contains_key(object) || self.without_workload.contains_key(object)
    }

    /// Whether nothing has to be remembered of an object beside it: it is good, or never was.
    pub(super) fn is_settled(&self, object: &ObjectRef) -> bool {
        !self.is_broken(object) || !self.objects.contains_key(object)
    }

    /// The load balancers that there are.
    pub(super) fn load_balancers(&self) -> &BTreeSet<String> {
        &self.load_balancers
    }

    /// The objects that make no workload as they are, and what is wrong with them.
    pub(super) fn without_workload(&self) -> &BTreeMap<ObjectRef, String> {
        &self.without_workload
    }

    /// The objects that go on as they were, for replicas.
    pub(super) fn of_workloads(&self) -> BTreeMap<ObjectRef, Earlier> {
        self.earlier(&self.without_workload)
    }

    /// The objects that go on as they were.
    pub(super) fn all(&self) -> BTreeMap<ObjectRef, Earlier> {
        let mut all = self.earlier(&self.broken);
        all.extend(self.of_workloads());
        all
    }

    fn earlier(&self, broken: &BTreeMap<ObjectRef, String>) -> BTreeMap<ObjectRef, Earlier> {
        let earlier = broken.iter().filter_map(|(culprit, problem)| {
            let object = Arc::clone(self.objects.get(culprit)?);
            Some((culprit.clone(), Earlier { object, problem: problem.clone() }))
        });
        earlier.collect()
    }

    /// The objects, with those that are broken as they were when they were good, if ever.
    fn with_earlier(&self, objects: &Objects, culprits: &BTreeMap<ObjectRef, String>) -> Objects {
        let mut earlier = objects.clone();
        for culprit in culprits.keys() {
            match self.objects.get(culprit) {
                Some(good) => earlier.insert(Arc::clone(good)),
                None => earlier.remove(culprit),
            };
        }
        earlier
    }

    fn keep_what_was(&self, compiled: &mut Compiled, earlier: Compiled, objects: &Objects) {
        let was_there = |id: &LoadBalancerId| self.load_balancers.contains(&id.to_string());
        let load_balancers = &mut compiled.plan.load_balancers;
        load_balancers.retain(|balancer| !was_there(&balancer.id));
        load_balancers
            .extend(earlier.plan.load_balancers.into_iter().filter(|balancer| was_there(&balancer.id)));
        load_balancers.sort_by(|a, b| a.id.cmp(&b.id));

        let known: BTreeSet<ObjectRef> = compiled.children.iter().map(Object::reference).collect();
        let is_kept = |child: &Object| {
            !known.contains(&child.reference())
                && objects.get(child.kind.kind, &child.namespace, &child.name).is_some()
        };
        compiled.children.extend(earlier.children.into_iter().filter(is_kept));

        let routed: BTreeSet<ObjectRef> = compiled.routes.iter().map(|route| route.object.clone()).collect();
        let kept = earlier
            .routes
            .into_iter()
            .filter(|route| was_there(&route.load_balancer) && !routed.contains(&route.object));
        compiled.routes.extend(kept);
    }
}

/// The objects that have errors, and the first of each.
fn culprits(all: &[Finding]) -> BTreeMap<ObjectRef, String> {
    let mut culprits = BTreeMap::new();
    for finding in all.iter().filter(|finding| finding.is_error()) {
        if let Some(object) = &finding.object {
            culprits.entry(object.clone()).or_insert_with(|| findings::message(finding));
        }
    }
    culprits
}
