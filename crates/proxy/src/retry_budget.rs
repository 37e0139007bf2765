//! How much more than the requests of clients may be asked of targets: retries and hedges together a tenth of them, and three a
//! second where there are few. Without a bound, requests that are sent again would weigh most on targets that can least bear it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one core has earned with the requests of one target group, in tenths.
#[derive(Debug, Default)]
pub(crate) struct Earned(Cell<u32>);

/// What all cores may always take. It says until when what was taken is paid for, in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Floor(AtomicU64);

/// Tenths that one costs.
const COST: u32 = 10;

/// What can be earned in advance: so many are sent again at once, after any time without.
const MOST_EARNED: u32 = 100 * COST;

/// Time that pays for one where nothing is earned: three a second.
const FLOOR_MILLISECONDS: u64 = 333;

/// So far ahead it can be taken: one second's at once.
const AHEAD_MILLISECONDS: u64 = 1000;

// === impl Earned ===

impl Earned {
    /// Takes in that a client asked something.
    pub(crate) fn earn(&self) {
        self.0.set((self.0.get() + 1).min(MOST_EARNED));
    }

    /// Takes what one more costs, if there is any. `now` is in milliseconds.
    pub(crate) fn spend(&self, floor: &Floor, now: u64) -> bool {
        match self.0.get().checked_sub(COST) {
            Some(left) => {
                self.0.set(left);
                true
            }
            None => floor.take(now),
        }
    }
}

// === impl Floor ===

impl Floor {
    fn take(&self, now: u64) -> bool {
        let pay = |paid_until: u64| {
            let until = paid_until.max(now) + FLOOR_MILLISECONDS;
            (until <= now + AHEAD_MILLISECONDS).then_some(until)
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_what_is_asked_may_be_asked_again() {
        let (earned, floor) = (Earned::default(), Floor(AtomicU64::new(u64::MAX / 2)));
        let mut n_spent = 0;
        for _ in 0..1000 {
            earned.earn();
            n_spent += usize::from(earned.spend(&floor, 0));
        }
        assert_eq!(n_spent, 100);
        (0..10_000).for_each(|_| earned.earn());
        assert_eq!((0..1000).filter(|_| earned.spend(&floor, 0)).count(), 100);
    }

    #[test]
    fn three_a_second_are_always_there() {
        let (earned, floor) = (Earned::default(), Floor::default());
        let at = |now| (0..10).filter(|_| earned.spend(&floor, now)).count();
        assert_eq!((at(5000), at(5100), at(5400), at(6500)), (3, 0, 1, 3));
        let over_ten_seconds: usize = (0..1000).map(|tick| at(10_000 + tick * 10)).sum();
        assert!((30..=33).contains(&over_ten_seconds), "{over_ten_seconds}");
    }
}
