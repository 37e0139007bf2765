//! Reading JSON straight from bytes, value by value, without a tree.
//!
//! The reader takes what RFC 8259 allows, and `NaN`, `Infinity` and `-Infinity`, which Python writes. It never recurses
//! deeper than [`MAX_DEPTH`], never allocates but for a string with escapes, and looks at each byte a bounded number of
//! times.
//!
//! ```text
//! let mut reader = Reader::new(br#"{"instances": [1, 2.5]}"#);
//! let mut members = reader.object()?;
//! while let Some(key) = members.next(&mut reader)? {
//!     let mut items = reader.array()?;
//!     while items.next(&mut reader)? {
//!         reader.scalar()?;
//!     }
//! }
//! reader.end()?;
//! ```

mod matrix;
mod number;
pub(crate) mod write;

use std::borrow::Cow;
use std::fmt;

/// How deep arrays and objects may nest.
pub(crate) const MAX_DEPTH: usize = 64;

/// How many bytes a number may have. The longest exact decimal of a double has fewer than 1 100.
pub(crate) const MAX_NUMBER_LENGTH: usize = 1200;

/// A place in a JSON text, from which the next value is read. A clone reads the same value again.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

/// What kind of value comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    Number,
    Boolean,
    Null,
}

/// A value that holds no others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Boolean(bool),
    /// A number without fraction and exponent that fits.
    Long(i64),
    /// Any other number.
    Double(f64),
    Text(Cow<'a, str>),
}

/// The members of an object that was begun.
#[derive(Debug)]
pub(crate) struct Members {
    is_first: bool,
}

/// The items of an array that was begun.
#[derive(Debug)]
pub(crate) struct Items {
    is_first: bool,
}

