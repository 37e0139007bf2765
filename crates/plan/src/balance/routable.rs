//! Which targets of a group may get traffic.

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

/// When so few targets are healthy that all are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumHealthy {
    /// Fewer healthy targets than this.
    pub count: usize,
    /// A smaller percentage of healthy targets than this, if one is set.
    pub percentage: Option<usize>,
}

impl MinimumHealthy {
    /// Whether so many healthy ones of so many registered ones are too few.
    #[must_use]
    pub fn is_missed(self, n_healthy: usize, n_registered: usize) -> bool {
        let is_below = |percent| n_healthy * 100 < percent * n_registered;
        n_healthy < self.count || self.percentage.is_some_and(is_below)
    }
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
    match n_registered {
        0 => Routable::Nothing,
        _ if minimum.is_missed(n_healthy, n_registered) => Routable::All,
        _ => Routable::Healthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TargetState::{Draining, Healthy, Initial, Unhealthy};

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
}
