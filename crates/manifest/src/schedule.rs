//! When a CronJob runs: five fields of minutes, hours, days, months and days of the week, or a word such as `@hourly`
//! ("CronJob", Kubernetes documentation; crontab(5)).

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// When something runs again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Which minutes, hours, days of the month, months and days of the week (Sunday is 0), a bit each.
    fields: [u64; 5],
    /// Whether any day of the month, and any day of the week, is meant: where both are chosen either of them will do.
    any_day: [bool; 2],
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleError(String);

/// Where a system keeps its time zones, and the largest file that is one.
const ZONES: &str = "/usr/share/zoneinfo";
const ZONE_BYTES: usize = 64 << 10;

/// The time zone of this name, as the system knows it (IANA Time Zone Database). `None`: there is none.
#[must_use]
pub fn time_zone(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "Etc/UTC") {
        return Some(TimeZone::UTC);
    }
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(is_of_name);
    if name.len() > 64 || name == "Local" || !name.split('/').all(is_name) {
        return None;
    }
    let data = std::fs::read(format!("{ZONES}/{name}")).ok().filter(|data| data.len() <= ZONE_BYTES)?;
    TimeZone::tzif(name, &data).ok()
}

/// The least and the most of each field.
const BOUNDS: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const WORDS: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
/// Schedules that come to nothing in so many years never do: 29 February may be eight away.
const YEARS: i16 = 9;

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(written: &str) -> Result<Self, ScheduleError> {
        let trimmed = written.trim();
        let meant = WORDS.iter().find(|(word, _)| *word == trimmed).map_or(trimmed, |(_, meant)| *meant);
        if meant.starts_with('@') {
            return Err(ScheduleError(format!("unrecognized descriptor: {meant}")));
        }
        let parts: Vec<&str> = meant.split_ascii_whitespace().collect();
        let Ok(parts) = <[&str; 5]>::try_from(parts.as_slice()) else {
            return Err(ScheduleError(format!(
                "expected exactly 5 fields, found {}: [{}]",
                parts.len(),
                parts.join(" ")
            )));
        };
        let mut fields = [0; 5];
        for (nth, part) in parts.iter().enumerate() {
            fields[nth] = field(part, nth)?;
        }
        let is_any = |part: &str| part.starts_with(['*', '?']);
        Ok(Self { fields, any_day: [is_any(parts[2]), is_any(parts[4])] })
    }
}

impl std::fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ScheduleError {}

// === impl Schedule ===

impl Schedule {
    /// The first time after another one, in a time zone; `None` if there is none.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = zone.to_datetime(after);
        let mut at =
            start.with().second(0).subsec_nanosecond(0).build().ok()?.checked_add(1.minute()).ok()?;
        let last_year = start.year().checked_add(YEARS)?;
        loop {
            if at.year() > last_year {
                return None;
            }
            if !self.has(3, at.month()) {
                at = midnight(at)?.with().day(1).build().ok()?.checked_add(1.month()).ok()?;
            } else if !self.is_on(at) {
                at = midnight(at)?.checked_add(1.day()).ok()?;
            } else if !self.has(1, at.hour()) {
                at = at.with().minute(0).build().ok()?.checked_add(1.hour()).ok()?;
            } else if !self.has(0, at.minute()) {
                at = at.checked_add(1.minute()).ok()?;
            } else {
                let found = zone.to_timestamp(at).ok()?;
                if found > after {
                    return Some(found);
                }
                at = at.checked_add(1.minute()).ok()?;
            }
        }
    }

    fn has(&self, field: usize, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.fields[field] & (1 << value) != 0)
    }

    fn is_on(&self, at: DateTime) -> bool {
        let of_month = self.has(2, at.day());
        let of_week = self.has(4, at.weekday().to_sunday_zero_offset());
        if self.any_day[0] || self.any_day[1] { of_month && of_week } else { of_month || of_week }
    }
}

fn midnight(at: DateTime) -> Option<DateTime> {
    at.with().hour(0).minute(0).build().ok()
}

