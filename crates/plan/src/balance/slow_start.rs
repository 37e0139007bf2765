//! Slow start: the share of a target that comes to others grows in a line to a full one ("Slow start mode", ALB user guide).

use std::time::Duration;

use super::{Candidates, Draw, places};

/// The part of its share that a target gets at its beginning.
const FIRST_PART: f64 = 0.01;

/// The part of its share that a target gets that came so long ago.
#[must_use]
pub fn part(since: Duration, lasts: Duration) -> f64 {
    (since.as_secs_f64() / lasts.as_secs_f64()).clamp(FIRST_PART, 1.0)
}

/// Who takes the turn of the target at a place: itself as often as it is grown, else one of those that are.
pub(super) fn takes_turn(
    candidates: &dyn Candidates,
    n_candidates: usize,
    place: usize,
    lasts: Duration,
    draw: Draw,
) -> usize {
    let Some(since) = candidates.at(place).since else { return place };
    // The rounds of a target, in an order in which any few of them in a row spread evenly (van der Corput).
    let round = u32::try_from((draw.turn / n_candidates) & 0xffff_ffff).unwrap_or_default();
    let spread = f64::from(round.reverse_bits()) / f64::from(u32::MAX);
    if spread < part(since, lasts) {
        return place;
    }
    let grown = || places(candidates).filter(|place| candidates.at(*place).since.is_none());
    let n_grown = grown().count() as u64;
    let taker = draw.random.checked_rem(n_grown).and_then(|index| grown().nth(usize::try_from(index).ok()?));
    taker.unwrap_or(place)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EQUAL, Seen};
    use super::super::{Algorithm, Candidate, pick};
    use super::*;

    /// The share of the last target, which came so long ago, over so many requests.
    fn share(n_targets: usize, n_requests: usize, since: Duration) -> f64 {
        let mut seen = vec![Some(EQUAL); n_targets];
        seen[n_targets - 1] = Some(Candidate { since: Some(since), ..EQUAL });
        let (seen, mut n_picked, mut random) = (Seen(seen), 0, 1_u64);
        for turn in 0..n_requests {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let draw = Draw { turn, random: random >> 16, slow_start: Some(LASTS) };
            n_picked += usize::from(pick(Algorithm::default(), &seen, draw) == Some(n_targets - 1));
        }
        n_picked as f64 / n_requests as f64
    }

    const LASTS: Duration = Duration::from_secs(30);

    #[test]
    fn acc_s3_54_the_share_of_a_new_target_grows_in_a_line() {
        for n_targets in [2, 3, 5] {
            for second in 1..=30 {
                let share = share(n_targets, 10_000, Duration::from_secs(second));
                let line = second as f64 / 30.0 / n_targets as f64;
                assert!(
                    (share / line - 1.0).abs() < 0.05,
                    "{n_targets} targets, {second} s: {share}, not {line}"
                );
            }
        }
    }

    #[test]
    fn a_target_has_a_little_from_the_beginning_and_all_where_nobody_is_grown() {
        assert!(share(2, 1000, Duration::ZERO) > 0.001);
        assert_eq!(share(1, 10, Duration::ZERO), 1.0);
    }
}
