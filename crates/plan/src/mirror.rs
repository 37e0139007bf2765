//! Which requests are sent to another target group beside their own.

use crate::ServicePortName;

/// Of the requests of a rule, so many go to another target group of the same load balancer too, whose answers nobody hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The Service, in the namespace of the object that asks for it.
    pub service: String,
    /// Its port.
    pub port: ServicePortName,
    /// How many of a hundred.
    pub percent: Percent,
    /// The key of the target group; `None` where there is none, so that nothing is sent.
    pub target_group: Option<String>,
}

/// From 1 to 100 of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(u8);

/// Why a number is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a whole number from 1 to 100")]
pub struct PercentError(pub i64);

// === impl Percent ===

impl Percent {
    /// All.
    pub const ALL: Self = Self(100);

    /// A number as a share.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn new(percent: i64) -> Result<Self, PercentError> {
        let fitting = u8::try_from(percent).ok().filter(|percent| (1..=100).contains(percent));
        fitting.map(Self).ok_or(PercentError(percent))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// Whether it is the turn of one more, of those that come one after the other: as evenly as there is a way to. `earned` is
    /// theirs, 0 at the beginning.
    pub fn takes_turn(self, earned: &mut u8) -> bool {
        *earned += self.0;
        let is_turn = *earned >= 100;
        if is_turn {
            *earned -= 100;
        }
        is_turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_and_spread_evenly() {
        for percent in 1..=100 {
            let (share, mut earned) = (Percent::new(percent).unwrap(), 0);
            let turns: Vec<bool> = (0..300).map(|_| share.takes_turn(&mut earned)).collect();
            assert_eq!(turns.iter().filter(|turn| **turn).count() as i64, 3 * percent);
            // Of any hundred in a row, no more and no fewer.
            for hundred in turns.windows(100) {
                assert_eq!(hundred.iter().filter(|turn| **turn).count() as i64, percent);
            }
        }
        for wrong in [-1, 0, 101, 356] {
            assert_eq!(Percent::new(wrong), Err(PercentError(wrong)));
        }
    }
}