/// `*`, `*/5`, `1-5`, `1,3,5-9/2`, `mon-fri`
fn field(written: &str, nth: usize) -> Result<u64, ScheduleError> {
    let wrong = || ScheduleError(format!("failed to parse field {written:?}"));
    let (least, most) = BOUNDS[nth];
    let mut bits = 0;
    for part in written.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (part, 1),
        };
        let (from, to) = match range {
            "*" | "?" => (least, most),
            range => match range.split_once('-') {
                Some((from, to)) => {
                    (number(from, nth).ok_or_else(wrong)?, number(to, nth).ok_or_else(wrong)?)
                }
                None => {
                    let from = number(range, nth).ok_or_else(wrong)?;
                    (from, if part.contains('/') { most } else { from })
                }
            },
        };
        if from < least || to > most || from > to {
            return Err(ScheduleError(format!("{part:?} is not within {least} to {most}")));
        }
        (from..=to).step_by(step).for_each(|value| bits |= 1 << value);
    }
    Ok(bits)
}

fn number(written: &str, nth: usize) -> Option<u32> {
    let lower = written.to_ascii_lowercase();
    let named = |names: &[&str]| names.iter().position(|name| *name == lower);
    match nth {
        3 => named(&MONTHS).and_then(|at| u32::try_from(at + 1).ok()),
        4 => named(&WEEKDAYS).and_then(|at| u32::try_from(at).ok()),
        _ => None,
    }
    .or_else(|| written.parse().ok().filter(|_| written.bytes().all(|byte| byte.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schedule: &str, after: &str, expected: &str) {
        let next = schedule.parse::<Schedule>().unwrap().next_after(after.parse().unwrap(), &TimeZone::UTC);
        assert_eq!(next.map(|next| next.to_string()).as_deref(), Some(expected), "{schedule}");
    }

    #[test]
    fn the_next_time_is_the_first_that_fits() {
        check("* * * * *", "2026-12-01T12:00:00Z", "2026-12-01T12:01:00Z");
        check("*/15 * * * *", "2026-12-01T12:14:59Z", "2026-12-01T12:15:00Z");
        check("30 2 * * *", "2026-12-01T02:30:00Z", "2026-12-02T02:30:00Z");
        check("0 0 29 feb *", "2026-12-01T00:00:00Z", "2028-02-29T00:00:00Z");
        check("0 9 * * mon-fri", "2026-12-04T10:00:00Z", "2026-12-07T09:00:00Z");
        check("0 0 13 * 5", "2026-12-01T00:00:00Z", "2026-12-04T00:00:00Z");
        check("5-10/5,40 1 * * *", "2026-12-01T01:06:00Z", "2026-12-01T01:10:00Z");
        check("@hourly", "2026-12-31T23:10:00Z", "2027-01-01T00:00:00Z");
    }

    #[test]
    fn times_are_those_of_a_zone_over_its_changes_too() {
        assert_eq!(time_zone("Etc/UTC"), Some(TimeZone::UTC));
        for wrong in
            ["", "Local", "../../etc/passwd", "Europe/", "Europe//Berlin", "/Europe/Berlin", "Nowhere/City"]
        {
            assert_eq!(time_zone(wrong), None, "{wrong}");
        }
        let Some(berlin) = time_zone("Europe/Berlin") else { return };
        let next = |after: &str| {
            let schedule: Schedule = "30 2 * * *".parse().unwrap();
            schedule.next_after(after.parse().unwrap(), &berlin).unwrap().to_string()
        };
        assert_eq!(next("2026-12-01T00:00:00Z"), "2026-12-01T01:30:00Z");
        assert_eq!(next("2026-07-01T00:00:00Z"), "2026-07-01T00:30:00Z");
        assert_eq!(next("2026-03-29T02:00:00Z"), "2026-03-30T00:30:00Z");
    }

    #[test]
    fn what_never_comes_and_what_is_no_schedule() {
        let never: Schedule = "0 0 30 2 *".parse().unwrap();
        assert_eq!(never.next_after(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
        for wrong in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "@often",
            "* * 0 * *",
            "* * * 13 *",
            "+1 * * * *",
            "* * * * 7",
            "1- * * * *",
        ] {
            assert!(wrong.parse::<Schedule>().is_err(), "{wrong}");
        }
    }
}
