//! Integers with a prefix (RFC 7541 §5.1).

use super::HpackError;

/// Bits that continuation octets may add: four octets, which reach beyond any table or string there is room for. More is
/// refused even where it is zeros: an integer has no end otherwise.
const CONTINUED_BITS: u32 = 28;

/// Takes an integer off the front; the bits of the first octet above the prefix are the caller's.
#[inline]
pub(super) fn read(rest: &mut &[u8], prefix_bits: u32) -> Result<usize, HpackError> {
    let (first, mut after) = rest.split_first().ok_or(HpackError::Truncated)?;
    let full = (1 << prefix_bits) - 1;
    let mut value = usize::from(*first) & full;
    let mut shift = 0;
    let mut continued = value == full;
    while continued {
        if shift == CONTINUED_BITS {
            return Err(HpackError::IntegerTooLarge);
        }
        let (octet, left) = after.split_first().ok_or(HpackError::Truncated)?;
        value += usize::from(octet & 0x7f) << shift;
        shift += 7;
        continued = octet & 0x80 != 0;
        after = left;
    }
    *rest = after;
    Ok(value)
}

/// Appends an integer, behind the bits of `pattern` in its first octet.
#[inline]
pub(super) fn write(value: usize, prefix_bits: u32, pattern: u8, into: &mut Vec<u8>) {
    let full = 0xff_u8 >> (8 - prefix_bits);
    if value < usize::from(full) {
        into.push(pattern | value as u8);
        return;
    }
    into.push(pattern | full);
    let mut left = value - usize::from(full);
    while left >= 0x80 {
        into.push(left as u8 | 0x80);
        left >>= 7;
    }
    into.push(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut bytes: &[u8], prefix_bits: u32) -> Result<(usize, usize), HpackError> {
        read(&mut bytes, prefix_bits).map(|value| (value, bytes.len()))
    }

    #[test]
    fn the_examples_of_rfc_7541_c_1() {
        for (value, prefix_bits, octets) in
            [(10, 5, &[0b01010][..]), (1337, 5, &[0b11111, 0b1001_1010, 0b1010]), (42, 8, &[42])]
        {
            let mut written = Vec::new();
            write(value, prefix_bits, 0, &mut written);
            assert_eq!(written, octets);
            assert_eq!(read_all(octets, prefix_bits), Ok((value, 0)));
        }
    }

    #[test]
    fn what_is_written_is_read_whatever_stands_around_it() {
        for prefix_bits in 4..=7 {
            for value in (0..5000).chain([1 << 20, (1 << 28) - 1, 1 << 28]) {
                let mut written = Vec::new();
                write(value, prefix_bits, 1 << prefix_bits, &mut written);
                written.push(0xff);
                assert_eq!(written[0] >> prefix_bits, 1);
                assert_eq!(read_all(&written, prefix_bits), Ok((value, 1)));
            }
        }
    }

    #[test]
    fn integers_without_end_are_refused() {
        assert_eq!(read_all(&[0x7f, 0xff, 0xff, 0xff, 0x7f], 7), Ok(((1 << 28) + 126, 0)));
        assert_eq!(read_all(&[0x7f, 0x80, 0x80, 0x80, 0x00], 7), Ok((127, 0)));
        assert_eq!(read_all(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00], 7), Err(HpackError::IntegerTooLarge));
        assert_eq!(read_all(&[0xff; 100], 7), Err(HpackError::IntegerTooLarge));
        assert_eq!(read_all(&[0x7f, 0x80], 7), Err(HpackError::Truncated));
        assert_eq!(read_all(&[], 7), Err(HpackError::Truncated));
    }
}
