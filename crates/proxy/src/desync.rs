//! Requests that two servers may read in two ways, in the words of an ALB ("Desync mitigation mode", ALB user guide). None of them
//! goes on here, whatever the mode.

use plan::DesyncMode;

/// Whether a request that was refused for this reason is one that an ALB has a classification for.
#[must_use]
pub fn is_non_compliant(reason: &str) -> bool {
    classified(reason).0 != NONE
}

/// Whether an ALB in this mode would let a request through that was refused here for this reason.
pub(crate) fn lets_through(mode: DesyncMode, reason: &str) -> bool {
    match (mode, classified(reason).0) {
        (_, NONE) | (DesyncMode::Strictest, _) | (DesyncMode::Defensive, SEVERE) => false,
        (DesyncMode::Monitor | DesyncMode::Defensive, _) => true,
    }
}

const NONE: &str = "-";
const AMBIGUOUS: &str = "Ambiguous";
const SEVERE: &str = "Severe";

/// What an ALB says of such a request ("Classification reasons"), by why it was refused here.
pub(crate) fn classified(reason: &str) -> (&'static str, &'static str) {
    match reason {
        "content-length-and-transfer-encoding" => (AMBIGUOUS, "BothTeClPresent"),
        "several-hosts" => (AMBIGUOUS, "SuspiciousHeader"),
        "malformed-content-length" => (SEVERE, "BadContentLength"),
        "malformed-transfer-encoding" | "unknown-transfer-encoding" => (SEVERE, "BadTransferEncoding"),
        "malformed-head" | "malformed-host" | "bare-line-feed" => (SEVERE, "BadHeader"),
        "malformed-target" => (SEVERE, "BadUri"),
        "malformed-method" => (SEVERE, "BadMethod"),
        "unknown-version" => (SEVERE, "BadVersion"),
        _ => (NONE, "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_lets_through_what_the_guide_says() {
        use DesyncMode::{Defensive, Monitor, Strictest};
        let modes = |reason: &str| [Monitor, Defensive, Strictest].map(|mode| lets_through(mode, reason));
        assert_eq!(modes("content-length-and-transfer-encoding"), [true, true, false]);
        assert_eq!(modes("malformed-content-length"), [true, false, false]);
        assert_eq!(modes("no-route"), [false, false, false]);
    }
}
