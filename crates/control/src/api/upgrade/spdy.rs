//! The server's side of SPDY/3.1, as far as Kubernetes uses it: streams that a client opens, data on them both ways, and
//! their ends.
//!
//! It decides on bytes and knows no socket. Windows are not kept: the clients of Kubernetes do not keep them either.
//!
//! ```text
//! control frame: |1| version (15) | type (16) | flags (8) | length (24) | payload
//! data frame:    |0| stream (31)              | flags (8) | length (24) | payload
//! ```

use std::sync::LazyLock;

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// What a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// It opens a stream, and may say nothing on it.
    Open { stream: u32, headers: Vec<(String, String)>, is_last: bool },
    /// Bytes of a stream, perhaps the last ones.
    Data { stream: u32, bytes: Bytes, is_last: bool },
    /// It gives up a stream.
    Reset { stream: u32 },
    /// A question that wants its number back.
    Ping { id: u32 },
    /// It opens no more streams.
    GoAway,
}

/// Why the bytes are no frames. Nothing can be said on such a connection any more: the state of its headers is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Violation(&'static str);

/// Reads frames out of bytes that come in pieces.
#[derive(Debug)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    headers: Decompress,
}

/// Writes frames.
#[derive(Debug)]
pub(crate) struct Encoder {
    headers: Compress,
}

const VERSION: u16 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;

/// The flag of the last frame of a stream.
const FIN: u8 = 1;

/// The longest frame, in bytes. Clients of Kubernetes send 32 KiB at a time.
const FRAME_LIMIT: usize = 1 << 20;
/// Headers of a stream: how many, and how long all of them are.
const HEADERS_LIMIT: u32 = 64;
const HEADER_BYTES: usize = 16 << 10;

// === impl Decoder ===

impl Default for Decoder {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), headers: Decompress::new(true) }
    }
}

impl Decoder {
    /// Takes in bytes from the wire.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame that means something here; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Violation> {
        loop {
            let [a, b, c, d, flags, e, f, g, ..] = *self.buffer else { return Ok(None) };
            let length = u32::from_be_bytes([0, e, f, g]) as usize;
            if length > FRAME_LIMIT {
                return Err(Violation("a frame longer than 1 MiB"));
            }
            if self.buffer.len() < 8 + length {
                return Ok(None);
            }
            self.buffer.advance(8);
            let payload = self.buffer.split_to(length).freeze();
            let is_last = flags & FIN != 0;
            if a & 0x80 == 0 {
                let stream = u32::from_be_bytes([a, b, c, d]);
                return Ok(Some(Frame::Data { stream, bytes: payload, is_last }));
            }
            if u16::from_be_bytes([a & 0x7f, b]) != VERSION {
                return Err(Violation("a frame of another version than 3"));
            }
            if let Some(frame) = self.control(u16::from_be_bytes([c, d]), payload, is_last)? {
                return Ok(Some(frame));
            }
        }
    }

    fn control(&mut self, kind: u16, mut payload: Bytes, is_last: bool) -> Result<Option<Frame>, Violation> {
        let mut number = || payload.try_get_u32().map_err(|_| Violation("a frame that is too short"));
        match kind {
            SYN_STREAM => {
                let stream = number()? & 0x7fff_ffff;
                let _associated = number()?;
                let _priority_and_slot =
                    payload.try_get_u16().map_err(|_| Violation("a frame that is too short"))?;
                let headers = self.header_block(&payload)?;
                Ok(Some(Frame::Open { stream, headers, is_last }))
            }
            SYN_REPLY => Err(Violation("a reply to a stream that nobody opened")),
            HEADERS => {
                // Their state goes on through the connection, so that even those that nobody wants are read.
                let stream = number()? & 0x7fff_ffff;
                self.header_block(&payload)?;
                Ok(is_last.then_some(Frame::Data { stream, bytes: Bytes::new(), is_last }))
            }
            RST_STREAM => Ok(Some(Frame::Reset { stream: number()? & 0x7fff_ffff })),
            PING => Ok(Some(Frame::Ping { id: number()? })),
            GOAWAY => Ok(Some(Frame::GoAway)),
            SETTINGS | WINDOW_UPDATE => Ok(None),
            _ => Err(Violation("a control frame of an unknown type")),
        }
    }

    /// Reads names and values out of a compressed block.
    fn header_block(&mut self, compressed: &[u8]) -> Result<Vec<(String, String)>, Violation> {
        let mut block = Bytes::from(self.decompress(compressed)?);
        let cut = || Violation("a header block that is cut off");
        let n_headers = block.try_get_u32().map_err(|_| cut())?;
        if n_headers > HEADERS_LIMIT {
            return Err(Violation("more than 64 headers"));
        }
        let mut text = || {
            let length = block.try_get_u32().map_err(|_| cut())? as usize;
            if length > block.len() {
                return Err(cut());
            }
            let bytes = block.split_to(length).into();
            String::from_utf8(bytes).map_err(|_| Violation("a header that is not UTF-8"))
        };
        (0..n_headers).map(|_| Ok((text()?.to_ascii_lowercase(), text()?))).collect()
    }

    fn decompress(&mut self, compressed: &[u8]) -> Result<Vec<u8>, Violation> {
        let mut block = Vec::new();
        let mut rest = compressed;
        let mut has_dictionary = false;
        loop {
            let before = (self.headers.total_in(), self.headers.total_out());
            block.reserve(1024);
            let result = self.headers.decompress_vec(rest, &mut block, FlushDecompress::Sync);
            let read = usize::try_from(self.headers.total_in() - before.0).unwrap_or(rest.len());
            rest = rest.get(read..).unwrap_or_default();
            if block.len() > HEADER_BYTES {
                return Err(Violation("headers longer than 16 KiB"));
            }
            match result {
                Err(error) if error.needs_dictionary().is_some() && !has_dictionary => {
                    has_dictionary = true;
                    let set = self.headers.set_dictionary(&DICTIONARY);
                    set.map_err(|_| Violation("headers that are compressed with another dictionary"))?;
                }
                Err(_) => return Err(Violation("headers that cannot be decompressed")),
                Ok(_) if rest.is_empty() && block.len() < block.capacity() => return Ok(block),
                Ok(_) if before == (self.headers.total_in(), self.headers.total_out()) => {
                    return Err(Violation("headers that cannot be decompressed"));
                }
                Ok(_) => {}
            }
        }
    }
}

