//! `p2c_ewma`, which is ours: of two at random the one that would answer sooner ("The Power of Two Choices in Randomized Load
//! Balancing", Mitzenmacher 2001).

use super::{Candidate, Candidates, Draw, Row, places};

pub(super) const ALGORITHM: Row = Row {
    name: "p2c_ewma",
    is_of_aws: false,
    takes_slow_start: false,
    takes_anomaly_mitigation: false,
    pick,
};

/// Of two at random, the one whose requests in flight, with this one, take less time.
fn pick(candidates: &dyn Candidates, draw: Draw) -> Option<usize> {
    let n_candidates = places(candidates).count();
    let (first, second) = two_of(n_candidates, draw.random)?;
    let place = |index| places(candidates).nth(index);
    let (first, second) = (place(first)?, place(second)?);
    if first == second {
        return Some(first);
    }
    Some(if is_sooner(&candidates.at(second), &candidates.at(first)) { second } else { first })
}

/// Two different numbers below `n`, each pair as likely as any other; the same twice where there is only one.
fn two_of(n: usize, random: u64) -> Option<(usize, usize)> {
    let below = |random: u64, n: usize| usize::try_from(random.checked_rem(n as u64)?).ok();
    let first = below(random & 0xffff_ffff, n)?;
    let after = below(random >> 32, n - 1).map_or(0, |more| more + 1);
    Some((first, (first + after) % n))
}

fn is_sooner(one: &Candidate, other: &Candidate) -> bool {
    let requests = |candidate: &Candidate| u128::from(candidate.in_flight) + 1;
    match (one.latency, other.latency) {
        (Some(latency), Some(other_latency)) => {
            latency.as_nanos() * requests(one) < other_latency.as_nanos() * requests(other)
        }
        // Nobody knows yet how fast one of them is.
        _ => requests(one) < requests(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EQUAL, Seen};
    use super::*;
    use std::time::Duration;

    #[test]
    fn of_two_the_one_that_answers_sooner_is_picked() {
        let with = |milliseconds: Option<u64>, in_flight| Candidate {
            latency: milliseconds.map(Duration::from_millis),
            in_flight,
            ..EQUAL
        };
        for (first, second, expected) in [
            (with(Some(10), 0), with(Some(2), 0), 1),
            (with(Some(10), 0), with(Some(2), 8), 0),
            (with(None, 3), with(Some(2), 2), 1),
            (with(None, 0), with(None, 1), 0),
        ] {
            let seen = Seen(vec![Some(first), None, Some(second)]);
            for random in [0, 1, 1 << 32, u64::MAX] {
                let place = pick(&seen, Draw { turn: 0, random, slow_start: None });
                assert_eq!(place, Some([0, 2][expected]), "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn every_pair_is_as_likely_as_any_other() {
        let mut pairs = std::collections::BTreeMap::new();
        for random in 0..4_u64 * 3 {
            *pairs.entry(two_of(4, (random / 3) | ((random % 3) << 32)).unwrap()).or_insert(0) += 1;
        }
        assert_eq!(pairs.len(), 12, "{pairs:?}");
        assert!(pairs.keys().all(|(first, second)| first != second));
        assert_eq!((two_of(1, 7), two_of(0, 7)), (Some((0, 0)), None));
    }
}
