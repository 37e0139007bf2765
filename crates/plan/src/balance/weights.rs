//! Which of several weights has its turn.

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
    use proptest::prelude::*;

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
    }
}