/// Why bytes are not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub(crate) struct JsonError {
    /// Where, from 0.
    pub(crate) offset: usize,
    /// What is wrong there.
    pub(crate) problem: JsonProblem,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonProblem {
    #[error("expected {expected}, got {got}")]
    Unexpected { expected: &'static str, got: String },
    #[error("the text ends where {expected} is expected")]
    Truncated { expected: &'static str },
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("a number of more than {MAX_NUMBER_LENGTH} bytes")]
    LongNumber,
    #[error("a number that no double can hold")]
    HugeNumber,
    #[error("a string that is not UTF-8")]
    NotUtf8,
    #[error("a control character in a string, which must be escaped")]
    ControlCharacter,
    #[error("an escape that JSON does not have")]
    BadEscape,
}

/// What some editors write before a text in UTF-8; a reader may skip it (RFC 8259 section 8.1).
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

type Result<T, E = JsonError> = std::result::Result<T, E>;

// === impl Reader ===

impl<'a> Reader<'a> {
    /// A reader at the start of a text.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self { bytes, at, depth: 0 }
    }

    /// The kind of the next value, which stays where it is.
    pub(crate) fn peek(&mut self) -> Result<Kind> {
        self.skip_whitespace();
        match self.bytes.get(self.at) {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Begins an object.
    pub(crate) fn object(&mut self) -> Result<Members> {
        self.begin(b'{', "an object")?;
        Ok(Members { is_first: true })
    }

    /// Begins an array.
    pub(crate) fn array(&mut self) -> Result<Items> {
        self.begin(b'[', "an array")?;
        Ok(Items { is_first: true })
    }

    /// Reads a value that holds no others.
    #[inline]
    pub(crate) fn scalar(&mut self) -> Result<Scalar<'a>> {
        match self.peek()? {
            Kind::Number => self.number(),
            Kind::Text => self.text().map(Scalar::Text),
            Kind::Boolean if self.bytes[self.at] == b't' => self.word("true", Scalar::Boolean(true)),
            Kind::Boolean => self.word("false", Scalar::Boolean(false)),
            Kind::Null => self.word("null", Scalar::Null),
            Kind::Object | Kind::Array => Err(self.unexpected("a single value")),
        }
    }

    /// Reads a number as nearly all are written, with few digits and no exponent. `None`, and nothing read, for all else.
    #[inline]
    pub(crate) fn plain_number(&mut self) -> Option<f64> {
        self.skip_whitespace();
        let (number, length) = number::plain(&self.bytes[self.at..])?;
        self.at += length;
        Some(number)
    }

    /// Reads a string. Without escapes it is a part of the text.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>> {
        self.skip_whitespace();
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.unexpected("a string"));
        }
        self.at += 1;
        let start = self.at;
        match self.next_special() {
            Some(b'"') => {
                let text = self.utf8(start)?;
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            _ => self.text_with_escapes(start).map(Cow::Owned),
        }
    }

    /// Passes over the next string if it is written as this one, which is in quotes and has no escapes.
    #[inline]
    pub(crate) fn take(&mut self, quoted: &[u8]) -> bool {
        self.skip_whitespace();
        let is_there = self.bytes[self.at..].starts_with(quoted);
        self.at += if is_there { quoted.len() } else { 0 };
        is_there
    }

    /// Passes over the next value, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<()> {
        match self.peek()? {
            Kind::Object => {
                let mut members = self.object()?;
                while members.next(self)?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
            Kind::Array => {
                let mut items = self.array()?;
                while items.next(self)? {
                    self.skip()?;
                }
                Ok(())
            }
            _ => self.scalar().map(drop),
        }
    }

    /// Makes sure that nothing but whitespace is left.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.skip_whitespace();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    fn begin(&mut self, bracket: u8, expected: &'static str) -> Result<()> {
        self.skip_whitespace();
        if self.bytes.get(self.at) != Some(&bracket) {
            return Err(self.unexpected(expected));
        }
        if self.depth == MAX_DEPTH {
            return Err(self.error(JsonProblem::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Passes the bracket that ends an array or object, or the comma before the next part. Says whether there is one.
    #[inline]
    fn next_part(&mut self, is_first: &mut bool, bracket: u8, expected: &'static str) -> Result<bool> {
        self.skip_whitespace();
        match self.bytes.get(self.at) {
            Some(&byte) if byte == bracket => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ if std::mem::take(is_first) => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn word(&mut self, word: &'static str, value: Scalar<'a>) -> Result<Scalar<'a>> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Scalar<'a>> {
        let (value, length) = number::read(&self.bytes[self.at..]).map_err(|(length, problem)| {
            self.at += length;
            match problem {
                number::Problem::NotANumber if self.at == self.bytes.len() => {
                    self.error(JsonProblem::Truncated { expected: "a digit" })
                }
                number::Problem::NotANumber => self.unexpected("a number"),
                number::Problem::TooLong => self.error(JsonProblem::LongNumber),
                number::Problem::TooLarge => self.error(JsonProblem::HugeNumber),
            }
        })?;
        self.at += length;
        Ok(value)
    }

    fn text_with_escapes(&mut self, start: usize) -> Result<String> {
        let mut text = String::new();
        let mut start = start;
        loop {
            match self.next_special() {
                None => return Err(self.error(JsonProblem::Truncated { expected: "the end of a string" })),
                Some(b'"') => {
                    text.push_str(self.utf8(start)?);
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    text.push_str(self.utf8(start)?);
                    text.push(self.escape()?);
                    start = self.at;
                }
                Some(_) => return Err(self.error(JsonProblem::ControlCharacter)),
            }
        }
    }

    /// Goes to the next byte of a string that is not simply a part of it.
    #[inline]
    fn next_special(&mut self) -> Option<u8> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ');
        self.at += length.unwrap_or(rest.len());
        self.bytes.get(self.at).copied()
    }

    fn utf8(&self, start: usize) -> Result<&'a str> {
        std::str::from_utf8(&self.bytes[start..self.at])
            .map_err(|error| JsonError { offset: start + error.valid_up_to(), problem: JsonProblem::NotUtf8 })
    }

    fn escape(&mut self) -> Result<char> {
        let bad = self.error(JsonProblem::BadEscape);
        let letter = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        match letter {
            Some(letter @ (b'"' | b'\\' | b'/')) => Ok(char::from(letter)),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => {
                let first = self.hex4().ok_or_else(|| bad.clone())?;
                let is_high_surrogate = (0xd800..0xdc00).contains(&first);
                if !is_high_surrogate {
                    return char::from_u32(first).ok_or(bad);
                }
                let has_second = self.bytes[self.at..].starts_with(b"\\u");
                self.at += 2;
                let second = if has_second { self.hex4() } else { None };
                let second = second.filter(|second| (0xdc00..0xe000).contains(second));
                let combined = second.map(|second| 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
                combined.and_then(char::from_u32).ok_or(bad)
            }
            _ => Err(bad),
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
    }

    #[inline]
    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn unexpected(&self, expected: &'static str) -> JsonError {
        match self.bytes.get(self.at) {
            None => self.error(JsonProblem::Truncated { expected }),
            Some(byte @ b'!'..=b'~') => {
                let got = format!("`{}`", char::from(*byte));
                self.error(JsonProblem::Unexpected { expected, got })
            }
            Some(byte) => self.error(JsonProblem::Unexpected { expected, got: format!("byte 0x{byte:02x}") }),
        }
    }

    fn error(&self, problem: JsonProblem) -> JsonError {
        JsonError { offset: self.at.min(self.bytes.len()), problem }
    }
}

// === impl Kind ===

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Array => "a list",
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Null => "null",
        })
    }
}

// === impl Members ===

impl Members {
    /// The key of the next member, whose value is then read; `None` after the last one.
    #[inline]
    pub(crate) fn next<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>> {
        if !reader.next_part(&mut self.is_first, b'}', "`,` or `}`")? {
            return Ok(None);
        }
        let key = reader.text()?;
        reader.skip_whitespace();
        if reader.bytes.get(reader.at) != Some(&b':') {
            return Err(reader.unexpected("`:`"));
        }
        reader.at += 1;
        Ok(Some(key))
    }
}

// === impl Items ===

impl Items {
    /// Whether there is a next item, which is then read.
    #[inline]
    pub(crate) fn next(&mut self, reader: &mut Reader<'_>) -> Result<bool> {
        reader.next_part(&mut self.is_first, b']', "`,` or `]`")
    }
}

#[cfg(test)]
mod tests;
