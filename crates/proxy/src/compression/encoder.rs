//! Compressing a body segment by segment.
//!
//! A segment refers to nothing before it. So the large memory that compressing takes belongs to the core, and is used for one
//! segment after the other, whosever they are; an answer that is on its way has no more than the bytes that wait for their
//! segment. What that costs is a few hundredths of the length of long bodies.

use std::cell::RefCell;
use std::io::Cursor;

use flate2::{Compress, Crc, FlushCompress};
use net::Bytes;
use plan::Coding;
use ruzstd::encoding::{CompressionLevel, FrameCompressor, MatchGeneratorDriver};

/// What has to be known from one segment to the next.
pub(super) enum Encoder {
    /// The sum of all bytes, which stands behind them, and whether the head is out.
    Gzip { sum: Crc, has_begun: bool },
    /// Whether the head is out.
    Zstd { has_begun: bool },
}

/// A member without a name, time and system (RFC 1952 §2.3).
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty last block with the codes that need not be told (RFC 1951 §3.2.6).
const DEFLATE_END: [u8; 2] = [3, 0];

/// A frame that tells neither its length nor a sum, with a window of 128 KiB (RFC 8878 §3.1.1).
const ZSTD_HEAD: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];

/// An empty last block (RFC 8878 §3.1.1.2).
const ZSTD_END: [u8; 3] = [1, 0, 0];

/// How hard deflate tries: the first level at which it makes codes for what it finds.
const DEFLATE_LEVEL: u32 = 3;

thread_local! {
    static DEFLATE: RefCell<Option<Compress>> = const { RefCell::new(None) };
    static ZSTD: RefCell<Option<FrameOfOne>> = const { RefCell::new(None) };
}

/// Makes a frame of one segment.
type FrameOfOne = FrameCompressor<Cursor<Bytes>, Vec<u8>, MatchGeneratorDriver>;

// === impl Encoder ===

impl Encoder {
    pub(super) fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip { sum: Crc::new(), has_begun: false },
            Coding::Zstd => Self::Zstd { has_begun: false },
        }
    }

    /// All of a body that is one segment.
    pub(super) fn whole(mut self, plain: &Bytes) -> Vec<u8> {
        let mut out = self.segment(plain.clone());
        out.extend_from_slice(&self.end());
        out
    }

    /// A segment, which whoever has it can read at once. It has no more bytes than fit into a block of zstd, 128 KiB.
    pub(super) fn segment(&mut self, plain: Bytes) -> Vec<u8> {
        let mut out = Vec::with_capacity(GZIP_HEAD.len() + plain.len() / 2);
        match self {
            Self::Gzip { sum, has_begun } => {
                begin(has_begun, &GZIP_HEAD, &mut out);
                sum.update(&plain);
                deflate(&plain, &mut out);
            }
            Self::Zstd { has_begun } => {
                begin(has_begun, &ZSTD_HEAD, &mut out);
                zstd(plain, &mut out);
            }
        }
        out
    }

    /// What stands behind the last segment.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Gzip { sum, has_begun } => {
                begin(has_begun, &GZIP_HEAD, &mut out);
                out.extend_from_slice(&DEFLATE_END);
                out.extend_from_slice(&sum.sum().to_le_bytes());
                // The length, of which no more is told than fits (RFC 1952 §2.3.1).
                out.extend_from_slice(&sum.amount().to_le_bytes());
            }
            Self::Zstd { has_begun } => {
                begin(has_begun, &ZSTD_HEAD, &mut out);
                out.extend_from_slice(&ZSTD_END);
            }
        }
        out
    }
}

fn begin(has_begun: &mut bool, head: &[u8], out: &mut Vec<u8>) {
    if !std::mem::replace(has_begun, true) {
        out.extend_from_slice(head);
    }
}

/// Appends blocks that end at the edge of a byte, none of them the last (RFC 1951 §3.2.3).
fn deflate(plain: &[u8], out: &mut Vec<u8>) {
    DEFLATE.with_borrow_mut(|kept| {
        let compress =
            kept.get_or_insert_with(|| Compress::new(flate2::Compression::new(DEFLATE_LEVEL), false));
        compress.reset();
        loop {
            // All of it is out once there is room left.
            out.reserve(plain.len() / 2 + 64);
            let n_read = usize::try_from(compress.total_in()).unwrap_or(plain.len());
            let done = compress.compress_vec(&plain[n_read..], out, FlushCompress::Sync);
            let is_all = out.len() < out.capacity() || done.is_err();
            if is_all && compress.total_in() == plain.len() as u64 {
                return;
            }
        }
    });
}

