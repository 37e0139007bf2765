//! `weighted_random`: at random, each as often as it has weight.

use super::{Candidates, Draw, Row, places};

pub(super) const ALGORITHM: Row = Row {
    name: "weighted_random",
    is_of_aws: true,
    takes_slow_start: false,
    takes_anomaly_mitigation: true,
    pick,
};

/// One at random.
fn pick(candidates: &dyn Candidates, draw: Draw) -> Option<usize> {
    let weight = |place: usize| u64::from(candidates.at(place).weight);
    let total: u64 = places(candidates).map(weight).sum();
    let mut left = draw.random.checked_rem(total)?;
    places(candidates).find(|place| {
        let weight = weight(*place);
        let is_here = left < weight;
        left = left.saturating_sub(weight);
        is_here
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EQUAL, Seen};
    use super::super::{Candidate, FULL_WEIGHT};
    use super::*;

    #[test]
    fn every_weight_has_its_part_of_all_numbers() {
        let weights = [FULL_WEIGHT, 0, FULL_WEIGHT / 4, FULL_WEIGHT];
        let seen = weights.map(|weight| Some(Candidate { weight, ..EQUAL }));
        let (seen, mut picks) = (Seen(seen.to_vec()), [0; 4]);
        for random in 0..225 {
            picks[pick(&seen, Draw { turn: 0, random, slow_start: None }).unwrap()] += 1;
        }
        assert_eq!(picks, [100, 0, 25, 100]);
        assert_eq!(pick(&Seen(vec![None]), Draw { turn: 0, random: 7, slow_start: None }), None);
    }
}
