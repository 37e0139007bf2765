//! `retries`, `per-try-timeout` and `hedge`.

use std::time::Duration;

use plan::Hedging;

use crate::annotations::Problem;
use crate::annotations::values::count;

/// A request is sent four times at most.
const MOST_RETRIES: u32 = 3;
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) fn retries(text: &str) -> Result<u8, Problem> {
    let retries = count(text, 0..=MOST_RETRIES)?;
    u8::try_from(retries).map_err(|error| error.to_string().into())
}

/// A number of milliseconds, seconds or minutes.
pub(super) fn time(text: &str) -> Result<Duration, Problem> {
    let written = text.trim();
    let (number, unit) =
        written.split_at(written.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(written.len()));
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let time = milliseconds.zip(number.parse::<u32>().ok());
    let time = time.map(|(milliseconds, number)| Duration::from_millis(milliseconds * u64::from(number)));
    time.filter(|time| (SHORTEST..=LONGEST).contains(time))
        .ok_or_else(|| format!("`{written}` is not a time between 1ms and 1h, such as 200ms or 2s").into())
}

pub(super) fn hedging(text: &str) -> Result<Hedging, Problem> {
    match text.trim().split_once('=') {
        None if text.trim() == "off" => Ok(Hedging::Off),
        Some(("after", written)) => time(written).map(Hedging::After),
        _ => Err(format!("`{}` is neither `off` nor `after=` and a time", text.trim()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_bound() {
        let milliseconds = |text: &str| time(text).ok().map(|time| time.as_millis());
        for (text, expected) in
            [("1ms", 1), ("200ms", 200), (" 2s ", 2000), ("60m", 3_600_000), ("1h", 3_600_000)]
        {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
        for wrong in ["", "2", "0ms", "1.5s", "-1s", "61m", "2h", "2 s", "4294967296ms", "s"] {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
        assert_eq!(hedging("off").unwrap(), Hedging::Off);
        assert_eq!(hedging("after=50ms").unwrap(), Hedging::After(Duration::from_millis(50)));
        assert!(["on", "after", "after=", "before=1s"].iter().all(|wrong| hedging(wrong).is_err()));
        assert_eq!(retries("3").unwrap(), 3);
        assert!(["4", "-1", "many"].iter().all(|wrong| retries(wrong).is_err()));
    }
}
