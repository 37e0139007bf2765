//! Choosing: which targets may be used, which target group of several, and which target of a group.

use crate::health::TargetState;

/// Which targets of a group may get traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routable {
    /// The healthy ones.
    Healthy,
    /// All that are registered, because too few are healthy ("fail open").
    All,
    /// There are none.
    Nothing,
}

/// How a target is chosen among those that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest requests in flight; ties go round.
    LeastOutstandingRequests,
    /// At random.
    WeightedRandom,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::RoundRobin, Self::LeastOutstandingRequests, Self::WeightedRandom];

    /// The one with this name in the ELB API.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The name in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastOutstandingRequests => "least_outstanding_requests",
            Self::WeightedRandom => "weighted_random",
        }
    }
}

/// When so few targets are healthy that all are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumHealthy {
    /// Fewer healthy targets than this.
    pub count: usize,
    /// A smaller percentage of healthy targets than this, if one is set.
    pub percentage: Option<usize>,
}

/// Decides which of the registered targets may be used; draining ones are not registered any more.
///
/// Either threshold being missed opens the group to all, and a target in `initial` counts as not healthy.
#[must_use]
pub fn routable(states: impl Iterator<Item = TargetState>, minimum: MinimumHealthy) -> Routable {
    let (mut n_registered, mut n_healthy) = (0, 0);
    for state in states.filter(|state| *state != TargetState::Draining) {
        n_registered += 1;
        n_healthy += usize::from(state == TargetState::Healthy);
    }
    let below_count = n_healthy < minimum.count;
    let below_percentage = minimum.percentage.is_some_and(|percent| n_healthy * 100 < percent * n_registered);
    match n_registered {
        0 => Routable::Nothing,
        _ if below_count || below_percentage => Routable::All,
        _ => Routable::Healthy,
    }
}

/// Picks one of the candidates. `turn` counts the picks of this group; `random` is any number; `in_flight` tells how many
/// requests a candidate is working on. `None` when there is no candidate.
pub fn pick<C>(
    algorithm: Algorithm,
    candidates: impl Iterator<Item = C> + Clone,
    in_flight: impl Fn(&C) -> u32,
    turn: usize,
    random: u64,
) -> Option<C> {
    let n_candidates = candidates.clone().count();
    let next = turn.checked_rem(n_candidates)?;
    let mut in_turn = candidates.cycle().skip(next).take(n_candidates);
    match algorithm {
        Algorithm::RoundRobin => in_turn.next(),
        Algorithm::LeastOutstandingRequests => in_turn.min_by_key(in_flight),
        Algorithm::WeightedRandom => {
            in_turn.nth(usize::try_from(random % n_candidates as u64).unwrap_or_default())
        }
    }
}

/// Picks one of several weights by smooth weighted round robin, where `current` is the state kept between picks.
///
/// Over any `sum of weights` picks in a row each index is picked exactly `weight` times. `None` when all weights are zero.
pub fn pick_weighted(weights: &[u16], current: &mut [i32]) -> Option<usize> {
    let total: i32 = weights.iter().map(|weight| i32::from(*weight)).sum();
    if total == 0 {
        return None;
    }
    let mut best = None;
    for (index, (weight, current)) in weights.iter().zip(current.iter_mut()).enumerate() {
        *current += i32::from(*weight);
        if *weight > 0 && best.is_none_or(|(_, value)| *current > value) {
            best = Some((index, *current));
        }
    }
    let (index, _) = best?;
    current[index] -= total;
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use TargetState::{Draining, Healthy, Initial, Unhealthy};
    use proptest::prelude::*;

    #[test]
    fn too_few_healthy_targets_open_the_group_to_all() {
        let one = MinimumHealthy { count: 1, percentage: None };
        let half = MinimumHealthy { count: 1, percentage: Some(50) };
        for (states, minimum, expected) in [
            (vec![], one, Routable::Nothing),
            (vec![Draining], one, Routable::Nothing),
            (vec![Healthy, Unhealthy], one, Routable::Healthy),
            (vec![Unhealthy, Initial], one, Routable::All),
            (vec![Healthy, Unhealthy, Unhealthy], half, Routable::All),
            (vec![Healthy, Unhealthy], half, Routable::Healthy),
            (vec![Healthy, Draining, Draining], half, Routable::Healthy),
        ] {
            assert_eq!(routable(states.iter().copied(), minimum), expected, "{states:?}");
        }
    }

    #[test]
    fn acc_s3_64_least_outstanding_prefers_the_idle_and_takes_turns_among_equals() {
        let least = |in_flight: &[u32], turn| {
            pick(
                Algorithm::LeastOutstandingRequests,
                0..in_flight.len(),
                |candidate| in_flight[*candidate],
                turn,
                0,
            )
        };
        assert_eq!(least(&[3, 1, 2], 0), Some(1));
        assert_eq!(
            (0..4).map(|turn| least(&[1, 1], turn)).collect::<Vec<_>>(),
            [Some(0), Some(1), Some(0), Some(1)]
        );
        assert_eq!(least(&[], 0), None);
    }

    proptest! {
        #[test]
        fn acc_s3_61_shares_follow_weights_exactly(weights in prop::collection::vec(0_u16..=999, 1..5)) {
            let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            let mut current = vec![0; weights.len()];
            let mut picks = vec![0_usize; weights.len()];
            for _ in 0..total {
                picks[pick_weighted(&weights, &mut current).unwrap()] += 1;
            }
            prop_assert_eq!(picks, weights.iter().map(|weight| usize::from(*weight)).collect::<Vec<_>>());
            if total == 0 {
                prop_assert_eq!(pick_weighted(&weights, &mut current), None);
            }
        }

        #[test]
        fn round_robin_is_fair(n_targets in 1_usize..20, rounds in 1_usize..20) {
            let mut picks = vec![0; n_targets];
            for turn in 0..n_targets * rounds {
                picks[pick(Algorithm::RoundRobin, 0..n_targets, |_| 0, turn, 0).unwrap()] += 1;
            }
            prop_assert!(picks.iter().all(|count| *count == rounds));
        }
    }
}
