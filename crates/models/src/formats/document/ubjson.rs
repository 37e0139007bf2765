//! Documents in UBJSON (<https://ubjson.org>, draft 12), as XGBoost writes them: numbers are big-endian.

use super::Document;
use crate::fault::Fault;
use crate::formats::cursor::Cursor;

/// Maps and lists inside each other.
const MAX_DEPTH: usize = 64;

/// Values of one file, besides numbers in lists of one type.
const MAX_VALUES: usize = 16 << 20;

/// Whether bytes begin as a UBJSON map does: with the length of a key, or with a count.
pub(crate) fn is_likely(data: &[u8]) -> bool {
    matches!(data, [b'{', b'i' | b'U' | b'I' | b'l' | b'L' | b'#' | b'$' | b'N', ..])
}

pub(crate) fn read(data: &[u8]) -> Result<Document, Fault> {
    let mut reader = Reader { cursor: Cursor::new(data), n_values: 0, depth: 0 };
    let marker = reader.marker()?;
    reader.value(marker)
}

struct Reader<'d> {
    cursor: Cursor<'d>,
    n_values: usize,
    depth: usize,
}

/// How a list or map goes on.
enum Extent {
    /// Until its end marker.
    Open,
    /// For so many values, each with its marker.
    Counted(usize),
    /// For so many values of one type.
    Typed(u8, usize),
}

impl Reader<'_> {
    fn problem(&self, problem: &str) -> Fault {
        Fault::damaged(self.cursor.position(), problem)
    }

    /// The next marker that is no padding.
    fn marker(&mut self) -> Result<u8, Fault> {
        loop {
            match self.cursor.byte()? {
                b'N' => {}
                marker => return Ok(marker),
            }
        }
    }

    fn value(&mut self, marker: u8) -> Result<Document, Fault> {
        self.n_values += 1;
        if self.n_values > MAX_VALUES {
            return Err(Fault::TooLarge { what: "values", limit: MAX_VALUES as u64 });
        }
        if let Some(size) = size(marker) {
            let bytes = self.cursor.take(size)?;
            return Ok(Document::Number(number(marker, bytes)));
        }
        match marker {
            b'Z' => Ok(Document::Null),
            b'T' => Ok(Document::Bool(true)),
            b'F' => Ok(Document::Bool(false)),
            b'C' => Ok(Document::Text(char::from(self.cursor.byte()?).to_string())),
            b'S' => Ok(Document::Text(self.text()?)),
            b'[' => self.nested(Self::list),
            b'{' => self.nested(Self::map),
            _ => Err(self.problem("an unknown type")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Document, Fault>) -> Result<Document, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::TooLarge {
                what: "lists and maps inside each other",
                limit: MAX_DEPTH as u64,
            });
        }
        let document = read(self)?;
        self.depth -= 1;
        Ok(document)
    }

    fn list(&mut self) -> Result<Document, Fault> {
        match self.extent()? {
            Extent::Typed(marker, n) => {
                let Some(size) = size(marker) else { return Err(self.problem("a list of an unknown type")) };
                let n_bytes = n.checked_mul(size).ok_or_else(|| self.problem("a length beyond memory"))?;
                let bytes = self.cursor.take(n_bytes)?;
                Ok(Document::Numbers(bytes.chunks_exact(size).map(|bytes| number(marker, bytes)).collect()))
            }
            Extent::Counted(n) => Document::list((0..n).map(|_| {
                let marker = self.marker()?;
                self.value(marker)
            })),
            Extent::Open => Document::list(std::iter::from_fn(|| match self.marker() {
                Ok(b']') => None,
                Ok(marker) => Some(self.value(marker)),
                Err(fault) => Some(Err(fault)),
            })),
        }
    }

    fn map(&mut self) -> Result<Document, Fault> {
        let mut pairs = Vec::new();
        let extent = self.extent()?;
        loop {
            let type_of_all = match extent {
                Extent::Open => None,
                Extent::Counted(n) | Extent::Typed(_, n) if pairs.len() == n => break,
                Extent::Counted(_) => None,
                Extent::Typed(marker, _) => Some(marker),
            };
            let marker = self.marker()?;
            if matches!(extent, Extent::Open) && marker == b'}' {
                break;
            }
            let n_bytes = self.length(marker)?;
            let key = self.text_of(n_bytes)?;
            let marker = match type_of_all {
                Some(marker) => marker,
                None => self.marker()?,
            };
            pairs.push((key, self.value(marker)?));
        }
        Ok(Document::Map(pairs))
    }

    fn extent(&mut self) -> Result<Extent, Fault> {
        let mut ahead = self.cursor.clone();
        let mut next = ahead.byte()?;
        let mut marker = None;
        if next == b'$' {
            marker = Some(ahead.byte()?);
            next = ahead.byte()?;
        }
        if next != b'#' {
            return match marker {
                None => Ok(Extent::Open),
                Some(_) => Err(self.problem("a type without a count")),
            };
        }
        self.cursor = ahead;
        let of_length = self.cursor.byte()?;
        let n = self.length(of_length)?;
        Ok(marker.map_or(Extent::Counted(n), |marker| Extent::Typed(marker, n)))
    }

    fn length(&mut self, marker: u8) -> Result<usize, Fault> {
        let Some(size) = size(marker).filter(|_| !matches!(marker, b'd' | b'D')) else {
            return Err(self.problem("no length"));
        };
        let bytes = self.cursor.take(size)?;
        usize::try_from(integer(marker, bytes)).map_err(|_| self.problem("a negative length"))
    }

    fn text(&mut self) -> Result<String, Fault> {
        let marker = self.cursor.byte()?;
        let n_bytes = self.length(marker)?;
        self.text_of(n_bytes)
    }

    fn text_of(&mut self, n_bytes: usize) -> Result<String, Fault> {
        let bytes = self.cursor.take(n_bytes)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.problem("a text that is not UTF-8"))
    }
}

