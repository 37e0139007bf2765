//! How often clients have asked lately, of all cores and all rules with a limit, in a fixed piece of memory.
//!
//! A client of a rule has one slot, which is found by a hash that nobody outside can foretell. Slots stand in small sets, each
//! with a lock of its own that is held for a few comparisons; only requests of rules with a limit come here. When a set is full
//! the client goes whose bucket is nearest to full, which is nearly as good as none: so nobody gets rid of what holds him back by
//! coming as many others.
//!
//! What is known of a client belongs to the limit as it is written and to the object that it stands on, not to a plan: another
//! plan with the same limit goes on with it.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use plan::RateLimit;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

/// Slots of a set.
const WAYS: usize = 8;

/// Sets in all: with 8 slots each, 65 536 clients that have asked lately, in 1.1 MB.
const SETS: usize = 8192;

/// What is known of clients. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rates(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// There once a request of a rule with a limit has come.
    sets: OnceLock<Box<[Mutex<Set>]>>,
    seed: RandomState,
    /// Where the clock begins.
    began: OnceLock<Instant>,
    forgotten: Counter,
}

type Set = [Slot; WAYS];

/// A client, and until when its requests are paid for, in nanoseconds. One that is past is as good as empty.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    client: u64,
    paid_until: u64,
}

/// Whose clients are counted together: a number for what was hashed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope(u64);

// === impl Rates ===

impl Rates {
    /// None yet. `forgotten` counts clients that had to make room before their buckets were full.
    pub(crate) fn new(forgotten: Counter) -> Self {
        Self(Arc::new(Shared { forgotten, ..Shared::default() }))
    }

    /// The scope of a limit that stands at a place.
    pub(crate) fn scope(&self, place: impl Hash, limit: &RateLimit) -> Scope {
        Scope(self.0.seed.hash_one((place, limit)))
    }

    /// Counts a request of a client.
    ///
    /// # Errors
    /// When it asks too often: after how long it may ask again.
    pub(crate) fn take(
        &self,
        scope: Scope,
        client: impl Hash,
        limit: &RateLimit,
        now: Instant,
    ) -> Result<(), Duration> {
        let client = self.0.seed.hash_one((scope.0, client));
        let sets = self.0.sets.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        let began = *self.0.began.get_or_init(|| now);
        let now = u64::try_from(now.saturating_duration_since(began).as_nanos()).unwrap_or(u64::MAX);
        let place = usize::try_from(client % SETS as u64).unwrap_or_default();
        let mut set = sets[place].lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match set.iter_mut().find(|slot| slot.client == client) {
            Some(slot) => slot,
            None => {
                let slot = set.iter_mut().min_by_key(|slot| slot.paid_until).expect("a set has slots");
                if slot.paid_until > now {
                    self.0.forgotten.inc();
                }
                *slot = Slot { client, paid_until: 0 };
                slot
            }
        };
        slot.paid_until = limit.take(slot.paid_until, now)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> RateLimit {
        RateLimit::parse(text).unwrap()
    }

    #[test]
    fn clients_scopes_and_limits_are_counted_apart() {
        let (rates, now) = (Rates::default(), Instant::now());
        let passed = |place: &str, text: &str, client: &str| {
            let limit = limit(text);
            let scope = rates.scope(place, &limit);
            (0..10).filter(|_| rates.take(scope, client, &limit, now).is_ok()).count()
        };
        assert_eq!(passed("a", "3/s", "one"), 3);
        assert_eq!(passed("a", "3/s", "two"), 3);
        assert_eq!(passed("b", "3/s", "one"), 3);
        // The same limit at the same place goes on with what was counted; another one begins anew.
        assert_eq!(passed("a", "3/s", "one"), 0);
        assert_eq!(passed("a", "4/s", "one"), 4);
    }

    #[test]
    fn a_crowd_drives_out_no_client_that_is_held_back() {
        let forgotten = Counter::default();
        let (rates, now) = (Rates::new(forgotten.clone()), Instant::now());
        let slow = limit("1/m, burst=5");
        let scope = rates.scope("a", &slow);
        let mut passed = 0;
        for round in 0..200_000_u32 {
            if round % 10_000 == 0 {
                passed += u32::from(rates.take(scope, "held back", &slow, now).is_ok());
            }
            let _ = rates.take(scope, round, &slow, now);
        }
        // It passes five times, and others make room before it does.
        assert_eq!(passed, 5);
        assert!(forgotten.get() > 100_000, "{}", forgotten.get());
        // Those who are past count as none.
        let before = forgotten.get();
        (0..1000_u32)
            .for_each(|client| _ = rates.take(scope, client, &slow, now + Duration::from_secs(1000)));
        assert_eq!(forgotten.get(), before);
    }

    #[test]
    fn cores_count_together() {
        let (rates, limit, now) = (Rates::default(), limit("1000/s, burst=1000"), Instant::now());
        let scope = rates.scope("a", &limit);
        let count = || (0..2000).filter(|_| rates.take(scope, "one", &limit, now).is_ok()).count();
        let passed: usize = std::thread::scope(|threads| {
            let counting: Vec<_> = (0..4).map(|_| threads.spawn(count)).collect();
            counting.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }
}
