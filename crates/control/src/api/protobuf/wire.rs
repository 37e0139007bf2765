//! The wire format of protobuf, as far as Kubernetes' messages use it.

/// A field's value on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    Number(u64),
    Double(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in order, with their numbers; `None` in place of what is none, and then it is over.
pub(super) struct Fields<'a>(&'a [u8]);

pub(super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields(message)
}

/// Writes a field that is a number.
pub(super) fn put_number(to: &mut Vec<u8>, field: u32, number: u64) {
    put_varint(to, u64::from(field) << 3);
    put_varint(to, number);
}

/// Writes a field of 64 bits.
pub(super) fn put_double(to: &mut Vec<u8>, field: u32, bits: u64) {
    put_varint(to, u64::from(field) << 3 | 1);
    to.extend(bits.to_le_bytes());
}

/// Writes a field that is bytes: a text, or a message.
pub(in crate::api) fn put_bytes(to: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(to, u64::from(field) << 3 | 2);
    put_varint(to, bytes.len() as u64);
    to.extend(bytes);
}

/// Seven bits in each byte, the lowest first.
fn put_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

// === impl Fields ===

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = read_field(&mut self.0);
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn read_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = read_varint(bytes)?;
    let value = match key & 7 {
        0 => Wire::Number(read_varint(bytes)?),
        1 => Wire::Double(u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        2 => {
            let length = usize::try_from(read_varint(bytes)?).ok()?;
            Wire::Bytes(take(bytes, length)?)
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(value)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
