//! A place in bytes that moves forward.

use crate::fault::Fault;

/// Reads bytes one after another; an error names the place.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// How many bytes there are in all.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let rest = &self.data[self.position..];
        let Some((taken, _)) = rest.split_at_checked(n) else {
            let problem = format!("{n} bytes expected, {} left", rest.len());
            return Err(Fault::damaged(self.position, problem));
        };
        self.position += n;
        Ok(taken)
    }

    /// The next `N` bytes, for one of the `from_le_bytes`.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("N bytes were taken"))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A 64-bit length that must fit what is left.
    pub(crate) fn length(&mut self) -> Result<usize, Fault> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| Fault::damaged(self.position, "a length beyond memory"))
    }

    /// The bytes up to the next line feed, which is skipped.
    pub(crate) fn line(&mut self) -> Result<&'a [u8], Fault> {
        let rest = &self.data[self.position..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(Fault::damaged(self.position, "the line does not end"));
        };
        self.position += length + 1;
        Ok(&rest[..length])
    }
}