// === impl Encoder ===

impl Default for Encoder {
    fn default() -> Self {
        let mut headers = Compress::new(Compression::fast(), true);
        headers.set_dictionary(&DICTIONARY).expect("a dictionary may be set before anything is compressed");
        Self { headers }
    }
}

impl Encoder {
    /// Accepts a stream, without headers.
    pub(crate) fn reply(&mut self, stream: u32) -> Bytes {
        let mut payload = stream.to_be_bytes().to_vec();
        payload.extend(self.compressed(&0_u32.to_be_bytes()));
        control(SYN_REPLY, &payload)
    }

    fn compressed(&mut self, block: &[u8]) -> Vec<u8> {
        // Longer than deflate makes anything that is written here.
        let mut compressed = Vec::with_capacity(block.len() + 128);
        self.headers
            .compress_vec(block, &mut compressed, FlushCompress::Sync)
            .expect("there is room, and compressing fails for no other reason");
        compressed
    }
}

/// Bytes of a stream.
pub(crate) fn data(stream: u32, bytes: &[u8], is_last: bool) -> Bytes {
    let mut frame = Vec::with_capacity(8 + bytes.len());
    frame.extend((stream & 0x7fff_ffff).to_be_bytes());
    frame.extend(flags_and_length(if is_last { FIN } else { 0 }, bytes.len()));
    frame.extend_from_slice(bytes);
    frame.into()
}

/// The end of a stream that is refused or given up.
pub(crate) fn reset(stream: u32) -> Bytes {
    const CANCEL: u32 = 5;
    control(RST_STREAM, &[stream.to_be_bytes(), CANCEL.to_be_bytes()].concat())
}

/// The answer to a ping.
pub(crate) fn pong(id: u32) -> Bytes {
    control(PING, &id.to_be_bytes())
}

/// The last frame of a connection.
pub(crate) fn go_away(last_stream: u32) -> Bytes {
    control(GOAWAY, &[last_stream.to_be_bytes(), 0_u32.to_be_bytes()].concat())
}

fn control(kind: u16, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(8 + payload.len());
    frame.extend((0x8000 | VERSION).to_be_bytes());
    frame.extend(kind.to_be_bytes());
    frame.extend(flags_and_length(0, payload.len()));
    frame.extend_from_slice(payload);
    frame.into()
}

fn flags_and_length(flags: u8, length: usize) -> [u8; 4] {
    let [_, a, b, c] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [flags, a, b, c]
}

// === the dictionary ===

