//! How values lie in pages ("Encodings", parquet.apache.org).

use std::borrow::Cow;

use super::Problem;
use super::metadata::{Column, Meaning, Physical};
use super::thrift::Bytes;
use crate::json::Scalar;

/// Nanoseconds of a day.
const DAY: i128 = 86_400_000_000_000;
/// The number of the day 1970-01-01 among Julian days, with which `INT96` counts.
const JULIAN_1970: i64 = 2_440_588;

/// Numbers as runs of one value and as groups of eight, of so many bits each.
pub(super) fn hybrid(
    bytes: &mut Bytes<'_>,
    n_bits: u8,
    n_values: usize,
    mut take: impl FnMut(u32) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if n_bits > 32 {
        return Err(Problem::new("its numbers are too wide"));
    }
    let mut left = n_values;
    while left > 0 {
        let head = bytes.length()?;
        if head & 1 == 0 {
            let mut number = [0; 4];
            let n_bytes = usize::from(n_bits).div_ceil(8);
            number[..n_bytes].copy_from_slice(bytes.take(n_bytes)?);
            let length = (head >> 1).min(left);
            for _ in 0..length {
                take(u32::from_le_bytes(number))?;
            }
            left -= length;
        } else {
            // The last group may end with the page.
            let n_bytes = (head >> 1).saturating_mul(n_bits.into()).min(bytes.rest.len());
            let packed = bytes.take(n_bytes)?;
            let length = (head >> 1).saturating_mul(8).min(left);
            for index in 0..length {
                take(bits(packed, index * usize::from(n_bits), n_bits)?)?;
            }
            left -= length;
        }
    }
    Ok(())
}

/// So many bits from a place on, the lowest first.
fn bits(packed: &[u8], at: usize, n_bits: u8) -> Result<u32, Problem> {
    let (first, shift) = (at / 8, at % 8);
    let end = (at + usize::from(n_bits)).div_ceil(8);
    let within = packed.get(first..end).ok_or_else(|| Problem::new("a page ends too early"))?;
    let mut word = [0; 8];
    word[..within.len()].copy_from_slice(within);
    Ok(((u64::from_le_bytes(word) >> shift) & ((1 << n_bits) - 1)) as u32)
}

/// Values one after another.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    bytes: Bytes<'a>,
    /// Truth values that were read of the first byte.
    n_bits_read: u8,
}

impl<'a> Plain<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Bytes { rest: bytes }, n_bits_read: 0 }
    }

    /// The next value of a column.
    pub(super) fn next(&mut self, column: &Column) -> Result<Scalar<'a>, Problem> {
        let bytes = &mut self.bytes;
        let integer = |column: &Column, integer: i64| of_integer(column.meaning, integer);
        Ok(match column.physical {
            Physical::Boolean => {
                let byte = *bytes.rest.first().ok_or_else(|| Problem::new("a page ends too early"))?;
                let bit = byte >> self.n_bits_read & 1;
                self.n_bits_read = (self.n_bits_read + 1) % 8;
                if self.n_bits_read == 0 {
                    bytes.take(1)?;
                }
                Scalar::Boolean(bit == 1)
            }
            Physical::Int32 => {
                let signed = i32::from_le_bytes(bytes.array()?);
                let is_unsigned = column.meaning == Meaning::Unsigned;
                integer(column, if is_unsigned { signed.cast_unsigned().into() } else { signed.into() })?
            }
            Physical::Int64 => integer(column, i64::from_le_bytes(bytes.array()?))?,
            Physical::Int96 => {
                let nanoseconds = i64::from_le_bytes(bytes.array()?);
                let day = i64::from(i32::from_le_bytes(bytes.array()?)) - JULIAN_1970;
                time(i128::from(day) * DAY + i128::from(nanoseconds))?
            }
            Physical::Float => Scalar::Double(f32::from_le_bytes(bytes.array()?).into()),
            Physical::Double => Scalar::Double(f64::from_le_bytes(bytes.array()?)),
            Physical::Bytes => {
                let length = u32::from_le_bytes(bytes.array()?) as usize;
                of_bytes(column.meaning, bytes.take(length)?)?
            }
            Physical::FixedBytes(length) => of_bytes(column.meaning, bytes.take(length)?)?,
        })
    }
}

/// What a whole number means.
pub(super) fn of_integer<'a>(meaning: Meaning, integer: i64) -> Result<Scalar<'a>, Problem> {
    match meaning {
        Meaning::Plain => Ok(Scalar::Long(integer)),
        Meaning::Unsigned if integer >= 0 => Ok(Scalar::Long(integer)),
        Meaning::Unsigned => Ok(Scalar::Double(integer.cast_unsigned() as f64)),
        Meaning::Date => {
            let days = i32::try_from(integer).map_err(|_| Problem::new("a date is too far away"))?;
            let date =
                jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().try_days(days).map_err(far)?);
            Ok(Scalar::Text(date.map_err(far)?.to_string().into()))
        }
        Meaning::Timestamp { per_second } => {
            time(i128::from(integer) * i128::from(1_000_000_000 / per_second))
        }
        Meaning::Decimal { scale } => Ok(decimal(integer.into(), scale)),
    }
}

