//! Which targets fail more than their peers, and what weight they are left with ("Automatic Target Weights", ALB user guide). AWS
//! does not say by which steps; these are ours.

use super::FULL_WEIGHT;

/// What one target did since weights were last set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record {
    /// Requests that it was asked.
    pub n_requests: u32,
    /// Those that it answered with a status of the server's fault, or that it could not be reached for.
    pub n_failures: u32,
}

/// Fewer targets than this have no peers to be compared with.
const FEWEST_TARGETS: usize = 3;

/// So many requests say something of a target.
const FEWEST_REQUESTS: u32 = 20;

/// A rate of failures up to this is nothing to lose weight for, whatever that of the others is.
const TOLERATED_RATE: f64 = 0.05;

/// Times the rate of the middle one of all targets that are still like it.
const TIMES_PEERS: f64 = 3.0;

/// The least that a target is left with: from nothing nobody would see that it is well again.
const LEAST_WEIGHT: u32 = 5;

/// What a target gets back after a time in which it was as good as the others.
const REGAINED_WEIGHT: u32 = 25;

/// The weights that targets have from now on, after what they did at those that they had; `None` for one that was asked too
/// little to say anything of it, which keeps its own.
#[must_use]
pub fn weights(targets: &[(Record, u32)]) -> Vec<Option<u32>> {
    let rate = |record: &Record| f64::from(record.n_failures) / f64::from(record.n_requests);
    let is_known = |record: &Record| record.n_requests >= FEWEST_REQUESTS;
    let known = targets.iter().map(|(record, _)| record).filter(|record| is_known(record));
    let mut rates: Vec<f64> = known.map(rate).collect();
    rates.sort_by(f64::total_cmp);
    let of_middle = rates.get(rates.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let limit = TOLERATED_RATE.max(TIMES_PEERS * of_middle);
    let weight = |(record, weight): &(Record, u32)| {
        let after = match rate(record) > limit && targets.len() >= FEWEST_TARGETS {
            true => (weight / 2).max(LEAST_WEIGHT),
            false => (weight + REGAINED_WEIGHT).min(FULL_WEIGHT),
        };
        is_known(record).then_some(after)
    };
    targets.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays times in which the last of three targets fails so often in a hundred, and says its weight after each.
    fn play(failures: &[u32], of_others: u32) -> Vec<u32> {
        let mut weight = FULL_WEIGHT;
        let record = |n_failures| Record { n_requests: 100, n_failures };
        let step = |n_failures: &u32| {
            let others = (record(of_others), FULL_WEIGHT);
            let after = weights(&[others, others, (record(*n_failures), weight)]);
            assert_eq!(after[..2], [Some(FULL_WEIGHT); 2]);
            weight = after[2].unwrap();
            weight
        };
        failures.iter().map(step).collect()
    }

    #[test]
    fn weight_goes_by_halves_and_comes_back_by_quarters() {
        assert_eq!(play(&[30, 30, 30, 30, 30, 30], 0), [50, 25, 12, 6, 5, 5]);
        assert_eq!(play(&[30, 30, 0, 0, 0, 0], 0), [50, 25, 50, 75, 100, 100]);
    }

    #[test]
    fn what_all_do_is_no_anomaly_and_little_is_none_either() {
        assert_eq!(play(&[30, 29, 31], 15), [100, 100, 100]);
        assert_eq!(play(&[5, 4], 0), [100, 100]);
        let few = Record { n_requests: 4, n_failures: 4 };
        assert_eq!(weights(&[(few, 50), (Record::default(), 100), (Record::default(), 100)]), [None; 3]);
        let alone = Record { n_requests: 100, n_failures: 100 };
        assert_eq!(weights(&[(alone, 50), (Record::default(), 5)]), [Some(75), None]);
    }
}
