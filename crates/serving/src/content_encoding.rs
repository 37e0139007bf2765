//! Bodies that are compressed on their way, in both directions.

use std::io::{self, Read, Write as _};

use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use net::{Bytes, Fields};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::fault::{Cause, Fault, list, quoted};
use crate::reply::Reply;

/// A way to compress a body.
#[derive(Debug)]
pub(crate) struct Encoding {
    /// What header fields call it.
    pub(crate) name: &'static str,
    /// Adds what the bytes stand for, but for what is beyond so many bytes.
    decode: fn(&[u8], &mut Vec<u8>, u64) -> io::Result<()>,
    encode: fn(&[u8]) -> io::Result<Vec<u8>>,
}

/// All of them, the best liked first.
static ENCODINGS: &[Encoding] = &[
    Encoding { name: "gzip", decode: from_gzip, encode: to_gzip },
    Encoding { name: "zstd", decode: from_zstd, encode: to_zstd },
    Encoding { name: "deflate", decode: from_deflate, encode: to_deflate },
];

/// Shorter bodies are sent as they are: the head of a response is as long.
const LEAST_WORTH: usize = 1024;

/// How many times as long as it came a body may become.
pub const RATIO: usize = 100;

/// Up to this length a body may become what it likes: a few equal rows compress very well.
const LEAST_PLAIN: usize = 1 << 20;

/// How many bytes so many compressed ones may become, where all bodies may have `limit`.
pub(crate) fn most_plain(n_bytes: usize, limit: usize) -> usize {
    limit.min(n_bytes.saturating_mul(RATIO).max(LEAST_PLAIN))
}

/// How far back zstd may refer, which is memory that is needed at once (RFC 9659 §3).
const ZSTD_WINDOW: u64 = 8 << 20;

impl Encoding {
    /// How the body of a request is compressed, if it is.
    ///
    /// # Errors
    /// When it is in a way that is not known here.
    pub(crate) fn of(fields: &Fields) -> Result<Option<&'static Self>, Fault> {
        match fields.text("content-encoding") {
            None => Ok(None),
            Some(name) => Self::named(name),
        }
    }

    /// The encoding of this name; none when the name says that nothing is done.
    pub(crate) fn named(name: &str) -> Result<Option<&'static Self>, Fault> {
        let name = name.trim();
        if name.is_empty() || name.eq_ignore_ascii_case("identity") {
            return Ok(None);
        }
        let plain_name = if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name };
        let found = ENCODINGS.iter().find(|known| plain_name.eq_ignore_ascii_case(known.name));
        found.map(Some).ok_or_else(|| {
            let problem = format!("the content encoding {} is not read here", quoted(name));
            let names = list(Self::names());
            Fault::new(Cause::ContentType, problem).with_help(format!("send {names}, or the body as it is"))
        })
    }

    /// What header fields call those that are known, the best liked first.
    pub(crate) fn names() -> impl ExactSizeIterator<Item = &'static str> {
        ENCODINGS.iter().map(|encoding| encoding.name)
    }

    /// What compressed bytes stand for.
    ///
    /// # Errors
    /// When that is more than `limit` bytes, or out of proportion, of which no more than this is made, and when it cannot be
    /// read.
    pub(crate) fn decode(&self, bytes: &[u8], limit: usize) -> Result<Bytes, Fault> {
        let mut plain = Vec::new();
        let most = most_plain(bytes.len(), limit);
        (self.decode)(bytes, &mut plain, (most as u64).saturating_add(1)).map_err(|error| {
            Fault::new(Cause::Format, format!("cannot read the body as {}: {error}", self.name))
        })?;
        if plain.len() > most {
            let problem = match most < limit {
                false => format!("the body is longer than {limit} bytes when it is decompressed"),
                true => format!("the body is more than {RATIO} times as long when it is decompressed"),
            };
            return Err(Fault::new(Cause::TooLarge, problem).with_help("send fewer rows at a time"));
        }
        Ok(plain.into())
    }

    /// The encoding of the answer that a client likes best, by its `Accept-Encoding` (RFC 9110 §12.5.3).
    pub(crate) fn accepted(fields: &Fields) -> Option<&'static Self> {
        let accept = fields.text("accept-encoding")?;
        let weight_of = |name: &str| {
            let weights = accept.split(',').filter_map(|part| {
                let mut words = part.split(';').map(str::trim);
                words.next().filter(|known| known.eq_ignore_ascii_case(name))?;
                let quality = words.find_map(|word| word.strip_prefix("q=").or(word.strip_prefix("Q=")));
                Some(quality.map_or(1.0, |quality| quality.parse::<f32>().unwrap_or(0.0)))
            });
            weights.reduce(f32::max)
        };
        let weigh = |encoding: &'static Self| {
            let weight = weight_of(encoding.name).or_else(|| weight_of("*"))?;
            (weight > 0.0).then_some((weight, encoding))
        };
        let best =
            ENCODINGS.iter().filter_map(weigh).reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, encoding)| encoding)
    }

    /// Whether a reply is worth to be compressed.
    pub(crate) fn is_worth(reply: &Reply) -> bool {
        let is_encoded = reply.fields.iter().any(|(name, _)| *name == "content-encoding");
        let is_image = reply.content_type.starts_with("image/");
        reply.body.len() >= LEAST_WORTH && !is_encoded && !is_image
    }

    /// The same reply, compressed.
    pub(crate) fn encode(&self, reply: Reply) -> Reply {
        let encoded = (self.encode)(&reply.body).ok().filter(|encoded| encoded.len() < reply.body.len());
        match encoded {
            None => reply,
            Some(encoded) => {
                Reply { body: encoded.into(), ..reply }.with_field("content-encoding", self.name)
            }
        }
    }
}