fn far(_: jiff::Error) -> Problem {
    Problem::new("a date is too far away")
}

/// A time as ISO 8601 has it, without its zone, as pandas has it.
fn time<'a>(nanoseconds: i128) -> Result<Scalar<'a>, Problem> {
    let timestamp = jiff::Timestamp::from_nanosecond(nanoseconds).map_err(far)?;
    Ok(Scalar::Text(timestamp.to_zoned(jiff::tz::TimeZone::UTC).datetime().to_string().into()))
}

fn decimal<'a>(unscaled: i128, scale: u8) -> Scalar<'a> {
    // Read as it would be written, so that 0.1 is the double that is nearest to it.
    let number = format!("{unscaled}e-{scale}").parse().unwrap_or(f64::NAN);
    Scalar::Double(number)
}

fn of_bytes(meaning: Meaning, bytes: &[u8]) -> Result<Scalar<'_>, Problem> {
    let Meaning::Decimal { scale } = meaning else {
        let text = std::str::from_utf8(bytes).map_err(|_| Problem::new("it holds bytes that are no text"))?;
        return Ok(Scalar::Text(Cow::Borrowed(text)));
    };
    if bytes.is_empty() || bytes.len() > 16 {
        return Err(Problem::new("a decimal is too long"));
    }
    let sign = if bytes[0] >= 0x80 { -1_i128 } else { 0 };
    Ok(decimal(bytes.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte)), scale))
}

/// Whole numbers as differences (`DELTA_BINARY_PACKED`).
pub(super) fn deltas(
    bytes: &mut Bytes<'_>,
    n_values: usize,
    mut take: impl FnMut(i64) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let broken = || Problem::new("a page with differences is broken");
    let (block, n_parts, n_all) = (bytes.length()?, bytes.length()?, bytes.length()?);
    let per_part = block.checked_div(n_parts).filter(|n| *n > 0 && n % 8 == 0 && block <= 1 << 20);
    let per_part = per_part.ok_or_else(broken)?;
    if n_all != n_values {
        return Err(broken());
    }
    let mut number = bytes.zigzag()?;
    let mut left = n_all;
    if left > 0 {
        take(number)?;
        left -= 1;
    }
    while left > 0 {
        let least = bytes.zigzag()?;
        let widths = bytes.take(n_parts)?;
        for width in widths {
            if left == 0 {
                break;
            }
            if *width > 64 {
                return Err(broken());
            }
            let packed = bytes.take(per_part / 8 * usize::from(*width))?;
            for index in 0..per_part.min(left) {
                let delta = wide_bits(packed, index * usize::from(*width), *width);
                number = number.wrapping_add(least).wrapping_add(delta.cast_signed());
                take(number)?;
            }
            left -= per_part.min(left);
        }
    }
    Ok(())
}

/// Up to 64 bits from a place on, of bytes that have them.
fn wide_bits(packed: &[u8], at: usize, n_bits: u8) -> u64 {
    let mut number = 0;
    for bit in 0..usize::from(n_bits) {
        let place = at + bit;
        number |= u64::from(packed[place / 8] >> (place % 8) & 1) << bit;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_groups_alternate() {
        // Three times 4, then 1 to 8 in 4 bits each, of which 5 are taken.
        let packed = [6, 4, 3, 0x21, 0x43, 0x65, 0x87];
        let mut numbers = Vec::new();
        hybrid(&mut Bytes { rest: &packed }, 4, 8, |number| {
            numbers.push(number);
            Ok(())
        })
        .unwrap();
        assert_eq!(numbers, [4, 4, 4, 1, 2, 3, 4, 5]);
        assert!(hybrid(&mut Bytes { rest: &packed }, 4, 12, |_| Ok(())).is_err());
        assert!(hybrid(&mut Bytes { rest: &packed }, 33, 1, |_| Ok(())).is_err());
    }

    #[test]
    fn numbers_mean_dates_times_and_decimals() {
        let text = |meaning, integer| match of_integer(meaning, integer) {
            Ok(scalar) => format!("{scalar:?}"),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(text(Meaning::Date, 19_723), "Text(\"2024-01-01\")");
        assert_eq!(text(Meaning::Date, i64::MAX), "a date is too far away");
        let timestamp = Meaning::Timestamp { per_second: 1_000 };
        assert_eq!(text(timestamp, 1_704_110_400_500), "Text(\"2024-01-01T12:00:00.5\")");
        assert_eq!(text(timestamp, i64::MAX), "a date is too far away");
        assert_eq!(text(Meaning::Decimal { scale: 2 }, -1050), "Double(-10.5)");
        assert_eq!(text(Meaning::Unsigned, -1), "Double(1.8446744073709552e19)");
        assert_eq!(of_bytes(Meaning::Decimal { scale: 1 }, &[0xff, 0xfb]).unwrap(), Scalar::Double(-0.5));
    }
}
