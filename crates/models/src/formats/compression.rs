//! Files that were compressed as a whole, as joblib does on request. Told by their first bytes.

use std::borrow::Cow;
use std::io::{self, Read};

use crate::fault::Fault;

/// Bytes that a file of any size may unpack to.
const MAX_UNPACKED_BYTES: u64 = 2 << 30;

/// Bytes that a small file may unpack to in any case; beyond that the ratio counts.
const FREE_UNPACKED_BYTES: u64 = 64 << 20;

/// Unpacked bytes per packed byte, once a file unpacks to more than [`FREE_UNPACKED_BYTES`].
const MAX_RATIO: u64 = 100;

/// A way to compress a file.
struct Compression {
    name: &'static str,
    begins: fn(&[u8]) -> bool,
    unpack: for<'a> fn(&'a [u8]) -> io::Result<Box<dyn Read + 'a>>,
}

/// Memory for the dictionary of LZMA, in KiB: that of the highest level of compression, and twice as much.
const MAX_DICTIONARY_KIB: u32 = 128 << 10;

/// The ways that are known. A further one is one more row.
const COMPRESSIONS: &[Compression] = &[
    Compression {
        name: "zlib",
        // RFC 1950 §2.2: deflate in a window of 32 KiB, as zlib writes it, and a checksum over the first two bytes. A
        // smaller window would also fit the first letters of pickles of protocol 0.
        begins: |data| matches!(data, [0x78, flags, ..] if u16::from_be_bytes([0x78, *flags]).is_multiple_of(31)),
        unpack: |data| Ok(Box::new(flate2::read::ZlibDecoder::new(data))),
    },
    Compression {
        name: "gzip",
        begins: |data| data.starts_with(&[0x1f, 0x8b]),
        unpack: |data| Ok(Box::new(flate2::read::MultiGzDecoder::new(data))),
    },
    Compression {
        name: "bzip2",
        begins: |data| matches!(data, [b'B', b'Z', b'h', b'1'..=b'9', ..]),
        unpack: |data| Ok(Box::new(bzip2::read::MultiBzDecoder::new(data))),
    },
    Compression {
        name: "xz",
        begins: |data| data.starts_with(b"\xfd7zXZ\0"),
        unpack: |data| Ok(Box::new(lzma_rust2::XzReader::new_mem_limit(data, true, MAX_DICTIONARY_KIB))),
    },
    Compression {
        name: "lzma",
        begins: |data| data.starts_with(b"\x5d\0\0"),
        unpack: |data| Ok(Box::new(lzma_rust2::LzmaReader::new_mem_limit(data, MAX_DICTIONARY_KIB, None)?)),
    },
    Compression {
        name: "lz4",
        begins: |data| data.starts_with(b"\x04\x22\x4d\x18"),
        unpack: |data| Ok(Box::new(lz4_flex::frame::FrameDecoder::new(data))),
    },
];

/// First bytes of compressions that are told apart but not read.
const UNKNOWN: &[(&str, &[u8])] = &[("zstd", b"\x28\xb5\x2f\xfd")];

/// The bytes of a file, unpacked if they are compressed, and the name of the compression.
pub(crate) fn unpack(data: &[u8]) -> Result<(Cow<'_, [u8]>, Option<&'static str>), Fault> {
    if let Some(compression) = COMPRESSIONS.iter().find(|compression| (compression.begins)(data)) {
        let reader = (compression.unpack)(data)
            .map_err(|error| Fault::damaged(0, format!("it cannot be unpacked: {error}")))?;
        let unpacked = read_bounded(reader, limit(data.len()))?;
        return Ok((Cow::Owned(unpacked), Some(compression.name)));
    }
    if let Some((name, _)) = UNKNOWN.iter().find(|(_, magic)| data.starts_with(magic)) {
        let known: Vec<&str> = COMPRESSIONS.iter().map(|compression| compression.name).collect();
        return Err(Fault::Unsupported {
            what: format!("a file compressed with {name}"),
            help: Some(format!("this build reads {}, and files that are not compressed", known.join(", "))),
        });
    }
    Ok((Cow::Borrowed(data), None))
}

/// Bytes that this many packed ones may unpack to.
pub(crate) fn limit(packed: usize) -> u64 {
    (packed as u64 * MAX_RATIO).clamp(FREE_UNPACKED_BYTES, MAX_UNPACKED_BYTES)
}

/// Reads to the end, unless that is beyond a limit.
pub(crate) fn read_bounded(reader: impl Read, limit: u64) -> Result<Vec<u8>, Fault> {
    let mut unpacked = Vec::new();
    let damaged = |error: io::Error, n: usize| Fault::damaged(n, format!("it cannot be unpacked: {error}"));
    let mut bounded = reader.take(limit + 1);
    bounded.read_to_end(&mut unpacked).map_err(|error| damaged(error, unpacked.len()))?;
    if unpacked.len() as u64 > limit {
        return Err(Fault::TooLarge { what: "unpacked bytes", limit });
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn known_compressions_are_unpacked_and_others_are_named() {
        assert_eq!(unpack(&zlib(b"abc")).unwrap(), (b"abc".to_vec().into(), Some("zlib")));
        // As python-lz4 writes it.
        let lz4 = b"\x04\x22\x4d\x18\x68\x40\x18\0\0\0\0\0\0\0\x4f\x0c\0\0\0\x3cabc\x03\0\x50bcabc\0\0\0\0";
        assert_eq!(unpack(lz4).unwrap(), (b"abc".repeat(8).into(), Some("lz4")));
        assert_eq!(unpack(b"abc").unwrap(), (b"abc".into(), None));
        assert_eq!(unpack(b"(S'a'\n.").unwrap().1, None);
        let Fault::Unsupported { what, .. } = unpack(b"\x28\xb5\x2f\xfd\x04").unwrap_err() else { panic!() };
        assert_eq!(what, "a file compressed with zstd");
    }

    #[test]
    fn a_bomb_is_stopped() {
        let bomb = zlib(&vec![0; 65 << 20]);
        assert!(bomb.len() < 70_000);
        let limit = FREE_UNPACKED_BYTES;
        assert_eq!(unpack(&bomb).unwrap_err(), Fault::TooLarge { what: "unpacked bytes", limit });
    }

    #[test]
    fn a_dictionary_beyond_memory_is_refused() {
        let lie = b"\x5d\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0";
        assert!(matches!(unpack(lie), Err(Fault::Damaged { .. })), "{:?}", unpack(lie));
    }

    #[test]
    fn a_cut_file_is_damaged() {
        let packed = zlib(b"some text that is long enough");
        assert!(matches!(unpack(&packed[..packed.len() - 6]), Err(Fault::Damaged { .. })));
    }
}
