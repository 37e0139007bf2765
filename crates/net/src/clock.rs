//! The time, read once for each piece of news.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The time at which this thread last woke up or heard from a socket, or now if it never has.
///
/// Good for measuring from one arrival to another and for deadlines of seconds. Reading the clock anew for every use would
/// cost more than routing does.
#[must_use]
pub fn recently() -> Instant {
    NOW.get().unwrap_or_else(refresh)
}

/// Reads the clock: bytes have arrived, or something else has taken time.
pub(crate) fn refresh() -> Instant {
    let now = Instant::now();
    NOW.set(Some(now));
    now
}

thread_local! {
    /// What the system's clock said when it was last asked, and when that was.
    static OF_DAY: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// How long an answer of the system's clock is good for. When that is set anew, everybody hears of it within this time.
const OF_DAY_AGE: Duration = Duration::from_millis(250);

/// The time since the beginning of 1970 at the moment that [`recently`] says.
#[must_use]
pub fn since_epoch() -> Duration {
    let now = recently();
    if let Some((at, since_epoch)) = OF_DAY.get()
        && now.saturating_duration_since(at) < OF_DAY_AGE
    {
        return since_epoch + now.saturating_duration_since(at);
    }
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    OF_DAY.set(Some((now, since_epoch)));
    since_epoch
}

thread_local! {
    /// The date of this second, and which second that is.
    static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// The date as `Date` has it (RFC 9110 §5.6.7), which changes once a second.
pub(crate) fn with_http_date<T>(f: impl FnOnce(&str) -> T) -> T {
    let now = since_epoch().as_secs();
    DATE.with_borrow_mut(|(second, date)| {
        if *second != now {
            *second = now;
            *date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(*second));
        }
        f(date)
    })
}

/// A time since the beginning of 1970 as fields have it (RFC 9110 §5.6.7).
#[must_use]
pub fn http_date(since_epoch: Duration) -> String {
    // What lies beyond the year 9999 cannot be said.
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since_epoch.min(Duration::from_secs(LAST_SECOND)))
}

const LAST_SECOND: u64 = 253_402_300_799;

/// The time that a field says, since the beginning of 1970, in any of the three ways (RFC 9110 §5.6.7); `None` for what is none,
/// and for what was before.
#[must_use]
pub fn read_http_date(value: &[u8]) -> Option<Duration> {
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    date.duration_since(SystemTime::UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_all_ways_and_written_in_one() {
        let at = Duration::from_secs(784_111_777);
        for date in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(read_http_date(date.as_bytes()), Some(at), "{date}");
        }
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(http_date(Duration::MAX).starts_with("Fri, 31 Dec 9999"));
        for none in ["", "0", "-1", "Sun, 06 Nov 1994", "tomorrow", "\u{e9}"] {
            assert_eq!(read_http_date(none.as_bytes()), None, "{none}");
        }
    }
}
