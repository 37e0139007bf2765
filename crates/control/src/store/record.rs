//! One record as it lies in the store's file and in backups: framed so that it can be checked by itself, and found again
//! in a file whose order is lost.
//!
//! ```text
//! magic 8 | checksum 8 | sequence 8 | content 1 | length of the key 4 | length of the value 4 | key | value
//! ```
//! Numbers are little-endian. The checksum is of everything behind it.

use std::collections::BTreeMap;

use memchr::memmem;

/// Begins every record. Its first byte is in no UTF-8 text, so nothing that people write looks like a record.
const MAGIC: &[u8; 8] = b"\xf7fbrec\x002";
/// Magic, checksum, sequence, content and two lengths.
const HEAD: usize = 8 + 8 + 8 + 1 + 4 + 4;
/// Longer keys and values are no record's.
const LONGEST: usize = 256 << 20;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The number of the commit that wrote it.
    pub(super) sequence: u64,
    pub(super) content: Content,
    /// `object/Kind/namespace/name`, `note/key`, or [`SUMMARY_KEY`].
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    /// What it adds to a tally.
    pub(super) checksum: u64,
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// An object that somebody wrote, as JSON.
    Written = 1,
    /// An object that follows from others and is kept for its history, as JSON.
    Following = 2,
    /// A note, as text.
    Note = 3,
    /// That an object or a note is no more.
    Gone = 4,
    /// What there is in all: a [`Summary`].
    Summary = 5,
}

/// Where the summary is.
pub(super) const SUMMARY_KEY: &str = "summary";

/// What there is in all, so that a record that vanished is noticed, and one that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Summary {
    /// The number of the commit.
    pub(super) sequence: u64,
    /// When it was made, in seconds since 1970.
    pub(super) seconds: i64,
    /// No revision at or above this one was ever given out.
    pub(super) revision_ceiling: u64,
    /// That something is gone is no longer kept for what went with this commit or an earlier one.
    pub(super) forgotten_through: u64,
    /// Records that are not [`Content::Following`].
    pub(super) firm: Tally,
    /// Records that are.
    pub(super) following: Tally,
}

/// A number of records, and the sum of their checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) n_records: u64,
    pub(super) digest: u64,
}

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("it is cut off")]
    Short,
    #[error("it does not begin as a record does")]
    NoRecord,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it says what no build writes")]
    Contents,
}

// === impl Record ===

impl Record {
    pub(super) fn new(sequence: u64, content: Content, key: String, value: Vec<u8>) -> Self {
        let mut record = Self { sequence, content, key, value, checksum: 0 };
        record.checksum = record.encode().1;
        record
    }

