//! How often one client may ask: the generic cell rate algorithm (ITU-T I.371, annex A), which is a bucket of tokens of which only
//! the time is kept at which it is full again.

use std::num::NonZeroU32;
use std::time::Duration;

/// How often one client may ask.
///
/// ```
/// use plan::{LimitedBy, RateLimit};
///
/// let limit = RateLimit::parse("10/s, burst=20, by=header:x-api-key").unwrap();
/// assert_eq!((limit.requests.get(), limit.burst.get()), (10, 20));
/// assert_eq!(limit.by, LimitedBy::Header("x-api-key".to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// So many requests …
    pub requests: NonZeroU32,
    /// … in this time, on average.
    pub per: Duration,
    /// So many at once, after a time without any.
    pub burst: NonZeroU32,
    /// Who counts as one client.
    pub by: LimitedBy,
}

/// Who counts as one client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LimitedBy {
    /// Who comes from one address of IPv4, or from one /64 of IPv6.
    Address,
    /// Who sends one value in this header field; who does not send it counts by the address.
    Header(String),
}

/// Why a text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateLimitError {
    /// It does not begin with a rate.
    #[error("`{0}` is no rate: a number from 1 to {most}, `/`, and `s`, `m` or `h`", most = RateLimit::MOST)]
    Rate(String),
    /// The burst is no number.
    #[error("burst `{0}` is not a number from 1 to {most}", most = RateLimit::MOST)]
    Burst(String),
    /// Nobody knows clients by that.
    #[error("by `{0}` is not `address` or `header:NAME`")]
    By(String),
    /// A part that is none.
    #[error("`{0}` is not `burst=NUMBER` or `by=address|header:NAME`")]
    Part(String),
    /// A part that stands there already.
    #[error("`{0}` stands there twice")]
    Twice(&'static str),
}

/// The times that a rate may be for.
const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

// === impl RateLimit ===

impl RateLimit {
    /// The most requests that a rate or a burst may name.
    pub const MOST: u32 = 1_000_000;

    /// Parses `10/s`, `10/s, burst=20` or `10/s, burst=20, by=header:NAME`. Where no burst is named it is the number of the rate.
    ///
    /// # Errors
    /// The first part that is not understood.
    pub fn parse(text: &str) -> Result<Self, RateLimitError> {
        let mut parts = text.split(',').map(str::trim);
        let rate = parts.next().unwrap_or_default();
        let (requests, per) = parse_rate(rate).ok_or_else(|| RateLimitError::Rate(rate.to_owned()))?;
        let (mut burst, mut by) = (None, None);
        for part in parts {
            match part.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("burst", value)) => {
                    let number = number(value).ok_or_else(|| RateLimitError::Burst(value.to_owned()))?;
                    once(&mut burst, number, "burst")?;
                }
                Some(("by", value)) => once(&mut by, parse_by(value)?, "by")?,
                _ => return Err(RateLimitError::Part(part.to_owned())),
            }
        }
        let (burst, by) = (burst.unwrap_or(requests), by.unwrap_or(LimitedBy::Address));
        Ok(Self { requests, per, burst, by })
    }

    /// Counts a request at `now` of a client whose earlier ones are paid for at `paid_until`, both in nanoseconds of one clock.
    /// Returns until when it has to pay now.
    ///
    /// # Errors
    /// When it asks too often: after how long it may ask again.
    pub fn take(&self, paid_until: u64, now: u64) -> Result<u64, Duration> {
        let each = self.nanoseconds_each();
        let until = paid_until.max(now).saturating_add(each);
        let ahead = until.saturating_sub(now);
        let most_ahead = each.saturating_mul(self.burst.get().into());
        match ahead.checked_sub(most_ahead) {
            None | Some(0) => Ok(until),
            Some(too_early) => Err(Duration::from_nanos(too_early)),
        }
    }

    /// The time that pays for one request, in nanoseconds.
    fn nanoseconds_each(&self) -> u64 {
        let per = u64::try_from(self.per.as_nanos()).unwrap_or(u64::MAX);
        per / u64::from(self.requests.get())
    }
}

fn once<T>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), RateLimitError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(RateLimitError::Twice(name)),
    }
}

fn number(text: &str) -> Option<NonZeroU32> {
    text.parse().ok().filter(|number: &NonZeroU32| number.get() <= RateLimit::MOST)
}

fn parse_rate(text: &str) -> Option<(NonZeroU32, Duration)> {
    let (requests, unit) = text.split_once('/')?;
    let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
    Some((number(requests.trim())?, Duration::from_secs(seconds)))
}

