//! What is done to requests of rules and to their answers beside their actions, made ready.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use plan::{Handling, ObjectRef, RateLimit, ResponseCache};

use crate::cache::{Cache, OfRule};
use crate::filters::Filters;
use crate::group::WorkerGroup;
use crate::metrics::{HandledMetrics, Metrics};
use crate::mirror::Mirror;
use crate::rates::Scope;
use crate::snapshot::{ListenerSnapshot, Snapshot};
use crate::worker::Worker;

/// One handling, as all cores share it. Rules of one plan that share it in the plan share it here, on whichever
/// listener they are.
#[derive(Debug)]
pub(crate) struct SharedHandling {
    pub(crate) asked: Arc<Handling>,
    /// Where answers are kept.
    cache: Option<Arc<Cache>>,
}

/// The same for one core and one listener: with the filters that requests and answers pass in the place of the
/// listener's.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) shared: Arc<SharedHandling>,
    pub(crate) filters: Filters,
    /// Whose clients are counted together, where they may ask only so often.
    limited: Option<Scope>,
    /// Where some requests go too.
    pub(crate) mirror: Option<Rc<Mirror>>,
    pub(crate) metrics: HandledMetrics,
}

/// Who is handled how, of the rules of a listener. Empty where nobody is.
#[derive(Debug)]
pub(crate) struct ByRule<T> {
    /// By the place of a rule.
    rules: Vec<Option<T>>,
    /// Where no rule holds.
    default: Option<T>,
}

/// What is shared already of the handlings of a plan.
pub(crate) struct Sharing<'a> {
    known: HashMap<*const Handling, Arc<SharedHandling>>,
    /// The caches of this plan and of the one before, by the object that asks for one and what it asks.
    caches: HashMap<(Option<ObjectRef>, ResponseCache), Arc<Cache>>,
    metrics: &'a Metrics,
}

// === impl ByRule ===

impl<T> ByRule<T> {
    /// That of a rule, by its place, or of what is done where none holds.
    pub(crate) fn get(&self, rule: Option<usize>) -> Option<&T> {
        match rule {
            Some(place) => self.rules.get(place)?.as_ref(),
            None => self.default.as_ref(),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.rules.iter().chain([&self.default]).flatten()
    }

    /// The same with something else in the place of each.
    fn map<U>(&self, mut with: impl FnMut(&T) -> U) -> ByRule<U> {
        let rules = self.rules.iter().map(|one| one.as_ref().map(&mut with)).collect();
        ByRule { rules, default: self.default.as_ref().map(with) }
    }
}

// === impl Sharing ===

impl<'a> Sharing<'a> {
    /// Nothing yet but the caches that there were.
    pub(crate) fn after(before: &Snapshot, metrics: &'a Metrics) -> Self {
        let handlings = before.listeners.iter().flat_map(|listener| listener.handled.all());
        let caches = handlings.filter_map(|shared| {
            let key = (shared.asked.object.clone(), shared.asked.cache.clone()?);
            Some((key, shared.cache.clone()?))
        });
        Self { known: HashMap::new(), caches: caches.collect(), metrics }
    }

    /// The handlings of a listener.
    pub(crate) fn of(&mut self, listener: &plan::Listener) -> ByRule<Arc<SharedHandling>> {
        let mut shared = |asked: &Option<Arc<Handling>>| asked.as_ref().map(|asked| self.share(asked));
        let is_any = listener.rules.iter().any(|rule| rule.handling.is_some());
        let rules = listener.rules.iter().filter(|_| is_any).map(|rule| shared(&rule.handling)).collect();
        ByRule { rules, default: shared(&listener.default_handling) }
    }

    fn share(&mut self, asked: &Arc<Handling>) -> Arc<SharedHandling> {
        let (caches, metrics) = (&mut self.caches, self.metrics);
        let made = || {
            let cache = asked.cache.as_ref().map(|settings| {
                let cache = caches.entry((asked.object.clone(), settings.clone()));
                Arc::clone(cache.or_insert_with(|| Arc::new(Cache::new(settings, metrics.caches()))))
            });
            Arc::new(SharedHandling { asked: Arc::clone(asked), cache })
        };
        Arc::clone(self.known.entry(Arc::as_ptr(asked)).or_insert_with(made))
    }
}

// === impl Handled ===

impl Handled {
    /// The handlings of a listener for one core.
    pub(crate) fn of(
        listener: &ListenerSnapshot,
        groups: &[Rc<WorkerGroup>],
        metrics: &Metrics,
        worker: &Worker,
    ) -> ByRule<Rc<Self>> {
        let mut known: HashMap<*const SharedHandling, Rc<Self>> = HashMap::new();
        listener.handled.map(|shared| {
            let made = || {
                let asked = &shared.asked;
                let limited = asked.rate_limit.as_ref();
                let mirror = asked.mirror.as_ref().and_then(|asked| Mirror::of(asked, groups, metrics));
                Rc::new(Self {
                    shared: Arc::clone(shared),
                    filters: Filters::of(&listener.settings, asked),
                    // The object that asks for it counts, through whatever load balancer its requests come.
                    limited: limited.map(|limit| worker.rates.scope(&asked.object, limit)),
                    mirror: mirror.map(Rc::new),
                    metrics: metrics.handled(listener, asked),
                })
            };
            Rc::clone(known.entry(Arc::as_ptr(shared)).or_insert_with(made))
        })
    }

    pub(crate) fn asked(&self) -> &Handling {
        &self.shared.asked
    }

    /// The cache of a rule, which another value tells from others.
    pub(crate) fn cache(self: &Rc<Self>, rule: u64) -> Option<Box<OfRule>> {
        let cache = Arc::clone(self.shared.cache.as_ref()?);
        Some(Box::new(OfRule { cache, handled: Rc::clone(self), rule }))
    }

    /// How often one client may ask, and whose are counted together.
    pub(crate) fn limit(&self) -> Option<(&RateLimit, Scope)> {
        self.shared.asked.rate_limit.as_ref().zip(self.limited)
    }
}
