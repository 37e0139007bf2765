//! Answers that are kept, within a bound of bytes; the one that was used least lately goes first.
//!
//! All cores share them: a request that changes something takes what it is about out for everybody (RFC 9111 §4.4), which a cache
//! of each core could not do. They stand in parts with a lock each, that is held for a few steps, and only by requests of rules
//! that have a cache.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use net::{Bytes, Fields, StatusCode};
use plan::ResponseCache;

use super::flights::Lead;
use super::policy::Freshness;
use crate::metrics::CacheMetrics;

/// What is asked for: whatever tells one answer from another but the fields that an answer names itself.
pub(super) type Key = Arc<[u8]>;

/// Answers to one question that differ by the way to them or by fields of the request, at most. The one that was used least lately goes
/// first.
const MOST_VARIANTS: usize = 16;

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
    /// What targets are being asked.
    asked: HashMap<Key, Asked>,
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

/// What becomes of an answer that may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inserted {
    Yes,
    /// One that came later is there already.
    NewerIsThere,
    Not,
}

/// How many ask a target the same, and how often it changed while they did.
#[derive(Debug, Default)]
struct Asked {
    n_asking: usize,
    n_changes: u64,
}

/// Asking a target, whose answer may be kept if nothing changed meanwhile.
#[derive(Debug)]
pub(super) struct Asking {
    cache: Arc<Cache>,
    key: Key,
    way: u64,
    n_changes: u64,
    /// Where others wait for it.
    lead: Option<Lead>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Stored {
    /// What else leads to it than its question: the rule, and fields by which servers tell what is asked for.
    pub(super) way: u64,
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

    /// A number that is another one for what differs.
    pub(super) fn number_of(&self, what: impl Hash) -> u64 {
        self.seed.hash_one(what)
    }

    /// What is kept for a request with these fields that comes this way.
    pub(super) fn find(&self, key: &Key, way: u64, asked: &Fields) -> Found {
        let mut part = self.part(key);
        part.touch(key);
        let Some(entry) = part.entries.get_mut(key) else { return Found::Nothing };
        // The last one that fits came last.
        let found =
            entry.variants.iter().rposition(|stored| stored.way == way && stored.variant.is_of(asked));
        if let Some(place) = found {
            // What is used stays longer, behind all that fit where it does.
            entry.variants[place..].rotate_left(1);
            return entry.variants.last().cloned().map_or(Found::Nothing, Found::Answer);
        }
        match entry.variants.iter().any(|stored| stored.way == way) {
            true => Found::OtherVariants,
            false => Found::Nothing,
        }
    }

    /// Begins to ask a target what comes this way, for others too where it leads them.
    pub(super) fn ask(self: &Arc<Self>, key: &Key, way: u64, lead: Option<Lead>) -> Asking {
        let mut part = self.part(key);
        let asked = part.asked.entry(Arc::clone(key)).or_default();
        asked.n_asking += 1;
        Asking { cache: Arc::clone(self), key: Arc::clone(key), way, n_changes: asked.n_changes, lead }
    }

    /// Keeps an answer in the place of the one that there was, unless that came later.
    fn insert(&self, key: &Key, stored: Stored, n_changes: u64) -> Inserted {
        if stored.n_bytes(key) > self.settings.object + BYTES_ANYWAY {
            return Inserted::Not;
        }
        let most = self.settings.bytes / self.parts.len();
        let mut part = self.part(key);
        let has_changed = part.asked.get(key).is_none_or(|asked| asked.n_changes != n_changes);
        if has_changed {
            return Inserted::Not;
        }
        if part.has_newer(key, &stored) {
            return Inserted::NewerIsThere;
        }
        let before = part.n_bytes;
        part.remove_variant(key, &stored);
        part.insert(key, Arc::new(stored));
        let mut n_evicted = 0;
        while part.n_bytes > most && part.evict() {
            n_evicted += 1;
        }
        self.metrics.evicted.inc_by(n_evicted);
        self.tell(before, part.n_bytes);
        Inserted::Yes
    }

    /// Lets go of all that is kept of a question, and of what is on its way.
    pub(super) fn invalidate(&self, key: &Key) {
        let mut part = self.part(key);
        if let Some(asked) = part.asked.get_mut(key) {
            asked.n_changes += 1;
        }
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

// === impl Asking ===

impl Asking {
    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(super) fn way(&self) -> u64 {
        self.way
    }

    /// The answer has begun that may be kept.
    pub(super) fn begins(&self) {
        if let Some(lead) = &self.lead {
            lead.begins();
        }
    }

    /// Keeps an answer. Returns whether it is kept.
    pub(super) fn keep(&self, stored: Stored) -> bool {
        let answers_others = stored.freshness.answers_at_first();
        let inserted = self.cache.insert(&self.key, stored, self.n_changes);
        match &self.lead {
            // Those who wait find the newer one, which another core brought.
            Some(lead) if inserted != Inserted::Not && answers_others => lead.is_kept(),
            _ => self.is_vain(),
        }
        inserted == Inserted::Yes
    }

    /// There is no answer that others could have.
    pub(super) fn is_vain(&self) {
        if let Some(lead) = &self.lead {
            lead.is_vain();
        }
    }

    /// Lets go of all that is kept.
    pub(super) fn forget(&self) {
        self.cache.invalidate(&self.key);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut part = self.cache.part(&self.key);
        let Some(asked) = part.asked.get_mut(&self.key) else { return };
        asked.n_asking -= 1;
        if asked.n_asking == 0 {
            part.asked.remove(&self.key);
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

    /// Whether an answer that came later has the place of this one.
    fn has_newer(&self, key: &Key, stored: &Stored) -> bool {
        let came = stored.freshness.answered();
        let is_newer = |other: &Arc<Stored>| other.has_place_of(stored) && other.freshness.answered() > came;
        self.entries.get(key).is_some_and(|entry| entry.variants.iter().any(is_newer))
    }

    /// Lets go of the answer for the same fields.
    fn remove_variant(&mut self, key: &Key, stored: &Stored) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        for gone in entry.variants.extract_if(.., |other| other.has_place_of(stored)) {
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
    /// Whether requests that come the same way and say the same get one or the other.
    fn has_place_of(&self, other: &Self) -> bool {
        self.way == other.way && self.variant == other.variant
    }

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
mod tests;
