//! Ages as people read them: `4m39s`, `13d`.

use jiff::Timestamp;

use super::columns::UNKNOWN;

/// How long ago a time was.
pub(super) fn age(since: Option<&str>, now: Timestamp) -> String {
    match since.and_then(|since| since.parse::<Timestamp>().ok()) {
        Some(since) => human_duration(now.as_second() - since.as_second()),
        None => UNKNOWN.to_owned(),
    }
}

/// Seconds in the two largest units that matter, the fewer the longer it is.
pub(super) fn human_duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |unit: i64, name: char, smaller: i64, smaller_name: char| {
        let rest = seconds % unit / smaller;
        let first = format!("{}{name}", seconds / unit);
        if rest == 0 { first } else { format!("{first}{rest}{smaller_name}") }
    };
    match seconds {
        // Clocks that differ by a second are not worth a word.
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, 'm', 1, 's'),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, 'h', MINUTE, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, 'd', HOUR, 'h'),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, 'y', DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_lose_what_does_not_matter() {
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (279, "4m39s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (14_520, "4h2m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (187_200, "2d4h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn a_time_that_is_none_has_no_age() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        assert_eq!(age(Some("2026-11-21T11:59:30Z"), now), "30s");
        assert_eq!(age(Some("yesterday"), now), "<unknown>");
        assert_eq!(age(None, now), "<unknown>");
    }
}
