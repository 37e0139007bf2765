//! Where a message's body ends, and reading it up to there.

use bytes::Bytes;

use crate::h1::chunked::ChunkedDecoder;
use crate::h1::io::Buffer;
use crate::{BodyError, Fields};

/// How a body's end is known (RFC 9112 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After this many bytes.
    Length(u64),
    /// After the chunk of size zero and its trailers.
    Chunked,
    /// When the connection ends; only for responses.
    UntilClose,
}

/// Why a message's framing is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FramingError {
    /// `Content-Length` is no number, or stands there more than once.
    ContentLength,
    /// `Content-Length` beside `Transfer-Encoding`.
    Both,
    /// `Transfer-Encoding` more than once, or in HTTP/1.0.
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
}

impl Framing {
    /// The framing that fields declare; `None` when they declare none.
    pub(crate) fn declared(fields: &Fields, is_http_10: bool) -> Result<Option<Self>, FramingError> {
        let mut lengths = fields.all("content-length");
        let mut codings = fields.all("transfer-encoding");
        let (length, coding) = (lengths.next(), codings.next());
        if length.is_some() && coding.is_some() {
            return Err(FramingError::Both);
        }
        if lengths.next().is_some() {
            return Err(FramingError::ContentLength);
        }
        if codings.next().is_some() || (coding.is_some() && is_http_10) {
            return Err(FramingError::TransferEncoding);
        }
        match (length, coding) {
            (Some(length), _) => parse_length(length).map(|length| Some(Self::Length(length))),
            (_, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Self::Chunked)),
            (_, Some(_)) => Err(FramingError::UnknownCoding),
            (None, None) => Ok(None),
        }
    }
}

/// The number that `Content-Length` is.
pub(crate) fn parse_length(value: &[u8]) -> Result<u64, FramingError> {
    let is_number = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    if !is_number {
        return Err(FramingError::ContentLength);
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// Reads one body out of a connection's buffer.
#[derive(Debug)]
pub(crate) enum BodyReader {
    /// This many bytes are still to come.
    Length(u64),
    /// Chunks are still to come.
    Chunked(ChunkedDecoder),
    /// Everything until the connection ends.
    UntilClose,
    /// Nothing more belongs to the body.
    Done,
}

/// What a buffer holds of a body.
pub(crate) enum Piece {
    /// Some of it.
    Data(Bytes),
    /// Nothing; more must be read from the connection.
    NeedMore,
    /// The body has ended, with these fields behind it.
    End(Option<Fields>),
}

impl BodyReader {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(ChunkedDecoder::new()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// How many bytes are still to come, when that is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self {
            Self::Length(length) => Some(*length),
            Self::Done => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes the next piece of the body out of the buffer.
    pub(crate) fn take(&mut self, buffer: &mut Buffer) -> Result<Piece, BodyError> {
        match self {
            Self::Done => Ok(Piece::End(None)),
            Self::UntilClose if buffer.unread().is_empty() => Ok(Piece::NeedMore),
            Self::UntilClose => Ok(Piece::Data(buffer.take(usize::MAX))),
            Self::Length(_) if buffer.unread().is_empty() => Ok(Piece::NeedMore),
            Self::Length(length) => {
                let piece = buffer.take(usize::try_from(*length).unwrap_or(usize::MAX));
                *length -= piece.len() as u64;
                if *length == 0 {
                    *self = Self::Done;
                }
                Ok(Piece::Data(piece))
            }
            Self::Chunked(decoder) => {
                let piece = decoder.take(buffer)?;
                if matches!(piece, Piece::End(_)) {
                    *self = Self::Done;
                }
                Ok(piece)
            }
        }
    }

    /// Takes in that the connection has ended. An error unless that is how the body ends.
    pub(crate) fn close(&mut self) -> Result<(), BodyError> {
        let ends_here = matches!(self, Self::UntilClose | Self::Done);
        *self = Self::Done;
        if ends_here { Ok(()) } else { Err(BodyError::Closed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(fields: &[(&str, &str)]) -> Result<Option<Framing>, FramingError> {
        let mut all = Fields::new();
        for (name, value) in fields {
            all.push(name, value);
        }
        Framing::declared(&all, false)
    }

    #[test]
    fn only_one_unambiguous_framing_is_taken() {
        let length = |value| declared(&[("content-length", value)]);
        assert_eq!(declared(&[]), Ok(None));
        assert_eq!(length("0"), Ok(Some(Framing::Length(0))));
        assert_eq!(length("42"), Ok(Some(Framing::Length(42))));
        for bad in ["", "+4", "-1", "4,4", "0x10", "1 ", "9999999999999999999", "٤"] {
            assert_eq!(length(bad), Err(FramingError::ContentLength), "{bad:?}");
        }
        let same_twice = declared(&[("Content-Length", "4"), ("content-length", "4")]);
        assert_eq!(same_twice, Err(FramingError::ContentLength));
        assert_eq!(declared(&[("transfer-encoding", "Chunked")]), Ok(Some(Framing::Chunked)));
        for unknown in ["gzip, chunked", "xchunked", "identity", "chunked, chunked", "\u{b}chunked"] {
            assert_eq!(
                declared(&[("transfer-encoding", unknown)]),
                Err(FramingError::UnknownCoding),
                "{unknown:?}"
            );
        }
        let both = declared(&[("transfer-encoding", "chunked"), ("content-length", "4")]);
        assert_eq!(both, Err(FramingError::Both));
        let twice = declared(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]);
        assert_eq!(twice, Err(FramingError::TransferEncoding));
    }
}
