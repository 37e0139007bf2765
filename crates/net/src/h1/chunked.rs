//! The chunked transfer coding (RFC 9112 §7.1), read to the letter.

use bytes::Bytes;

use crate::fields::{is_field_content, is_token};
use crate::h1::framing::Piece;
use crate::h1::io::Buffer;
use crate::{BodyError, trailers};

/// Bytes of chunk extensions and trailers that one body may have.
const OVERHEAD_LIMIT: usize = 16 * 1024;

/// Fields that one trailer section may have.
const TRAILER_FIELDS: usize = 100;

/// Takes chunks apart, wherever the reads happen to cut them.
///
/// Extensions are dropped (RFC 9112 §7.1.1). Trailer fields have to be fields as strictly as those of a head: what another
/// reader could take for the next message ends this one in an error.
#[derive(Debug)]
pub(crate) struct ChunkedDecoder {
    state: State,
    overhead: usize,
    n_trailers: usize,
    /// The lines of the trailer section. Few bodies have any, and then nothing is held for them.
    trailers: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the hexadecimal size; how many digits came and what they say.
    Size { digits: u8, size: u64 },
    /// In an extension after a size.
    Extension { size: u64 },
    /// After the CR that ends a size line.
    SizeEnd { size: u64 },
    /// In the data of a chunk.
    Data { remaining: u64 },
    /// Before the CR, then the LF, that end the data.
    DataEnd { seen_cr: bool },
    /// At the start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    /// In the name of a trailer field.
    TrailerName,
    /// In the value of a trailer field.
    TrailerValue,
    /// After the CR that ends a trailer line.
    TrailerEnd,
    /// After the CR of the last, empty line.
    LastEnd,
}

impl ChunkedDecoder {
    pub(crate) fn new() -> Self {
        Self { state: State::Size { digits: 0, size: 0 }, overhead: 0, n_trailers: 0, trailers: Vec::new() }
    }

    /// Takes the next piece of data out of the buffer.
    pub(crate) fn take(&mut self, buffer: &mut Buffer) -> Result<Piece, BodyError> {
        loop {
            if let State::Data { remaining } = self.state {
                return Ok(self.take_data(remaining, buffer));
            }
            let Some(byte) = buffer.unread().first().copied() else { return Ok(Piece::NeedMore) };
            buffer.consume(1);
            let Some(state) = self.step(byte)? else { return Ok(Piece::End(trailers::read(&self.trailers))) };
            self.state = state;
            if matches!(state, State::TrailerName | State::TrailerValue | State::TrailerEnd) {
                self.trailers.push(if byte == b'\r' { b'\n' } else { byte });
            }
        }
    }

    fn take_data(&mut self, remaining: u64, buffer: &mut Buffer) -> Piece {
        let data: Bytes = buffer.take(usize::try_from(remaining).unwrap_or(usize::MAX));
        if data.is_empty() {
            return Piece::NeedMore;
        }
        let remaining = remaining - data.len() as u64;
        self.state =
            if remaining == 0 { State::DataEnd { seen_cr: false } } else { State::Data { remaining } };
        Piece::Data(data)
    }

    /// The state after one byte that is not data; `None` after the last byte of the body.
    fn step(&mut self, byte: u8) -> Result<Option<State>, BodyError> {
        let state = match (self.state, byte) {
            (State::Size { digits, size }, digit) if digit.is_ascii_hexdigit() => {
                if digits == MAX_SIZE_DIGITS {
                    return Err(BodyError::Malformed("chunk size"));
                }
                let value = char::from(digit).to_digit(16).map_or(0, u64::from);
                State::Size { digits: digits + 1, size: size * 16 + value }
            }
            (State::Size { digits: 1.., size }, b'\r') => State::SizeEnd { size },
            (State::Size { digits: 1.., size }, b';') => State::Extension { size },
            (State::Extension { size }, b'\r') => State::SizeEnd { size },
            (State::Extension { size }, byte) if byte == b'\t' || (b' '..0x7f).contains(&byte) => {
                self.spend_overhead()?;
                State::Extension { size }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeEnd { size }, b'\n') => State::Data { remaining: size },
            (State::DataEnd { seen_cr: false }, b'\r') => State::DataEnd { seen_cr: true },
            (State::DataEnd { seen_cr: true }, b'\n') => State::Size { digits: 0, size: 0 },
            (State::TrailerStart, b'\r') => State::LastEnd,
            (State::TrailerStart, byte) if is_token(byte) => {
                self.n_trailers += 1;
                if self.n_trailers > TRAILER_FIELDS {
                    return Err(BodyError::Malformed("too many trailer fields"));
                }
                self.spend_overhead()?;
                State::TrailerName
            }
            (State::TrailerName, byte) if is_token(byte) => {
                self.spend_overhead()?;
                State::TrailerName
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerEnd,
            (State::TrailerValue, byte) if is_field_content(byte) => {
                self.spend_overhead()?;
                State::TrailerValue
            }
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerEnd, _) => {
                return Err(BodyError::Malformed("trailer section"));
            }
            (State::LastEnd, b'\n') => return Ok(None),
            _ => return Err(BodyError::Malformed("chunked coding")),
        };
        Ok(Some(state))
    }

