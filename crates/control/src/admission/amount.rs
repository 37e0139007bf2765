//! Amounts of resources, exactly, and as an API server writes them ("Quantity", Kubernetes API conventions).
//!
//! `manifest` reads them as numbers to compute with; what is added up and compared here must not be off by a bit.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// An amount of something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    /// In billionths, the finest there is.
    nanos: i128,
    is_binary: bool,
}

/// Amounts by what they are of: `requests.cpu`, `pods`.
pub(crate) type Amounts = BTreeMap<String, Amount>;

const NANOS: i128 = 1_000_000_000;
/// The powers of ten that have a sign, and the powers of 1024.
const DECIMAL: &[(&str, i32)] = &[
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: &[(&str, u32)] = &[("Ki", 1), ("Mi", 2), ("Gi", 3), ("Ti", 4), ("Pi", 5), ("Ei", 6)];
/// What is more than this counts as this: 2⁶³ − 1, as there.
const MOST: i128 = i64::MAX as i128 * NANOS;

// === impl Amount ===

impl Amount {
    pub(crate) const ZERO: Self = Self { nanos: 0, is_binary: false };

    /// So many of something that is counted.
    pub(crate) fn of(count: usize) -> Self {
        Self { nanos: i128::try_from(count).map_or(MOST, |count| count * NANOS), is_binary: false }
    }

    /// A value of a field, which may be a number.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        if let Some((_, power)) = BINARY.iter().find(|(known, _)| *known == suffix) {
            let nanos = scaled(number, 0, 1024_i128.pow(*power))?;
            return Some(Self { nanos, is_binary: true });
        }
        let exponent = match DECIMAL.iter().find(|(known, _)| *known == suffix) {
            Some((_, exponent)) => *exponent,
            None => suffix.strip_prefix(['e', 'E'])?.parse().ok()?,
        };
        Some(Self { nanos: scaled(number, exponent, 1)?, is_binary: false })
    }

    pub(crate) fn plus(self, more: Self) -> Self {
        // Nothing takes the form of what it is added to.
        let is_binary = if self.nanos == 0 { more.is_binary } else { self.is_binary };
        Self { nanos: (self.nanos + more.nanos).min(MOST), is_binary }
    }

    pub(crate) fn minus(self, less: Self) -> Self {
        Self { nanos: self.nanos - less.nanos, is_binary: self.is_binary }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// How many times another amount it is.
    pub(crate) fn ratio(self, of: Self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "it is shown with six digits")]
        let ratio = self.nanos as f64 / of.nanos as f64;
        ratio
    }
}

/// A decimal number times a power of ten and another factor, in billionths; what is finer is rounded up.
fn scaled(number: &str, exponent: i32, factor: i128) -> Option<i128> {
    let (is_negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, fraction].concat();
    if all.is_empty() || all.len() > 30 || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i128 = all.parse().ok()?;
    let shift = exponent.checked_add(9)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let ten = |power: u32| 10_i128.checked_pow(power);
    let nanos = match u32::try_from(shift) {
        Ok(power) => ten(power).and_then(|ten| value.checked_mul(ten)?.checked_mul(factor)).unwrap_or(MOST),
        Err(_) => match ten(shift.unsigned_abs()) {
            Some(ten) => {
                let product = value.checked_mul(factor)?;
                product.checked_add(ten - 1)?.checked_div(ten)?
            }
            None => i128::from(value > 0),
        },
    };
    let nanos = if value == 0 { 0 } else { nanos.min(MOST) };
    Some(if is_negative { -nanos } else { nanos })
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Amount {}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// In the largest unit that leaves no fraction.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.nanos / NANOS;
        if self.is_binary && self.nanos % NANOS == 0 && whole.abs() >= 1024 {
            let units = BINARY.iter().rev().map(|(name, power)| (*name, 1024_i128.pow(*power)));
            let unit = units.into_iter().find(|(_, unit)| whole % unit == 0).unwrap_or(("", 1));
            return write!(f, "{}{}", whole / unit.1, unit.0);
        }
        let mut nanos = self.nanos;
        let mut index = 0;
        while nanos != 0 && nanos % 1000 == 0 && index + 1 < DECIMAL.len() {
            nanos /= 1000;
            index += 1;
        }
        let suffix = if nanos == 0 { "" } else { DECIMAL.get(index).map_or("", |(suffix, _)| *suffix) };
        write!(f, "{nanos}{suffix}")
    }
}

/// The amounts in a map of a field.
pub(crate) fn amounts(map: &Value) -> Amounts {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), Amount::read(value)?))).collect()
}

/// `cpu=1,pods=2`
pub(crate) fn shown(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

/// Adds amounts to others.
pub(crate) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let before = sum.get(name).copied().unwrap_or(Amount::ZERO);
        sum.insert(name.clone(), before.plus(*amount));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        Amount::parse(text).map_or_else(|| "none".to_owned(), |amount| amount.to_string())
    }

    #[test]
    fn amounts_are_written_as_an_api_server_writes_them() {
        for (text, canonical) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512", "512"),
            ("1000", "1k"),
            ("128974848", "128974848"),
            ("100Mi", "100Mi"),
            ("1e3", "1k"),
            ("2E", "2E"),
            ("0", "0"),
            ("0Gi", "0"),
            ("0.1n", "1n"),
            ("lots", "none"),
            ("", "none"),
            ("1 Gi", "none"),
            ("1e999999999", "9223372036854775807"),
        ] {
            assert_eq!(written(text), canonical, "{text}");
        }
    }

    #[test]
    fn sums_keep_the_form_of_what_was_there_first() {
        let sum = |texts: &[&str]| {
            texts.iter().filter_map(|text| Amount::parse(text)).fold(Amount::ZERO, Amount::plus).to_string()
        };
        assert_eq!(sum(&["128Mi", "64Mi"]), "192Mi");
        assert_eq!(sum(&["1Gi", "1G"]), "2073741824");
        assert_eq!(sum(&["250m", "500m", "0.25"]), "1");
        assert_eq!(sum(&[]), "0");
    }
}
