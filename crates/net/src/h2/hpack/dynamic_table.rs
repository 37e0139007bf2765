//! The dynamic table (RFC 7541 §2.3.2, §4): the fields that went one way lately.

use std::collections::VecDeque;

/// Octets that each field counts beside its own (RFC 7541 §4.1).
const FIELD_OVERHEAD: usize = 32;

/// What a field counts in a table (RFC 7541 §4.1).
#[inline]
pub(super) const fn field_size(name: &[u8], value: &[u8]) -> usize {
    name.len() + value.len() + FIELD_OVERHEAD
}

/// Names and values stand one behind the other in one buffer. What is evicted stays in front until it is worth moving the
/// rest over it, so a field is one slice always, and is never moved more often than it was written, give or take two.
#[derive(Debug)]
pub(super) struct DynamicTable {
    bytes: Vec<u8>,
    /// The newest first, as indices count.
    fields: VecDeque<Place>,
    size: usize,
    most: usize,
}

/// Where a field stands in the buffer.
#[derive(Debug, Clone, Copy)]
struct Place {
    name: usize,
    value: usize,
    end: usize,
}

/// The name of a field to be inserted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name<'a> {
    /// These bytes.
    Given(&'a [u8]),
    /// These bytes in lower case.
    Lowered(&'a [u8]),
    /// That of a field in the table, which may be evicted by the new one (RFC 7541 §4.4).
    OfField(usize),
}

impl DynamicTable {
    /// A table that holds `most` octets, and no memory yet.
    pub(super) const fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), fields: VecDeque::new(), size: 0, most }
    }

    /// The octets that it may hold.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// How many fields it holds.
    pub(super) fn n_fields(&self) -> usize {
        self.fields.len()
    }

    /// A field by its age; the newest is 0.
    #[inline]
    pub(super) fn get(&self, age: usize) -> Option<(&[u8], &[u8])> {
        let place = self.fields.get(age)?;
        Some((&self.bytes[place.name..place.value], &self.bytes[place.value..place.end]))
    }

    /// Holds so many octets from now on (RFC 7541 §4.3).
    pub(super) fn resize(&mut self, most: usize) {
        self.most = most;
        self.evict();
    }

    /// Adds a field; it evicts the oldest, and, where it is larger than the table, all of them and itself (RFC 7541 §4.4).
    /// Whether it is in the table now.
    pub(super) fn insert(&mut self, name: Name<'_>, value: &[u8]) -> bool {
        let inherited = match name {
            Name::OfField(age) => self.fields.get(age).map_or(0..0, |place| place.name..place.value),
            Name::Given(_) | Name::Lowered(_) => 0..0,
        };
        let n_name = match name {
            Name::Given(name) | Name::Lowered(name) => name.len(),
            Name::OfField(_) => inherited.len(),
        };
        let size = n_name + value.len() + FIELD_OVERHEAD;
        if size > self.most {
            self.clear();
            return false;
        }
        // First in, then out: until then the name can be taken from whom it evicts.
        let start = self.bytes.len();
        match name {
            Name::Given(name) => self.bytes.extend_from_slice(name),
            Name::Lowered(name) => self.bytes.extend(name.iter().map(u8::to_ascii_lowercase)),
            Name::OfField(_) => self.bytes.extend_from_within(inherited),
        }
        self.bytes.extend_from_slice(value);
        self.fields.push_front(Place { name: start, value: start + n_name, end: self.bytes.len() });
        self.size += size;
        self.evict();
        true
    }

    #[inline]
    fn evict(&mut self) {
        while self.size > self.most
            && let Some(oldest) = self.fields.pop_back()
        {
            self.size -= oldest.end - oldest.name + FIELD_OVERHEAD;
        }
        let free = self.fields.back().map_or(self.bytes.len(), |oldest| oldest.name);
        if free > self.most / 2 {
            self.bytes.drain(..free);
            for place in &mut self.fields {
                place.name -= free;
                place.value -= free;
                place.end -= free;
            }
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.size = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(table: &DynamicTable) -> Vec<String> {
        let text = |(name, value)| String::from_utf8([name, &b"="[..], value].concat()).unwrap();
        (0..table.n_fields()).filter_map(|age| table.get(age)).map(text).collect()
    }

    #[test]
    fn the_oldest_goes_when_the_new_one_needs_its_room() {
        let mut table = DynamicTable::new(2 * 34 + 1);
        assert!(table.insert(Name::Given(b"a"), b"1"));
        assert!(table.insert(Name::Lowered(b"B"), b"2"));
        assert_eq!(all(&table), ["b=2", "a=1"]);
        assert!(table.insert(Name::Given(b"c"), b"3"));
        assert_eq!(all(&table), ["c=3", "b=2"]);
        table.resize(34);
        assert_eq!(all(&table), ["c=3"]);
        table.resize(33);
        assert!(table.get(0).is_none());
    }

    #[test]
    fn a_field_larger_than_the_table_empties_it() {
        let mut table = DynamicTable::new(40);
        assert!(table.insert(Name::Given(b"a"), b"1"));
        assert!(!table.insert(Name::Given(b"name"), b"value"));
        assert_eq!((table.n_fields(), table.size), (0, 0));
        assert!(table.insert(Name::Given(b"name"), b"valu"));
        assert_eq!(all(&table), ["name=valu"]);
    }

    #[test]
    fn a_name_is_taken_from_the_field_that_it_evicts() {
        let mut table = DynamicTable::new(40);
        assert!(table.insert(Name::Given(b"name"), b"1"));
        assert!(table.insert(Name::OfField(0), b"2"));
        assert_eq!(all(&table), ["name=2"]);
    }

    #[test]
    fn memory_stays_within_a_few_tables() {
        let mut table = DynamicTable::new(4096);
        assert_eq!((table.bytes.capacity(), table.fields.capacity()), (0, 0));
        for length in (0..4064).chain((0..4064).rev()).cycle().take(100_000) {
            assert!(table.insert(Name::Given(b""), &vec![b'x'; length]));
            assert!(table.size <= 4096 && table.bytes.len() <= 4096 * 3 / 2);
        }
        assert!(table.bytes.capacity() <= 4 * 4096 && table.fields.capacity() <= 256);
    }
}
