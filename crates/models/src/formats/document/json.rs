//! Documents in JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Collected, Document};
use crate::fault::Fault;

/// Whether bytes begin as a JSON map does.
pub(crate) fn is_likely(data: &[u8]) -> bool {
    let second = data.iter().skip(1).find(|byte| !byte.is_ascii_whitespace());
    data.first() == Some(&b'{') && matches!(second, Some(b'"' | b'}'))
}

/// Reads a JSON text, in which numbers may also be `NaN` and `Infinity`, as Python and XGBoost write them. Its nesting is
/// bounded by the library.
pub(crate) fn read(data: &[u8]) -> Result<Document, Fault> {
    serde_json::from_slice(&without_words(data)).map_err(|error| {
        let lines = data.split(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        let line_start: usize = lines.map(|line| line.len() + 1).sum();
        Fault::damaged(line_start + error.column(), error.to_string())
    })
}

/// The text with numbers that JSON does not know in words that it does: null is read as NaN where numbers are, and what is
/// beyond 32 bits as infinity where numbers have 32 bits.
fn without_words(data: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: &[(&[u8], &[u8])] = &[(b"NaN", b"null"), (b"Infinity", b"1e39")];
    if WORDS.iter().all(|(word, _)| memmem(data, word).is_none()) {
        return Cow::Borrowed(data);
    }
    let mut plain = Vec::with_capacity(data.len() + data.len() / 2);
    let (mut at, mut is_text) = (0, false);
    while at < data.len() {
        let word = WORDS.iter().find(|(word, _)| !is_text && data[at..].starts_with(word));
        if let Some((word, known)) = word {
            plain.extend_from_slice(known);
            at += word.len();
            continue;
        }
        // In a text a backslash takes the next byte's meaning.
        let n_bytes = if is_text && data[at] == b'\\' { 2 } else { 1 };
        is_text ^= data[at] == b'"';
        let end = data.len().min(at + n_bytes);
        plain.extend_from_slice(&data[at..end]);
        at = end;
    }
    Cow::Owned(plain)
}

fn memmem(data: &[u8], word: &[u8]) -> Option<usize> {
    data.windows(word.len()).position(|window| window == word)
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Document, E> {
        Ok(Document::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Document, E> {
        Ok(Document::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Document, E> {
        Ok(Document::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Document, E> {
        Ok(Document::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Document, E> {
        Ok(Document::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Document, A::Error> {
        let mut list = Collected::default();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(list.finish())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Document::Map(pairs))
    }
}