/// Bytes of a number.
fn size(marker: u8) -> Option<usize> {
    match marker {
        b'i' | b'U' => Some(1),
        b'I' => Some(2),
        b'l' | b'd' => Some(4),
        b'L' | b'D' => Some(8),
        _ => None,
    }
}

/// The number in as many bytes as [`size`] says.
fn number(marker: u8, bytes: &[u8]) -> f64 {
    match marker {
        b'd' => f64::from(f32::from_bits(integer(b'U', bytes) as u32)),
        b'D' => f64::from_bits(integer(b'L', bytes) as u64),
        _ => integer(marker, bytes) as f64,
    }
}

/// Big-endian, with a sign unless it is `U`.
fn integer(marker: u8, bytes: &[u8]) -> i64 {
    let unsigned = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let n_other_bits = if marker == b'U' { 0 } else { 64 - 8 * bytes.len() };
    (unsigned << n_other_bits) as i64 >> n_other_bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_types_are_read() {
        let bytes = [
            b"{i\x01aTi\x01b[$d#l\0\0\0\x02\x3f\x80\0\0\xbf\x80\0\0i\x01c[#i\x02SU\x02hiT".as_slice(),
            b"i\x01d[i\xffU\xffI\xff\xfel\0\0\0\x07L\0\0\0\0\0\0\0\x08D\x3f\xe0\0\0\0\0\0\0]",
            b"i\x01e{#i\x01i\x01xFNi\x01f{}}",
        ]
        .concat();
        let json = r#"{"a": true, "b": [1, -1], "c": ["hi", true], "d": [-1, 255, -2, 7, 8, 0.5],
            "e": {"x": false}, "f": {}}"#;
        assert_eq!(read(&bytes).unwrap(), super::super::json::read(json.as_bytes()).unwrap());
        assert!(is_likely(&bytes) && !is_likely(json.as_bytes()));
    }

    #[test]
    fn what_lies_about_its_size_is_refused() {
        for bytes in [
            b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff".as_slice(),
            b"[#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"[#i\xff",
            b"[$Z#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"{L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"SL\0\0\0\0\0\0\0\x09abc",
        ] {
            assert!(matches!(read(bytes), Err(Fault::Damaged { .. })), "{bytes:?}");
        }
        assert!(matches!(read(&[b'['; 1000]), Err(Fault::TooLarge { .. })));
    }
}
