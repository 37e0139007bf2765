//! numpy's own file format, `.npy` (numpy.lib.format): magic, version, a Python literal that says type, order and
//! shape, then the elements.

use crate::fault::Fault;
use crate::formats::cursor::Cursor;
use crate::formats::numpy::{Array, Dtype, Kind};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Dimensions and fields in a header; both are few.
const MAX_LIST: usize = 64;

/// Reads a whole `.npy` file.
pub(crate) fn read(data: &[u8]) -> Result<Array<'_>, Fault> {
    let mut cursor = Cursor::new(data);
    if cursor.take(MAGIC.len())? != MAGIC {
        return Err(Fault::damaged(0, "it does not begin as a numpy file"));
    }
    let [major, _minor] = cursor.array()?;
    let header_length = match major {
        1 => usize::from(u16::from_le_bytes(cursor.array()?)),
        _ => u32::from_le_bytes(cursor.array()?) as usize,
    };
    let header_start = cursor.position();
    let header = cursor.take(header_length)?;
    let header = std::str::from_utf8(header)
        .ok()
        .and_then(Header::parse)
        .ok_or_else(|| Fault::damaged(header_start, "the numpy header is not understood"))?;
    let elements = &data[cursor.position()..];
    Array::new(header.dtype, header.shape, header.fortran, elements)
}

struct Header {
    dtype: Dtype,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Option<Self> {
        let mut literal = Literal { rest: text };
        let (mut dtype, mut fortran, mut shape) = (None, None, None);
        literal.expect('{')?;
        while !literal.accept('}') {
            let key = literal.quoted()?;
            literal.expect(':')?;
            match key {
                "descr" => dtype = Some(literal.dtype()?),
                "fortran_order" => fortran = Some(literal.word()? == "True"),
                "shape" => shape = Some(literal.numbers()?),
                _ => return None,
            }
            literal.accept(',');
        }
        Some(Self { dtype: dtype?, fortran: fortran?, shape: shape? })
    }
}

/// A Python literal, as far as numpy headers need one.
struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn accept(&mut self, wanted: char) -> bool {
        match self.rest.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.accept(wanted).then_some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        self.expect('\'')?;
        let (text, rest) = self.rest.split_once('\'')?;
        self.rest = rest;
        Some(text)
    }

    fn word(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start();
        let end = text.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn numbers(&mut self) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        self.expect('(')?;
        while !self.accept(')') {
            numbers.push(self.word()?.parse().ok()?);
            self.accept(',');
            (numbers.len() <= MAX_LIST).then_some(())?;
        }
        Some(numbers)
    }

    /// A code, or a list of fields one behind another; fields without a name are gaps.
    fn dtype(&mut self) -> Option<Dtype> {
        if !self.accept('[') {
            return Dtype::parse(self.quoted()?).filter(|dtype| dtype.kind != Kind::Object);
        }
        let mut fields = Vec::new();
        while !self.accept(']') {
            self.expect('(')?;
            let name = self.quoted()?;
            self.expect(',')?;
            fields.push((name, Dtype::parse(self.quoted()?)?));
            self.expect(')')?;
            self.accept(',');
            (fields.len() <= MAX_LIST).then_some(())?;
        }
        let size = fields.iter().try_fold(0_usize, |size, (_, dtype)| size.checked_add(dtype.size))?;
        let mut structure = Dtype::structure(size);
        let mut offset = 0;
        for (name, dtype) in fields {
            let end = offset + dtype.size;
            if !name.is_empty() {
                structure.add_field(name, dtype, offset);
            }
            offset = end;
        }
        Some(structure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, elements: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), elements].concat()
    }

    #[test]
    fn plain_arrays() {
        let bytes =
            file("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2), }\n", &[1, 0, 3, 0, 2, 0, 4, 0]);
        assert_eq!(read(&bytes).unwrap().longs().unwrap(), [1, 2, 3, 4]);
        let scalar = file("{'descr': '|u1', 'fortran_order': False, 'shape': (), }", &[7]);
        assert_eq!(read(&scalar).unwrap().longs().unwrap(), [7]);
    }

    #[test]
    fn fields_with_gaps() {
        let header = "{'descr': [('left', '<i4'), ('flag', '|u1'), ('', '|V3')], 'fortran_order': False, 'shape': (2,), }";
        let bytes = file(header, &[5, 0, 0, 0, 1, 9, 9, 9, 6, 0, 0, 0, 0, 9, 9, 9]);
        let array = read(&bytes).unwrap();
        assert_eq!(array.field_longs("left").unwrap(), [5, 6]);
        assert_eq!(array.field_longs("flag").unwrap(), [1, 0]);
        assert_eq!(array.field_longs("gap"), None);
    }

    #[test]
    fn what_is_no_numpy_file_is_refused() {
        assert!(read(b"PK").is_err());
        assert!(read(&file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &[0; 8])).is_err());
        assert!(read(&file("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", &[0; 8])).is_err());
        assert!(read(&file("{'descr': '<f8', 'shape': (1,)", &[0; 8])).is_err());
    }
}
