//! Header fields, kept as the bytes that go over the wire.

use std::fmt;
use std::ops::Range;

/// The header fields of a message, in order, with their names as written.
///
/// All of them stand in one block of memory, `name: value\r\n` after another, so that reading a head costs one copy and
/// writing it costs one more. Names compare without case (RFC 9110 §5.1).
#[derive(Clone, Default)]
pub struct Fields {
    block: Vec<u8>,
    entries: Vec<Entry>,
    /// A bit for each length that a name has, or had before it was removed.
    lengths: Lengths,
}

/// Lengths of names. Nearly all fields that are asked for are not there, and no other is as long.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lengths(u64);

/// Where one field stands in the block.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    name_start: u32,
    name_length: u16,
    value_start: u32,
    value_length: u32,
}

impl Fields {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for a few fields without growing.
    #[must_use]
    pub fn with_capacity(n_fields: usize, n_bytes: usize) -> Self {
        Self {
            block: Vec::with_capacity(n_bytes),
            entries: Vec::with_capacity(n_fields),
            lengths: Lengths::default(),
        }
    }

    /// Fields that a parser found in a block.
    pub(crate) fn from_parsed(block: Vec<u8>, entries: Vec<Entry>) -> Self {
        let mut lengths = Lengths::default();
        entries.iter().for_each(|entry| lengths.add(entry.name_length.into()));
        Self { block, entries, lengths }
    }