/// What both sides have seen before the first header (SPDY draft 3.1 §2.6.10.1): names and values, each behind its length,
/// and then some text.
static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut dictionary = Vec::new();
    for word in WORDS.split(',') {
        dictionary.extend(u32::try_from(word.len()).unwrap_or_default().to_be_bytes());
        dictionary.extend(word.bytes());
    }
    dictionary.extend(TEXT.bytes());
    dictionary
});

const WORDS: &str = "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,\
accept-ranges,age,allow,authorization,cache-control,connection,content-base,content-encoding,content-language,\
content-length,content-location,content-md5,content-range,content-type,date,etag,expect,expires,from,host,if-match,\
if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,location,max-forwards,pragma,\
proxy-authenticate,proxy-authorization,range,referer,retry-after,server,te,trailer,transfer-encoding,upgrade,user-agent,\
vary,via,warning,www-authenticate,method,get,status,200 OK,version,HTTP/1.1,url,public,set-cookie,keep-alive,origin";

const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct \
Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,\
application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8\
charset=iso-8859-1,utf-,*,enq=0.";

/// The client's side, as tests need it.
#[cfg(test)]
impl Encoder {
    /// Opens a stream.
    pub(crate) fn open(&mut self, stream: u32, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut block = u32::try_from(headers.len()).unwrap().to_be_bytes().to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            block.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            block.extend(text.bytes());
        }
        let mut payload = [stream.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        payload.extend([0, 0]);
        payload.extend(self.compressed(&block));
        control(SYN_STREAM, &payload).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(encoder: &mut Encoder, stream: u32, headers: &[(&str, &str)]) -> Vec<u8> {
        encoder.open(stream, headers)
    }

    fn decoded(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Frame>, Violation> {
        let mut frames = Vec::new();
        for byte in bytes {
            decoder.extend(&[*byte]);
            while let Some(frame) = decoder.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn the_dictionary_is_that_of_the_draft() {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        assert_eq!((DICTIONARY.len(), b << 16 | a), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn streams_are_opened_used_and_ended() {
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let headers = [("StreamType", "error"), ("port", "8080"), ("requestid", "0")];
        let mut bytes = open(&mut encoder, 1, &headers);
        // The second block leans on the first: their state goes on.
        bytes.extend(open(&mut encoder, 3, &headers));
        bytes.extend(control(SETTINGS, &[0; 4]));
        bytes.extend_from_slice(&data(3, b"hello", false));
        bytes.extend_from_slice(&data(3, b"", true));
        bytes.extend_from_slice(&control(PING, &7_u32.to_be_bytes()));
        bytes.extend_from_slice(&reset(1));
        bytes.extend_from_slice(&go_away(3));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).to_vec();
        assert_eq!(
            decoded(&mut decoder, &bytes).unwrap(),
            [
                Frame::Open { stream: 1, headers: headers.clone(), is_last: false },
                Frame::Open { stream: 3, headers, is_last: false },
                Frame::Data { stream: 3, bytes: Bytes::from_static(b"hello"), is_last: false },
                Frame::Data { stream: 3, bytes: Bytes::new(), is_last: true },
                Frame::Ping { id: 7 },
                Frame::Reset { stream: 1 },
                Frame::GoAway,
            ]
        );
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let refused = |bytes: &[u8]| decoded(&mut Decoder::default(), bytes).unwrap_err().0;
        assert_eq!(refused(&[0x80, 2, 0, 1, 0, 0, 0, 0]), "a frame of another version than 3");
        assert_eq!(refused(&[0x80, 3, 0, 99, 0, 0, 0, 0]), "a control frame of an unknown type");
        assert_eq!(refused(&[0, 0, 0, 1, 0, 0x10, 0, 1]), "a frame longer than 1 MiB");
        assert_eq!(refused(&control(PING, &[0])), "a frame that is too short");
        assert_eq!(refused(&control(SYN_STREAM, &[0; 40])), "headers that cannot be decompressed");
        let mut encoder = Encoder::default();
        let long = "x".repeat(HEADER_BYTES);
        assert_eq!(refused(&open(&mut encoder, 1, &[("a", &long)])), "headers longer than 16 KiB");
    }

    #[test]
    fn a_block_that_names_more_than_it_holds_is_cut_off() {
        let mut encoder = Encoder::default();
        let mut payload = [1_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat();
        payload.extend([0, 0]);
        payload.extend(encoder.compressed(&[0, 0, 0, 1, 0, 0, 0, 9, b'a']));
        let refused = decoded(&mut Decoder::default(), &control(SYN_STREAM, &payload)).unwrap_err();
        assert_eq!(refused.0, "a header block that is cut off");
    }
}
