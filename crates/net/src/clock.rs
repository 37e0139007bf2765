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
    /// The date of this second, and which second that is.
    static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// The date as `Date` has it (RFC 9110 §5.6.7), which changes once a second.
pub(crate) fn with_http_date<T>(f: impl FnOnce(&str) -> T) -> T {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    DATE.with_borrow_mut(|(second, date)| {
        if *second != since_epoch.as_secs() {
            *second = since_epoch.as_secs();
            *date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(*second));
        }
        f(date)
    })
}
