//! When a container that ended is started again.

use std::time::Duration;

use manifest::RestartPolicy;

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(10);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);
/// Who ran this long begins anew.
const FORGIVEN_AFTER: Duration = Duration::from_secs(600);
/// Who ran this long is started again at once, as is who had been ready.
const LONG_ENOUGH: Duration = Duration::from_secs(10);
/// Who was ready but ended within this time, so many times in a row, has to wait after all.
const QUICK: Duration = Duration::from_secs(1);
const QUICK_ENDS: u32 = 5;

/// The memory of one container's ends. Waits grow as in Kubernetes; the difference is that a replica that had been
/// ready is started again at once, because it most likely was killed. What runs to its end has none of that.
#[derive(Debug)]
pub(super) struct BackOff {
    serves: bool,
    last: Duration,
    quick_ends: u32,
}

impl BackOff {
    pub(super) fn new(restart: RestartPolicy) -> Self {
        Self { serves: restart == RestartPolicy::Always, last: Duration::ZERO, quick_ends: 0 }
    }

    /// How long to wait after an end.
    pub(super) fn after(&mut self, ran_for: Duration, was_ready: bool) -> Duration {
        self.quick_ends = if ran_for < QUICK { self.quick_ends + 1 } else { 0 };
        if ran_for >= FORGIVEN_AFTER {
            self.last = Duration::ZERO;
        }
        let is_fine = ran_for >= LONG_ENOUGH || (was_ready && self.quick_ends < QUICK_ENDS);
        if self.serves && is_fine {
            return Duration::ZERO;
        }
        self.last = if self.last.is_zero() { FIRST } else { (self.last * 2).min(LONGEST) };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays ends (`r` was ready, `f` failed before, then the seconds it ran) and writes the waits in seconds.
    fn play(ends: &str) -> String {
        play_of(RestartPolicy::Always, ends)
    }

    fn play_of(restart: RestartPolicy, ends: &str) -> String {
        let mut back_off = BackOff::new(restart);
        let waits = ends.split(' ').map(|end| {
            let (kind, seconds) = end.split_at(1);
            let wait = back_off.after(Duration::from_secs_f64(seconds.parse().unwrap()), kind == "r");
            wait.as_secs().to_string()
        });
        waits.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn acc_s4_64_waits_double_up_to_five_minutes() {
        assert_eq!(play("f1 f1 f1 f1 f1 f1 f1"), "10 20 40 80 160 300 300");
    }

    #[test]
    fn what_runs_to_its_end_waits_however_long_it_ran() {
        assert_eq!(play_of(RestartPolicy::OnFailure, "f1 f60 r60 f600 f1"), "10 20 40 10 20");
    }

    #[test]
    fn ten_minutes_of_running_are_forgiven() {
        assert_eq!(play("f1 f1 f600 f1"), "10 20 0 10");
        assert_eq!(play("f1 f1 f599 f1"), "10 20 0 40");
    }

    #[test]
    fn who_was_ready_or_ran_for_long_is_started_at_once() {
        assert_eq!(play("r2 r2 r3 r1 r60 f10"), "0 0 0 0 0 0");
    }

    #[test]
    fn who_ends_at_once_again_and_again_has_to_wait() {
        assert_eq!(play("r0.1 r0.1 r0.1 r0.1 r0.1 r0.1"), "0 0 0 0 10 20");
        assert_eq!(play("r0.1 r0.1 r0.1 r0.1 r2 r0.1"), "0 0 0 0 0 0");
    }
}
