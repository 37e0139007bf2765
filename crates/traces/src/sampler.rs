//! Which traces are recorded ("Tracing SDK", Sampling).

use crate::context::{TraceId, TraceParent};

/// Says which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// A trace that begins here is recorded when the 63 bits at the end of its number, but for the last, are below.
    below: u64,
    /// Whether a trace that comes in is recorded when, and only when, who asks records it.
    follows_parent: bool,
}

/// The numbers that 63 bits can have.
const ALL: u64 = 1 << 63;

impl Default for Sampler {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self { below: ALL, follows_parent: true }
    }
}

impl Sampler {
    /// Every name that [`Self::named`] takes.
    pub const NAMES: [&str; 6] = [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ];

    /// The sampler of a name of `OTEL_TRACES_SAMPLER`, with the share that it may be given, from 0 to 1.
    #[must_use]
    pub fn named(name: &str, share: f64) -> Option<Self> {
        let (kind, follows_parent) = match name.strip_prefix("parentbased_") {
            Some(kind) => (kind, true),
            None => (name, false),
        };
        let below = match kind {
            "always_on" => ALL,
            "always_off" => 0,
            // A float that is too large becomes the largest number.
            "traceidratio" => (share * ALL as f64) as u64,
            _ => return None,
        };
        Some(Self { below, follows_parent })
    }

    /// Whether the spans of a request are recorded.
    pub(crate) fn is_sampled(self, trace: TraceId, parent: Option<TraceParent>) -> bool {
        match parent.filter(|_| self.follows_parent) {
            Some(parent) => parent.is_sampled,
            None => trace.low() >> 1 < self.below,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(name: &str, ratio: f64, parent: Option<bool>) -> usize {
        let sampler = Sampler::named(name, ratio).unwrap();
        let is_sampled = |index: u64| {
            // Evenly over all numbers.
            let trace = TraceId::from_random([7, index * (u64::MAX / 1000)]);
            let parent = parent.map(|is_sampled| TraceParent {
                trace,
                parent: crate::SpanId::from_random(1),
                is_sampled,
            });
            sampler.is_sampled(trace, parent)
        };
        (0..1000).filter(|index| is_sampled(*index)).count()
    }

    #[test]
    fn a_sampler_takes_its_share_of_traces_that_begin_here() {
        for (name, ratio, expected) in [
            ("always_on", 0.0, 1000),
            ("always_off", 1.0, 0),
            ("traceidratio", 0.25, 250),
            ("traceidratio", 1.0, 1000),
            ("traceidratio", 0.0, 0),
            ("parentbased_traceidratio", 0.5, 500),
            ("parentbased_always_on", 0.0, 1000),
            ("parentbased_always_off", 1.0, 0),
        ] {
            let n = share(name, ratio, None);
            assert!(n.abs_diff(expected) <= 1, "{name} {ratio}: {n}");
        }
        assert_eq!(Sampler::named("parentbased_always_on", 1.0), Some(Sampler::default()));
        assert!(Sampler::NAMES.iter().all(|name| Sampler::named(name, 1.0).is_some()));
        assert_eq!(Sampler::named("xray", 1.0), None);
    }

    #[test]
    fn who_follows_the_parent_does_as_it_does() {
        assert_eq!(share("parentbased_always_off", 1.0, Some(true)), 1000);
        assert_eq!(share("parentbased_traceidratio", 1.0, Some(false)), 0);
        assert_eq!(share("always_off", 1.0, Some(true)), 0);
        assert_eq!(share("always_on", 1.0, Some(false)), 1000);
    }
}
