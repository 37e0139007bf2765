//! The counters of what annotations of ours ask for: those of a rule are there once a plan has one that asks.

use plan::Handling;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{ListenerLabels, PassedOverLabels, ResultLabels};
use super::series::AllSeries;

/// The series of all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct HandlingSeries {
    compressed: AllSeries<ListenerLabels, Counter>,
    uncopied: AllSeries<PassedOverLabels, Counter>,
    lookups: AllSeries<ResultLabels, Counter>,
    /// What all caches have together.
    pub(super) caches: CacheMetrics,
    /// Clients that made room for others before they could ask as often as they like again.
    pub(super) forgotten: Counter,
}

/// What is counted of requests of one listener that are handled in one way. What nobody asks for is counted nowhere.
#[derive(Debug, Default)]
pub(crate) struct HandledMetrics {
    /// Answers that are compressed.
    pub(crate) compressed: Counter,
    /// What became of requests at their cache, in the order of [`Lookup`].
    pub(crate) lookups: [Counter; Lookup::ALL.len()],
}

/// What becomes of a request where answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It is answered with what is kept.
    Hit,
    /// A target answers it.
    Miss,
    /// It is answered with what is kept, which its target says is good still.
    Revalidated,
    /// It is answered with what is not fresh any more, for its target failed or is asked meanwhile.
    Stale,
    /// It has nothing to do with what is kept.
    Bypass,
}

impl Lookup {
    const ALL: [&str; 5] = ["hit", "miss", "revalidated", "stale", "bypass"];

    /// As logs and metrics have it.
    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL[self as usize]
    }
}

/// What answers take that are kept, and how many questions had to make room. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct CacheMetrics {
    pub(crate) bytes: Gauge,
    pub(crate) evicted: Counter,
}

/// What is counted of requests that are copied for a target group, by why a copy came to nothing.
#[derive(Debug, Clone)]
pub(crate) struct MirrorMetrics {
    pub(crate) unkept: Counter,
    pub(crate) too_many: Counter,
    pub(crate) no_targets: Counter,
    pub(crate) failed: Counter,
}

// === impl HandlingSeries ===

impl HandlingSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "compressed_answers",
            "Answers of targets that were compressed on their way, as an annotation asks",
            self.compressed.family(),
        );
        registry.register(
            "uncopied_requests",
            "Requests whose copy for another target group came to nothing, by why: unkept, too-many, no-targets or failed",
            self.uncopied.family(),
        );
        registry.register(
            "response_cache_lookups",
            format!(
                "Requests of rules that keep answers, by what became of them: {}",
                Lookup::ALL.join(", ")
            ),
            self.lookups.family(),
        );
        registry.register_with_unit(
            "response_cache",
            "Bytes of answers that are kept for those who ask the same again",
            Unit::Bytes,
            Gauge::clone(&self.caches.bytes),
        );
        registry.register(
            "response_cache_evictions",
            "Questions whose answers were forgotten to make room for others",
            Counter::clone(&self.caches.evicted),
        );
        registry.register(
            "rate_limit_forgotten_clients",
            "Clients whose rate was forgotten to make room for others, before their burst was whole again",
            Counter::clone(&self.forgotten),
        );
    }

    pub(super) fn of(&self, load_balancer: &str, port: u16, handling: &Handling) -> HandledMetrics {
        let labels = || ListenerLabels { load_balancer: load_balancer.to_owned(), port };
        let compressed = handling.compression.as_ref().map(|_| self.compressed.get(&labels()));
        let lookups = Lookup::ALL.map(|result| match &handling.cache {
            Some(_) => {
                self.lookups.get(&ResultLabels { load_balancer: load_balancer.to_owned(), port, result })
            }
            None => Counter::default(),
        });
        HandledMetrics { compressed: compressed.unwrap_or_default(), lookups }
    }

    pub(super) fn mirror(&self, load_balancer: &str, target_group: &str) -> MirrorMetrics {
        let uncopied = |reason| {
            let (load_balancer, target_group) = (load_balancer.to_owned(), target_group.to_owned());
            self.uncopied.get(&PassedOverLabels { load_balancer, target_group, reason })
        };
        MirrorMetrics {
            unkept: uncopied("unkept"),
            too_many: uncopied("too-many"),
            no_targets: uncopied("no-targets"),
            failed: uncopied("failed"),
        }
    }

    /// Forgets those of what is not there any more.
    pub(super) fn retain(&self, is_there: impl Fn(&str, Option<u16>, Option<&str>) -> bool) {
        self.compressed.retain(&is_there);
        self.uncopied.retain(&is_there);
        self.lookups.retain(&is_there);
    }
}
