//! The time, read once for each piece of news.

use std::cell::Cell;

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
