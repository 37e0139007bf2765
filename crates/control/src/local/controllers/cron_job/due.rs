//! Which time of a schedule is due. Pure, and quick however long nobody looked.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use manifest::Schedule;

use super::MANY;

/// The times of a schedule since it was looked the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// The latest of them that has come.
    pub(super) at: Option<Timestamp>,
    /// How many have come; beyond [`MANY`] about so many.
    pub(super) n_missed: usize,
    /// The next one.
    pub(super) next: Option<Timestamp>,
}

impl Due {
    /// The times after the last one, but none that came longer ago than somebody has patience for.
    pub(super) fn find(
        schedule: &Schedule,
        zone: &TimeZone,
        last: Timestamp,
        patience_seconds: Option<u64>,
        now: Timestamp,
    ) -> Self {
        let patience = patience_seconds.and_then(|seconds| i64::try_from(seconds).ok());
        let earliest = patience.and_then(|it| now.checked_sub(SignedDuration::from_secs(it)).ok());
        let since = earliest.map_or(last, |earliest| earliest.max(last));
        let next = schedule.next_after(now.max(last), zone);
        let (mut at, mut n_missed, mut from) = (None, 0, since);
        while n_missed <= MANY {
            match schedule.next_after(from, zone).filter(|time| *time <= now) {
                None => return Self { at, n_missed, next },
                Some(time) => (at, from, n_missed) = (Some(time), time, n_missed + 1),
            }
        }
        let Some(first) = schedule.next_after(since, zone) else { return Self { at, n_missed, next } };
        let average = from.duration_since(first).as_secs().max(60) / i64::try_from(MANY).unwrap_or(1).max(1);
        let n_about = now.duration_since(first).as_secs() / average.max(1);
        let n_missed = usize::try_from(n_about).unwrap_or(usize::MAX).saturating_add(1).max(n_missed);
        Self { at: latest(schedule, zone, from, now), n_missed, next }
    }
}

/// The last time up to now, of which there is one at `known`: looked for in a window before now that grows.
fn latest(schedule: &Schedule, zone: &TimeZone, known: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let mut window = SignedDuration::from_secs(60);
    loop {
        let start = now.checked_sub(window).ok().filter(|start| *start > known);
        let mut found = start.map_or(Some(known), |start| schedule.next_after(start, zone));
        if found.is_some_and(|time| time <= now) {
            while let Some(time) =
                found.and_then(|time| schedule.next_after(time, zone)).filter(|it| *it <= now)
            {
                found = Some(time);
            }
            return found;
        }
        window = window.checked_mul(2)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// `last`, `now`: what is due, how many were missed, and the next time.
    #[track_caller]
    fn check(schedule: &str, times: (&str, &str), patience: Option<u64>, expected: (&str, usize, &str)) {
        let schedule = schedule.parse().unwrap();
        let due = Due::find(&schedule, &TimeZone::UTC, at(times.0), patience, at(times.1));
        let shown = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
        assert_eq!((shown(due.at).as_str(), due.n_missed, shown(due.next).as_str()), expected);
    }

    #[test]
    fn the_latest_time_that_has_come_is_due() {
        let (noon, next) = ("2026-12-01T12:00:00Z", "2026-12-01T12:01:00Z");
        check("* * * * *", (noon, "2026-12-01T12:00:59Z"), None, ("", 0, next));
        check("* * * * *", (noon, next), None, (next, 1, "2026-12-01T12:02:00Z"));
        check(
            "* * * * *",
            (noon, "2026-12-01T12:05:10Z"),
            None,
            ("2026-12-01T12:05:00Z", 5, "2026-12-01T12:06:00Z"),
        );
        check("*/5 * * * *", (noon, "2026-12-01T12:09:00Z"), Some(60), ("", 0, "2026-12-01T12:10:00Z"));
        check("0 0 30 2 *", (noon, "2030-12-01T12:09:00Z"), None, ("", 0, ""));
    }

    #[test]
    fn a_clock_that_is_set_back_brings_no_time_twice() {
        check(
            "* * * * *",
            ("2026-12-01T12:00:00Z", "2026-12-01T11:00:30Z"),
            None,
            ("", 0, "2026-12-01T12:01:00Z"),
        );
    }

    #[test]
    fn a_clock_that_jumps_is_found_out_quickly() {
        let begun = std::time::Instant::now();
        check(
            "* * * * *",
            ("1970-01-01T00:00:00Z", "2026-12-01T12:00:30Z"),
            None,
            ("2026-12-01T12:00:00Z", 29_935_440, "2026-12-01T12:01:00Z"),
        );
        assert!(begun.elapsed() < std::time::Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn it_is_what_going_through_all_times_finds(
            minute in "(\\*|\\*/7|3|5-9|0,30)",
            hour in "(\\*|\\*/5|4|22-23)",
            gap in 0_i64..400_000,
            start in 1_700_000_000_i64..1_900_000_000,
        ) {
            let schedule: Schedule = format!("{minute} {hour} * * *").parse().unwrap();
            let zone = manifest::time_zone("Europe/Berlin").unwrap_or(TimeZone::UTC);
            let (last, now) = (Timestamp::from_second(start).unwrap(), Timestamp::from_second(start + gap).unwrap());
            let mut times = Vec::new();
            let mut from = last;
            while let Some(time) = schedule.next_after(from, &zone).filter(|time| *time <= now) {
                times.push(time);
                from = time;
            }
            let due = Due::find(&schedule, &zone, last, None, now);
            prop_assert_eq!(due.at, times.last().copied());
            if times.len() <= MANY {
                prop_assert_eq!(due.n_missed, times.len());
            } else {
                prop_assert!(due.n_missed > MANY);
            }
            prop_assert_eq!(due.next, schedule.next_after(now, &zone));
        }
    }
}
