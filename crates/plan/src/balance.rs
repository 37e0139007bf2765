//! Choosing: which targets may be used, which target group of several, and which target of a group.
//!
//! An algorithm is a file of this folder and a row of [`ROWS`]. It looks at candidates as they are at one moment, says a place,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in flight; ties go round.
    LeastOutstandingRequests,
    /// At random, by weight.
    WeightedRandom,
    /// Of two at random the one that would answer sooner.
    PowerOfTwoChoices,
}

/// One algorithm.
struct Row {
    algorithm: Algorithm,
    /// As attributes name it.
    name: &'static str,
    pick: fn(&dyn Candidates, Draw) -> Option<usize>,
}

/// Every algorithm.
const ROWS: &[Row] = {
    use Algorithm::{LeastOutstandingRequests, PowerOfTwoChoices, RoundRobin, WeightedRandom};
    &[
        Row { algorithm: RoundRobin, name: "round_robin", pick: round_robin::pick },
        Row {
            algorithm: LeastOutstandingRequests,
            name: "least_outstanding_requests",
            pick: least_outstanding_requests::pick,
        },
        Row { algorithm: WeightedRandom, name: "weighted_random", pick: weighted_random::pick },
        Row { algorithm: PowerOfTwoChoices, name: "p2c_ewma", pick: power_of_two_choices::pick },
    ]
};

// === impl Algorithm ===

impl Algorithm {
    /// The one with this name in the ELB API.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.algorithm)
    }

    /// The name in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ROWS.iter().find(|row| row.algorithm == self).map_or("", |row| row.name)
    }
}

/// Picks one of the candidates and says its place. `None` when there is none.
pub fn pick(algorithm: Algorithm, candidates: &dyn Candidates, draw: Draw) -> Option<usize> {
    let row = ROWS.iter().find(|row| row.algorithm == algorithm)?;
    (row.pick)(candidates, draw)
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
        for row in ROWS {
            let mut picks = [0_usize; 4];
            for turn in 0..100 {
                let random = (turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
                picks[pick(row.algorithm, &seen, Draw { turn, random, slow_start: None }).unwrap()] += 1;
            }
            assert_eq!((picks[0], picks[2]), (0, 0), "{}", row.name);
            assert!(picks[1].abs_diff(50) < 15, "{} {picks:?}", row.name);
            assert_eq!(
                pick(row.algorithm, &Seen(vec![None]), Draw { turn: 1, random: 1, slow_start: None }),
                None
            );
        }
    }
}
