//! Frames as bytes (RFC 9113 §4.1, §6).

use super::reason::Reason;

/// Bytes before the payload of a frame.
pub(super) const HEAD: usize = 9;

/// The longest payload that everybody takes, and the longest that we take (RFC 9113 §4.2).
pub(super) const MOST_PAYLOAD: usize = 16_384;

/// The most that a window may ever be (RFC 9113 §6.9.1), and the highest number of a stream.
pub(super) const MOST: u32 = (1 << 31) - 1;

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PRIORITY: u8 = 0x2;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PUSH_PROMISE: u8 = 0x5;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const WITH_PRIORITY: u8 = 0x20;

pub(super) const HEADER_TABLE_SIZE: u16 = 0x1;
pub(super) const ENABLE_PUSH: u16 = 0x2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
pub(super) const MAX_FRAME_SIZE: u16 = 0x5;
pub(super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn read(bytes: &[u8; HEAD]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & MOST,
        }
    }

    /// The payload must not be longer than 16 MiB.
    pub(super) fn write(self) -> [u8; HEAD] {
        let [_, l0, l1, l2] = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

fn push(into: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    into.extend_from_slice(&Head { length: payload.len(), kind, flags, stream }.write());
    into.extend_from_slice(payload);
}

/// Settings, as identifiers and values (RFC 9113 §6.5).
pub(super) fn push_settings(into: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let mut payload = Vec::with_capacity(settings.len() * 6);
    for (identifier, value) in settings {
        payload.extend_from_slice(&identifier.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    push(into, SETTINGS, 0, 0, &payload);
}

pub(super) fn push_settings_ack(into: &mut Vec<u8>) {
    push(into, SETTINGS, ACK, 0, &[]);
}

pub(super) fn push_ping(into: &mut Vec<u8>, is_ack: bool, payload: [u8; 8]) {
    push(into, PING, if is_ack { ACK } else { 0 }, 0, &payload);
}

pub(super) fn push_window_update(into: &mut Vec<u8>, stream: u32, by: u32) {
    push(into, WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
}

pub(super) fn push_reset(into: &mut Vec<u8>, stream: u32, reason: Reason) {
    push(into, RST_STREAM, 0, stream, &reason.0.to_be_bytes());
}

pub(super) fn push_goaway(into: &mut Vec<u8>, last_stream: u32, reason: Reason) {
    let [a, b, c, d] = last_stream.to_be_bytes();
    let [e, f, g, h] = reason.0.to_be_bytes();
    push(into, GOAWAY, 0, 0, &[a, b, c, d, e, f, g, h]);
}

pub(super) fn push_data(into: &mut Vec<u8>, stream: u32, bytes: &[u8], is_last: bool) {
    push(into, DATA, if is_last { END_STREAM } else { 0 }, stream, bytes);
}

/// A block of compressed fields in as many frames as it takes (RFC 9113 §4.3). `encode` appends the block.
pub(super) fn push_fields(
    into: &mut Vec<u8>,
    stream: u32,
    is_last: bool,
    most_payload: usize,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    let start = into.len();
    into.extend_from_slice(&[0; HEAD]);
    encode(into);
    let length = into.len() - start - HEAD;
    let ends_stream = if is_last { END_STREAM } else { 0 };
    if length <= most_payload {
        let head = Head { length, kind: HEADERS, flags: END_HEADERS | ends_stream, stream };
        into[start..start + HEAD].copy_from_slice(&head.write());
        return;
    }
    let block = into.split_off(start + HEAD);
    into.truncate(start);
    let mut parts = block.chunks(most_payload).peekable();
    let (mut kind, mut flags) = (HEADERS, ends_stream);
    while let Some(part) = parts.next() {
        let ends_fields = if parts.peek().is_none() { END_HEADERS } else { 0 };
        push(into, kind, flags | ends_fields, stream, part);
        (kind, flags) = (CONTINUATION, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_takes_as_many_frames_as_it_needs() {
        for (length, frames) in [(0, 1), (10, 1), (11, 2), (20, 2), (25, 3)] {
            let mut bytes = Vec::new();
            push_fields(&mut bytes, 5, true, 10, |into| into.extend(std::iter::repeat_n(b'x', length)));
            let (mut rest, mut heads, mut n_bytes) = (bytes.as_slice(), Vec::new(), 0);
            while let Some((head, payload)) = rest.split_first_chunk::<HEAD>() {
                let head = Head::read(head);
                assert_eq!(head, Head::read(&head.write()));
                n_bytes += head.length;
                rest = &payload[head.length..];
                heads.push(head);
            }
            assert_eq!((heads.len(), n_bytes), (frames, length));
            let last = heads.len() - 1;
            for (index, head) in heads.iter().enumerate() {
                assert_eq!(head.stream, 5);
                assert_eq!(head.kind, if index == 0 { HEADERS } else { CONTINUATION });
                assert_eq!(head.has(END_HEADERS), index == last);
                assert_eq!(head.has(END_STREAM), index == 0);
            }
        }
    }
}
