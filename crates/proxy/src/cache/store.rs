//! Answers that are kept, within a bound of bytes; the one that was used least lately goes first.
//!
//! All cores share them: a request that changes something takes what it is about out for everybody (RFC 9111 §4.4), which a cache
//! of each core could not do. They stand in parts with a lock each, that is held for a few steps, and only by requests of rules
//! that have a cache.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use net::{Bytes, Fields, StatusCode};
use plan::ResponseCache;

use super::policy::Freshness;
use crate::metrics::CacheMetrics;

/// What is asked for: whatever tells one answer from another but the fields that an answer names itself.
pub(super) type Key = Arc<[u8]>;

/// Answers to one question that differ by fields of the request, at most. The oldest goes first.
const MOST_VARIANTS: usize = 8;

/// Fields by which answers may differ, at most.
const MOST_NAMES: usize = 16;

/// Bytes that an answer takes besides its own: its places and allocations.
const BYTES_ANYWAY: usize = 512;

/// Parts, at most. Each has room for a few of the largest answers.
const MOST_PARTS: usize = 16;
const LARGEST_IN_A_PART: usize = 4;

/// The answers of one cache.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(super) settings: ResponseCache,
    parts: Box<[Mutex<Part>]>,
    seed: RandomState,
    pub(super) metrics: CacheMetrics,
}

#[derive(Debug, Default)]
struct Part {
    entries: HashMap<Key, Entry>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, Key>,
    n_uses: u64,
    n_bytes: usize,
}

/// The answers to one question.
#[derive(Debug, Default)]
struct Entry {
    used: u64,
    variants: Vec<Arc<Stored>>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) status: StatusCode,
    pub(super) fields: Fields,
    pub(super) body: Bytes,
    pub(super) freshness: Freshness,
    /// What its request said in the fields by which it differs from others.
    pub(super) variant: Variant,
}

/// Names of fields with what a request says in them (RFC 9111 §4.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Variant(Vec<Said>);

/// The name of a field, in lower case, and its value.
type Said = (Box<[u8]>, Option<Vec<u8>>);

/// What is kept of the answer to a question.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// Only what others would get.
    OtherVariants,
    Answer(Arc<Stored>),
}

// === impl Cache ===

impl Cache {
    pub(crate) fn new(settings: &ResponseCache, metrics: CacheMetrics) -> Self {
        let n_parts = settings.bytes / settings.object.saturating_mul(LARGEST_IN_A_PART).max(1);
        let parts = (0..n_parts.clamp(1, MOST_PARTS)).map(|_| Mutex::default());
        Self { settings: settings.clone(), parts: parts.collect(), seed: RandomState::new(), metrics }
    }

    /// What is kept for a request with these fields.
    pub(super) fn find(&self, key: &Key, asked: &Fields) -> Found {
        let mut part = self.part(key);
        part.touch(key);
        let Some(entry) = part.entries.get(key) else { return Found::Nothing };
        // The last one that fits came last.
        let found = entry.variants.iter().rev().find(|stored| stored.variant.is_of(asked));
        found.cloned().map_or(Found::OtherVariants, Found::Answer)
    }

    /// Keeps an answer in the place of the one that there was. Returns whether it is kept.
    pub(super) fn insert(&self, key: &Key, stored: Stored) -> bool {
        if stored.n_bytes(key) > self.settings.object + BYTES_ANYWAY {
            return false;
        }
        let most = self.settings.bytes / self.parts.len();
        let mut part = self.part(key);
        let before = part.n_bytes;
        part.remove_variant(key, &stored.variant);
        part.insert(key, Arc::new(stored));
        let mut n_evicted = 0;
        while part.n_bytes > most && part.evict() {
            n_evicted += 1;
        }
        self.metrics.evicted.inc_by(n_evicted);
        self.tell(before, part.n_bytes);
        true
    }

    /// Lets go of all that is kept of a question.
    pub(super) fn invalidate(&self, key: &Key) {
        let mut part = self.part(key);
        let before = part.n_bytes;
        part.remove(key);
        self.tell(before, part.n_bytes);
    }

    fn part(&self, key: &Key) -> MutexGuard<'_, Part> {
        let place = self.seed.hash_one(key) % self.parts.len() as u64;
        let part = &self.parts[usize::try_from(place).unwrap_or_default()];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, before: usize, now: usize) {
        let signed = |n_bytes: usize| i64::try_from(n_bytes).unwrap_or(i64::MAX);
        self.metrics.bytes.inc_by(signed(now) - signed(before));
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        for part in &self.parts {
            let n_bytes = part.lock().unwrap_or_else(PoisonError::into_inner).n_bytes;
            self.tell(n_bytes, 0);
        }
    }
}

