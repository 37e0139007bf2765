//! The Huffman code of strings (RFC 7541 §5.2, Appendix B).
//!
//! The code is canonical: of two symbols the one with the shorter code comes first, at equal length the smaller one. So the
//! lengths say it all, and every table here is made of them by the compiler.

use super::HpackError;

/// Bits of the code of each byte. The code of EOS, which ends no string, is the last of the longest ones.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // 0x20
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0x30
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 0x40
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 0x50
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // 0x60
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 0x70
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// The code itself: what each length begins with, and the symbols in its order.
struct Code {
    /// Code of each byte, in its lowest bits.
    codes: [u32; 256],
    /// All bytes in the order of their codes; behind them would stand EOS.
    in_order: [u8; 256],
    /// The first code of each length, moved to the top of 32 bits: all that is less is shorter.
    first: [u32; LONGEST + 2],
    /// Where in `in_order` each length begins.
    begins: [usize; LONGEST + 2],
}

static CODE: Code = Code::of(&LENGTHS);

impl Code {
    const fn of(lengths: &[u8; 256]) -> Self {
        let mut code = Self {
            codes: [0; 256],
            in_order: [0; 256],
            first: [u32::MAX; LONGEST + 2],
            begins: [256; LONGEST + 2],
        };
        let (mut next, mut position, mut length) = (0_u32, 0, 1);
        while length <= LONGEST {
            next <<= 1;
            code.first[length] = next << (32 - length);
            code.begins[length] = position;
            let mut byte = 0;
            while byte < 256 {
                if lengths[byte] as usize == length {
                    code.codes[byte] = next;
                    code.in_order[position] = byte as u8;
                    next += 1;
                    position += 1;
                }
                byte += 1;
            }
            length += 1;
        }
        // One code is left for EOS, and it is all ones (which is what padding is the beginning of).
        assert!(next == (1 << LONGEST) - 1 && position == 256);
        code
    }
}

// === encoding ===

/// Octets that these bytes take when they are encoded.
#[inline]
pub(super) fn encoded_len(bytes: impl Iterator<Item = u8>) -> usize {
    bytes.map(|byte| usize::from(LENGTHS[usize::from(byte)])).sum::<usize>().div_ceil(8)
}

/// Appends the code of these bytes, which takes `n_octets`, and the ones that fill the last of them.
#[inline]
pub(super) fn encode(bytes: impl Iterator<Item = u8>, n_octets: usize, into: &mut Vec<u8>) {
    let mut at = into.len();
    into.resize(at + n_octets, 0xff);
    let (mut bits, mut n_bits) = (0_u64, 0_u32);
    for byte in bytes {
        let byte = usize::from(byte);
        let length = u32::from(LENGTHS[byte]);
        bits = (bits << length) | u64::from(CODE.codes[byte]);
        n_bits += length;
        // Up to 31 bits stay, and 30 come: they never fill 64.
        if n_bits >= 32 {
            n_bits -= 32;
            into[at..at + 4].copy_from_slice(&((bits >> n_bits) as u32).to_be_bytes());
            at += 4;
        }
    }
    let last = (bits << (32 - n_bits)) as u32 | (u32::MAX >> n_bits);
    let n_left = into.len() - at;
    into[at..].copy_from_slice(&last.to_be_bytes()[..n_left]);
}

// === decoding ===

/// Bits that one look-up decodes: two symbols of common text (5 or 6 bits each), or one of up to twelve bits. The table
/// has 16 KiB, of which text touches the first part.
const STEP_BITS: usize = 12;

/// What the next bits say, in one word, from its lowest bits: in eight how many bits one or two symbols take together, in four
/// those of the first, in four how many symbols they are, and in sixteen the symbols in the order of memory. All is zero where
/// a longer code begins.
#[derive(Clone, Copy)]
struct Step(u32);

static STEPS: [Step; 1 << STEP_BITS] = steps();

impl Step {
    const fn of_one(symbol: u8, bits: usize) -> Self {
        Self((bits | (bits << 8) | (1 << 12)) as u32 | ((symbol as u32) << 16))
    }

    const fn and(self, symbol: u8, bits: usize) -> Self {
        Self((self.0 & 0x00ff_0f00) | (self.bits() + bits as u32) | (2 << 12) | ((symbol as u32) << 24))
    }

