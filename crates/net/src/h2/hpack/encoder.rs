//! From fields to field blocks (RFC 7541 §6), for one that sends few kinds of messages to one peer for a long time.
//!
//! What comes again is an octet or two from the second time on. What does not come again, or is a secret (§7.1), stays out of
//! the table, where it would evict the rest or could be guessed.

use super::dynamic_table::{DynamicTable, Name, field_size};
use super::names::{self, Indexing, Known};
use super::{DEFAULT_TABLE_BYTES, huffman, integer, static_table};

/// One field takes this part of the table at most.
const PART_OF_TABLE: usize = 4;

/// Values that one name may have in the table: with more of them it is one whose value changes each time.
const VALUES_OF_NAME: usize = 4;

/// A string as short as this is written as it is: the code could spare no octet, or one in the best case.
const PLAIN_BYTES: usize = 2;

const INDEXED: u8 = 0x80;
const WITH_INDEXING: u8 = 0x40;
const TABLE_SIZE: u8 = 0x20;
const NEVER_INDEXED: u8 = 0x10;
const WITHOUT_INDEXING: u8 = 0;
const HUFFMAN: u8 = 0x80;

/// Writes what the other side's decoder reads.
#[derive(Debug)]
pub(crate) struct Encoder {
    table: DynamicTable,
    /// Hashes of the fields of the table and of their names, the oldest first. They are what is searched; the bytes are only
    /// compared where they agree. There are 128 at most, as a field counts 32 octets and more.
    fields: Vec<u32>,
    names: Vec<u32>,
    /// What the other side has allowed since the last block: the least, and the last.
    least_allowed: usize,
    allowed: usize,
}

impl Encoder {
    /// An encoder with a table of 4096 octets, which is also the most it ever uses.
    pub(crate) const fn new() -> Self {
        Self {
            table: DynamicTable::new(DEFAULT_TABLE_BYTES),
            fields: Vec::new(),
            names: Vec::new(),
            least_allowed: DEFAULT_TABLE_BYTES,
            allowed: DEFAULT_TABLE_BYTES,
        }
    }

    /// Takes the other side's SETTINGS_HEADER_TABLE_SIZE. The next block says what became of it.
    pub(crate) fn resize(&mut self, bytes: usize) {
        self.allowed = bytes.min(DEFAULT_TABLE_BYTES);
        self.least_allowed = self.least_allowed.min(self.allowed);
    }

    /// Begins a block: appends the size updates that are due (RFC 7541 §4.2), the least size before the last one, so that the
    /// other side evicts what was evicted here.
    pub(crate) fn begin(&mut self, into: &mut Vec<u8>) {
        for size in [self.least_allowed, self.allowed] {
            if size != self.table.most() {
                integer::write(size, 5, TABLE_SIZE, into);
                self.table.resize(size);
            }
        }
        self.least_allowed = self.allowed;
        self.forget_evicted();
    }

    /// Appends `:status`. A code has three digits.
    pub(crate) fn status(&mut self, code: u16, into: &mut Vec<u8>) {
        let digit = |unit| b'0' + (code / unit % 10) as u8;
        self.field(b":status", &[digit(100), digit(10), digit(1)], into);
    }

    /// Appends a field, its name in lower case.
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8], into: &mut Vec<u8>) {
        let name_hash = names::hash_name(name);
        let (known, name) = match names::find(name, name_hash) {
            Some(known) => (known, known.name),
            None => (&names::UNKNOWN, name),
        };
        for index in known.index..known.index + known.n_rows {
            if static_table::ROWS[index - 1].1 == value {
                return integer::write(index, 7, INDEXED, into);
            }
        }
        match known.indexing {
            Indexing::Never => literal(NEVER_INDEXED, known.index, name, value, into),
            Indexing::Without => literal(WITHOUT_INDEXING, known.index, name, value, into),
            Indexing::Usual | Indexing::Always => self.indexed_field(known, name, name_hash, value, into),
        }
    }
}

// === impl Encoder ===

