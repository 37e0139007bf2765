//! Parts of dates, numbered as pandas numbers them.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;

/// A part of a date that can be a feature.
pub(crate) struct DatePart {
    pub(crate) name: &'static str,
    pub(crate) of: fn(DateTime) -> i64,
}

/// All parts.
pub(crate) const PARTS: &[DatePart] = &[
    DatePart { name: "day", of: |date| i64::from(date.day()) },
    DatePart { name: "day_of_week", of: |date| day_of_week(date.date()) },
    DatePart { name: "day_of_year", of: |date| i64::from(date.date().day_of_year()) },
    DatePart { name: "hour", of: |date| i64::from(date.hour()) },
    DatePart { name: "is_weekend", of: |date| i64::from(day_of_week(date.date()) >= 5) },
    DatePart { name: "month", of: |date| i64::from(date.month()) },
    DatePart { name: "quarter", of: |date| i64::from((date.month() + 2) / 3) },
    DatePart { name: "week", of: |date| i64::from(date.date().iso_week_date().week()) },
    DatePart { name: "year", of: |date| i64::from(date.year()) },
];

/// Monday is 0.
fn day_of_week(date: Date) -> i64 {
    i64::from(date.weekday().to_monday_zero_offset())
}

/// Reads an ISO 8601 date or date-time. A zone or an offset does not move it: the parts are those of the local time
/// that is written.
pub(crate) fn parse(text: &str) -> Option<DateTime> {
    let pieces = Pieces::parse(text).ok()?;
    Some(pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, i64)]) {
        let date = parse(text).expect(text);
        for (name, value) in expected {
            let part = PARTS.iter().find(|part| part.name == *name).expect(name);
            assert_eq!((part.of)(date), *value, "{name} of {text}");
        }
    }

    #[test]
    fn parts_are_those_of_pandas() {
        check(
            "2024-01-01",
            &[("day_of_week", 0), ("month", 1), ("day_of_year", 1), ("week", 1), ("hour", 0)],
        );
        check(
            "2023-01-01",
            &[("day_of_week", 6), ("is_weekend", 1), ("week", 52), ("quarter", 1), ("year", 2023)],
        );
        check(
            "2024-12-31T23:59:59Z",
            &[("day", 31), ("day_of_year", 366), ("hour", 23), ("quarter", 4), ("week", 1)],
        );
        check(
            "2024-06-15 08:30:00.25+02:00",
            &[("hour", 8), ("day_of_week", 5), ("quarter", 2), ("is_weekend", 1)],
        );
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", "today", "2024-13-01", "2024-02-30", "01/02/2024", "2024", "1704067200"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn parts_are_sorted() {
        assert!(PARTS.is_sorted_by_key(|part| part.name));
    }
}
