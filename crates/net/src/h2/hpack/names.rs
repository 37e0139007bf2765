//! What the encoder knows of a field by its name: where the static table has it, and whether its value comes again.

use super::static_table::ROWS;

/// What becomes of fields with a name (RFC 7541 §6.2, §7.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indexing {
    /// A secret: no table holds it, not even that of an intermediary behind us, so nobody finds it by guessing.
    Never,
    /// Another value each time: it would only evict others.
    Without,
    /// Indexed as long as the name has few values in the table.
    Usual,
    /// Indexed, though it has a new value soon: very many answers share each.
    Always,
}

/// A name that is known.
#[derive(Debug)]
pub(super) struct Known {
    /// In lower case, and without any character but letters that is above 0x3f.
    pub(super) name: &'static [u8],
    /// The first index of the name in the static table, or 0.
    pub(super) index: usize,
    /// How many fields of the static table have the name.
    pub(super) n_rows: usize,
    pub(super) indexing: Indexing,
}

/// What is known of all other names.
pub(super) static UNKNOWN: Known = Known { name: b"", index: 0, n_rows: 0, indexing: Indexing::Usual };

/// All names that are not as usual.
const UNUSUAL: [(&[u8], Indexing); 47] = [
    (b"authorization", Indexing::Never),
    (b"cookie", Indexing::Never),
    (b"proxy-authorization", Indexing::Never),
    (b"set-cookie", Indexing::Never),
    (b"x-amz-security-token", Indexing::Never),
    (b"x-amzn-oidc-accesstoken", Indexing::Never),
    (b"x-amzn-oidc-data", Indexing::Never),
    (b"x-api-key", Indexing::Never),
    (b"date", Indexing::Always),
    (b":path", Indexing::Without),
    (b"age", Indexing::Without),
    (b"content-disposition", Indexing::Without),
    (b"content-length", Indexing::Without),
    (b"content-location", Indexing::Without),
    (b"content-range", Indexing::Without),
    (b"etag", Indexing::Without),
    (b"if-match", Indexing::Without),
    (b"if-modified-since", Indexing::Without),
    (b"if-none-match", Indexing::Without),
    (b"if-range", Indexing::Without),
    (b"if-unmodified-since", Indexing::Without),
    (b"last-modified", Indexing::Without),
    (b"location", Indexing::Without),
    (b"range", Indexing::Without),
    (b"cf-ray", Indexing::Without),
    (b"content-md5", Indexing::Without),
    (b"digest", Indexing::Without),
    (b"forwarded", Indexing::Without),
    (b"grpc-timeout", Indexing::Without),
    (b"idempotency-key", Indexing::Without),
    (b"server-timing", Indexing::Without),
    (b"traceparent", Indexing::Without),
    (b"tracestate", Indexing::Without),
    (b"x-amz-cf-id", Indexing::Without),
    (b"x-amz-id-2", Indexing::Without),
    (b"x-amz-request-id", Indexing::Without),
    (b"x-amzn-requestid", Indexing::Without),
    (b"x-amzn-trace-id", Indexing::Without),
    (b"x-b3-spanid", Indexing::Without),
    (b"x-b3-traceid", Indexing::Without),
    (b"x-correlation-id", Indexing::Without),
    (b"x-envoy-upstream-service-time", Indexing::Without),
    (b"x-forwarded-for", Indexing::Without),
    (b"x-process-time", Indexing::Without),
    (b"x-request-id", Indexing::Without),
    (b"x-response-time", Indexing::Without),
    (b"x-runtime", Indexing::Without),
];

const N_KNOWN: usize = 79;
const N_SLOTS: usize = 256;

static KNOWN: [Known; N_KNOWN] = known();
/// Positions in `KNOWN` and one more, at the hash of the name or behind it; 0 is free.
static SLOTS: [u8; N_SLOTS] = slots();

/// What is known of a name, in whatever case it is written.
#[inline]
pub(super) fn find(name: &[u8], hash: u64) -> Option<&'static Known> {
    let mut slot = hash as usize % N_SLOTS;
    loop {
        let known = &KNOWN[usize::from(SLOTS[slot]).checked_sub(1)?];
        if is_spelled(known.name, name) {
            return Some(known);
        }
        slot = (slot + 1) % N_SLOTS;
    }
}

/// The hash of a name, in whatever case it is written.
#[inline]
pub(super) const fn hash_name(name: &[u8]) -> u64 {
    // This bit is the case of letters. Other characters that become one by it only share a hash.
    hash(name, 0, 0x2020_2020_2020_2020)
}

/// The hash of a field, by that of its name.
#[inline]
pub(super) const fn hash_field(name_hash: u64, value: &[u8]) -> u64 {
    hash(value, name_hash, 0)
}

