//! The pages of a column: each is unpacked, and its values are handed on one by one.

use super::encodings::{Plain, deltas, hybrid, of_integer};
use super::metadata::{Chunk, Column, Physical};
use super::thrift::{self, Bytes, Value};
use super::{Budget, Problem, codecs};
use crate::json::Scalar;

/// Hands on all values of a column in one group of rows.
pub(super) fn read(
    file: &[u8],
    column: &Column,
    chunk: &Chunk,
    budget: &mut Budget,
    take: &mut dyn FnMut(Scalar<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let end = chunk.start.checked_add(chunk.length);
    let bytes =
        end.and_then(|end| file.get(chunk.start..end)).ok_or_else(|| Problem::new("it is cut off"))?;
    let mut bytes = Bytes { rest: bytes };
    let mut n_left = chunk.n_values;
    if n_left == 0 {
        return Ok(());
    }
    let first = Page::read(&mut bytes, chunk.codec, budget)?;
    let (dictionary_page, mut first) = match first.kind {
        Kind::Dictionary => (Some(first), None),
        _ => (None, Some(first)),
    };
    let dictionary = Dictionary::read(dictionary_page.as_ref(), column)?;
    while n_left > 0 {
        let page = first.take().map_or_else(|| Page::read(&mut bytes, chunk.codec, budget), Ok)?;
        match page.kind {
            Kind::Index => {}
            Kind::Dictionary => return Err(Problem::new("its dictionary is not at its beginning")),
            Kind::Data { .. } => {
                let left = n_left.checked_sub(page.n_values);
                n_left = left.ok_or_else(|| Problem::new("a page has more values than its column"))?;
                page.values(column, &dictionary, budget, take)?;
            }
        }
    }
    Ok(())
}

/// A page, unpacked.
struct Page {
    kind: Kind,
    n_values: usize,
    encoding: i64,
    bytes: Vec<u8>,
}

/// What a page holds.
enum Kind {
    Data {
        /// In pages of the second version: how many bytes say which values are there.
        level_bytes: Option<usize>,
    },
    Dictionary,
    Index,
}

impl Page {
    fn read(bytes: &mut Bytes<'_>, codec: i64, budget: &mut Budget) -> Result<Self, Problem> {
        let broken = || Problem::new("the head of a page is broken");
        let head = thrift::structure(bytes)?;
        let n_unpacked = head.count(2).ok_or_else(broken)?;
        let packed = bytes.take(head.count(3).ok_or_else(broken)?)?;
        budget.unpack(n_unpacked)?;
        let of = |field: i16| head.get(field).ok_or_else(broken);
        let counted = |of: &Value<'_>, encoding: i16| {
            Ok((of.count(1).ok_or_else(broken)?, of.integer(encoding).ok_or_else(broken)?))
        };
        let unpacked =
            |packed: &[u8], n: usize| codecs::unpack(codec, packed, n).map(std::borrow::Cow::into_owned);
        match head.integer(1) {
            Some(0) => {
                let (n_values, encoding) = counted(of(5)?, 2)?;
                let kind = Kind::Data { level_bytes: None };
                Ok(Self { kind, n_values, encoding, bytes: unpacked(packed, n_unpacked)? })
            }
            Some(1) => Ok(Self { kind: Kind::Index, n_values: 0, encoding: 0, bytes: Vec::new() }),
            Some(2) => {
                let (n_values, encoding) = counted(of(7)?, 2)?;
                Ok(Self { kind: Kind::Dictionary, n_values, encoding, bytes: unpacked(packed, n_unpacked)? })
            }
            Some(3) => {
                let data = of(8)?;
                let (n_values, encoding) = counted(data, 4)?;
                let (level_bytes, repeated) = (data.count(5).unwrap_or(0), data.count(6).unwrap_or(0));
                let (levels, values) = packed.split_at_checked(level_bytes).ok_or_else(broken)?;
                let n_after =
                    n_unpacked.checked_sub(level_bytes).filter(|_| repeated == 0).ok_or_else(broken)?;
                let is_packed = data.get(7) != Some(&Value::Boolean(false));
                let values = if is_packed { unpacked(values, n_after)? } else { values.to_vec() };
                let kind = Kind::Data { level_bytes: Some(level_bytes) };
                Ok(Self { kind, n_values, encoding, bytes: [levels, &values].concat() })
            }
            _ => Err(broken()),
        }
    }

    /// Hands on the values of a page with data.
    fn values(
        &self,
        column: &Column,
        dictionary: &Dictionary<'_>,
        budget: &mut Budget,
        take: &mut dyn FnMut(Scalar<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut bytes = Bytes { rest: &self.bytes };
        budget.check(self.n_values)?;
        let is_there = self.levels(&mut bytes, column)?;
        let n_there =
            is_there.as_ref().map_or(self.n_values, |is_there| is_there.iter().filter(|is| **is).count());
        let mut taking = Taking { is_there: is_there.map(Vec::into_iter), budget, take };
        let mut take = |value: Scalar<'_>| taking.take(value);
        match (self.encoding, column.physical) {
            (0, _) => {
                let mut plain = Plain::new(bytes.rest);
                for _ in 0..n_there {
                    take(plain.next(column)?)?;
                }
            }
            (2 | 8, _) if n_there == 0 => {}
            (2 | 8, _) => {
                let n_bits = bytes.byte()?;
                hybrid(&mut bytes, n_bits, n_there, |index| take(dictionary.get(index)?))?;
            }
            (3, Physical::Boolean) => {
                let length = u32::from_le_bytes(bytes.array()?) as usize;
                let mut bytes = Bytes { rest: bytes.take(length)? };
                hybrid(&mut bytes, 1, n_there, |bit| take(Scalar::Boolean(bit == 1)))?;
            }
            (5, Physical::Int32 | Physical::Int64) if n_there == 0 => {}
            (5, Physical::Int32 | Physical::Int64) => {
                let is_short = column.physical == Physical::Int32;
                deltas(&mut bytes, n_there, |number| {
                    let number = if is_short { i64::from(number as i32) } else { number };
                    take(of_integer(column.meaning, number)?)
                })?;
            }
            (6, Physical::Bytes) if n_there == 0 => {}
            (6, Physical::Bytes) => {
                let mut lengths = Vec::new();
                deltas(&mut bytes, n_there, |length| {
                    lengths.push(usize::try_from(length).map_err(|_| Problem::new("a text has no length"))?);
                    Ok(())
                })?;
                for length in lengths {
                    let text = std::str::from_utf8(bytes.take(length)?);
                    take(Scalar::Text(
                        text.map_err(|_| Problem::new("it holds bytes that are no text"))?.into(),
                    ))?;
                }
            }
            (encoding, _) => {
                let name = match encoding {
                    4 => "BIT_PACKED",
                    7 => "DELTA_BYTE_ARRAY",
                    9 => "BYTE_STREAM_SPLIT",
                    _ => "of its values",
                };
                let problem = format!(
                    "the encoding {name} is not read here; save it as pandas does unless told otherwise"
                );
                return Err(Problem::new(problem));
            }
        }
        taking.end()
    }

    /// Which values are there; nothing where none may be missing.
    fn levels(&self, bytes: &mut Bytes<'_>, column: &Column) -> Result<Option<Vec<bool>>, Problem> {
        let Kind::Data { level_bytes } = self.kind else { return Ok(None) };
        if !column.is_optional {
            bytes.take(level_bytes.unwrap_or(0))?;
            return Ok(None);
        }
        let length = match level_bytes {
            Some(length) => length,
            None => u32::from_le_bytes(bytes.array()?) as usize,
        };
        let mut levels = Bytes { rest: bytes.take(length)? };
        let mut is_there = Vec::with_capacity(self.n_values);
        hybrid(&mut levels, 1, self.n_values, |level| {
            is_there.push(level == 1);
            Ok(())
        })?;
        Ok(Some(is_there))
    }
}

/// Hands on values, and nulls between them.
struct Taking<'t> {
    is_there: Option<std::vec::IntoIter<bool>>,
    budget: &'t mut Budget,
    take: &'t mut dyn FnMut(Scalar<'_>) -> Result<(), Problem>,
}