    #[inline]
    const fn bits(self) -> u32 {
        self.0 & 0xff
    }

    #[inline]
    const fn bits_of_first(self) -> u32 {
        self.0 >> 8 & 15
    }

    #[inline]
    const fn n_symbols(self) -> usize {
        (self.0 >> 12 & 15) as usize
    }

    #[inline]
    const fn symbols(self) -> u64 {
        (self.0 >> 16) as u64
    }
}

const fn steps() -> [Step; 1 << STEP_BITS] {
    let code = Code::of(&LENGTHS);
    let mut steps = [Step(0); 1 << STEP_BITS];
    let mut first = 0;
    while first < 256 {
        let length = LENGTHS[first] as usize;
        if length <= STEP_BITS {
            let left = STEP_BITS - length;
            let begin = (code.codes[first] as usize) << left;
            let one = Step::of_one(first as u8, length);
            let mut at = begin;
            while at < begin + (1 << left) {
                steps[at] = one;
                at += 1;
            }
            let mut position = 0;
            while LENGTHS[code.in_order[position] as usize] as usize <= left {
                let second = code.in_order[position];
                let free = left - LENGTHS[second as usize] as usize;
                let mut at = begin + ((code.codes[second as usize] as usize) << free);
                let end = at + (1 << free);
                while at < end {
                    steps[at] = one.and(second, LENGTHS[second as usize] as usize);
                    at += 1;
                }
                position += 1;
            }
        }
        first += 1;
    }
    steps
}

/// The symbol that these bits begin with (none is EOS) and its length, for codes that are too long for a step.
fn long_symbol(bits: u64) -> (Option<u8>, u32) {
    let top = (bits >> 32) as u32;
    let mut length = SHORTEST;
    while length < LONGEST && top >= CODE.first[length + 1] {
        length += 1;
    }
    let position = CODE.begins[length] + ((top - CODE.first[length]) >> (32 - length)) as usize;
    (CODE.in_order.get(position).copied(), length as u32)
}