/// Appends blocks of which none is the last.
fn zstd(plain: Bytes, out: &mut Vec<u8>) {
    let frame = ZSTD.with_borrow_mut(|kept| {
        let compressor = kept.get_or_insert_with(|| FrameCompressor::new(CompressionLevel::Fastest));
        compressor.set_source(Cursor::new(plain));
        compressor.set_drain(Vec::new());
        compressor.compress();
        compressor.take_source();
        compressor.take_drain().unwrap_or_default()
    });
    let mut rest = frame.get(ZSTD_HEAD.len()..).unwrap_or_default();
    while let [a, b, c, after @ ..] = rest {
        let head = u32::from_le_bytes([*a, *b, *c, 0]);
        let (is_last, kind, size) = (head & 1 == 1, head >> 1 & 3, (head >> 3) as usize);
        let n_bytes = if kind == REPEATED { 1 } else { size };
        // An empty one only ends the frame, as another one does here.
        if size > 0 {
            out.extend_from_slice(&(head & !1).to_le_bytes()[..3]);
            out.extend_from_slice(&after[..n_bytes.min(after.len())]);
        }
        if is_last {
            return;
        }
        rest = &after[n_bytes.min(after.len())..];
    }
}

/// The kind of a block that is one byte many times (RFC 8878 §3.1.1.2.2).
const REPEATED: u32 = 1;

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    /// What a body that was compressed says.
    pub(in super::super) fn read(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Gzip => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap()),
            Coding::Zstd => {
                let mut bytes = bytes;
                let mut frame = ruzstd::decoding::StreamingDecoder::new(&mut bytes).unwrap();
                frame.read_to_end(&mut plain).unwrap();
                assert!(bytes.is_empty(), "nothing stands behind the frame");
            }
        }
        plain
    }

    fn encoded(coding: Coding, segments: &[Vec<u8>]) -> Vec<u8> {
        let mut encoder = Encoder::new(coding);
        let mut out = Vec::new();
        segments.iter().for_each(|segment| out.extend(encoder.segment(segment.clone().into())));
        out.extend(encoder.end());
        out
    }

    #[test]
    fn texts_get_much_shorter_and_an_empty_body_is_one() {
        let text: String =
            (0..6000).map(|row| format!("{{\"row\": {row}, \"prediction\": 0.{row}}}\n")).collect();
        for coding in Coding::ALL {
            assert_eq!(read(coding, &encoded(coding, &[])), b"");
            assert_eq!(read(coding, &encoded(coding, &[Vec::new()])), b"");
            let segments: Vec<_> = text.as_bytes().chunks(64 << 10).map(<[u8]>::to_vec).collect();
            let short = encoded(coding, &segments);
            assert_eq!(read(coding, &short), text.as_bytes());
            assert!(short.len() * 4 < text.len(), "{coding:?} {} of {}", short.len(), text.len());
        }
    }

    #[test]
    fn the_longest_segment_and_noise_come_out_whole() {
        let mut random = 1_u64;
        let noise: Vec<u8> = (0..128 << 10)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 56) as u8
            })
            .collect();
        for coding in Coding::ALL {
            for segment in [noise.clone(), vec![0; 128 << 10], noise[..64 << 10].to_vec()] {
                assert_eq!(read(coding, &encoded(coding, std::slice::from_ref(&segment))), segment);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_compressed_in_segments_reads_back(
            segments in prop::collection::vec(prop::collection::vec(0..6u8, 0..3000), 0..8),
        ) {
            for coding in Coding::ALL {
                prop_assert_eq!(read(coding, &encoded(coding, &segments)), segments.concat());
            }
        }

        #[test]
        fn every_segment_can_be_read_before_the_next_one(first in "[a-f ]{1,3000}", second in "[a-f ]{1,3000}") {
            let mut encoder = Encoder::new(Coding::Gzip);
            let read_part = |bytes: &[u8], n_bytes: usize| {
                let mut plain = vec![0; n_bytes];
                flate2::read::GzDecoder::new(bytes).read_exact(&mut plain).unwrap();
                String::from_utf8(plain).unwrap()
            };
            let mut out = encoder.segment(first.clone().into());
            prop_assert_eq!(&read_part(&out, first.len()), &first);
            out.extend(encoder.segment(second.clone().into()));
            let both = first + &second;
            prop_assert_eq!(read_part(&out, both.len()), both);
        }
    }
}
