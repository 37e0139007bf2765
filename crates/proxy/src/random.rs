//! Random numbers for trace ids and choices: fast, not secret.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// A generator of one core (SplitMix64; Steele, Lea, Flood 2014), seeded by the system.
#[derive(Debug)]
pub(crate) struct Random {
    state: Cell<u64>,
}

impl Default for Random {
    fn default() -> Self {
        Self { state: Cell::new(RandomState::new().hash_one(0)) }
    }
}

impl Random {
    /// Any number.
    pub(crate) fn next(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
