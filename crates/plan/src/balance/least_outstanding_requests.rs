//! `least_outstanding_requests`: the one with the fewest requests in flight.

use super::{Candidates, Draw, Row, places};

pub(super) const ALGORITHM: Row = Row {
    name: "least_outstanding_requests",
    is_of_aws: true,
    takes_slow_start: false,
    takes_anomaly_mitigation: false,
    pick,
};

/// The one with the fewest requests in flight; ties go round.
fn pick(candidates: &dyn Candidates, draw: Draw) -> Option<usize> {
    let n_candidates = places(candidates).count();
    let next = draw.turn.checked_rem(n_candidates)?;
    let in_turn = places(candidates).cycle().skip(next).take(n_candidates);
    in_turn.min_by_key(|place| candidates.at(*place).in_flight)
}

#[cfg(test)]
mod tests {
    use super::super::Candidate;
    use super::super::tests::{EQUAL, Seen};
    use super::*;

    #[test]
    fn acc_s3_64_least_outstanding_prefers_the_idle_and_takes_turns_among_equals() {
        let least = |in_flight: &[u32], turn| {
            let candidate = |in_flight: &u32| Some(Candidate { in_flight: *in_flight, ..EQUAL });
            pick(&Seen(in_flight.iter().map(candidate).collect()), Draw { turn, random: 0, slow_start: None })
        };
        assert_eq!(least(&[3, 1, 2], 0), Some(1));
        assert_eq!(
            (0..4).map(|turn| least(&[1, 1], turn)).collect::<Vec<_>>(),
            [Some(0), Some(1), Some(0), Some(1)]
        );
        assert_eq!(least(&[], 0), None);
    }
}