// === impl Part ===

impl Part {
    /// Takes in that a key is used now, if it is here.
    fn touch(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        self.n_uses += 1;
        let before = std::mem::replace(&mut entry.used, self.n_uses);
        if let Some(key) = self.order.remove(&before) {
            self.order.insert(self.n_uses, key);
        }
    }

    fn insert(&mut self, key: &Key, stored: Arc<Stored>) {
        self.n_uses += 1;
        let entry = self.entries.entry(Arc::clone(key)).or_default();
        self.order.remove(&std::mem::replace(&mut entry.used, self.n_uses));
        self.order.insert(self.n_uses, Arc::clone(key));
        self.n_bytes += stored.n_bytes(key);
        entry.variants.push(stored);
        if entry.variants.len() > MOST_VARIANTS {
            self.n_bytes -= entry.variants.remove(0).n_bytes(key);
        }
    }

    /// Lets go of the answer for the same fields.
    fn remove_variant(&mut self, key: &Key, variant: &Variant) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        for gone in entry.variants.extract_if(.., |stored| stored.variant == *variant) {
            self.n_bytes -= gone.n_bytes(key);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.order.remove(&entry.used);
        self.n_bytes -= entry.variants.iter().map(|stored| stored.n_bytes(key)).sum::<usize>();
    }

    /// Lets go of the question that was asked least lately, if there is any.
    fn evict(&mut self) -> bool {
        let Some((_, key)) = self.order.pop_first() else { return false };
        self.remove(&key);
        true
    }
}

// === impl Stored ===

impl Stored {
    /// Bytes that it takes.
    fn n_bytes(&self, key: &Key) -> usize {
        let fields: usize = self.fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        self.body.len() + 2 * fields + self.variant.n_bytes() + 2 * key.len() + BYTES_ANYWAY
    }
}

// === impl Variant ===