fn from_gzip(bytes: &[u8], plain: &mut Vec<u8>, limit: u64) -> io::Result<()> {
    MultiGzDecoder::new(bytes).take(limit).read_to_end(plain).map(drop)
}

fn to_gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// `deflate` is the zlib format (RFC 9110 §8.4.1.2), which some clients leave out around it.
fn from_deflate(bytes: &[u8], plain: &mut Vec<u8>, limit: u64) -> io::Result<()> {
    let is_zlib = match bytes {
        [first, second, ..] => first & 0xf == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31),
        _ => true,
    };
    match is_zlib {
        true => ZlibDecoder::new(bytes).take(limit).read_to_end(plain),
        false => DeflateDecoder::new(bytes).take(limit).read_to_end(plain),
    }
    .map(drop)
}

fn to_deflate(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

fn from_zstd(mut bytes: &[u8], plain: &mut Vec<u8>, limit: u64) -> io::Result<()> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(ZSTD_WINDOW);
    loop {
        let mut frame =
            StreamingDecoder::new_with_decoder(&mut bytes, &mut decoder).map_err(io::Error::other)?;
        let n_left = limit.saturating_sub(plain.len() as u64);
        frame.by_ref().take(n_left).read_to_end(plain)?;
        let is_too_long = plain.len() as u64 >= limit;
        if is_too_long {
            return Ok(());
        }
        let said = decoder.get_checksum_from_data();
        if said.is_some() && said != decoder.get_calculated_checksum() {
            return Err(io::Error::other("the checksum is another one"));
        }
        if bytes.is_empty() {
            return Ok(());
        }
    }
}

fn to_zstd(plain: &[u8]) -> io::Result<Vec<u8>> {
    Ok(compress_to_vec(plain, CompressionLevel::Fastest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoding(name: &str) -> &'static Encoding {
        Encoding::named(name).unwrap().unwrap()
    }

    #[test]
    fn a_client_gets_what_it_likes_best() {
        #[track_caller]
        fn check(accept: &str, expected: Option<&str>) {
            let mut fields = Fields::new();
            fields.push("accept-encoding", accept);
            assert_eq!(Encoding::accepted(&fields).map(|encoding| encoding.name), expected, "{accept}");
        }
        check("gzip, deflate, br, zstd", Some("gzip"));
        check("zstd", Some("zstd"));
        check("gzip;q=0.5, zstd;q=0.9", Some("zstd"));
        check("gzip;q=0, *", Some("zstd"));
        check("*;q=0", None);
        check("br", None);
        check("GZIP;q=nonsense", None);
    }

    #[test]
    fn a_bomb_is_too_large_and_nothing_more() {
        let plain = vec![b'0'; 3_000_000];
        for known in ENCODINGS {
            let bomb = (known.encode)(&plain).unwrap();
            assert!(bomb.len() < 100_000, "{} {}", known.name, bomb.len());
            let fault = known.decode(&bomb, 1_000_000).unwrap_err();
            assert_eq!(fault.cause, Cause::TooLarge, "{}", known.name);
            // Within a hundred times, or within a mebibyte, it is none.
            let decoded = known.decode(&bomb, 3_000_000);
            match bomb.len() * RATIO < plain.len() {
                false => assert_eq!(decoded.unwrap(), plain),
                true => {
                    assert!(decoded.unwrap_err().problem.contains("more than 100 times"), "{}", known.name);
                }
            }
            let small = (known.encode)(&plain[..LEAST_PLAIN]).unwrap();
            assert_eq!(known.decode(&small, 3_000_000).unwrap(), plain[..LEAST_PLAIN]);
        }
    }

    #[test]
    fn parts_one_after_another_are_one_body() {
        for name in ["gzip", "zstd"] {
            let part = |text: &str| (encoding(name).encode)(text.as_bytes()).unwrap();
            let both = [part("ab"), part("cd")].concat();
            assert_eq!(encoding(name).decode(&both, 4).unwrap(), "abcd");
            assert_eq!(encoding(name).decode(&both, 3).unwrap_err().cause, Cause::TooLarge);
        }
        let raw_deflate = [0x4b, 0x4c, 0x02, 0x00];
        assert_eq!(encoding("deflate").decode(&raw_deflate, 4).unwrap(), "ab");
    }

    #[test]
    fn a_window_of_much_memory_is_refused() {
        // The magic number, and a head that asks for a window of 1 GB.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00];
        let fault = encoding("zstd").decode(&frame, 10).unwrap_err();
        assert_eq!(fault.cause, Cause::Format);
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(plain in prop::collection::vec(0..4u8, 0..3000)) {
            for known in ENCODINGS {
                let encoded = (known.encode)(&plain).unwrap();
                prop_assert_eq!(known.decode(&encoded, plain.len()).unwrap(), plain.clone());
            }
        }

        #[test]
        fn no_bytes_do_harm(data in prop::collection::vec(any::<u8>(), 0..200)) {
            crate::fuzzing::compressed(&data);
            crate::fuzzing::compressed(&[&[1, 0x28, 0xb5, 0x2f, 0xfd][..], &data].concat());
            crate::fuzzing::compressed(&[&[0, 0x1f, 0x8b, 8, 0][..], &data].concat());
        }
    }
}
