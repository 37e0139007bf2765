//! That a target rests, for people.

use jiff::Timestamp;
use plan::health::Rest;

/// When the rest is over, if that is known.
pub(crate) fn until(rest: Rest) -> Option<Timestamp> {
    let seconds = rest.until?.as_secs();
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// Until when others are asked in the place of a target, and why.
pub(crate) fn words(rest: Rest) -> String {
    let because = rest.because.sentence();
    match until(rest) {
        Some(until) => format!("rests until {until}, because {because}"),
        None => format!("rests until it answers, because {because}"),
    }
}
