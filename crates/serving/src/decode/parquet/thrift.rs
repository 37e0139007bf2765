//! The compact protocol of Apache Thrift, in which Parquet describes itself, read into a tree.

use super::Problem;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Boolean(bool),
    Integer(i64),
    Double,
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Struct(Vec<(i16, Value<'a>)>),
}

/// How deep values may lie in each other.
const MAX_DEPTH: usize = 16;
/// How many values one structure may have: those of a thousand columns in a hundred groups of rows.
const MAX_VALUES: usize = 1 << 21;

/// What is still to be read.
#[derive(Debug, Clone)]
pub(super) struct Bytes<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(|| Problem::new("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Problem> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| Problem::new("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A number with seven bits in each byte, the lowest first.
    pub(super) fn varint(&mut self) -> Result<u64, Problem> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Problem::new("a number is too long"))
    }

    /// A number whose sign is its lowest bit.
    pub(super) fn zigzag(&mut self) -> Result<i64, Problem> {
        let number = self.varint()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn length(&mut self) -> Result<usize, Problem> {
        usize::try_from(self.varint()?).map_err(|_| Problem::new("a length is too large"))
    }
}

/// Reads a structure.
pub(super) fn structure<'a>(bytes: &mut Bytes<'a>) -> Result<Value<'a>, Problem> {
    let mut left = MAX_VALUES;
    value(bytes, STRUCT, 0, &mut left)
}

const STRUCT: u8 = 12;

fn value<'a>(bytes: &mut Bytes<'a>, kind: u8, depth: usize, left: &mut usize) -> Result<Value<'a>, Problem> {
    *left = left.checked_sub(1).ok_or_else(|| Problem::new("its description is too long"))?;
    if depth > MAX_DEPTH {
        return Err(Problem::new("its description is too deep"));
    }
    Ok(match kind {
        1 => Value::Boolean(true),
        2 => Value::Boolean(false),
        3 => Value::Integer(i64::from(bytes.byte()?.cast_signed())),
        4..=6 => Value::Integer(bytes.zigzag()?),
        7 => {
            bytes.take(8)?;
            Value::Double
        }
        8 => {
            let length = bytes.length()?;
            Value::Bytes(bytes.take(length)?)
        }
        9 | 10 => {
            let head = bytes.byte()?;
            let length = if head >> 4 == 15 { bytes.length()? } else { usize::from(head >> 4) };
            let mut items = Vec::new();
            for _ in 0..length {
                items.push(match head & 0xf {
                    1 | 2 => {
                        *left =
                            left.checked_sub(1).ok_or_else(|| Problem::new("its description is too long"))?;
                        Value::Boolean(bytes.byte()? == 1)
                    }
                    kind => value(bytes, kind, depth + 1, left)?,
                });
            }
            Value::List(items)
        }
        STRUCT => {
            let (mut fields, mut id) = (Vec::new(), 0_i16);
            loop {
                let head = bytes.byte()?;
                if head == 0 {
                    break Value::Struct(fields);
                }
                id = match head >> 4 {
                    0 => i16::try_from(bytes.zigzag()?).map_err(|_| Problem::new("a field has no number"))?,
                    delta => {
                        id.checked_add(delta.into()).ok_or_else(|| Problem::new("a field has no number"))?
                    }
                };
                fields.push((id, value(bytes, head & 0xf, depth + 1, left)?));
            }
        }
        _ => return Err(Problem::new("its description has a value of a kind that is not known")),
    })
}

impl<'a> Value<'a> {
    /// A field of a structure.
    pub(super) fn get(&self, id: i16) -> Option<&Value<'a>> {
        let Self::Struct(fields) = self else { return None };
        fields.iter().find(|(known, _)| *known == id).map(|(_, value)| value)
    }

    pub(super) fn integer(&self, id: i16) -> Option<i64> {
        match self.get(id)? {
            Self::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// A number that counts something.
    pub(super) fn count(&self, id: i16) -> Option<usize> {
        usize::try_from(self.integer(id)?).ok()
    }

    pub(super) fn text(&self, id: i16) -> Option<&'a str> {
        match self.get(id)? {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub(super) fn list(&self, id: i16) -> &[Value<'a>] {
        match self.get(id) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }
}
