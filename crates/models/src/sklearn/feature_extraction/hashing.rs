//! Columns by the hash of a term: `MurmurHash3_x86_32` with seed 0, as `sklearn.utils.murmurhash` has it.

/// The column of a term among so many, and whether its sign is negative.
pub(super) fn column(term: &str, n_columns: usize) -> (usize, bool) {
    let hash = murmur(term.as_bytes()) as i32;
    (hash.unsigned_abs() as usize % n_columns, hash < 0)
}

fn murmur(bytes: &[u8]) -> u32 {
    let scramble = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = 0_u32;
    let (blocks, rest) = bytes.as_chunks::<4>();
    for block in blocks {
        hash = (hash ^ scramble(u32::from_le_bytes(*block))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let rest = rest.iter().rev().fold(0, |block, byte| block << 8 | u32::from(*byte));
    hash ^= scramble(rest) ^ bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_library() {
        // `murmurhash3_32(term)`
        for (term, hash) in
            [("", 0), ("foo", -156_908_512), ("bar", 1_158_584_717), ("free offer", 693_461_304)]
        {
            assert_eq!(murmur(term.as_bytes()) as i32, hash, "{term}");
        }
    }
}
