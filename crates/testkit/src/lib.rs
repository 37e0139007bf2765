//! What tests of the whole product share: a platform of their own, clients, load, and waiting without sleeping blindly.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

mod answer;
mod http;
mod load;
mod platform;

use std::time::{Duration, Instant};

pub use answer::Answer;
pub use http::Request;
pub use load::{Load, Report};
pub use platform::{Platform, run};

/// How long a test waits for what must happen. Far more than it takes, even on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds. Panics with `what` when it never does.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
