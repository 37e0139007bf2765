//! Numbers as JSON writes them, and the three words that Python writes for what JSON has none.

use super::{MAX_NUMBER_LENGTH, Scalar};

/// Why bytes are not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    NotANumber,
    TooLong,
    TooLarge,
}

/// The words that are numbers to Python.
const WORDS: [(&[u8], f64); 3] =
    [(b"NaN", f64::NAN), (b"Infinity", f64::INFINITY), (b"-Infinity", f64::NEG_INFINITY)];

/// The powers of ten that doubles hold exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// The greatest whole number up to which doubles hold all.
const EXACT_DIGITS: u64 = 1 << 53;
/// How many digits a double holds exactly whatever they are.
const F64_DIGITS: usize = 15;
/// How many digits a `u64` holds whatever they are.
const U64_DIGITS: usize = 19;

/// A number that was passed over.
struct Span {
    length: usize,
    is_whole: bool,
    /// The value, if it has few enough digits and no exponent, so that one division rounds it correctly.
    short: Option<f64>,
}

/// Reads a number from the front of `bytes`, and says how many bytes it has.
///
/// # Errors
/// How many bytes are as they should be, and what is wrong then.
#[inline]
pub(super) fn read<'a>(bytes: &[u8]) -> Result<(Scalar<'a>, usize), (usize, Problem)> {
    let Some(span) = scan(bytes)? else {
        let (word, value) = WORDS.into_iter().find(|(word, _)| bytes.starts_with(word)).ok_or_else(|| {
            let sign_length = usize::from(bytes.first() == Some(&b'-'));
            (sign_length, Problem::NotANumber)
        })?;
        return Ok((Scalar::Double(value), word.len()));
    };
    if let Some(value) = span.short {
        let whole = || Scalar::Long(value as i64);
        return Ok((if span.is_whole { whole() } else { Scalar::Double(value) }, span.length));
    }
    let text = std::str::from_utf8(&bytes[..span.length]).expect("digits, signs and letters are ASCII");
    if span.is_whole
        && let Ok(value) = text.parse()
    {
        return Ok((Scalar::Long(value), span.length));
    }
    let value: f64 = text.parse().expect("what JSON calls a number, Rust does too");
    if value.is_infinite() {
        return Err((0, Problem::TooLarge));
    }
    Ok((Scalar::Double(value), span.length))
}

/// Reads a number of at most [`U64_DIGITS`] digits and without an exponent, and says how many bytes it has; `None` for
/// everything else, be it a number or not. What both read, this and [`read`] read alike.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> Option<(f64, usize)> {
    let mut digits = 0;
    let start = usize::from(bytes.first() == Some(&b'-'));
    let n_integer_digits = take_digits(&bytes[start..], &mut digits);
    let mut length = start + n_integer_digits;
    let mut n_fraction_digits = 0;
    if bytes.get(length) == Some(&b'.') {
        n_fraction_digits = take_digits(&bytes[length + 1..], &mut digits);
        length += 1 + n_fraction_digits;
        if n_fraction_digits == 0 {
            return None;
        }
    }
    let n_digits = n_integer_digits + n_fraction_digits;
    let has_needless_zero = n_integer_digits > 1 && bytes[start] == b'0';
    let goes_on = matches!(bytes.get(length), Some(b'e' | b'E'));
    // A zero before the point takes no room.
    let n_digits = n_digits - usize::from(bytes.get(start) == Some(&b'0') && n_digits > 0);
    if n_integer_digits == 0 || n_digits > U64_DIGITS || has_needless_zero || goes_on {
        return None;
    }
    let value = match n_digits <= F64_DIGITS {
        true => digits as f64 / EXACT_POWERS[n_fraction_digits],
        false => quotient(digits, n_fraction_digits),
    };
    // A whole zero has no sign.
    let is_negative = start == 1 && (digits != 0 || n_fraction_digits > 0);
    Some((if is_negative { -value } else { value }, length))
}

/// `digits / 10ⁿ`, rounded once. There are at most 19 digits after the point.
fn quotient(digits: u64, n: usize) -> f64 {
    let divisor = 10_u64.pow(n as u32);
    let (digits_shift, divisor_shift) = (digits.leading_zeros(), divisor.leading_zeros());
    if digits == 0 {
        return 0.0;
    }
    // Both begin with their highest bit, so the quotient has 63 or 64 bits: more than a double, and what is left over is
    // told by the lowest of them.
    let (dividend, divisor) =
        (u128::from(digits << digits_shift) << 63, u128::from(divisor << divisor_shift));
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let rounded = (quotient as u64 | u64::from(rest != 0)) as f64;
    let exponent = 1023 - 63 + u64::from(divisor_shift) - u64::from(digits_shift);
    rounded * f64::from_bits(exponent << 52)
}

