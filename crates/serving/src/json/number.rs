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

/// Reads a number from the front of `bytes`, and says how many bytes it has.
///
/// # Errors
/// How many bytes are as they should be, and what is wrong then.
pub(super) fn read<'a>(bytes: &[u8]) -> Result<(Scalar<'a>, usize), (usize, Problem)> {
    let sign_length = usize::from(bytes.first() == Some(&b'-'));
    let n_integer_digits = count_digits(&bytes[sign_length..]);
    let mut length = sign_length + n_integer_digits;
    let has_leading_zero = n_integer_digits > 1 && bytes[sign_length] == b'0';
    if n_integer_digits == 0 || has_leading_zero {
        return read_word(bytes).ok_or((sign_length + usize::from(has_leading_zero), Problem::NotANumber));
    }
    let mut is_whole = true;
    if bytes.get(length) == Some(&b'.') {
        length += 1 + required_digits(bytes, length + 1)?;
        is_whole = false;
    }
    if let Some(b'e' | b'E') = bytes.get(length) {
        let has_sign = matches!(bytes.get(length + 1), Some(b'+' | b'-'));
        length += 1 + usize::from(has_sign);
        length += required_digits(bytes, length)?;
        is_whole = false;
    }
    if length > MAX_NUMBER_LENGTH {
        return Err((0, Problem::TooLong));
    }
    let text = std::str::from_utf8(&bytes[..length]).expect("digits, signs and letters are ASCII");
    if is_whole && let Ok(value) = text.parse() {
        return Ok((Scalar::Long(value), length));
    }
    let value: f64 = text.parse().expect("what JSON calls a number, Rust does too");
    if value.is_infinite() {
        return Err((0, Problem::TooLarge));
    }
    Ok((Scalar::Double(value), length))
}

fn required_digits(bytes: &[u8], start: usize) -> Result<usize, (usize, Problem)> {
    match count_digits(&bytes[start..]) {
        0 => Err((start, Problem::NotANumber)),
        n_digits => Ok(n_digits),
    }
}

#[inline]
fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

fn read_word<'a>(bytes: &[u8]) -> Option<(Scalar<'a>, usize)> {
    let (word, value) = WORDS.into_iter().find(|(word, _)| bytes.starts_with(word))?;
    Some((Scalar::Double(value), word.len()))
}
