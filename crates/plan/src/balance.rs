//! Choosing: which targets may be used, which target group of several, and which target of a group.
//!
//! An algorithm is a file of this folder and a line of [`ROWS`]. It looks at candidates as they are at one moment, says a place,
//! and keeps nothing.

pub mod affinity;
pub mod anomaly;
mod least_outstanding_requests;
mod power_of_two_choices;
mod round_robin;
mod routable;
pub mod slow_start;
mod weighted_random;
mod weights;
pub mod zones;

use std::fmt;
use std::time::Duration;

pub use routable::{MinimumHealthy, Routable, routable};
pub use weights::pick_weighted;

/// What an algorithm may ask of a target that can be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Requests that it is working on.
    pub in_flight: u32,
    /// Its share beside those of others; [`FULL_WEIGHT`] unless something is wrong with it.
    pub weight: u32,
    /// How long ago it came, while its share still grows.
    pub since: Option<Duration>,
    /// How long its answers take, where that is known.
    pub latency: Option<Duration>,
}

/// The weight of a target with which nothing is wrong.
pub const FULL_WEIGHT: u32 = 100;

/// The targets of a group, by their places. Nobody copies them for a pick, and an algorithm asks for no more than it needs.
pub trait Candidates {
    /// How many targets there are, whether they can be picked or not.
    fn n_targets(&self) -> usize;
    /// Whether the target at a place can be picked.
    fn is_candidate(&self, place: usize) -> bool;
    /// What is known of the candidate at a place.
    fn at(&self, place: usize) -> Candidate;
}

/// What differs from one pick to the next where the candidates do not.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    /// How many picks there were before.
    pub turn: usize,
    /// Any number.
    pub random: u64,
    /// How long the share of a target grows that comes to others, where it does.
    pub slow_start: Option<Duration>,
}

/// How a target is picked among those that may be used.
#[derive(Clone, Copy)]
pub struct Algorithm(&'static Row);

/// One algorithm.
struct Row {
    /// As attributes name it.
    name: &'static str,
    /// Whether a load balancer of AWS has it.
    is_of_aws: bool,
    /// Whether the ELB API lets the share of a new target grow with it.
    takes_slow_start: bool,
    /// Whether the ELB API lets targets that fail more than others get less with it.
    takes_anomaly_mitigation: bool,
    pick: fn(&dyn Candidates, Draw) -> Option<usize>,
}

/// Every algorithm. The first is that of groups of which nothing is said.
const ROWS: &[&Row] = &[
    &round_robin::ALGORITHM,
    &least_outstanding_requests::ALGORITHM,
    &weighted_random::ALGORITHM,
    &power_of_two_choices::ALGORITHM,
];

// === impl Algorithm ===

impl Algorithm {
    /// The names of all in the ELB API, and of ours.
    pub const NAMES: [&'static str; ROWS.len()] = {
        let (mut names, mut place) = ([""; ROWS.len()], 0);
        while place < ROWS.len() {
            names[place] = ROWS[place].name;
            place += 1;
        }
        names
    };

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| Self(row))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0.name
    }

    /// Whether a load balancer of AWS has it.
    #[must_use]
    pub fn is_of_aws(self) -> bool {
        self.0.is_of_aws
    }

    /// Whether the ELB API lets the share of a new target grow with it.
    #[must_use]
    pub fn takes_slow_start(self) -> bool {
        self.0.takes_slow_start
    }

    /// Whether the ELB API lets targets that fail more than others get less with it.
    #[must_use]
    pub fn takes_anomaly_mitigation(self) -> bool {
        self.0.takes_anomaly_mitigation
    }
}

impl Default for Algorithm {
    fn default() -> Self {
        Self(ROWS[0])
    }
}

impl PartialEq for Algorithm {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Algorithm {}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// Picks one of the candidates and says its place. `None` when there is none.
pub fn pick(algorithm: Algorithm, candidates: &dyn Candidates, draw: Draw) -> Option<usize> {
    (algorithm.0.pick)(candidates, draw)
}

/// The places of all candidates.
fn places(candidates: &dyn Candidates) -> impl Iterator<Item = usize> + Clone {
    (0..candidates.n_targets()).filter(|place| candidates.is_candidate(*place))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Targets that are what they are; `None` cannot be picked.
    pub(super) struct Seen(pub(super) Vec<Option<Candidate>>);

    /// A target like all others.
    pub(super) const EQUAL: Candidate =
        Candidate { in_flight: 0, weight: FULL_WEIGHT, since: None, latency: None };

    pub(super) fn equals(n_targets: usize) -> Seen {
        Seen(vec![Some(EQUAL); n_targets])
    }

    impl Candidates for Seen {
        fn n_targets(&self) -> usize {
            self.0.len()
        }

        fn is_candidate(&self, place: usize) -> bool {
            self.0[place].is_some()
        }

        fn at(&self, place: usize) -> Candidate {
            self.0[place].unwrap()
        }
    }

    #[test]
    fn who_cannot_be_picked_is_not_and_takes_no_turn() {
        let seen = Seen(vec![None, Some(EQUAL), None, Some(EQUAL)]);
        for name in Algorithm::NAMES {
            let algorithm = Algorithm::named(name).unwrap();
            let mut picks = [0_usize; 4];
            for turn in 0..100 {
                let random = (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                picks[pick(algorithm, &seen, Draw { turn, random, slow_start: None }).unwrap()] += 1;
            }
            assert_eq!((picks[0], picks[2]), (0, 0), "{name}");
            assert!(picks[1].abs_diff(50) < 15, "{name} {picks:?}");
            assert_eq!(
                pick(algorithm, &Seen(vec![None]), Draw { turn: 1, random: 1, slow_start: None }),
                None
            );
        }
    }
}
