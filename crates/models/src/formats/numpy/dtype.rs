//! Element types of numpy arrays.

use crate::fault::Fault;
use crate::record::{Id, Records};

/// The type of an array's elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dtype {
    pub(crate) kind: Kind,
    /// Bytes per element.
    pub(crate) size: usize,
    pub(crate) big_endian: bool,
    /// The fields of a structured type.
    pub(crate) fields: Vec<Field>,
}

/// What the bytes of an element mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    /// Bytes, padded with zeros.
    Bytes,
    /// Text of 32-bit characters, padded with zeros.
    Text,
    /// A Python object.
    Object,
    /// Several fields.
    Struct,
    /// Of a known size, but never looked into.
    Opaque,
}

/// One field of a structured type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    /// Where in the element it begins.
    pub(crate) offset: usize,
}

impl Dtype {
    /// Reads what numpy writes for a plain type: `<f8`, `|b1`, `U12`, `O`.
    pub(crate) fn parse(code: &str) -> Option<Self> {
        let (big_endian, code) = match code.as_bytes().first()? {
            b'>' => (true, &code[1..]),
            b'<' | b'|' | b'=' => (false, &code[1..]),
            _ => (false, code),
        };
        let letter = code.chars().next()?;
        let digits = code[letter.len_utf8()..].split('[').next()?;
        let size = if digits.is_empty() { None } else { Some(digits.parse::<usize>().ok()?) };
        let (kind, size) = match (letter, size) {
            ('b' | '?', Some(1) | None) => (Kind::Bool, 1),
            ('i', Some(size @ (1 | 2 | 4 | 8))) => (Kind::Int, size),
            ('u', Some(size @ (1 | 2 | 4 | 8))) => (Kind::Uint, size),
            ('f', Some(size @ (2 | 4 | 8))) => (Kind::Float, size),
            ('S' | 'a', size) => (Kind::Bytes, size.unwrap_or(0)),
            ('U', size) => (Kind::Text, size.unwrap_or(0).checked_mul(4)?),
            ('O', _) => (Kind::Object, 8),
            ('V' | 'f' | 'c' | 'm' | 'M', Some(size)) => (Kind::Opaque, size),
            _ => return None,
        };
        Some(Self { kind, size, big_endian, fields: Vec::new() })
    }

    /// Reads a pickled `numpy.dtype`: a code, then its byte order and fields as state.
    pub(crate) fn from_records(records: &Records<'_>, id: Id) -> Result<Self, Fault> {
        let dtype = Self::plain(records, id).and_then(|(dtype, state)| dtype.with_fields(records, state));
        dtype.ok_or_else(|| Fault::inconsistent("numpy.dtype", "it has an unknown form"))
    }

    /// The type itself, and the state that says more about it.
    fn plain<'r>(records: &'r Records<'_>, id: Id) -> Option<(Self, &'r [Id])> {
        let instance = records.instance(id).filter(|instance| &*instance.class == "numpy.dtype")?;
        let code = records.arguments(instance).first().and_then(|code| records.text(*code))?;
        let state = instance.state.and_then(|state| records.sequence(state)).unwrap_or_default();
        let mut dtype = Self::parse(code)?;
        dtype.big_endian = state.get(1).and_then(|order| records.text(*order)) == Some(">");
        Some((dtype, state))
    }

    /// The fields of a structured type, which are plain themselves: (…, names, {name: (type, offset)}, …).
    fn with_fields(mut self, records: &Records<'_>, state: &[Id]) -> Option<Self> {
        let names = state.get(3).and_then(|names| records.sequence(*names));
        let (Some(names), Some(fields)) = (names, state.get(4)) else { return Some(self) };
        self.kind = Kind::Struct;
        for name in names {
            let name = records.text(*name)?;
            let field = records.sequence(records.attribute(*fields, name)?)?;
            let (dtype, _) = Self::plain(records, *field.first()?)?;
            let offset = usize::try_from(records.int(*field.get(1)?)?).ok()?;
            self.add_field(name, dtype, offset).then_some(())?;
        }
        Some(self)
    }

    /// A structured type of `size` bytes without fields yet.
    pub(crate) fn structure(size: usize) -> Self {
        Self { kind: Kind::Struct, size, big_endian: false, fields: Vec::new() }
    }

    /// Adds a field, if it lies inside the element.
    pub(crate) fn add_field(&mut self, name: &str, dtype: Self, offset: usize) -> bool {
        let fits = offset.checked_add(dtype.size).is_some_and(|end| end <= self.size);
        if fits {
            self.fields.push(Field { name: name.to_owned(), dtype, offset });
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, kind: Kind, size: usize, big_endian: bool) {
        let dtype = Dtype::parse(code).expect(code);
        assert_eq!((dtype.kind, dtype.size, dtype.big_endian), (kind, size, big_endian), "{code}");
    }

    #[test]
    fn codes_are_read_as_numpy_writes_them() {
        check("f8", Kind::Float, 8, false);
        check("<f4", Kind::Float, 4, false);
        check(">i8", Kind::Int, 8, true);
        check("|b1", Kind::Bool, 1, false);
        check("|u1", Kind::Uint, 1, false);
        check("U12", Kind::Text, 48, false);
        check("<U0", Kind::Text, 0, false);
        check("S3", Kind::Bytes, 3, false);
        check("O8", Kind::Object, 8, false);
        check("V64", Kind::Opaque, 64, false);
        check("<M8[ns]", Kind::Opaque, 8, false);
        check("f16", Kind::Opaque, 16, false);
    }

    #[test]
    fn other_codes_are_refused() {
        for code in ["", "<", "i3", "f", "x4", "U99999999999999999999", "i-1"] {
            assert_eq!(Dtype::parse(code), None, "{code}");
        }
    }
}