    fn spend_overhead(&mut self) -> Result<(), BodyError> {
        self.overhead += 1;
        if self.overhead > OVERHEAD_LIMIT {
            Err(BodyError::Malformed("chunk extensions or trailers too long"))
        } else {
            Ok(())
        }
    }
}

/// Digits of a chunk size; 12 hexadecimal digits are 256 TiB.
const MAX_SIZE_DIGITS: u8 = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds the input in pieces of `step` bytes. Returns the data, and whether and where the body ended.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, Option<usize>), BodyError> {
        let mut decoder = ChunkedDecoder::new();
        let mut buffer = Buffer::default();
        let (mut data, mut fed) = (Vec::new(), 0);
        loop {
            match decoder.take(&mut buffer)? {
                Piece::Data(piece) => data.extend_from_slice(&piece),
                Piece::End(_) => return Ok((data, Some(fed - buffer.unread().len()))),
                Piece::NeedMore if fed == input.len() => return Ok((data, None)),
                Piece::NeedMore => {
                    let end = (fed + step).min(input.len());
                    buffer.extend(&input[fed..end]);
                    fed = end;
                }
            }
        }
    }

    #[test]
    fn chunks_extensions_and_trailers_are_taken_apart() {
        let input =
            b"4;name=value\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX-Sum: 1\r\nx!y:\r\n\r\nGET";
        for step in 1..input.len() {
            let (data, end) = decode(input, step).unwrap();
            assert_eq!(data, b"Wikipedia in \r\n\r\nchunks.");
            assert_eq!(end, Some(input.len() - 3));
        }
    }

    #[test]
    fn anything_but_the_letter_of_the_coding_is_refused() {
        for bad in [
            "4\nWiki\r\n",
            "4\r\nWikiX\r\n",
            "4\r\nWiki\n",
            " 4\r\n",
            "4 \r\n",
            "0x4\r\n",
            "-4\r\n",
            ";\r\n",
            "\r\n",
            "1000000000000\r\n",
            "4;a\nb\r\n",
            "4;\0\r\n",
            "0\r\n\n",
            "0\r\nX: 1\n\r\n",
            "0\r\nX: 1\r\r\n",
            "0\r\nGET /x HTTP/1.1\r\n\r\n",
            "0\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\nX : 1\r\n\r\n",
            "0\r\n: 1\r\n\r\n",
            "0\r\n X: 1\r\n\r\n",
            "0\r\nX: 1\r\n folded\r\n\r\n",
            "0\r\nX: \0\r\n\r\n",
            "0\r\nX: \x7f\r\n\r\n",
            "0\r\nX: 1\n\r\n",
            "0\r\nX: 1\r\n\n",
        ] {
            assert!(decode(bad.as_bytes(), 1).is_err(), "{bad:?} should be refused");
        }
    }

    #[test]
    fn endless_extensions_and_trailers_are_refused() {
        let many = "X:\r\n".repeat(TRAILER_FIELDS);
        assert!(decode(format!("0\r\n{many}\r\n").as_bytes(), 100).is_ok());
        for endless in [
            format!("1;{}", "a".repeat(20_000)),
            format!("0\r\nX: {}", "a".repeat(20_000)),
            format!("0\r\n{}", "a".repeat(20_000)),
            format!("0\r\n{many}X:\r\n\r\n"),
        ] {
            assert!(decode(endless.as_bytes(), 1000).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), step in 1_usize..50) {
            let mut encoded = Vec::new();
            for chunk in &chunks {
                encoded.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                encoded.extend(chunk);
                encoded.extend(b"\r\n");
            }
            encoded.extend(b"0\r\n\r\n");
            let (data, end) = decode(&encoded, step).unwrap();
            prop_assert_eq!(data, chunks.concat());
            prop_assert_eq!(end, Some(encoded.len()));
        }

        #[test]
        fn any_input_ends_in_data_or_an_error(input in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..20) {
            if let Ok((data, _)) = decode(&input, step) {
                prop_assert!(data.len() <= input.len());
            }
        }
    }
}
