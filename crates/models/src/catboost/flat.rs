//! A reader for FlatBuffers (<https://flatbuffers.dev/internals>): tables, whose fields are found by number.

use super::LIBRARY;
use crate::fault::Fault;

/// A table: where it begins, and where the places of its fields are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'f> {
    data: &'f [u8],
    start: usize,
    fields: &'f [u8],
}

/// A list of values of the same size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vector<'f> {
    data: &'f [u8],
    /// Where the first value is.
    start: usize,
    bytes: &'f [u8],
}

fn array<const N: usize>(data: &[u8], at: usize) -> Result<[u8; N], Fault> {
    let bytes = at.checked_add(N).and_then(|end| data.get(at..end));
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Fault::damaged(at, format!("a place beyond the end of {LIBRARY}'s tables")))
}

/// The place that is told relative to where it is told.
fn follow(data: &[u8], at: usize) -> Result<usize, Fault> {
    let offset = u32::from_le_bytes(array(data, at)?);
    Ok(at.saturating_add(offset as usize))
}

// === impl Table ===

impl<'f> Table<'f> {
    pub(super) fn root(data: &'f [u8]) -> Result<Self, Fault> {
        Self::at(data, follow(data, 0)?)
    }

    fn at(data: &'f [u8], start: usize) -> Result<Self, Fault> {
        let back = i64::from(i32::from_le_bytes(array(data, start)?));
        let list = usize::try_from(start as i64 - back);
        let list = list.map_err(|_| Fault::damaged(start, "a table without a list of fields"))?;
        let n_bytes = usize::from(u16::from_le_bytes(array(data, list)?));
        let fields =
            list.checked_add(n_bytes).and_then(|end| data.get(list..end)).and_then(|list| list.get(4..));
        let fields = fields.ok_or_else(|| Fault::damaged(list, "a list of fields beyond the end"))?;
        Ok(Self { data, start, fields })
    }

    /// Where a field is, if it is not left out.
    fn place(&self, field: usize) -> Option<usize> {
        let place = self.fields.get(2 * field..2 * field + 2)?;
        match u16::from_le_bytes([place[0], place[1]]) {
            0 => None,
            offset => Some(self.start + usize::from(offset)),
        }
    }

    pub(super) fn byte(&self, field: usize) -> Result<Option<u8>, Fault> {
        self.place(field).map(|place| array::<1>(self.data, place).map(|[byte]| byte)).transpose()
    }

    pub(super) fn int(&self, field: usize) -> Result<Option<i32>, Fault> {
        self.place(field).map(|place| array(self.data, place).map(i32::from_le_bytes)).transpose()
    }

    pub(super) fn float(&self, field: usize) -> Result<Option<f32>, Fault> {
        self.place(field).map(|place| array(self.data, place).map(f32::from_le_bytes)).transpose()
    }

    pub(super) fn double(&self, field: usize) -> Result<Option<f64>, Fault> {
        self.place(field).map(|place| array(self.data, place).map(f64::from_le_bytes)).transpose()
    }

    pub(super) fn table(&self, field: usize) -> Result<Option<Self>, Fault> {
        let Some(place) = self.place(field) else { return Ok(None) };
        Self::at(self.data, follow(self.data, place)?).map(Some)
    }

    /// A list of values of `size` bytes. A list that is left out is empty.
    pub(super) fn vector(&self, field: usize, size: usize) -> Result<Vector<'f>, Fault> {
        let Some(place) = self.place(field) else {
            return Ok(Vector { data: self.data, start: 0, bytes: &[] });
        };
        let list = follow(self.data, place)?;
        let n = u32::from_le_bytes(array(self.data, list)?) as usize;
        let start = list + 4;
        let bytes =
            n.checked_mul(size).and_then(|n| start.checked_add(n)).and_then(|end| self.data.get(start..end));
        let bytes =
            bytes.ok_or_else(|| Fault::damaged(list, format!("a list of {n} values beyond the end")))?;
        Ok(Vector { data: self.data, start, bytes })
    }

    pub(super) fn text(&self, field: usize) -> Result<&'f str, Fault> {
        let bytes = self.vector(field, 1)?;
        std::str::from_utf8(bytes.bytes).map_err(|_| Fault::damaged(bytes.start, "a text that is not UTF-8"))
    }

    /// The first of a list of texts, if there is one.
    pub(super) fn first_text(&self, field: usize) -> Result<Option<&'f str>, Fault> {
        let Vector { data, start, bytes } = self.vector(field, 4)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let place = follow(data, start)?;
        let n_bytes = u32::from_le_bytes(array(data, place)?) as usize;
        let end = place.saturating_add(4).saturating_add(n_bytes);
        let text = data.get(place.saturating_add(4)..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.map(Some).ok_or_else(|| Fault::damaged(place, "a text that is not UTF-8"))
    }

    /// A list of tables.
    pub(super) fn tables(
        &self,
        field: usize,
    ) -> Result<impl ExactSizeIterator<Item = Result<Self, Fault>> + use<'f>, Fault> {
        let Vector { data, start, bytes } = self.vector(field, 4)?;
        Ok((0..bytes.len() / 4).map(move |index| Self::at(data, follow(data, start + 4 * index)?)))
    }
}

// === impl Vector ===

impl Vector<'_> {
    pub(super) fn values<const N: usize, T>(&self, from_bytes: fn([u8; N]) -> T) -> Vec<T> {
        let value = |bytes: &[u8]| from_bytes(bytes.try_into().expect("chunks have this size"));
        self.bytes.chunks_exact(N).map(value).collect()
    }

    pub(super) fn len_in_bytes(&self) -> usize {
        self.bytes.len()
    }
}