/// Passes over a number; `None` if there is no digit where one must be at first.
#[inline]
fn scan(bytes: &[u8]) -> Result<Option<Span>, (usize, Problem)> {
    let mut digits = 0;
    let is_negative = bytes.first() == Some(&b'-');
    let start = usize::from(is_negative);
    let n_integer_digits = take_digits(&bytes[start..], &mut digits);
    if n_integer_digits == 0 {
        return Ok(None);
    }
    if n_integer_digits > 1 && bytes[start] == b'0' {
        return Err((start + 1, Problem::NotANumber));
    }
    let mut length = start + n_integer_digits;
    let mut n_fraction_digits = 0;
    if bytes.get(length) == Some(&b'.') {
        length += 1;
        n_fraction_digits = take_digits(&bytes[length..], &mut digits);
        if n_fraction_digits == 0 {
            return Err((length, Problem::NotANumber));
        }
        length += n_fraction_digits;
    }
    let has_exponent = matches!(bytes.get(length), Some(b'e' | b'E'));
    if has_exponent {
        length += 1 + usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        match take_digits(&bytes[length..], &mut 0) {
            0 => return Err((length, Problem::NotANumber)),
            n_digits => length += n_digits,
        }
    }
    if length > MAX_NUMBER_LENGTH {
        return Err((0, Problem::TooLong));
    }
    let is_short =
        !has_exponent && n_integer_digits + n_fraction_digits <= U64_DIGITS && digits <= EXACT_DIGITS;
    let short = is_short.then(|| {
        let value = digits as f64 / EXACT_POWERS[n_fraction_digits];
        if is_negative { -value } else { value }
    });
    Ok(Some(Span { length, is_whole: n_fraction_digits == 0 && !has_exponent, short }))
}

/// Adds the digits at the front of `bytes` to a number, which overflows when there are too many. Says how many there are.
#[inline]
fn take_digits(bytes: &[u8], number: &mut u64) -> usize {
    let mut n_digits = 0;
    while let Some(word) = bytes[n_digits..].first_chunk()
        && let Some(eight) = eight_digits(u64::from_le_bytes(*word))
    {
        *number = number.wrapping_mul(100_000_000).wrapping_add(eight);
        n_digits += 8;
    }
    while let Some(digit @ b'0'..=b'9') = bytes.get(n_digits) {
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        n_digits += 1;
    }
    n_digits
}

/// The number that eight letters are, of which the first is the lowest byte, if all are digits. They are worked on in pairs,
/// then in pairs of pairs.
#[inline]
fn eight_digits(letters: u64) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGH_HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;

    // Both the letter and the sixth after it begin with a three if it is a digit, and no other letter's do.
    let sixth_after = letters.wrapping_add(0x0606_0606_0606_0606);
    if letters & HIGH_HALVES != ZEROS || sixth_after & HIGH_HALVES != ZEROS {
        return None;
    }
    let digits = letters - ZEROS;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn eight_letters_are_digits_or_not() {
        let read = |text: &[u8; 8]| eight_digits(u64::from_le_bytes(*text));
        assert_eq!(read(b"12345678"), Some(12_345_678));
        assert_eq!(read(b"00000009"), Some(9));
        assert_eq!(read(b"99999999"), Some(99_999_999));
        for place in 0..8 {
            for letter in 0..=u8::MAX {
                let mut text = *b"90909090";
                text[place] = letter;
                assert_eq!(read(&text).is_some(), letter.is_ascii_digit(), "{letter} at {place}");
            }
        }
    }

    #[test]
    fn many_digits_are_rounded_once() {
        for text in [
            "0.1234567890123456789",
            "9007199254740993",
            "9007199254740992.5",
            "9007199254740993.5",
            "0.0000000000000000001",
            "9999999999999999999",
            "1844674407370955161",
            "1.797693134862315708",
            "4503599627370496.5",
            "4503599627370497.5",
            "0.30000000000000004",
            "123456789012345.6789",
        ] {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(plain(text.as_bytes()), Some((expected, text.len())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_double_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits % (1 << 62)) * 1e-6;
            let text = format!("{value}");
            if let Some((read, length)) = plain(text.as_bytes()) {
                prop_assert_eq!((read.to_bits(), length), (value.to_bits(), text.len()));
            }
        }

        #[test]
        fn a_double_of_usual_size_reads_back(value in -1e3..1e3_f64) {
            let text = format!("{value}");
            if let Some((read, length)) = plain(text.as_bytes()) {
                prop_assert_eq!((read.to_bits(), length), (value.to_bits(), text.len()));
            }
        }

        #[test]
        fn a_plain_number_is_read_as_any_other(text in "-?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?[,\\] ]?") {
            if let Some((value, length)) = plain(text.as_bytes()) {
                let (read, read_length) = read(text.as_bytes()).unwrap();
                let as_double = match read {
                    Scalar::Long(value) => value as f64,
                    Scalar::Double(value) => value,
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!((value.to_bits(), length), (as_double.to_bits(), read_length));
            }
        }
    }
}