    /// Adds a field at the end.
    ///
    /// A byte that may not stand in a field (CR, LF, NUL and other control bytes but tab) becomes a space, so that no
    /// value, wherever it came from, can end a field early.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        let name_start = self.block.len();
        extend_cleaned(&mut self.block, name.as_bytes(), TOKEN, b'-');
        let name_length = self.block.len() - name_start;
        self.block.extend_from_slice(b": ");
        let value_start = self.block.len();
        extend_cleaned(&mut self.block, value, CONTENT, b' ');
        self.add(Entry::new(name_start, name_length, value_start, value.len()));
        self.block.extend_from_slice(b"\r\n");
    }

    /// Adds a field at the end whose bytes have been looked at: the name is a token, and the value has what a field may have.
    pub(crate) fn push_checked(&mut self, name: &[u8], value: &[u8]) {
        let name_start = self.block.len();
        self.block.extend_from_slice(name);
        self.block.extend_from_slice(b": ");
        let value_start = self.block.len();
        self.block.extend_from_slice(value);
        self.block.extend_from_slice(b"\r\n");
        self.add(Entry::new(name_start, name.len(), value_start, value.len()));
    }

    fn add(&mut self, entry: Entry) {
        self.lengths.add(entry.name_length.into());
        self.entries.push(entry);
    }

    /// Whether a field that is a list of words has this one, in any case (RFC 9110 §5.6.1).
    #[must_use]
    pub fn lists(&self, name: &str, word: &str) -> bool {
        let words = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        words.map(<[u8]>::trim_ascii).any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Bytes that all fields take when they are written one after the other, each as `name: value\r\n`.
    pub(crate) fn n_bytes(&self) -> usize {
        let of = |entry: &Entry| usize::from(entry.name_length) + entry.value_length as usize + 4;
        self.entries.iter().map(of).sum()
    }

    /// Appends the fields that `keep` wants to a head, each as `name: value\r\n`. Neighbours that stand so already are copied
    /// in one piece.
    pub(crate) fn write(&self, out: &mut Vec<u8>, mut keep: impl FnMut(&[u8]) -> bool) {
        let mut piece = 0..0;
        for entry in &self.entries {
            let name = entry.name(&self.block);
            if !keep(name) {
                continue;
            }
            match entry.line(&self.block) {
                Some(line) if line.start == piece.end => piece.end = line.end,
                Some(line) => out.extend_from_slice(&self.block[std::mem::replace(&mut piece, line)]),
                None => {
                    out.extend_from_slice(&self.block[std::mem::take(&mut piece)]);
                    for part in [name, b": ", entry.value(&self.block), b"\r\n"] {
                        out.extend_from_slice(part);
                    }
                }
            }
        }
        out.extend_from_slice(&self.block[piece]);
    }

    /// Replaces all fields of this name by one.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.push(name, value);
    }

    /// Removes all fields of this name.
    pub fn remove(&mut self, name: &str) {
        if self.lengths.may_have(name.len()) {
            self.retain(|field, _| !field.eq_ignore_ascii_case(name.as_bytes()));
        }
    }

    /// Keeps the fields that `keep` wants; it is given name and value.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let block = &self.block;
        self.entries.retain(|entry| keep(entry.name(block), entry.value(block)));
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.named(name).find(|entry| entry.is_named(name, &self.block)).map(|entry| entry.value(&self.block))
    }

    /// The fields among which there may be one of this name.
    fn named(&self, name: &str) -> std::slice::Iter<'_, Entry> {
        if self.lengths.may_have(name.len()) { self.entries.iter() } else { [].iter() }
    }

    /// The value of the first field of this name, when it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all fields of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.named(name).filter(|entry| entry.is_named(name, &self.block));
        named.map(|entry| entry.value(&self.block))
    }

    /// Whether a field of this name is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All fields in order, as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|entry| (entry.name(&self.block), entry.value(&self.block)))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    /// An entry for parts of a block that is no longer than 4 GiB, with names no longer than 64 KiB.
    pub(crate) fn new(
        name_start: usize,
        name_length: usize,
        value_start: usize,
        value_length: usize,
    ) -> Self {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            name_start: narrow(name_start),
            name_length: u16::try_from(name_length).unwrap_or(u16::MAX),
            value_start: narrow(value_start),
            value_length: narrow(value_length),
        }
    }

    fn name<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        let start = self.name_start as usize;
        &block[start..start + usize::from(self.name_length)]
    }

    fn is_named(&self, name: &str, block: &[u8]) -> bool {
        // Nearly all that is asked is told by the length, without a look at the block.
        usize::from(self.name_length) == name.len() && self.name(block).eq_ignore_ascii_case(name.as_bytes())
    }

    /// Where the field stands, if just as it is written. What came may have other space around its value.
    fn line(&self, block: &[u8]) -> Option<Range<usize>> {
        let (start, value_start) = (self.name_start as usize, self.value_start as usize);
        let name_end = start + usize::from(self.name_length);
        let value_end = value_start + self.value_length as usize;
        let is_as_written = value_start == name_end + 2
            && block.get(name_end..value_start) == Some(b": ")
            && block.get(value_end..value_end + 2) == Some(b"\r\n");
        is_as_written.then_some(start..value_end + 2)
    }

    fn value<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        let start = self.value_start as usize;
        &block[start..start + self.value_length as usize]
    }
}

impl Lengths {
    fn add(&mut self, length: usize) {
        self.0 |= 1 << (length % 64);
    }

    fn may_have(self, length: usize) -> bool {
        self.0 >> (length % 64) & 1 == 1
    }
}

/// Appends bytes, with those that may not stand there replaced.
fn extend_cleaned(block: &mut Vec<u8>, bytes: &[u8], stands_in: u8, replacement: u8) {
    let start = block.len();
    block.extend_from_slice(bytes);
    if may_all(bytes, stands_in) {
        return;
    }
    let may_not = |byte: &&mut u8| MAY_STAND[usize::from(**byte)] & stands_in == 0;
    for byte in block[start..].iter_mut().filter(may_not) {
        *byte = replacement;
    }
}

/// Whether all of these may stand there. Nearly always they may, which takes less to find out than to look for one that may not.
fn may_all(bytes: &[u8], stands_in: u8) -> bool {
    bytes.iter().fold(stands_in, |all, byte| all & MAY_STAND[usize::from(*byte)]) == stands_in
}

