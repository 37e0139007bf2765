//! The wire format of Protocol Buffers, as far as reading needs it (protobuf.dev, "Encoding").

use crate::fault::Fault;

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Wire<'a>,
    /// Where it is in the file.
    offset: usize,
}

/// The value of a field. What it means, the field's number tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(Message<'a>),
    Fixed32([u8; 4]),
}

/// Bytes that may be a message, a text, or numbers side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    /// Where the bytes begin in the file.
    offset: usize,
}

/// The fields of a message, one after another.
pub(super) struct Fields<'a> {
    rest: Message<'a>,
}

// === impl Message ===

impl<'a> Message<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn fields(self) -> Fields<'a> {
        Fields { rest: self }
    }

    pub(super) fn text(self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes).map_err(|_| Fault::damaged(self.offset, "a text is not UTF-8"))
    }

    fn split(&mut self, n: usize) -> Result<Self, Fault> {
        let Some((taken, rest)) = self.bytes.split_at_checked(n) else {
            let problem = format!("{n} bytes expected, {} left", self.bytes.len());
            return Err(Fault::damaged(self.offset, problem));
        };
        let taken = Self { bytes: taken, offset: self.offset };
        *self = Self { bytes: rest, offset: self.offset + n };
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        Ok(self.split(N)?.bytes.try_into().expect("N bytes were taken"))
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        /// Bytes of the longest number.
        const MAX_BYTES: usize = 10;

        let mut number = 0;
        for (index, byte) in self.bytes.iter().take(MAX_BYTES).enumerate() {
            number |= u64::from(byte & 0x7f).wrapping_shl(7 * index as u32);
            if byte & 0x80 == 0 {
                self.split(index + 1)?;
                return Ok(number);
            }
        }
        Err(Fault::damaged(self.offset, "a number does not end"))
    }

    fn length(&mut self) -> Result<usize, Fault> {
        let length = self.varint()?;
        usize::try_from(length).map_err(|_| Fault::damaged(self.offset, "a length beyond memory"))
    }
}

// === impl Fields ===

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.bytes.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest.bytes = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Result<Field<'a>, Fault> {
        let rest = &mut self.rest;
        let offset = rest.offset;
        let key = rest.varint()?;
        let value = match key & 7 {
            0 => Wire::Varint(rest.varint()?),
            1 => Wire::Fixed64(rest.array()?),
            2 => {
                let length = rest.length()?;
                Wire::Bytes(rest.split(length)?)
            }
            5 => Wire::Fixed32(rest.array()?),
            kind => return Err(Fault::damaged(offset, format!("a field of the unknown kind {kind}"))),
        };
        match key >> 3 {
            0 => Err(Fault::damaged(offset, "a field with the number 0")),
            number => Ok(Field { number, value, offset }),
        }
    }
}

// === impl Field ===

impl<'a> Field<'a> {
    pub(super) fn message(&self) -> Result<Message<'a>, Fault> {
        match self.value {
            Wire::Bytes(message) => Ok(message),
            _ => Err(self.wrong("a message")),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, Fault> {
        self.message()?.text()
    }

    pub(super) fn long(&self) -> Result<i64, Fault> {
        match self.value {
            Wire::Varint(number) => Ok(number.cast_signed()),
            _ => Err(self.wrong("a whole number")),
        }
    }

    pub(super) fn float(&self) -> Result<f32, Fault> {
        match self.value {
            Wire::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.wrong("a number of 32 bits")),
        }
    }

    /// Adds whole numbers: one, or many side by side.
    pub(super) fn longs(&self, numbers: &mut Vec<i64>) -> Result<(), Fault> {
        let Wire::Bytes(mut packed) = self.value else {
            numbers.push(self.long()?);
            return Ok(());
        };
        while !packed.bytes.is_empty() {
            numbers.push(packed.varint()?.cast_signed());
        }
        Ok(())
    }

    /// Adds numbers of 32 bits: one, or many side by side.
    pub(super) fn floats(&self, numbers: &mut Vec<f32>) -> Result<(), Fault> {
        match self.value {
            Wire::Bytes(packed) => {
                let (numbers_as_bytes, []) = packed.bytes.as_chunks() else {
                    return Err(self.wrong("numbers of 32 bits"));
                };
                numbers.extend(numbers_as_bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            _ => numbers.push(self.float()?),
        }
        Ok(())
    }

    /// Adds numbers of 64 bits: one, or many side by side.
    pub(super) fn doubles(&self, numbers: &mut Vec<f64>) -> Result<(), Fault> {
        match self.value {
            Wire::Bytes(packed) => {
                let (numbers_as_bytes, []) = packed.bytes.as_chunks() else {
                    return Err(self.wrong("numbers of 64 bits"));
                };
                numbers.extend(numbers_as_bytes.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            }
            Wire::Fixed64(bytes) => numbers.push(f64::from_le_bytes(bytes)),
            _ => return Err(self.wrong("a number of 64 bits")),
        }
        Ok(())
    }

    fn wrong(&self, expected: &str) -> Fault {
        Fault::damaged(self.offset, format!("field {} is not {expected}", self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, Fault> {
        Message::new(bytes).fields().collect()
    }

    #[test]
    fn numbers_come_one_by_one_or_side_by_side() {
        let mut numbers = Vec::new();
        for field in fields(&[0x08, 0xac, 0x02, 0x0a, 0x03, 0x01, 0xac, 0x02]).unwrap() {
            field.longs(&mut numbers).unwrap();
        }
        assert_eq!(numbers, [300, 1, 300]);
        let minus_one = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(fields(&minus_one).unwrap()[0].long().unwrap(), -1);
    }

    #[test]
    fn what_is_cut_off_is_damaged() {
        for bytes in [&[0x08][..], &[0x0a, 0x05, 0x01], &[0x0d, 1, 2, 3], &[0x09, 1], &[0x0b], &[0x80; 12]] {
            assert!(matches!(fields(bytes), Err(Fault::Damaged { .. })), "{bytes:?}");
        }
    }
}
