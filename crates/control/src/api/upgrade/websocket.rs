//! The server's side of WebSocket (RFC 6455): the handshake's answer, reading frames strictly, writing them.
//!
//! It decides on bytes and knows no socket. Extensions are never agreed on, so reserved bits are errors.

use bytes::{Buf as _, Bytes, BytesMut};

/// What a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// Bytes, or text, which is bytes too for the protocols that are spoken here.
    Data(Bytes),
    /// A question that wants its bytes back.
    Ping(Bytes),
    /// It will say nothing more.
    Close,
}

/// Why the bytes are no messages: the code of the close frame that says so (RFC 6455 §7.4.1), and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Violation {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

/// Reads messages out of bytes that come in pieces.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    /// The fragments of a message that has not ended, and whether it is text.
    fragments: Option<(BytesMut, bool)>,
}

/// The longest message, in bytes. Clients of Kubernetes send 32 KiB at a time.
pub(crate) const MESSAGE_LIMIT: usize = 1 << 20;
/// The longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_LIMIT: usize = 125;

const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_TEXT: u16 = 1007;
const TOO_BIG: u16 = 1009;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The value of `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2); `None` when the key is none.
pub(crate) fn accept(key: &str) -> Option<String> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    const UNIQUE: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let is_key = BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16);
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{UNIQUE}").as_bytes(),
    );
    is_key.then(|| BASE64_STANDARD.encode(digest))
}

/// One frame that holds all of a binary message.
pub(crate) fn binary(parts: &[&[u8]]) -> Bytes {
    frame(BINARY, parts)
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Bytes {
    frame(PONG, &[payload])
}

/// The last frame, of a connection that went well.
pub(crate) fn close() -> Bytes {
    frame(CLOSE, &[&NORMAL.to_be_bytes()])
}

/// The last frame, of a connection that did not.
pub(crate) fn close_for(violation: Violation) -> Bytes {
    frame(CLOSE, &[&violation.code.to_be_bytes(), violation.reason.as_bytes()])
}

fn frame(opcode: u8, parts: &[&[u8]]) -> Bytes {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = Vec::with_capacity(length + 10);
    frame.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    frame.into()
}

// === impl Decoder ===

impl Decoder {
    /// Takes in bytes from the wire.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, Violation> {
        loop {
            let Some((head, payload)) = self.take_frame()? else { return Ok(None) };
            let is_last = head & 0x80 != 0;
            match head & 0x0f {
                CLOSE => return Ok(Some(Message::Close)),
                PING => return Ok(Some(Message::Ping(payload.freeze()))),
                PONG => {}
                opcode => {
                    if let Some(message) = self.assemble(opcode, is_last, payload)? {
                        return Ok(Some(Message::Data(message)));
                    }
                }
            }
        }
    }

    /// Takes one frame out of the buffer, once all of it is there: its first byte, and its payload without the mask.
    fn take_frame(&mut self) -> Result<Option<(u8, BytesMut)>, Violation> {
        let [first, second, rest @ ..] = &*self.buffer else { return Ok(None) };
        let (first, second) = (*first, *second);
        let is_control = first & 0x08 != 0;
        if first & 0x70 != 0 {
            return Err(violation("a reserved bit is set"));
        }
        if !matches!(first & 0x0f, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(violation("an unknown opcode"));
        }
        if is_control && (first & 0x80 == 0 || usize::from(second & 0x7f) > CONTROL_LIMIT) {
            return Err(violation("a control frame that is long or in pieces"));
        }
        if second & 0x80 == 0 {
            return Err(violation("a frame of a client without a mask"));
        }
        let (n_bytes, length) = match (second & 0x7f, rest) {
            (126, [a, b, ..]) => (2, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => (8, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
            (126 | 127, _) => return Ok(None),
            (length, _) => (0, u64::from(length)),
        };
        let is_shortest = match n_bytes {
            2 => length > 125,
            8 => length > u64::from(u16::MAX),
            _ => true,
        };
        if !is_shortest {
            return Err(violation("a length that is not written in its shortest form"));
        }
        let so_far = self.fragments.as_ref().map_or(0, |(bytes, _)| bytes.len());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MESSAGE_LIMIT - so_far.min(MESSAGE_LIMIT) {
            return Err(Violation { code: TOO_BIG, reason: "a message longer than 1 MiB" });
        }
        let start = 2 + n_bytes + 4;
        if self.buffer.len() < start + length {
            return Ok(None);
        }
        self.buffer.advance(2 + n_bytes);
        let mask = self.buffer.split_to(4);
        let mut payload = self.buffer.split_to(length);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(Some((first, payload)))
    }

    /// Puts a message together from its frames.
    fn assemble(&mut self, opcode: u8, is_last: bool, payload: BytesMut) -> Result<Option<Bytes>, Violation> {
        let (bytes, is_text) = match (opcode, self.fragments.take()) {
            (CONTINUATION, Some((mut bytes, is_text))) => {
                bytes.unsplit(payload);
                (bytes, is_text)
            }
            (CONTINUATION, None) => return Err(violation("the rest of a message that never began")),
            (_, Some(_)) => return Err(violation("a message within a message")),
            (opcode, None) => (payload, opcode == TEXT),
        };
        if !is_last {
            self.fragments = Some((bytes, is_text));
            return Ok(None);
        }
        if is_text && std::str::from_utf8(&bytes).is_err() {
            return Err(Violation { code: NOT_TEXT, reason: "text that is not UTF-8" });
        }
        Ok(Some(bytes.freeze()))
    }
}

const fn violation(reason: &'static str) -> Violation {
    Violation { code: PROTOCOL_ERROR, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as a client writes it.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let written = frame(first & 0x0f, &[payload]);
        let head = written.len() - payload.len();
        let mask = [1, 2, 3, 4];
        let mut bytes = written[..head].to_vec();
        bytes[0] = first;
        bytes[1] |= 0x80;
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    fn decoded(bytes: &[u8]) -> Result<Vec<Message>, Violation> {
        let mut decoder = Decoder::default();
        let mut messages = Vec::new();
        // Byte by byte: where the pieces end must not matter.
        for byte in bytes {
            decoder.extend(&[*byte]);
            while let Some(message) = decoder.next()? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    fn data(text: &str) -> Message {
        Message::Data(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn the_answer_to_the_key_of_the_standard() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(accept("dGhlIHNhbXBsZQ=="), None);
        assert_eq!(accept(""), None);
    }

    #[test]
    fn messages_come_whole_and_in_pieces() {
        let mut bytes = masked(0x82, b"one");
        bytes.extend(masked(0x01, b"t"));
        bytes.extend(masked(0x89, b"still there?"));
        bytes.extend(masked(0x00, b"w"));
        bytes.extend(masked(0x80, b"o"));
        bytes.extend(masked(0x8a, b""));
        bytes.extend(masked(0x88, &1000_u16.to_be_bytes()));
        let ping = Message::Ping(Bytes::from_static(b"still there?"));
        assert_eq!(decoded(&bytes).unwrap(), [data("one"), ping, data("two"), Message::Close]);
        let long = "x".repeat(70_000);
        assert_eq!(decoded(&masked(0x82, long.as_bytes())).unwrap(), [data(&long)]);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let refused = |bytes: &[u8]| decoded(bytes).unwrap_err();
        assert_eq!(refused(&frame(BINARY, &[b"bare"])).reason, "a frame of a client without a mask");
        assert_eq!(refused(&masked(0xc2, b"")).reason, "a reserved bit is set");
        assert_eq!(refused(&masked(0x83, b"")).reason, "an unknown opcode");
        assert_eq!(refused(&masked(0x09, b"")).reason, "a control frame that is long or in pieces");
        assert_eq!(refused(&masked(0x89, &[0; 126])).reason, "a control frame that is long or in pieces");
        assert_eq!(refused(&masked(0x80, b"x")).reason, "the rest of a message that never began");
        assert_eq!(refused(&masked(0x81, b"\xff")).code, NOT_TEXT);
        let within = [masked(0x02, b"a"), masked(0x82, b"b")].concat();
        assert_eq!(refused(&within).reason, "a message within a message");
        assert_eq!(refused(&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1]).code, TOO_BIG);
        assert_eq!(refused(&[0x82, 0xfe, 0, 5]).reason, "a length that is not written in its shortest form");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5)) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| masked(0x82, payload)).collect();
            let messages = payloads.into_iter().map(|payload| Message::Data(payload.into())).collect::<Vec<_>>();
            prop_assert_eq!(decoded(&bytes).unwrap(), messages);
        }
    }
}