fn parse_by(text: &str) -> Result<LimitedBy, RateLimitError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_name = |name: &&str| !name.is_empty() && name.len() <= MOST_NAME && name.bytes().all(is_token);
    match text.split_once(':') {
        None if text == "address" => Ok(LimitedBy::Address),
        Some(("header", name)) if is_name(&name.trim()) => {
            Ok(LimitedBy::Header(name.trim().to_ascii_lowercase()))
        }
        _ => Err(RateLimitError::By(text.to_owned())),
    }
}

/// The longest name of a header field.
const MOST_NAME: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limit(text: &str) -> RateLimit {
        RateLimit::parse(text).unwrap()
    }

    #[test]
    fn a_limit_is_a_rate_with_a_burst_and_who_counts_as_one() {
        let is = |text: &str, requests, seconds, burst, by| {
            let number = |number| NonZeroU32::new(number).unwrap();
            let per = Duration::from_secs(seconds);
            let expected = RateLimit { requests: number(requests), per, burst: number(burst), by };
            assert_eq!(limit(text), expected, "{text}");
        };
        is("10/s", 10, 1, 10, LimitedBy::Address);
        is(" 600 / m ,by=address, burst = 5", 600, 60, 5, LimitedBy::Address);
        is("5/h,by=header:X-API-Key", 5, 3600, 5, LimitedBy::Header("x-api-key".to_owned()));
        for (text, problem) in [
            ("", "`` is no rate: a number from 1 to 1000000, `/`, and `s`, `m` or `h`"),
            ("0/s", "`0/s` is no rate: a number from 1 to 1000000, `/`, and `s`, `m` or `h`"),
            ("10/day", "`10/day` is no rate: a number from 1 to 1000000, `/`, and `s`, `m` or `h`"),
            ("1000001/s", "`1000001/s` is no rate: a number from 1 to 1000000, `/`, and `s`, `m` or `h`"),
            ("1/s, burst=0", "burst `0` is not a number from 1 to 1000000"),
            ("1/s, burst=1, burst=2", "`burst` stands there twice"),
            ("1/s, by=cookie", "by `cookie` is not `address` or `header:NAME`"),
            ("1/s, by=header:a b", "by `header:a b` is not `address` or `header:NAME`"),
            ("1/s, by=header:", "by `header:` is not `address` or `header:NAME`"),
            ("1/s, 5", "`5` is not `burst=NUMBER` or `by=address|header:NAME`"),
        ] {
            assert_eq!(RateLimit::parse(text).unwrap_err().to_string(), problem, "{text}");
        }
    }

    /// How many of the requests at these times pass.
    fn passed(limit: &RateLimit, times: impl Iterator<Item = u64>) -> u64 {
        let mut paid_until = 0;
        let passed = times.filter(|now| match limit.take(paid_until, *now) {
            Ok(until) => {
                paid_until = until;
                true
            }
            Err(_) => false,
        });
        passed.count() as u64
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let limit = limit("10/s, burst=20");
        assert_eq!(passed(&limit, std::iter::repeat_n(SECOND, 100)), 20);
        // Of requests that come every millisecond for ten seconds: the burst, and ten in each second.
        assert_eq!(passed(&limit, (0..10_000).map(|tick| SECOND + tick * SECOND / 1000)), 20 + 99);
        let until = (0..20).fold(0, |until, _| limit.take(until, SECOND).unwrap());
        assert_eq!(limit.take(until, SECOND), Err(Duration::from_millis(100)));
        assert_eq!(limit.take(until, SECOND + SECOND / 20), Err(Duration::from_millis(50)));
        assert!(limit.take(until, SECOND + SECOND / 10).is_ok());
    }

    #[test]
    fn the_greatest_numbers_do_no_harm() {
        for text in ["1/h, burst=1000000", "1000000/s, burst=1", "1/s"] {
            for (paid_until, now) in [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (0, 0)] {
                let _ = limit(text).take(paid_until, now);
            }
        }
    }

    #[test]
    fn whatever_comes_when_no_more_passes_than_the_rate_and_the_burst() {
        // Times that come in fits and starts.
        let mut random = 7_u64;
        for text in ["50/s", "3/s, burst=1", "7/m, burst=30", "1000/s, burst=10"] {
            let (limit, mut now) = (limit(text), SECOND);
            let times: Vec<u64> = (0..20_000)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    now += if random >> 60 == 0 { random >> 36 } else { random >> 50 };
                    now
                })
                .collect();
            let most = u64::from(limit.burst.get()) + (now - SECOND) / limit.nanoseconds_each() + 1;
            let passed = passed(&limit, times.into_iter());
            assert!(passed <= most && passed > 0, "{text}: {passed} of {most}");
        }
    }
}