impl Taking<'_> {
    fn take(&mut self, value: Scalar<'_>) -> Result<(), Problem> {
        self.nulls()?;
        self.one(value)
    }

    /// The nulls before the next value, and the place of that.
    fn nulls(&mut self) -> Result<(), Problem> {
        while self.is_there.as_mut().and_then(Iterator::next) == Some(false) {
            self.one(Scalar::Null)?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), Problem> {
        self.nulls()
    }

    fn one(&mut self, value: Scalar<'_>) -> Result<(), Problem> {
        self.budget.value(&value)?;
        (self.take)(value)
    }
}

/// The values that pages name by their numbers.
struct Dictionary<'a>(Vec<Scalar<'a>>);

impl<'a> Dictionary<'a> {
    fn read(page: Option<&'a Page>, column: &Column) -> Result<Self, Problem> {
        let Some(page) = page else { return Ok(Self(Vec::new())) };
        if !matches!(page.encoding, 0 | 2) || column.physical == Physical::Boolean {
            return Err(Problem::new("its dictionary is of an encoding that is not read here"));
        }
        let mut plain = Plain::new(&page.bytes);
        let mut values = Vec::new();
        for _ in 0..page.n_values {
            values.push(plain.next(column)?);
        }
        Ok(Self(values))
    }

    fn get(&self, index: u32) -> Result<Scalar<'_>, Problem> {
        let value =
            self.0.get(index as usize).ok_or_else(|| Problem::new("a value is not in its dictionary"))?;
        Ok(match value {
            Scalar::Text(text) => Scalar::Text((&**text).into()),
            value => value.clone(),
        })
    }
}
