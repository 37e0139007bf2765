//! How pages are compressed.

use std::borrow::Cow;

use super::Problem;
use super::thrift::Bytes;
use crate::content_encoding::Encoding;

/// The bytes of a page, of which it says how many there are.
pub(super) fn unpack(codec: i64, packed: &[u8], n_bytes: usize) -> Result<Cow<'_, [u8]>, Problem> {
    let by_library = |name: &str| {
        let encoding = Encoding::named(name).ok().flatten();
        let encoding = encoding.ok_or_else(|| Problem::new("its compression is not known"))?;
        let unpacked = encoding.decode(packed, n_bytes);
        let unpacked = unpacked.map(|bytes| bytes.to_vec());
        unpacked.map_err(|_| Problem::new(format!("a page that is compressed with {name} is broken")))
    };
    let unpacked = match codec {
        0 => Cow::Borrowed(packed),
        1 => Cow::Owned(snappy(packed, n_bytes)?),
        2 => Cow::Owned(by_library("gzip")?),
        6 => Cow::Owned(by_library("zstd")?),
        codec => {
            let name = match codec {
                3 => "LZO",
                4 => "Brotli",
                5 | 7 => "LZ4",
                _ => "what is not known",
            };
            return Err(Problem::new(format!(
                "it is compressed with {name}; save it with compression=\"snappy\", \"zstd\" or \"gzip\""
            )));
        }
    };
    if unpacked.len() != n_bytes {
        return Err(Problem::new("a page has not the length that it says"));
    }
    Ok(unpacked)
}

/// Snappy's raw format (google/snappy, `format_description.txt`): a length, and then literals and copies of what came before.
fn snappy(packed: &[u8], n_bytes: usize) -> Result<Vec<u8>, Problem> {
    let broken = || Problem::new("a page that is compressed with snappy is broken");
    let mut bytes = Bytes { rest: packed };
    if bytes.length()? != n_bytes {
        return Err(broken());
    }
    let mut unpacked: Vec<u8> = Vec::with_capacity(n_bytes);
    while !bytes.rest.is_empty() {
        let tag = bytes.byte()?;
        let (length, distance) = match tag & 3 {
            0 => {
                let length = match usize::from(tag >> 2) {
                    short @ 0..60 => short,
                    long => {
                        let mut length = [0; 4];
                        length[..long - 59].copy_from_slice(bytes.take(long - 59)?);
                        u32::from_le_bytes(length) as usize
                    }
                };
                let literal = bytes.take(length.checked_add(1).ok_or_else(broken)?)?;
                if unpacked.len() + literal.len() > n_bytes {
                    return Err(broken());
                }
                unpacked.extend_from_slice(literal);
                continue;
            }
            1 => (usize::from(tag >> 2 & 7) + 4, usize::from(tag >> 5) << 8 | usize::from(bytes.byte()?)),
            2 => (usize::from(tag >> 2) + 1, usize::from(u16::from_le_bytes(bytes.array()?))),
            _ => (usize::from(tag >> 2) + 1, u32::from_le_bytes(bytes.array()?) as usize),
        };
        let start = unpacked.len().checked_sub(distance).filter(|_| distance > 0).ok_or_else(broken)?;
        if unpacked.len() + length > n_bytes {
            return Err(broken());
        }
        // What is copied may overlap what is written.
        for index in start..start + length {
            unpacked.push(unpacked[index]);
        }
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snappy_repeats_what_came_before() {
        let packed = [b"\x0b\x08abc".as_slice(), &[0b0001_0001, 3, 0b0000_0010, 1, 0]].concat();
        assert_eq!(
            snappy(&packed, 12).unwrap_err().to_string(),
            "a page that is compressed with snappy is broken"
        );
        assert_eq!(
            snappy(&packed, 11).unwrap_err().to_string(),
            "a page that is compressed with snappy is broken"
        );
        let packed = [b"\x0c\x08abc".as_slice(), &[0b0001_0001, 3, 0b0000_0010, 1, 0]].concat();
        assert_eq!(snappy(&packed, 12).unwrap(), b"abcabcabcabb".to_vec());
    }

    #[test]
    fn what_is_broken_is_refused() {
        for packed in
            [&b""[..], b"\x02", b"\x02\x00", b"\x02\x01\x01", b"\x02\xfc\xff\xff\xff\xff", b"\x01\x04ab"]
        {
            assert!(unpack(1, packed, 2).is_err(), "{packed:?}");
        }
    }
}