impl Encoder {
    /// Appends a field that is in the dynamic table, or comes into it if there is nothing against it.
    fn indexed_field(
        &mut self,
        known: &Known,
        name: &[u8],
        name_hash: u64,
        value: &[u8],
        into: &mut Vec<u8>,
    ) {
        if field_size(name, value) > self.table.most() / PART_OF_TABLE {
            return literal(WITHOUT_INDEXING, known.index, name, value, into);
        }
        let field_hash = names::hash_field(name_hash, value) as u32;
        let is_field =
            |age| self.table.get(age).is_some_and(|field| field.1 == value && is_name(field.0, name));
        if let Some(age) = find(&self.fields, field_hash, is_field) {
            return integer::write(dynamic_index(age), 7, INDEXED, into);
        }

        let name_hash = name_hash as u32;
        let is_of_name = |age: &usize| self.table.get(*age).is_some_and(|field| is_name(field.0, name));
        let hashes = self.names.iter().rev().zip(0..);
        let mut of_name = hashes.filter(|(one, _)| **one == name_hash).map(|(_, age)| age).filter(is_of_name);
        let newest = of_name.next();
        let n_values = newest.map_or(0, |_| 1 + of_name.count());
        let name_index = if known.index == 0 { newest.map_or(0, dynamic_index) } else { known.index };
        if known.indexing == Indexing::Usual && n_values >= VALUES_OF_NAME {
            return literal(WITHOUT_INDEXING, name_index, name, value, into);
        }
        literal(WITH_INDEXING, name_index, name, value, into);
        if self.table.insert(Name::Lowered(name), value) {
            self.fields.push(field_hash);
            self.names.push(name_hash);
        }
        self.forget_evicted();
    }

    fn forget_evicted(&mut self) {
        let n_evicted = self.fields.len() - self.table.n_fields();
        if n_evicted > 0 {
            self.fields.drain(..n_evicted);
            self.names.drain(..n_evicted);
        }
    }
}

/// The age of the newest that has this hash, and is it. Sixteen hashes at a time are looked at, in a few instructions.
#[inline]
fn find(hashes: &[u32], hash: u32, is_it: impl Fn(usize) -> bool) -> Option<usize> {
    let (oldest, chunks) = hashes.as_rchunks::<16>();
    let mut n_newer = 0;
    for chunk in chunks.iter().rev() {
        if chunk.iter().fold(false, |has, one| has | (*one == hash)) {
            let found = newest_of(chunk, hash, |age| is_it(n_newer + age));
            if let Some(age) = found {
                return Some(n_newer + age);
            }
        }
        n_newer += chunk.len();
    }
    newest_of(oldest, hash, |age| is_it(n_newer + age)).map(|age| n_newer + age)
}

/// The same, one by one.
#[inline]
fn newest_of(hashes: &[u32], hash: u32, is_it: impl Fn(usize) -> bool) -> Option<usize> {
    hashes.iter().rev().zip(0..).find_map(|(one, age)| (*one == hash && is_it(age)).then_some(age))
}

/// Whether a name, in lower case, is this one, in whatever case.
#[inline]
fn is_name(lower: &[u8], name: &[u8]) -> bool {
    lower == name || lower.eq_ignore_ascii_case(name)
}

/// The index of a field in the dynamic table by its age (RFC 7541 §2.3.3).
const fn dynamic_index(age: usize) -> usize {
    age + static_table::ROWS.len() + 1
}

/// Appends a field by its value, and by its name where that has no index.
#[inline]
fn literal(pattern: u8, name_index: usize, name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    let prefix_bits = if pattern == WITH_INDEXING { 6 } else { 4 };
    integer::write(name_index, prefix_bits, pattern, into);
    if name_index == 0 {
        string(name.iter().map(u8::to_ascii_lowercase), into);
    }
    string(value.iter().copied(), into);
}