/// Tokens such as field names and methods (RFC 9110 §5.6.2).
const TOKEN: u8 = 1;
/// Field values: visible, space, tab or above ASCII (RFC 9110 §5.5).
const CONTENT: u8 = 2;
/// Registered names of hosts, as far as nothing in them is encoded (RFC 3986 §3.2.2).
const NAME: u8 = 4;

/// Where each byte may stand.
static MAY_STAND: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "there is no `try_from` in a constant")]
        let this = byte as u8;
        let is_word = this.is_ascii_alphanumeric();
        let is_in_token = is_word
            || matches!(
                this,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        let is_in_name = is_word
            || matches!(
                this,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
            );
        let is_in_content = this == b'\t' || (this >= b' ' && this != 0x7f);
        table[byte] = if is_in_token { TOKEN } else { 0 }
            | if is_in_content { CONTENT } else { 0 }
            | if is_in_name { NAME } else { 0 };
        byte += 1;
    }
    table
};

/// Whether a byte may stand in a token such as a field name or a method (RFC 9110 §5.6.2).
#[must_use]
pub(crate) const fn is_token(byte: u8) -> bool {
    MAY_STAND[byte as usize] & TOKEN != 0
}

/// Whether a byte may stand in a field value: visible, space, tab or above ASCII (RFC 9110 §5.5).
#[must_use]
pub(crate) fn is_field_content(byte: u8) -> bool {
    MAY_STAND[usize::from(byte)] & CONTENT != 0
}

/// Whether bytes are a registered name of a host in which nothing is encoded (RFC 3986 §3.2.2).
#[must_use]
pub(crate) fn is_plain_name(bytes: &[u8]) -> bool {
    may_all(bytes, NAME)
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        f.debug_map().entries(self.iter().map(|(name, value)| (text(name), text(value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_compare_without_case_and_keep_theirs() {
        let mut fields = Fields::new();
        fields.push("X-One", "1");
        fields.push("Set-Cookie", "a");
        fields.push("set-cookie", "b");
        assert_eq!(fields.get("x-one"), Some(b"1".as_slice()));
        assert_eq!(fields.all("SET-COOKIE").collect::<Vec<_>>(), [b"a", b"b"]);
        fields.set("set-cookie", "c");
        let written: Vec<_> =
            fields.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        assert_eq!(written, ["X-One", "set-cookie"]);
    }

    #[test]
    fn fields_are_written_in_their_order_however_they_stand() {
        let mut entries = Vec::new();
        let block = b"GET / HTTP/1.1\r\nA: 1\r\nB:2\r\nC: 3 \r\nD: 4\r\nE: 5\r\nF:\r\n\r\n".to_vec();
        for (name, value) in [(16, 19), (22, 24), (27, 30), (34, 37), (40, 43)] {
            entries.push(Entry::new(name, 1, value, 1));
        }
        entries.push(Entry::new(46, 1, 0, 0));
        let mut fields = Fields::from_parsed(block, entries);
        fields.push("g", "7");
        fields.push("h", "8");
        let written = |kept: &[u8]| {
            let mut out = Vec::new();
            fields.write(&mut out, |name| kept.contains(&name[0]));
            String::from_utf8(out).unwrap()
        };
        let all = "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: \r\ng: 7\r\nh: 8\r\n";
        assert_eq!(written(b"ABCDEFgh"), all);
        assert_eq!(all.len(), fields.n_bytes());
        assert_eq!(written(b"ADgh"), "A: 1\r\nD: 4\r\ng: 7\r\nh: 8\r\n");
        assert_eq!(written(b"DEh"), "D: 4\r\nE: 5\r\nh: 8\r\n");
        assert_eq!(written(b""), "");
    }

    #[test]
    fn a_value_cannot_end_its_field() {
        let mut fields = Fields::new();
        fields.push("location", "http://a/\r\nset-cookie: stolen");
        fields.push("x y\r\n", "1");
        assert_eq!(fields.get("location"), Some(b"http://a/  set-cookie: stolen".as_slice()));
        assert_eq!(fields.get("x-y--"), Some(b"1".as_slice()));
    }
}
