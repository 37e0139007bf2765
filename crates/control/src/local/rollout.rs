//! How many replicas each version of a Deployment is to have: one step of a rolling update, as a pure function.
//!
//! The rules are those of Kubernetes' deployment controller. "Set" is a ReplicaSet: the replicas of one template.

use manifest::Rollout;

/// A set, as far as its size depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SetSize {
    /// How many replicas it is to have as of now.
    pub(super) wanted: u32,
    /// How many of them are available.
    pub(super) available: u32,
    /// How many processes of it there still are, those included that are ending.
    pub(super) running: u32,
}

/// The next sizes of the new set and of the old ones, oldest first. Called again when something has come of it.
pub(super) fn step(replicas: u32, rollout: Rollout, new: SetSize, old: &[SetSize]) -> (u32, Vec<u32>) {
    match rollout {
        Rollout::Recreate => {
            let is_clear = old.iter().all(|set| set.running == 0);
            (if is_clear { replicas } else { new.wanted.min(replicas) }, vec![0; old.len()])
        }
        Rollout::RollingUpdate { max_surge, max_unavailable } => {
            let old_total: u32 = old.iter().map(|set| set.wanted).sum();
            let new_wanted = grow(replicas, max_surge, new.wanted, old_total);
            let grown = SetSize { wanted: new_wanted, ..new };
            (new_wanted, shrink(replicas, max_unavailable, grown, old))
        }
    }
}

/// The size of the new set: as many as fit under the surge.
fn grow(replicas: u32, max_surge: u32, new: u32, old: u32) -> u32 {
    if new >= replicas || old == 0 {
        return replicas;
    }
    let room = replicas.saturating_add(max_surge).saturating_sub(new + old);
    new + room.min(replicas - new)
}

