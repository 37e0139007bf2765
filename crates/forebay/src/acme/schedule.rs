//! When a certificate is asked for: in time, not by everybody at once, and ever more seldom where it is of no use. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use manifest::CertificateFacts;
use sha2::{Digest as _, Sha256};

/// What came of asking, by host.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failures: BTreeMap<String, Failures>,
}

#[derive(Debug)]
struct Failures {
    n_failures: u32,
    next: Timestamp,
}

const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// A part of a life by which certificates are renewed before two thirds of it are over, each by another.
const SPREAD: f64 = 0.05;

// === impl Attempts ===

impl Attempts {
    /// Whether a host may be asked for now.
    pub(super) fn may(&self, host: &str, now: Timestamp) -> bool {
        self.failures.get(host).is_none_or(|failures| now >= failures.next)
    }

    pub(super) fn succeeded(&mut self, host: &str) {
        self.failures.remove(host);
    }

    /// How long it is left alone now.
    pub(super) fn failed(&mut self, host: &str, now: Timestamp) -> Duration {
        let n_before = self.failures.get(host).map_or(0, |failures| failures.n_failures);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(n_before)).min(LONGEST_PAUSE);
        let pause = pause.mul_f64(1.0 - 0.25 * share(&format!("{host} {n_before}")));
        let next = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        self.failures.insert(host.to_owned(), Failures { n_failures: n_before.saturating_add(1), next });
        pause
    }

    /// Forgets hosts that nobody wants any more.
    pub(super) fn keep(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.failures.retain(|host, _| is_wanted(host));
    }
}

/// Whether a certificate has lived for two thirds of its life, or a little less.
pub(super) fn is_due(facts: &CertificateFacts, host: &str, now: Timestamp) -> bool {
    let life = facts.until.duration_since(facts.from).as_secs_f64();
    let age = now.duration_since(facts.from).as_secs_f64();
    age >= life * (2.0 / 3.0 - SPREAD * share(host))
}

/// A number from 0 to 1 that is always the same for a text.
fn share(text: &str) -> f64 {
    let digest = Sha256::digest(text);
    f64::from(u16::from_be_bytes([digest[0], digest[1]])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn now() -> Timestamp {
        "2026-03-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life_and_none_later() {
        let folder = tempfile::tempdir().unwrap();
        let authority = control::Authority::open(folder.path(), now()).unwrap();
        let issued = authority.issue(&["a.example"], now()).unwrap();
        let facts = manifest::read_facts(&issued.certificate).unwrap();
        let days = |days: i64| now() + SignedDuration::from_hours(24 * days);
        for host in ["a.example", "b.example", "c.example"] {
            assert!(!is_due(&facts, host, days(54)) && is_due(&facts, host, days(61)), "{host}");
        }
        let mornings: std::collections::BTreeSet<i64> = (0..50)
            .filter_map(|index| (50..62).find(|day| is_due(&facts, &format!("{index}.example"), days(*day))))
            .collect();
        assert!(mornings.len() > 2, "they are not renewed all at once: {mornings:?}");
    }

    #[test]
    fn who_fails_is_asked_for_ever_more_seldom_and_at_least_once_a_day() {
        let mut attempts = Attempts::default();
        let mut last = Duration::ZERO;
        for _ in 0..10 {
            let pause = attempts.failed("a.example", now());
            assert!(pause > last, "{pause:?} {last:?}");
            last = pause;
        }
        for _ in 0..100 {
            assert!(attempts.failed("a.example", now()) <= LONGEST_PAUSE);
        }
        assert!(!attempts.may("a.example", now()) && attempts.may("b.example", now()));
        assert!(attempts.may("a.example", now() + SignedDuration::from_hours(25)));
        attempts.keep(|host| host != "a.example");
        assert!(attempts.may("a.example", now()));
    }
}