    /// The record in bytes, and its checksum.
    pub(crate) fn encode(&self) -> (Vec<u8>, u64) {
        let mut bytes = Vec::with_capacity(HEAD + self.key.len() + self.value.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.push(self.content as u8);
        for part in [self.key.len(), self.value.len()] {
            // The API takes no object of 4 GB.
            bytes.extend_from_slice(&u32::try_from(part).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(&self.value);
        let checksum = crc64(&bytes[16..]);
        bytes[8..16].copy_from_slice(&checksum.to_le_bytes());
        (bytes, checksum)
    }

    /// The record that bytes begin with, and how long it is.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize), Broken> {
        let (head, rest) = bytes.split_at_checked(HEAD).ok_or(Broken::Short)?;
        if &head[..8] != MAGIC {
            return Err(Broken::NoRecord);
        }
        let length = |at: usize| u32::from_le_bytes(array(&head[at..])) as usize;
        let (key, value) = (length(25), length(29));
        if key > LONGEST || value > LONGEST {
            return Err(Broken::Contents);
        }
        let (key_bytes, rest) = rest.split_at_checked(key).ok_or(Broken::Short)?;
        let value_bytes = rest.get(..value).ok_or(Broken::Short)?;
        let whole = HEAD + key + value;
        let checksum = u64::from_le_bytes(array(&head[8..]));
        if crc64(&bytes[16..whole]) != checksum {
            return Err(Broken::Checksum);
        }
        let record = Self {
            sequence: u64::from_le_bytes(array(&head[16..])),
            content: Content::of(head[24]).ok_or(Broken::Contents)?,
            key: String::from_utf8(key_bytes.to_vec()).map_err(|_| Broken::Contents)?,
            value: value_bytes.to_vec(),
            checksum,
        };
        Ok((record, whole))
    }
}

/// The checksum that stands in the bytes of a record, unchecked.
pub(super) fn checksum_in(bytes: &[u8]) -> u64 {
    bytes.get(8..16).map_or(0, |bytes| u64::from_le_bytes(array(bytes)))
}

/// The number of the commit that the bytes of a record name, unchecked.
pub(super) fn sequence_in(bytes: &[u8]) -> u64 {
    bytes.get(16..24).map_or(0, |bytes| u64::from_le_bytes(array(bytes)))
}

/// What the bytes of a record say that it holds, unchecked.
pub(super) fn content_in(bytes: &[u8]) -> Option<Content> {
    bytes.get(24).and_then(|byte| Content::of(*byte))
}

/// Every whole record anywhere in a file.
pub(crate) fn find_all(file: &[u8]) -> impl Iterator<Item = Record> {
    memmem::find_iter(file, MAGIC).filter_map(|at| Record::decode(&file[at..]).ok()).map(|(record, _)| record)
}

/// The key of a record that is broken where it was written last, if there is one whose key can still be read.
pub(super) fn find_broken(file: &[u8]) -> Option<String> {
    let mut whole: BTreeMap<String, u64> = BTreeMap::new();
    for record in find_all(file) {
        let newest = whole.entry(record.key).or_default();
        *newest = record.sequence.max(*newest);
    }
    let broken = memmem::find_iter(file, MAGIC).map(|at| &file[at..]);
    let broken = broken.filter(|bytes| Record::decode(bytes).is_err_and(|why| why == Broken::Checksum));
    let mut keys = broken.filter_map(|bytes| {
        let length = u32::from_le_bytes(array(bytes.get(25..)?)) as usize;
        let key = std::str::from_utf8(bytes.get(HEAD..HEAD.checked_add(length)?)?).ok()?;
        let is_newest = whole.get(key).is_none_or(|newest| *newest < sequence_in(bytes));
        (is_newest && !key.contains(char::is_control)).then(|| key.to_owned())
    });
    keys.next()
}

// === impl Content ===

impl Content {
    fn of(byte: u8) -> Option<Self> {
        [Self::Written, Self::Following, Self::Note, Self::Gone, Self::Summary]
            .into_iter()
            .find(|content| *content as u8 == byte)
    }
}

// === impl Summary ===

impl Summary {
    pub(super) fn record(&self) -> Record {
        let numbers = [
            self.seconds.cast_unsigned(),
            self.revision_ceiling,
            self.forgotten_through,
            self.firm.n_records,
            self.firm.digest,
            self.following.n_records,
            self.following.digest,
        ];
        let value = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Record::new(self.sequence, Content::Summary, SUMMARY_KEY.to_owned(), value)
    }

    pub(super) fn of(record: &Record) -> Option<Self> {
        if record.content != Content::Summary || record.value.len() != 7 * 8 {
            return None;
        }
        let number = |index: usize| u64::from_le_bytes(array(&record.value[index * 8..]));
        Some(Self {
            sequence: record.sequence,
            seconds: number(0).cast_signed(),
            revision_ceiling: number(1),
            forgotten_through: number(2),
            firm: Tally { n_records: number(3), digest: number(4) },
            following: Tally { n_records: number(5), digest: number(6) },
        })
    }

    /// The tally in which a content is counted.
    pub(super) fn tally(&mut self, content: Content) -> &mut Tally {
        if content == Content::Following { &mut self.following } else { &mut self.firm }
    }
}

impl Tally {
    pub(super) fn add(&mut self, checksum: u64) {
        self.n_records = self.n_records.wrapping_add(1);
        self.digest = self.digest.wrapping_add(checksum);
    }

    pub(super) fn take(&mut self, checksum: u64) {
        self.n_records = self.n_records.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(checksum);
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// CRC-64/XZ: no damage within 64 bits is missed, and any other with a chance of 1 to 2⁶⁴.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    const TABLE: [u64; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut remainder, mut bit) = (byte as u64, 0);
            while bit < 8 {
                let shifted = remainder >> 1;
                remainder = if remainder & 1 == 1 { shifted ^ 0xc96c_5795_d787_0f42 } else { shifted };
                bit += 1;
            }
            table[byte] = remainder;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u64, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(key: &str, value: &[u8]) -> Record {
        Record::new(7, Content::Written, key.to_owned(), value.to_vec())
    }

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc64(b"123456789"), 0x995d_c9bb_df19_39fa);
    }

    #[test]
    fn a_record_is_found_wherever_it_lies() {
        let (a, b) = (record("note/a", b"1"), record("object/x", &[7; 5000]));
        let file =
            [b"junk\xf7f".as_slice(), &a.encode().0, &[0; 100], &b.encode().0, b"\xf7fbrec\x002"].concat();
        assert_eq!(find_all(&file).collect::<Vec<_>>(), [a, b]);
    }

    #[test]
    fn the_record_that_is_broken_is_named_unless_it_was_written_again() {
        let older = record("object/ConfigMap/default/a", b"1").encode().0;
        let newer = Record::new(8, Content::Written, "object/ConfigMap/default/a".to_owned(), b"2".to_vec());
        let mut broken = newer.encode().0;
        *broken.last_mut().unwrap() ^= 1;
        let key = Some("object/ConfigMap/default/a".to_owned());
        assert_eq!(find_broken(&[older.clone(), broken.clone()].concat()), key);
        assert_eq!(find_broken(&[older, broken, newer.encode().0].concat()), None);
    }

    #[test]
    fn a_summary_is_read_as_it_was_written() {
        let tally = |n_records, digest| Tally { n_records, digest };
        let summary = Summary {
            sequence: 1,
            seconds: -2,
            revision_ceiling: 3,
            forgotten_through: 4,
            firm: tally(5, 6),
            following: tally(7, u64::MAX),
        };
        assert_eq!(Summary::of(&summary.record()), Some(summary));
    }

    proptest! {
        #[test]
        fn any_bytes_may_be_a_record(mut bytes in prop::collection::vec(any::<u8>(), 0..80), is_marked: bool) {
            if is_marked && bytes.len() > 8 {
                bytes[..8].copy_from_slice(MAGIC);
            }
            crate::fuzzing::record(&bytes);
        }

        #[test]
        fn no_changed_byte_is_missed(value in prop::collection::vec(any::<u8>(), 0..40), at in 8_usize..48, bit in 0_u32..8) {
            let (mut bytes, _) = record("k", &value).encode();
            let at = at % bytes.len();
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(Record::decode(&bytes).is_err());
        }
    }
}