impl Variant {
    /// What a request says in the fields that an answer names in `Vary`; `None` where they are too many.
    pub(super) fn of(answer: &Fields, asked: &Fields) -> Option<Self> {
        let names = answer.all("vary").flat_map(|value| value.split(|byte| *byte == b','));
        let names = names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
        let mut names: Vec<Box<[u8]>> = names.map(|name| name.to_ascii_lowercase().into()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > MOST_NAMES {
            return None;
        }
        let with_value = |name: Box<[u8]>| {
            let value = said(asked, &name);
            (name, value)
        };
        Some(Self(names.into_iter().map(with_value).collect()))
    }

    /// Whether a request says the same.
    fn is_of(&self, asked: &Fields) -> bool {
        self.0.iter().all(|(name, value)| said(asked, name) == *value)
    }

    fn n_bytes(&self) -> usize {
        let of = |(name, value): &Said| name.len() + value.as_ref().map_or(0, Vec::len) + size_of::<Said>();
        self.0.iter().map(of).sum()
    }
}

/// What a request says in a field, in one line and without space around its parts.
fn said(asked: &Fields, name: &[u8]) -> Option<Vec<u8>> {
    let name = std::str::from_utf8(name).ok()?;
    let mut all = None;
    for value in asked.all(name) {
        let line: &mut Vec<u8> = all.get_or_insert_default();
        for part in value.split(|byte| *byte == b',') {
            line.extend_from_slice(part.trim_ascii());
            line.push(b',');
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use net::Method;
    use proptest::prelude::*;

    use super::super::policy::{Question, Times};
    use super::*;

    fn fields(all: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::new();
        all.iter().for_each(|(name, value)| fields.push(name, value));
        fields
    }

    fn stored(n_bytes: usize, answer: &[(&str, &str)], asked: &[(&str, &str)]) -> Stored {
        let mut answer = fields(answer);
        answer.push("cache-control", "max-age=60");
        let asked = fields(asked);
        let times = Times { asked: Duration::ZERO, answered: Duration::ZERO };
        let question = Question::of(&Method::GET, &asked, false);
        let freshness = Freshness::of(&question, StatusCode::OK, &answer, None, times).unwrap();
        let variant = Variant::of(&answer, &asked).unwrap();
        Stored {
            status: StatusCode::OK,
            fields: answer,
            body: vec![b'x'; n_bytes].into(),
            freshness,
            variant,
        }
    }

    fn cache(bytes: usize, object: usize) -> Cache {
        Cache::new(&ResponseCache { bytes, object, ttl: None }, CacheMetrics::default())
    }

    fn key(name: &str) -> Key {
        name.as_bytes().into()
    }

    fn length(cache: &Cache, name: &str, asked: &[(&str, &str)]) -> Option<usize> {
        match cache.find(&key(name), &fields(asked)) {
            Found::Answer(stored) => Some(stored.body.len()),
            Found::Nothing | Found::OtherVariants => None,
        }
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = cache(40_000, 10_000);
        for name in ["a", "b", "c"] {
            assert!(cache.insert(&key(name), stored(10_000 - 200, &[], &[])));
        }
        assert!(length(&cache, "a", &[]).is_some());
        assert!(cache.insert(&key("d"), stored(9_000, &[], &[])));
        let there = ["a", "b", "c", "d"].map(|name| length(&cache, name, &[]).is_some());
        assert_eq!(there, [true, false, true, true]);
        assert_eq!(cache.metrics.evicted.get(), 1);
        assert!(!cache.insert(&key("e"), stored(11_000, &[], &[])), "it is too large");
        cache.invalidate(&key("a"));
        assert_eq!(length(&cache, "a", &[]), None);
        let metrics = cache.metrics.clone();
        assert!(metrics.bytes.get() > 18_000);
        drop(cache);
        assert_eq!(metrics.bytes.get(), 0);
    }

    #[test]
    fn answers_differ_by_the_fields_that_they_name() {
        let cache = cache(1 << 20, 1 << 16);
        let vary = &[("vary", "Accept, accept-language"), ("vary", "accept")];
        let (json, xml) = (&[("accept", "application/json, */*")], &[("accept", "text/xml")]);
        assert!(cache.insert(&key("a"), stored(1, vary, json)));
        assert!(matches!(cache.find(&key("a"), &fields(xml)), Found::OtherVariants));
        assert!(cache.insert(&key("a"), stored(2, vary, xml)));
        assert_eq!(length(&cache, "a", json), Some(1));
        assert_eq!(length(&cache, "a", &[("ACCEPT", "application/json"), ("accept", " */*")]), Some(1));
        assert_eq!(length(&cache, "a", xml), Some(2));
        assert_eq!(length(&cache, "a", &[("accept", "text/xml"), ("accept-language", "de")]), None);
        assert_eq!(length(&cache, "a", &[]), None);
        assert!(cache.insert(&key("a"), stored(3, vary, xml)), "in the place of the other");
        assert_eq!(length(&cache, "a", xml), Some(3));
        for number in 0..20 {
            cache.insert(&key("a"), stored(number, vary, &[("accept", &number.to_string())]));
        }
        assert_eq!(length(&cache, "a", xml), None, "there are only so many");
        assert_eq!(length(&cache, "a", &[("accept", "19")]), Some(19));
        let many = (0..20).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(",");
        assert!(Variant::of(&fields(&[("vary", &many)]), &fields(&[])).is_none());
    }

    proptest! {
        #[test]
        fn it_keeps_its_bound_and_counts_what_it_has(
            steps in prop::collection::vec((0..4u8, 0..12u8, 0..3u8, 0..9000usize), 0..300),
        ) {
            let cache = cache(64 << 10, 8 << 10);
            for (step, name, accept, n_bytes) in steps {
                let (name, accept) = (name.to_string(), accept.to_string());
                let asked = &[("accept", accept.as_str())];
                match step {
                    0 | 1 => _ = cache.insert(&key(&name), stored(n_bytes, &[("vary", "accept")], asked)),
                    2 => _ = length(&cache, &name, asked),
                    _ => cache.invalidate(&key(&name)),
                }
                let mut n_bytes = 0;
                for part in &cache.parts {
                    let part = part.lock().unwrap();
                    let of = |(key, entry): (&Key, &Entry)| {
                        entry.variants.iter().map(|stored| stored.n_bytes(key)).sum::<usize>()
                    };
                    prop_assert_eq!(part.entries.iter().map(of).sum::<usize>(), part.n_bytes);
                    prop_assert_eq!(part.entries.len(), part.order.len());
                    prop_assert!(part.order.iter().all(|(used, key)| part.entries[key].used == *used));
                    prop_assert!(part.n_bytes <= cache.settings.bytes / cache.parts.len());
                    n_bytes += part.n_bytes;
                }
                prop_assert_eq!(cache.metrics.bytes.get(), i64::try_from(n_bytes).unwrap());
            }
        }
    }
}
