//! How much of answers is kept for those who ask the same again.

use std::time::Duration;

/// Answers that are kept as RFC 9111 lets a shared cache keep them.
///
/// ```
/// use std::time::Duration;
///
/// let cache = plan::ResponseCache::parse("64MB, ttl=60s").unwrap();
/// assert_eq!((cache.bytes, cache.ttl), (64_000_000, Some(Duration::from_secs(60))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResponseCache {
    /// Bytes of all answers.
    pub bytes: usize,
    /// Bytes of one answer, no more than half of all.
    pub object: usize,
    /// How long an answer is fresh that says nothing of that; without it, such answers are not kept.
    pub ttl: Option<Duration>,
}

/// Why a text says no such thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponseCacheError {
    /// The size is none.
    #[error("`{0}` is no size from 64KiB to 1TiB, for example `64MB`")]
    Size(String),
    /// The size of one answer is none, or out of proportion.
    #[error("object `{0}` is no size from 1KiB to half of all")]
    Object(String),
    /// The time is none.
    #[error("ttl `{0}` is no time from 1s to 24h, in `s`, `m` or `h`")]
    Ttl(String),
    /// A part that is none.
    #[error("`{0}` is not `ttl=TIME` or `object=SIZE`")]
    Part(String),
    /// A part that stands there already.
    #[error("`{0}` stands there twice")]
    Twice(&'static str),
}

/// One answer may have so much where nobody says, if that is no more than an eighth of all.
const OBJECT: usize = 1 << 20;
const OBJECT_PART: usize = 8;

const LEAST: usize = 64 << 10;
const MOST: usize = 1 << 40;
const LEAST_OBJECT: usize = 1 << 10;
const LONGEST_TTL: u64 = 24 * 3600;

// === impl ResponseCache ===

impl ResponseCache {
    /// Parses `64MB`, `64MB, ttl=60s` or `1GiB, ttl=5m, object=10MB`.
    ///
    /// # Errors
    /// The first part that is not understood.
    pub fn parse(text: &str) -> Result<Self, ResponseCacheError> {
        let mut parts = text.split(',').map(str::trim);
        let written = parts.next().unwrap_or_default();
        let bytes = size(written).filter(|bytes| (LEAST..=MOST).contains(bytes));
        let bytes = bytes.ok_or_else(|| ResponseCacheError::Size(written.to_owned()))?;
        let (mut ttl, mut object) = (None, None);
        for part in parts {
            match part.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("ttl", value)) if ttl.is_none() => {
                    let read = time(value).ok_or_else(|| ResponseCacheError::Ttl(value.to_owned()))?;
                    ttl = Some(read);
                }
                Some(("object", value)) if object.is_none() => {
                    let read = size(value).filter(|size| (LEAST_OBJECT..=bytes / 2).contains(size));
                    object = Some(read.ok_or_else(|| ResponseCacheError::Object(value.to_owned()))?);
                }
                Some(("ttl", _)) => return Err(ResponseCacheError::Twice("ttl")),
                Some(("object", _)) => return Err(ResponseCacheError::Twice("object")),
                _ => return Err(ResponseCacheError::Part(part.to_owned())),
            }
        }
        Ok(Self { bytes, object: object.unwrap_or_else(|| OBJECT.min(bytes / OBJECT_PART)), ttl })
    }
}

/// A number of bytes, with or without a unit.
fn size(text: &str) -> Option<usize> {
    const UNITS: [(&str, usize); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1000),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
    ];
    let found = UNITS.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (number, factor) = found.unwrap_or((text, 1));
    let number = number.trim_end();
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    number.parse::<usize>().ok()?.checked_mul(factor)
}

fn time(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let factor = [('s', 1), ('m', 60), ('h', 3600)].into_iter().find(|(known, _)| *known == unit)?.1;
    let number = text.strip_suffix(unit)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    let seconds = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (1..=LONGEST_TTL).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_has_a_size_and_may_say_more() {
        let is = |text: &str, bytes, object, ttl: Option<u64>| {
            let expected = ResponseCache { bytes, object, ttl: ttl.map(Duration::from_secs) };
            assert_eq!(ResponseCache::parse(text), Ok(expected), "{text}");
        };
        is("64MB", 64_000_000, 1 << 20, None);
        is(" 1 MiB ", 1 << 20, 1 << 17, None);
        is("65536", 65_536, 8192, None);
        is("1GiB, ttl=5m, object=10MB", 1 << 30, 10_000_000, Some(300));
        is("1MB,object = 500kB , ttl = 24h", 1_000_000, 500_000, Some(86_400));
        for (text, problem) in [
            ("", "`` is no size from 64KiB to 1TiB, for example `64MB`"),
            ("64M", "`64M` is no size from 64KiB to 1TiB, for example `64MB`"),
            ("-1MB", "`-1MB` is no size from 64KiB to 1TiB, for example `64MB`"),
            ("1KB", "`1KB` is no size from 64KiB to 1TiB, for example `64MB`"),
            ("99999999999999GB", "`99999999999999GB` is no size from 64KiB to 1TiB, for example `64MB`"),
            ("1MB, object=1MB", "object `1MB` is no size from 1KiB to half of all"),
            ("1MB, ttl=0s", "ttl `0s` is no time from 1s to 24h, in `s`, `m` or `h`"),
            ("1MB, ttl=25h", "ttl `25h` is no time from 1s to 24h, in `s`, `m` or `h`"),
            ("1MB, ttl=é", "ttl `é` is no time from 1s to 24h, in `s`, `m` or `h`"),
            ("1MB, ttl=1s, ttl=1s", "`ttl` stands there twice"),
            ("1MB, 60s", "`60s` is not `ttl=TIME` or `object=SIZE`"),
        ] {
            assert_eq!(ResponseCache::parse(text).unwrap_err().to_string(), problem, "{text}");
        }
    }
}
