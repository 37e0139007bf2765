//! Writing heads and bodies with exactly one framing field.

use std::future::poll_fn;
use std::io::Write as _;
use std::task::Poll;

use bytes::Bytes;
use http::{Method, StatusCode, Version};

use crate::clock;
use crate::fields::Fields;
use crate::h1::io::Io;
use crate::{Body, BodyError};

/// What happens to a body on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// No body and no framing field: 204, 304, or a request without a body.
    Nothing,
    /// `Content-Length`, and the bytes.
    Length(u64),
    /// `Content-Length` alone: the answer to HEAD.
    LengthOnly(u64),
    /// Chunks.
    Chunked,
    /// Chunks, and the fields behind them for somebody who takes them.
    Trailed,
    /// Bytes until the connection ends.
    UntilClose,
}

/// What of a request decides how its response is written.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// Whether the client takes fields behind the body (RFC 9110 §10.1.4).
    pub(crate) takes_trailers: bool,
}

/// Why a message could not be written whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The socket does not take it.
    #[error(transparent)]
    Io(std::io::Error),
    /// Its body did not come to its end.
    #[error(transparent)]
    Body(BodyError),
}

impl Transfer {
    /// How a response's body goes over the wire.
    pub(crate) fn of_response(status: StatusCode, asked: &Asked, body: &Body) -> Self {
        let Asked { method, version, takes_trailers } = asked;
        let has_none =
            status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        match body.remaining() {
            _ if has_none => Self::Nothing,
            Some(length) if *method == Method::HEAD => Self::LengthOnly(length),
            None if *method == Method::HEAD => Self::Nothing,
            Some(length) => Self::Length(length),
            None if *version == Version::HTTP_10 => Self::UntilClose,
            None if *takes_trailers => Self::Trailed,
            None => Self::Chunked,
        }
    }

    /// How a request's body goes over the wire. Methods that usually have a body say so even when it is empty. What stands
    /// behind a body is dropped: servers do not say whether they look there.
    pub(crate) fn of_request(method: &Method, body: &Body) -> Self {
        let usually_has_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
        match body.remaining() {
            Some(0) if !usually_has_body => Self::Nothing,
            Some(length) => Self::Length(length),
            None => Self::Chunked,
        }
    }

    fn is_chunked(self) -> bool {
        matches!(self, Self::Chunked | Self::Trailed)
    }

    fn write_field(self, out: &mut Vec<u8>) {
        match self {
            Self::Length(length) | Self::LengthOnly(length) => {
                out.extend_from_slice(b"content-length: ");
                write_number(out, length);
                out.extend_from_slice(b"\r\n");
            }
            Self::Chunked | Self::Trailed => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Self::Nothing | Self::UntilClose => {}
        }
    }
}

/// Writes a response head.
pub(crate) fn response_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &Fields,
    transfer: Transfer,
    close: Close,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    let mut has_date = false;
    fields.write(out, |name| {
        has_date |= name.eq_ignore_ascii_case(b"date");
        !is_framing(name)
    });
    if !has_date {
        write_date(out);
    }
    match close {
        Close::Yes => out.extend_from_slice(b"connection: close\r\n"),
        Close::NoForHttp10 => out.extend_from_slice(b"connection: keep-alive\r\n"),
        Close::No => {}
    }
    transfer.write_field(out);
    out.extend_from_slice(b"\r\n");
}

/// Writes the head after which the connection speaks something else (RFC 9110 §15.2.2).
pub(crate) fn switching_protocols(out: &mut Vec<u8>, fields: &Fields) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n");
    fields.write(out, |name| !is_framing(name));
    out.extend_from_slice(b"\r\n");
}

/// Whether the connection ends after a response, and whether that must be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// It ends.
    Yes,
    /// It does not.
    No,
    /// It does not, and an HTTP/1.0 client must be told.
    NoForHttp10,
}

/// Writes a request head. One that asks for another protocol, or for trailers, says that the field means this connection
/// (RFC 9110 §7.8, §10.1.4).
pub(crate) fn request_head(
    out: &mut Vec<u8>,
    method: &Method,
    target: &str,
    fields: &Fields,
    transfer: Transfer,
) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let (mut asks_to_switch, mut takes_trailers) = (false, false);
    fields.write(out, |name| {
        asks_to_switch |= name.eq_ignore_ascii_case(b"upgrade");
        takes_trailers |= name.eq_ignore_ascii_case(b"te");
        !is_framing(name)
    });
    match (asks_to_switch, takes_trailers) {
        (true, true) => out.extend_from_slice(b"connection: Upgrade, TE\r\n"),
        (true, false) => out.extend_from_slice(b"connection: Upgrade\r\n"),
        (false, true) => out.extend_from_slice(b"connection: TE\r\n"),
        (false, false) => {}
    }
    transfer.write_field(out);
    out.extend_from_slice(b"\r\n");
}

/// Room for a head with these fields, and for the body behind it where both leave in one write.
pub(crate) fn room(first_line: usize, fields: &Fields, body: &Body) -> usize {
    let joined = match body {
        Body::Full(bytes) if bytes.len() <= COALESCED_BYTES => bytes.len(),
        _ => 0,
    };
    first_line + fields.n_bytes() + OWN_FIELD_BYTES + joined
}

