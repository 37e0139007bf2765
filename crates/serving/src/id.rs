//! Names for requests that bring none.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one("request id"));
}

/// A new UUID of version 4 (RFC 9562 §5.4). It is unlike any other, and no secret.
pub(crate) fn new_id() -> String {
    let random = u128::from(random()) << 64 | u128::from(random());
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let mut id = String::with_capacity(36);
    for place in (0..32u32).rev() {
        if matches!(place, 23 | 19 | 15 | 11) {
            id.push('-');
        }
        let digit = (bits >> (4 * place)) as u32 & 0xf;
        id.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
    id
}

/// A random number, which is no secret: SplitMix64, which begins at a random number on each thread.
pub(crate) fn random() -> u64 {
    STATE.with(|state| {
        let mut value = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(value);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_uuids_and_differ() {
        let ids: HashSet<String> = (0..1000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert_eq!(&id[14..15], "4");
            assert!("89ab".contains(&id[19..20]));
        }
    }
}
