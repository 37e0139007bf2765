//! What stays when somebody breaks an object that worked: its last good version goes on serving.
//!
//! So it is on AWS, too: a controller that cannot make sense of an object leaves the load balancer as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use manifest::{Compiled, Defaults, Object, Objects, Severity, compile};
use plan::ObjectRef;

/// What compiled the last time.
#[derive(Debug, Default)]
pub(super) struct LastGood {
    objects: BTreeMap<ObjectRef, Arc<Object>>,
    load_balancers: BTreeSet<String>,
}

impl LastGood {
    /// Compiles objects. The findings are those of the objects as they are; load balancers and children that were there
    /// before, and that a broken object would take away, are compiled from its last good version.
    pub(super) fn compile(&mut self, objects: &Objects, defaults: &Defaults) -> Compiled {
        let mut compiled = compile(objects, defaults);
        let errors = compiled.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let culprits: BTreeSet<ObjectRef> = errors.filter_map(|finding| finding.object.clone()).collect();
        if !culprits.is_empty() {
            let earlier = compile(&self.without(objects, &culprits), defaults);
            self.keep_what_was(&mut compiled, earlier, objects);
        }
        self.load_balancers =
            compiled.plan.load_balancers.iter().map(|balancer| balancer.id.clone()).collect();
        let good = objects.iter().filter(|object| object.kind.has_effect);
        let good = good.map(|object| (object.reference(), Arc::clone(object)));
        let mut good: BTreeMap<_, _> = good.filter(|(reference, _)| !culprits.contains(reference)).collect();
        for culprit in culprits {
            if let Some(object) = self.objects.remove(&culprit) {
                good.insert(culprit, object);
            }
        }
        self.objects = good;
        compiled
    }

    /// The objects, with those that are broken as they were when they were good, if ever.
    fn without(&self, objects: &Objects, culprits: &BTreeSet<ObjectRef>) -> Objects {
        let mut earlier = objects.clone();
        for culprit in culprits {
            match self.objects.get(culprit) {
                Some(good) => earlier.insert(Arc::clone(good)),
                None => earlier.remove(culprit),
            };
        }
        earlier
    }

    fn keep_what_was(&self, compiled: &mut Compiled, earlier: Compiled, objects: &Objects) {
        let was_there = |id: &String| self.load_balancers.contains(id);
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
