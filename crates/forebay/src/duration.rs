//! Spans of time as people write them for kubectl: `30s`, `5m`, `1h30m`, `500ms`.

use std::time::Duration;

/// Reads a span of time.
pub(crate) fn parse(written: &str) -> Result<Duration, String> {
    let bad = || format!("`{written}` is no span of time, such as 30s, 5m or 1h30m");
    if written == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = written;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, unit_and_more) = rest.split_at(digits);
        let unit_length = unit_and_more.len() - unit_and_more.trim_start_matches(char::is_alphabetic).len();
        let (unit, more) = unit_and_more.split_at(unit_length);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(bad()),
        };
        let number: f64 = number.parse().map_err(|_| bad())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| bad())?;
        sum = sum.checked_add(part).ok_or_else(bad)?;
        rest = more;
    }
    if written.is_empty() { Err(bad()) } else { Ok(sum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_kubectl_reads_them() {
        for (written, milliseconds) in [
            ("0", 0),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("500ms", 500),
            ("2m0s", 120_000),
        ] {
            assert_eq!(parse(written), Ok(Duration::from_millis(milliseconds)), "{written}");
        }
        for wrong in ["", "5", "s", "5x", "-5s", "1h 2m", "1e400s", "99999999999999999999h", "..s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