/// Appends a string (RFC 7541 §5.2), by the shorter of its two representations.
#[inline]
fn string(bytes: impl ExactSizeIterator<Item = u8> + Clone, into: &mut Vec<u8>) {
    let plain = bytes.len();
    let encoded = if plain <= PLAIN_BYTES { plain } else { huffman::encoded_len(bytes.clone()) };
    if encoded < plain {
        integer::write(encoded, 7, HUFFMAN, into);
        huffman::encode(bytes, encoded, into);
    } else {
        integer::write(plain, 7, 0, into);
        into.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of these fields.
    fn block(encoder: &mut Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        fields.iter().for_each(|(name, value)| encoder.field(name.as_bytes(), value.as_bytes(), &mut block));
        block
    }

    #[test]
    fn what_comes_again_is_an_octet() {
        let mut encoder = Encoder::new();
        let fields =
            [(":status", "418"), ("Date", "now"), ("Content-Type", "text/plain"), ("X-Served-By", "us")];
        assert!(block(&mut encoder, &fields).len() > 20);
        assert_eq!(block(&mut encoder, &fields), [0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
        assert_eq!(
            block(&mut encoder, &[(":status", "404"), ("ACCEPT", ""), (":path", "/")]),
            [0x8d, 0x93, 0x84]
        );
    }

    #[test]
    fn codes_are_indexed_where_the_static_table_has_them() {
        let mut encoder = Encoder::new();
        for (code, first) in [
            (200, 0x88),
            (204, 0x89),
            (206, 0x8a),
            (304, 0x8b),
            (400, 0x8c),
            (404, 0x8d),
            (500, 0x8e),
            (503, 0x48),
        ] {
            let mut block = Vec::new();
            encoder.status(code, &mut block);
            assert_eq!(block[0], first, "{code}");
        }
    }

    #[test]
    fn secrets_are_never_indexed_and_passing_values_are_not() {
        let mut encoder = Encoder::new();
        for (name, first) in [
            ("Set-Cookie", [0x1f, 55 - 15]),
            ("authorization", [0x1f, 23 - 15]),
            ("cookie", [0x1f, 32 - 15]),
            ("X-Api-Key", [0x10, 0x87]),
            ("ETag", [0x0f, 34 - 15]),
            ("Content-Length", [0x0f, 28 - 15]),
            (":path", [0x04, 0x87]),
        ] {
            for _ in 0..2 {
                assert_eq!(block(&mut encoder, &[(name, "some value")])[..2], first, "{name}");
            }
        }
        assert_eq!(encoder.table.n_fields(), 0);
    }

    #[test]
    fn a_name_with_ever_new_values_leaves_the_table_to_others() {
        let mut encoder = Encoder::new();
        block(&mut encoder, &[("server", "x")]);
        for n in 0..1000 {
            block(&mut encoder, &[("x-cost", &n.to_string())]);
        }
        assert_eq!(encoder.table.n_fields(), 1 + VALUES_OF_NAME);
        assert_eq!(block(&mut encoder, &[("server", "x"), ("x-cost", "0")]), [0x80 | 66, 0x80 | 65]);
        for n in 0..1000 {
            assert_eq!(block(&mut encoder, &[("date", &n.to_string())])[0], 0x40 | 33);
        }
    }

    #[test]
    fn a_value_of_much_of_the_table_stays_out_of_it() {
        let mut encoder = Encoder::new();
        for (length, n_fields) in [(4096 / 4 - 32, 0), (4096 / 4 - 33, 1)] {
            block(&mut encoder, &[("a", &"x".repeat(length))]);
            assert_eq!(encoder.table.n_fields(), n_fields);
        }
    }

    #[test]
    fn size_updates_say_the_least_and_the_last() {
        let mut encoder = Encoder::new();
        let mut after = |sizes: &[usize]| {
            sizes.iter().for_each(|size| encoder.resize(*size));
            block(&mut encoder, &[])
        };
        assert_eq!(after(&[]), []);
        assert_eq!(after(&[4096, 1 << 20]), []);
        assert_eq!(after(&[10, 20]), [0x2a, 0x34]);
        assert_eq!(after(&[20]), []);
        assert_eq!(after(&[0, 20]), [0x20, 0x34]);
        assert_eq!(after(&[30, 15]), [0x2f]);
        assert_eq!(after(&[usize::MAX]), [0x3f, 0xe1, 0x1f]);
    }

    #[test]
    fn ever_new_fields_cost_one_table() {
        let mut encoder = Encoder::new();
        for n in 0..10_000 {
            block(&mut encoder, &[(&format!("n{n}"), "")]);
        }
        assert!(encoder.table.n_fields() <= 128 && encoder.fields.len() == encoder.table.n_fields());
        assert!(encoder.fields.capacity() <= 256 && encoder.names.capacity() <= 256);
    }
}