/// The string that these octets encode, written to the beginning of `scratch`, which only ever grows.
pub(super) fn decode<'a>(mut coded: &[u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], HpackError> {
    // No code is shorter than five bits, and a round writes eight bytes wherever it ends.
    let most = coded.len() * 8 / SHORTEST + 8;
    if scratch.len() < most {
        scratch.resize(most.next_power_of_two(), 0);
    }
    let mut n_written = 0;
    // The next bits, from the top, and how many of them count. Those that do not count yet are zeros, or what will stand there.
    let (mut bits, mut n_bits) = (0_u64, 0_u32);

    while let Some(next) = coded.first_chunk::<8>() {
        bits |= u64::from_be_bytes(*next) >> n_bits;
        coded = &coded[(63 - n_bits as usize) / 8..];
        n_bits |= 56;
        // 56 bits and more are four steps, and these write eight bytes at most.
        let (mut word, mut n_word, mut step) = (0_u64, 0, Step(0));
        for _ in 0..4 {
            step = STEPS[(bits >> (64 - STEP_BITS)) as usize];
            word |= step.symbols() << (8 * n_word);
            n_word += step.n_symbols();
            bits <<= step.bits();
            n_bits -= step.bits();
        }
        scratch[n_written..n_written + 8].copy_from_slice(&word.to_le_bytes());
        n_written += n_word;
        // Where a long code stopped the steps, but not all of it is here, the next round begins with it, and has 56 bits.
        if step.0 == 0 && n_bits >= LONGEST as u32 {
            let (symbol, length) = long_symbol(bits);
            scratch[n_written] = symbol.ok_or(HpackError::EndInString)?;
            n_written += 1;
            bits <<= length;
            n_bits -= length;
        }
    }

    loop {
        while n_bits < 56
            && let Some((octet, rest)) = coded.split_first()
        {
            bits |= u64::from(*octet) << (56 - n_bits);
            n_bits += 8;
            coded = rest;
        }
        // Ones behind the end: whether it is padding or the rest of a code is told by how many bits were there.
        let padded = bits | (u64::MAX >> n_bits);
        if n_bits < 8 && padded == u64::MAX {
            return Ok(&scratch[..n_written]);
        }
        let step = STEPS[(padded >> (64 - STEP_BITS)) as usize];
        let (symbol, length) = match step.bits_of_first() {
            0 => long_symbol(padded),
            length => (Some(step.symbols() as u8), length),
        };
        if length > n_bits {
            return Err(HpackError::Padding);
        }
        scratch[n_written] = symbol.ok_or(HpackError::EndInString)?;
        n_written += 1;
        bits <<= length;
        n_bits -= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut coded = Vec::new();
        encode(text.iter().copied(), encoded_len(text.iter().copied()), &mut coded);
        coded
    }

    /// Bit by bit, as the RFC reads: what the tables are held against.
    fn decoded_plainly(coded: &[u8]) -> Result<Vec<u8>, HpackError> {
        let (mut text, mut code, mut length) = (Vec::new(), 0_u32, 0_u32);
        for bit in coded.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1)) {
            (code, length) = (code << 1 | u32::from(bit), length + 1);
            if (code, length) == (0x3fff_ffff, 30) {
                return Err(HpackError::EndInString);
            }
            let found = (0..256).find(|at| (CODE.codes[*at], u32::from(LENGTHS[*at])) == (code, length));
            if let Some(byte) = found {
                text.push(byte as u8);
                (code, length) = (0, 0);
            }
        }
        if length < 8 && code == (1 << length) - 1 { Ok(text) } else { Err(HpackError::Padding) }
    }

    #[test]
    fn codes_are_those_of_rfc_7541_appendix_b() {
        for (byte, code, length) in [
            (b'0', 0x0, 5),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b'Z', 0xfd, 8),
            (b'!', 0x3f8, 10),
            (b'#', 0xffa, 12),
            (0, 0x1ff8, 13),
            (b'\\', 0x7fff0, 19),
            (0x80, 0xfffe6, 20),
            (0xff, 0x03ff_ffee, 26),
            (0xf9, 0x0fff_fffe, 28),
            (22, 0x3fff_fffe, 30),
        ] {
            assert_eq!((CODE.codes[usize::from(byte)], LENGTHS[usize::from(byte)]), (code, length), "{byte}");
        }
    }

    #[test]
    fn strings_of_rfc_7541_appendix_c() {
        for (text, coded) in [
            (
                "www.example.com",
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..],
            ),
            ("no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
            ("302", &[0x64, 0x02]),
            ("", &[]),
        ] {
            assert_eq!(encoded(text.as_bytes()), coded);
            assert_eq!(decode(coded, &mut Vec::new()), Ok(text.as_bytes()));
        }
    }

    #[test]
    fn padding_is_less_than_an_octet_of_ones() {
        let of = |coded: &[u8]| decode(coded, &mut Vec::new()).map(<[u8]>::to_vec);
        assert_eq!(of(&[0b0001_1111]), Ok(b"a".to_vec()));
        assert_eq!(of(&[0b0001_1110]), Err(HpackError::Padding));
        assert_eq!(of(&[0b0001_1000]), Err(HpackError::Padding));
        assert_eq!(of(&[0b0001_1111, 0xff]), Err(HpackError::Padding));
        assert_eq!(of(&[0xff]), Err(HpackError::Padding));
        assert_eq!(of(&[0xff, 0xff, 0xff]), Err(HpackError::Padding));
        assert_eq!(of(&[0xff, 0xff, 0xff, 0xff]), Err(HpackError::EndInString));
        assert_eq!(of(&[0xff; 40]), Err(HpackError::EndInString));
        assert_eq!(of(&[0b0001_1111, 0xff, 0xff, 0xff, 0xff]), Err(HpackError::EndInString));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in prop::collection::vec(any::<u8>(), 0..80), ascii in "[ -~]{0,80}") {
            let mut scratch = Vec::new();
            prop_assert_eq!(decode(&encoded(&text), &mut scratch), Ok(&text[..]));
            prop_assert_eq!(decode(&encoded(ascii.as_bytes()), &mut scratch), Ok(ascii.as_bytes()));
        }

        #[test]
        fn tables_say_what_the_bits_say(coded in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0x1f)], 0..40)) {
            prop_assert_eq!(decode(&coded, &mut Vec::new()).map(<[u8]>::to_vec), decoded_plainly(&coded));
        }
    }
}