/// Bytes that the fields take which are written here, `Date` among them, and what stands around a first line.
const OWN_FIELD_BYTES: usize = 160;

/// Puts a body that is there behind its head, if both are to leave in one write; gives it back otherwise.
pub(crate) fn join(out: &mut Vec<u8>, transfer: Transfer, body: Body) -> Option<Body> {
    match (transfer, body) {
        (Transfer::Nothing | Transfer::LengthOnly(_), _) => None,
        (Transfer::Length(_) | Transfer::UntilClose, Body::Empty) => None,
        (Transfer::Length(_) | Transfer::UntilClose, Body::Full(bytes)) if bytes.len() <= COALESCED_BYTES => {
            out.extend_from_slice(&bytes);
            None
        }
        (_, body) => Some(body),
    }
}

/// Writes the head together with as much of a body, which did not [`join`] it, as is there already, then the rest.
pub(crate) async fn write_message(
    io: &Io,
    mut out: Vec<u8>,
    transfer: Transfer,
    mut body: Body,
) -> Result<(), WriteError> {
    let mut left = if let Transfer::Length(length) = transfer { length } else { u64::MAX };
    while let Some(chunk) = next_chunk(io, &mut out, &mut body).await? {
        if chunk.is_empty() {
            continue;
        }
        left =
            left.checked_sub(chunk.len() as u64).ok_or(WriteError::Body(BodyError::Malformed("too long")))?;
        write_chunk(io, &mut out, transfer, &chunk).await.map_err(WriteError::Io)?;
    }
    match transfer {
        Transfer::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
        Transfer::Trailed => {
            out.extend_from_slice(b"0\r\n");
            let trailers = body.take_trailers();
            trailers.iter().for_each(|trailers| trailers.write(&mut out, |_| true));
            out.extend_from_slice(b"\r\n");
        }
        Transfer::Length(_) if left > 0 => return Err(WriteError::Body(BodyError::Closed)),
        _ => {}
    }
    io.write_all(&out).await.map_err(WriteError::Io)
}

/// The next piece of a body. What waits in `out` is not held back by a body that has nothing yet.
async fn next_chunk(io: &Io, out: &mut Vec<u8>, body: &mut Body) -> Result<Option<Bytes>, WriteError> {
    let at_once = poll_fn(|cx| Poll::Ready(body.poll_chunk(cx))).await;
    let chunk = match at_once {
        Poll::Ready(chunk) => chunk,
        Poll::Pending => {
            if !out.is_empty() {
                io.write_all(out).await.map_err(WriteError::Io)?;
                out.clear();
            }
            body.chunk().await
        }
    };
    chunk.transpose().map_err(WriteError::Body)
}

/// Bodies up to this size are copied behind their head, so that both leave in one write.
const COALESCED_BYTES: usize = 16 * 1024;

/// Writes what waits in `out`, then one chunk.
async fn write_chunk(io: &Io, out: &mut Vec<u8>, transfer: Transfer, chunk: &Bytes) -> std::io::Result<()> {
    if transfer.is_chunked() {
        let _ = write!(out, "{:x}\r\n", chunk.len());
    }
    if chunk.len() <= COALESCED_BYTES {
        out.extend_from_slice(chunk);
        if transfer.is_chunked() {
            out.extend_from_slice(b"\r\n");
        }
        io.write_all(out).await?;
        out.clear();
        return Ok(());
    }
    io.write_all(out).await?;
    io.write_all(chunk).await?;
    out.clear();
    if transfer.is_chunked() {
        out.extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// Fields that only the writer of a message may write.
pub(crate) fn is_framing(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [b"content-length", b"transfer-encoding", b"connection", b"keep-alive"];
    NAMES.iter().any(|framing| name.eq_ignore_ascii_case(framing))
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Writes `Date` (RFC 9110 §6.6.1).
fn write_date(out: &mut Vec<u8>) {
    out.extend_from_slice(b"date: ");
    clock::with_http_date(|date| out.extend_from_slice(date.as_bytes()));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn a_message_has_exactly_one_framing_field() {
        let mut fields = Fields::new();
        fields.push("Content-Length", "999");
        fields.push("Transfer-Encoding", "chunked");
        fields.push("Connection", "x-secret");
        fields.push("X-A", "1");
        let mut out = Vec::new();
        request_head(&mut out, &Method::POST, "/predict", &fields, Transfer::Length(3));
        assert_eq!(out, b"POST /predict HTTP/1.1\r\nX-A: 1\r\ncontent-length: 3\r\n\r\n");
    }

    #[test]
    fn some_answers_have_no_body() {
        let body = || Body::from("abc");
        let of = |status, method: Method| {
            let asked = Asked { method, version: Version::HTTP_11, takes_trailers: false };
            Transfer::of_response(status, &asked, &body())
        };
        assert_eq!(of(StatusCode::NO_CONTENT, Method::GET), Transfer::Nothing);
        assert_eq!(of(StatusCode::NOT_MODIFIED, Method::GET), Transfer::Nothing);
        assert_eq!(of(StatusCode::OK, Method::HEAD), Transfer::LengthOnly(3));
        assert_eq!(of(StatusCode::OK, Method::GET), Transfer::Length(3));
    }
}