/// A hash by folded multiplication, eight bytes a step. It has no secret: who makes fields collide gains comparisons with a
/// table of four kilobytes.
#[inline]
const fn hash(bytes: &[u8], seed: u64, fold: u64) -> u64 {
    let mut hash = seed ^ bytes.len() as u64;
    let mut rest = bytes;
    while rest.len() > 8
        && let Some((word, after)) = rest.split_first_chunk()
    {
        hash = mix(hash, u64::from_le_bytes(*word) | fold);
        rest = after;
    }
    mix(hash, last_word(bytes) | fold)
}

/// Whether a name spells a known one, which it does in any case of its letters; eight bytes a step, like the hash.
#[inline]
fn is_spelled(known: &[u8], name: &[u8]) -> bool {
    // What has the bit 0x40 in a known name is a letter, and then 0x20 is its case.
    let is_same = |known: u64, name: u64| (known ^ name) & !((known & 0x4040_4040_4040_4040) >> 1) == 0;
    if known.len() != name.len() || !is_same(last_word(known), last_word(name)) {
        return false;
    }
    let words = |bytes| <[u8]>::as_chunks::<8>(bytes).0.iter().map(|word| u64::from_le_bytes(*word));
    words(known).zip(words(name)).all(|(known, name)| is_same(known, name))
}

/// The last eight bytes, or all where there are less, in some arrangement that depends on how many there are only.
#[inline]
const fn last_word(bytes: &[u8]) -> u64 {
    if let Some(word) = bytes.last_chunk() {
        u64::from_le_bytes(*word)
    } else if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
        u32::from_le_bytes(*low) as u64 | (u32::from_le_bytes(*high) as u64) << 32
    } else if let [first, .., last] = bytes {
        *first as u64 | (bytes[bytes.len() / 2] as u64) << 8 | (*last as u64) << 16
    } else if let [only] = bytes {
        *only as u64
    } else {
        0
    }
}

#[inline]
const fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word ^ 0x243f_6a88_85a3_08d3) as u128 * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}

const fn known() -> [Known; N_KNOWN] {
    let mut known = [const { Known { name: b"", index: 0, n_rows: 0, indexing: Indexing::Usual } }; N_KNOWN];
    let mut n_known = 0;
    let mut row = 0;
    while row < ROWS.len() {
        let name = ROWS[row].0;
        if row == 0 || !is_same(name, ROWS[row - 1].0) {
            known[n_known] = Known { name, index: row + 1, n_rows: 0, indexing: Indexing::Usual };
            n_known += 1;
        }
        known[n_known - 1].n_rows += 1;
        row += 1;
    }
    let mut unusual = 0;
    while unusual < UNUSUAL.len() {
        let (name, indexing) = UNUSUAL[unusual];
        let mut at = 0;
        while at < n_known && !is_same(known[at].name, name) {
            at += 1;
        }
        if at == n_known {
            known[at].name = name;
            n_known += 1;
        }
        known[at].indexing = indexing;
        unusual += 1;
    }
    assert!(n_known == N_KNOWN);
    known
}

const fn slots() -> [u8; N_SLOTS] {
    let known = known();
    let mut slots = [0; N_SLOTS];
    let mut at = 0;
    while at < N_KNOWN {
        let mut slot = hash_name(known[at].name) as usize % N_SLOTS;
        while slots[slot] != 0 {
            slot = (slot + 1) % N_SLOTS;
        }
        slots[slot] = at as u8 + 1;
        at += 1;
    }
    slots
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for known in &KNOWN {
            for name in [known.name.to_vec(), known.name.to_ascii_uppercase()] {
                let found = find(&name, hash_name(&name)).unwrap();
                assert_eq!(found.name, known.name);
            }
            assert!(known.name.iter().all(|byte| *byte < 0x40 || byte.is_ascii_lowercase()));
            for at in 0..known.name.len() {
                for other in 0..=255 {
                    let mut name = known.name.to_vec();
                    name[at] = other;
                    assert_eq!(is_spelled(known.name, &name), known.name.eq_ignore_ascii_case(&name));
                }
            }
        }
        let of = |name: &[u8]| find(name, hash_name(name)).map(|known| (known.index, known.indexing));
        assert_eq!(of(b":STATUS"), Some((8, Indexing::Usual)));
        assert_eq!(of(b"Set-Cookie"), Some((55, Indexing::Never)));
        assert_eq!(of(b"Content-Length"), Some((28, Indexing::Without)));
        assert_eq!(of(b"X-Request-Id"), Some((0, Indexing::Without)));
        assert_eq!(of(b"date"), Some((33, Indexing::Always)));
        for unknown in ["", "x", "x-powered-by", "dat", "dates", "content-lengtg", "\rate"] {
            assert_eq!(of(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn names_have_slots_near_their_hash() {
        let hops = |known: &Known| {
            let home = hash_name(known.name) as usize % N_SLOTS;
            (0..).find(|hop| {
                std::ptr::eq(&raw const KNOWN[usize::from(SLOTS[(home + hop) % N_SLOTS]) - 1], known)
            })
        };
        assert!(KNOWN.iter().filter_map(hops).sum::<usize>() < N_KNOWN / 2);
    }
}