/// The sizes of the old sets: first those go that are of no use, then as many as may be missing, oldest set first.
fn shrink(replicas: u32, max_unavailable: u32, new: SetSize, old: &[SetSize]) -> Vec<u32> {
    let least_available = replicas.saturating_sub(max_unavailable);
    let total = new.wanted + old.iter().map(|set| set.wanted).sum::<u32>();
    let new_unavailable = new.wanted.saturating_sub(new.available);
    let mut may_go = total.saturating_sub(least_available + new_unavailable);
    let mut sizes: Vec<u32> = old.iter().map(|set| set.wanted).collect();
    for (size, set) in sizes.iter_mut().zip(old) {
        let useless = set.wanted.saturating_sub(set.available).min(may_go);
        *size -= useless;
        may_go -= useless;
    }
    let available = new.available + old.iter().map(|set| set.available.min(set.wanted)).sum::<u32>();
    let mut may_go = may_go.min(available.saturating_sub(least_available));
    for size in &mut sizes {
        let going = (*size).min(may_go);
        *size -= going;
        may_go -= going;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    /// Plays a rollout in which every replica that is wanted becomes available at once after each step, and writes the
    /// sizes as `old+new`.
    fn play(replicas: u32, max_surge: u32, max_unavailable: u32) -> String {
        let rollout = Rollout::RollingUpdate { max_surge, max_unavailable };
        let (mut new, mut old) = (0, replicas);
        let mut sizes = vec![format!("{old}+{new}")];
        for _ in 0..50 {
            let size = |n| SetSize { wanted: n, available: n, running: n };
            let (next_new, next_old) = step(replicas, rollout, size(new), &[size(old)]);
            if (next_new, next_old[0]) == (new, old) {
                break;
            }
            (new, old) = (next_new, next_old[0]);
            sizes.push(format!("{old}+{new}"));
        }
        sizes.join(" ")
    }

    #[test]
    fn a_rollout_goes_on_as_replicas_become_available() {
        // 25 % of 3 is a surge of 1 and nothing unavailable.
        for (bounds, sizes) in [
            ((3, 1, 0), expect!["3+0 3+1 2+1 2+2 1+2 1+3 0+3"]),
            ((2, 1, 0), expect!["2+0 2+1 1+1 1+2 0+2"]),
            ((10, 3, 2), expect!["10+0 8+3 5+5 3+8 0+10"]),
            ((3, 0, 1), expect!["3+0 2+0 2+1 1+1 1+2 0+2 0+3"]),
            ((1, 1, 0), expect!["1+0 1+1 0+1"]),
            ((0, 1, 0), expect!["0+0"]),
        ] {
            let (replicas, max_surge, max_unavailable) = bounds;
            sizes.assert_eq(&play(replicas, max_surge, max_unavailable));
        }
    }

    #[test]
    fn a_new_version_that_never_gets_ready_stops_the_rollout() {
        let rollout = Rollout::RollingUpdate { max_surge: 1, max_unavailable: 0 };
        let new = SetSize { wanted: 1, available: 0, running: 1 };
        let old = SetSize { wanted: 3, available: 3, running: 3 };
        assert_eq!(step(3, rollout, new, &[old]), (1, vec![3]));
    }

    #[test]
    fn replicas_of_old_versions_that_are_of_no_use_go_first() {
        let rollout = Rollout::RollingUpdate { max_surge: 1, max_unavailable: 0 };
        let new = SetSize { wanted: 1, available: 0, running: 1 };
        let broken = SetSize { wanted: 1, available: 0, running: 1 };
        let good = SetSize { wanted: 3, available: 3, running: 3 };
        assert_eq!(step(3, rollout, new, &[good, broken]), (1, vec![3, 0]));
    }

    #[test]
    fn recreate_starts_nothing_before_the_old_ones_have_ended() {
        let old = |running| SetSize { wanted: 2, available: 0, running };
        assert_eq!(step(2, Rollout::Recreate, SetSize::default(), &[old(2)]), (0, vec![0]));
        assert_eq!(step(2, Rollout::Recreate, SetSize::default(), &[old(1)]), (0, vec![0]));
        assert_eq!(step(2, Rollout::Recreate, SetSize::default(), &[old(0)]), (2, vec![0]));
    }

    #[test]
    fn bounds_may_be_any_numbers() {
        let rollout = Rollout::RollingUpdate { max_surge: u32::MAX, max_unavailable: u32::MAX };
        let old = SetSize { wanted: 3, available: 3, running: 3 };
        assert_eq!(step(3, rollout, SetSize::default(), &[old]), (3, vec![0]));
    }

    #[test]
    fn scaling_down_is_for_the_new_version_too() {
        let rollout = Rollout::RollingUpdate { max_surge: 1, max_unavailable: 0 };
        let new = SetSize { wanted: 10, available: 10, running: 10 };
        assert_eq!(step(2, rollout, new, &[]), (2, vec![]));
    }

    proptest! {
        /// Whatever becomes available when, neither bound is ever crossed, and in the end there is only the new version.
        #[test]
        fn a_rollout_keeps_its_bounds_and_ends(
            replicas in 0_u32..12,
            max_surge in 0_u32..4,
            max_unavailable in 0_u32..4,
            luck in prop::collection::vec(0_u32..4, 80),
        ) {
            let max_unavailable = if max_surge == 0 { max_unavailable.max(1) } else { max_unavailable };
            let rollout = Rollout::RollingUpdate { max_surge, max_unavailable };
            let mut new = SetSize::default();
            let mut old = SetSize { wanted: replicas, available: replicas, running: replicas };
            for chance in luck.into_iter().chain([u32::MAX; 40]) {
                let (new_wanted, old_wanted) = step(replicas, rollout, new, &[old]);
                let lost = old.wanted - old_wanted[0];
                old = SetSize { wanted: old_wanted[0], available: old.available - lost, running: old_wanted[0] };
                new.wanted = new_wanted;
                prop_assert!(new.wanted + old.wanted <= replicas + max_surge);
                prop_assert!(new.available + old.available >= replicas.saturating_sub(max_unavailable).min(replicas));
                new.available = new.wanted.min(new.available.saturating_add(chance));
            }
            prop_assert_eq!((new.wanted, old.wanted), (replicas, 0));
        }
    }
}
