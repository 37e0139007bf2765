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
