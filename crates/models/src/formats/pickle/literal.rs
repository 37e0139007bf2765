//! Values as pickle writes them inside opcodes; protocol 0 writes most of them as text.

use std::borrow::Cow;

use crate::fault::Fault;
use crate::record::Record;

/// A whole number in decimal digits, with the `L` of Python 2.
pub(super) fn decimal<'a>(digits: &[u8], offset: usize) -> Result<Record<'a>, Fault> {
    let digits = digits.strip_suffix(b"L").unwrap_or(digits);
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
        return Err(Fault::damaged(offset, "a number is not one"));
    }
    let int = str(digits).and_then(|digits| digits.parse().ok());
    Ok(int.map_or(Record::HugeInt, Record::Int))
}

/// A whole number in two's complement, least significant byte first.
pub(super) fn long<'a>(bytes: &[u8]) -> Record<'a> {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    if bytes.len() > 8 {
        return Record::HugeInt;
    }
    let mut number = [if negative { 0xff } else { 0 }; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    Record::Int(i64::from_le_bytes(number))
}

/// A number as Python prints it.
pub(super) fn float<'a>(line: &[u8], offset: usize) -> Result<Record<'a>, Fault> {
    let number = str(line).and_then(|line| line.parse().ok());
    number.map(Record::Float).ok_or_else(|| Fault::damaged(offset, "a number is not one"))
}

/// A number in the memo.
pub(super) fn index(line: &[u8], offset: usize) -> Result<usize, Fault> {
    let index = str(line).and_then(|line| line.parse().ok());
    index.ok_or_else(|| Fault::damaged(offset, "a memo number is not one"))
}

/// What Python 2 calls `str`: a text if it is ASCII, else bytes.
pub(super) fn old_text(bytes: &[u8]) -> Record<'_> {
    match str(bytes).filter(|text| text.is_ascii()) {
        Some(text) => Record::Text(Cow::Borrowed(text)),
        None => Record::Bytes(Cow::Borrowed(bytes)),
    }
}

/// A Python 2 `str` as source code: quotes and backslashes.
pub(super) fn quoted(line: &[u8], offset: usize) -> Result<Record<'_>, Fault> {
    let quote = line.first().filter(|quote| matches!(quote, b'\'' | b'"'));
    let inner = quote.and_then(|quote| line[1..].strip_suffix(std::slice::from_ref(quote)));
    let inner = inner.ok_or_else(|| Fault::damaged(offset, "a text is not quoted"))?;
    if !inner.contains(&b'\\') {
        return Ok(old_text(inner));
    }
    let bytes = unescape(inner).ok_or_else(|| Fault::damaged(offset, "a text is escaped wrongly"))?;
    match String::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Ok(Record::Text(Cow::Owned(text))),
        Ok(text) => Ok(Record::Bytes(Cow::Owned(text.into_bytes()))),
        Err(error) => Ok(Record::Bytes(Cow::Owned(error.into_bytes()))),
    }
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&letter, after) = rest.split_first()?;
        rest = after;
        match letter {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'\\' | b'\'' | b'"' => bytes.push(letter),
            b'x' => {
                let (digits, after) = rest.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(str(digits)?, 16).ok()?);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

/// A text of protocol 0: Latin-1 bytes, with `\u` and `\U` escapes for the rest.
pub(super) fn escaped_unicode(line: &[u8], offset: usize) -> Result<Record<'_>, Fault> {
    if !line.contains(&b'\\')
        && let Some(text) = str(line).filter(|text| text.is_ascii())
    {
        return Ok(Record::Text(Cow::Borrowed(text)));
    }
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        let n_digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                rest = after;
                continue;
            }
        };
        let digits = after[1..].get(..n_digits).and_then(str);
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let letter = code.and_then(char::from_u32);
        text.push(letter.ok_or_else(|| Fault::damaged(offset, "a text is escaped wrongly"))?);
        rest = &after[1 + n_digits..];
    }
    Ok(Record::Text(Cow::Owned(text)))
}

fn str(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(record: &Record<'_>) -> String {
        match record {
            Record::Text(text) => text.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn long_numbers_have_a_sign() {
        assert!(matches!(long(&[]), Record::Int(0)));
        assert!(matches!(long(&[0xff]), Record::Int(-1)));
        assert!(matches!(long(&[0xff, 0x00]), Record::Int(255)));
        assert!(matches!(long(&[0; 9]), Record::HugeInt));
        assert!(matches!(decimal(b"-12L", 0), Ok(Record::Int(-12))));
        assert!(matches!(decimal(b"99999999999999999999", 0), Ok(Record::HugeInt)));
        assert!(decimal(b"1_0", 0).is_err());
    }

    #[test]
    fn texts_of_protocol_0() {
        assert_eq!(text(&escaped_unicode(b"gr\xfcn \\u20ac \\U0001f600", 0).unwrap()), "grün € 😀");
        assert_eq!(text(&escaped_unicode(b"a\\", 0).unwrap()), "a\\");
        assert!(escaped_unicode(b"\\ud800", 0).is_err());
        assert_eq!(text(&quoted(b"'it\\'s \\x41'", 0).unwrap()), "it's A");
        assert!(matches!(quoted(b"'\\xff\\n'", 0), Ok(Record::Bytes(bytes)) if *bytes == b"\xff\n"[..]));
        assert!(quoted(b"'", 0).is_err());
        assert!(quoted(b"abc", 0).is_err());
    }
}
