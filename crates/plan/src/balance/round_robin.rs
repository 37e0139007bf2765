//! `round_robin`: one after the other.

use super::{Candidates, Draw, Row, places, slow_start};

pub(super) const ALGORITHM: Row = Row {
    name: "round_robin",
    is_of_aws: true,
    takes_slow_start: true,
    takes_anomaly_mitigation: false,
    pick,
};

/// The one whose turn it is, or another in its place while its share grows.
fn pick(candidates: &dyn Candidates, draw: Draw) -> Option<usize> {
    let n_candidates = places(candidates).count();
    let place = places(candidates).nth(draw.turn.checked_rem(n_candidates)?)?;
    Some(match draw.slow_start {
        None => place,
        Some(lasts) => slow_start::takes_turn(candidates, n_candidates, place, lasts, draw),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::equals;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_robin_is_fair(n_targets in 1_usize..20, rounds in 1_usize..20) {
            let mut picks = vec![0; n_targets];
            for turn in 0..n_targets * rounds {
                picks[pick(&equals(n_targets), Draw { turn, random: 0, slow_start: None }).unwrap()] += 1;
            }
            prop_assert!(picks.iter().all(|count| *count == rounds));
        }
    }
}
