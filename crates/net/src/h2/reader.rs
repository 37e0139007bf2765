//! Cutting what comes over a connection into frames (RFC 9113 §4), however the bytes arrive.

use tokio::time::Instant;

use super::PREFACE;
use super::frame::{self, Head};
use super::reason::Reason;
use crate::clock;

/// What came. Bytes are those of the read where they are whole in it; only what is cut is copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A part of a DATA frame, or all of it.
    Data {
        stream: u32,
        bytes: &'a [u8],
        /// Bytes that flow control counts beside them: padding, and the length of it.
        n_padding: usize,
        /// Whether a frame ends with them that says END_STREAM.
        is_last: bool,
        /// Whether it is a whole frame without a byte.
        is_empty: bool,
    },
    /// Compressed fields, from all the frames they came in.
    Fields { stream: u32, block: &'a [u8], is_last: bool },
    /// The end of a stream.
    Reset { stream: u32, reason: Reason },
    /// Settings: identifiers of 2 bytes and values of 4.
    Settings(&'a [u8]),
    /// That the other side has taken our settings in.
    SettingsTaken,
    /// A question whether anybody is there.
    Ping([u8; 8]),
    /// The answer to ours.
    Pong([u8; 8]),
    /// The end of the connection for streams behind this one.
    GoAway { last_stream: u32 },
    /// More room for bytes.
    WindowUpdate { stream: u32, by: u32 },
    /// Some of the fields that will come whole later.
    Part,
    /// What means nothing here: PRIORITY, kinds that nobody knows, and pieces of a block without a byte.
    Nothing,
}

/// Reads frames.
pub(super) struct Reader {
    place: Place,
    /// A payload that came in parts.
    payload: Vec<u8>,
    /// A block that comes in several frames,
    block: Vec<u8>,
    /// and while it does, for which stream, and whether END_STREAM stood on its first frame.
    block_of: Option<(u32, bool)>,
    /// How many bytes a block may have.
    most_block: usize,
    /// When the fields began to come that are not there yet.
    head_began: Option<Instant>,
}

/// Where the next byte belongs.
#[derive(Debug)]
enum Place {
    /// In what stands before the first frame: how many bytes are to come.
    Preface(usize),
    /// In the head of a frame, of which so many bytes are there.
    Head([u8; frame::HEAD], usize),
    /// Behind the length of the padding of DATA, which is not there yet.
    PadLength(Head),
    /// In DATA: how many bytes are to come, and how many of padding behind them.
    Data { head: Head, to_come: usize, n_padding: usize },
    /// In a payload that is taken whole.
    Payload(Head),
    /// In what nobody reads: how many bytes are to come.
    Skipped(usize),
}

const NEXT: Place = Place::Head([0; frame::HEAD], 0);

// === impl Reader ===

impl Reader {
    /// Reads what a client sends, who begins with the preface (RFC 9113 §3.4). A block may have so many bytes.
    pub(super) fn of_client(most_block: usize) -> Self {
        Self { place: Place::Preface(PREFACE.len()), ..Self::of_server(most_block) }
    }

    /// Reads what a server sends.
    pub(super) fn of_server(most_block: usize) -> Self {
        Self {
            place: NEXT,
            payload: Vec::new(),
            block: Vec::new(),
            block_of: None,
            most_block,
            head_began: None,
        }
    }

    /// When the fields began to come that are not there yet, if there are any.
    pub(super) fn head_began(&self) -> Option<Instant> {
        self.head_began
    }

    /// The next frame in `bytes`, from which what is read is taken away; `None` when there is no more.
    ///
    /// # Errors
    /// What breaks the connection.
    pub(super) fn next<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8]) -> Result<Option<Frame<'a>>, Reason> {
        while !bytes.is_empty() {
            let head_of_whole = match &mut self.place {
                Place::Preface(to_come) => {
                    let expected = &PREFACE[PREFACE.len() - *to_come..];
                    let n_bytes = expected.len().min(bytes.len());
                    if bytes[..n_bytes] != expected[..n_bytes] {
                        return Err(Reason::PROTOCOL_ERROR);
                    }
                    *to_come -= n_bytes;
                    *bytes = &bytes[n_bytes..];
                    if *to_come == 0 {
                        self.place = NEXT;
                    }
                    continue;
                }
                Place::Head(head, there) => {
                    let part = take(bytes, frame::HEAD - *there);
                    head[*there..*there + part.len()].copy_from_slice(part);
                    *there += part.len();
                    if *there < frame::HEAD {
                        return Ok(None);
                    }
                    let head = Head::read(head);
                    self.begin(head)?
                }
                Place::PadLength(head) => {
                    let n_padding = usize::from(take(bytes, 1)[0]);
                    let head = *head;
                    let Some(to_come) = (head.length - 1).checked_sub(n_padding) else {
                        return Err(Reason::PROTOCOL_ERROR);
                    };
                    self.place = Place::Data { head, to_come, n_padding };
                    if to_come > 0 { None } else { Some(head) }
                }
                Place::Data { head, to_come, n_padding } => {
                    let part = take(bytes, *to_come);
                    *to_come -= part.len();
                    let (head, is_whole, n_padding) = (*head, *to_come == 0, *n_padding);
                    if is_whole {
                        self.place = if n_padding > 0 { Place::Skipped(n_padding) } else { NEXT };
                    }
                    return Ok(Some(Frame::Data {
                        stream: head.stream,
                        bytes: part,
                        n_padding: if is_whole { padding(head, n_padding) } else { 0 },
                        is_last: is_whole && head.has(frame::END_STREAM),
                        is_empty: false,
                    }));
                }
                Place::Skipped(to_come) => {
                    *to_come -= take(bytes, *to_come).len();
                    if *to_come == 0 {
                        self.place = NEXT;
                    }
                    continue;
                }
                Place::Payload(head) => Some(*head),
            };
            let Some(head) = head_of_whole else { continue };
            if head.kind == frame::DATA {
                return Ok(Some(self.end_of_empty_data(head)));
            }
            let mut whole = None;
            if self.payload.is_empty() && bytes.len() >= head.length {
                whole = Some(take(bytes, head.length));
            } else {
                let part = take(bytes, head.length - self.payload.len());
                self.payload.extend_from_slice(part);
                if self.payload.len() < head.length {
                    return Ok(None);
                }
            }
            self.place = NEXT;
            return self.whole(head, whole).map(Some);
        }
        Ok(None)
    }

    /// Decides by its head what becomes of a frame. Returns the head of one whose payload is taken whole, or that has none.
    fn begin(&mut self, head: Head) -> Result<Option<Head>, Reason> {
        if head.length > frame::MOST_PAYLOAD {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        // Nothing comes between the frames of a block, and no other frame goes on with it (RFC 9113 §6.10).
        let goes_on = (head.kind == frame::CONTINUATION).then_some(head.stream);
        if goes_on != self.block_of.map(|(stream, _)| stream) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let needs_stream = matches!(
            head.kind,
            frame::DATA | frame::HEADERS | frame::PRIORITY | frame::RST_STREAM | frame::CONTINUATION
        );
        let needs_none = matches!(head.kind, frame::SETTINGS | frame::PING | frame::GOAWAY);
        if (needs_stream && head.stream == 0) || (needs_none && head.stream != 0) {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let is_right_length = match head.kind {
            frame::PRIORITY => head.length == 5,
            frame::RST_STREAM | frame::WINDOW_UPDATE => head.length == 4,
            frame::PING => head.length == 8,
            frame::GOAWAY => head.length >= 8,
            frame::SETTINGS if head.has(frame::ACK) => head.length == 0,
            frame::SETTINGS => head.length.is_multiple_of(6),
            _ => true,
        };
        if !is_right_length {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        match head.kind {
            frame::DATA if head.has(frame::PADDED) => {
                if head.length == 0 {
                    return Err(Reason::FRAME_SIZE_ERROR);
                }
                self.place = Place::PadLength(head);
                return Ok(None);
            }
            frame::DATA => {
                self.place = Place::Data { head, to_come: head.length, n_padding: 0 };
                if head.length > 0 {
                    return Ok(None);
                }
            }
            frame::PUSH_PROMISE => return Err(Reason::PROTOCOL_ERROR),
            frame::HEADERS => {
                self.head_began = Some(clock::recently());
                self.block.clear();
            }
            _ => {}
        }
        if head.kind != frame::DATA {
            self.payload.clear();
            self.place = Place::Payload(head);
        }
        Ok(Some(head))
    }

    /// A DATA frame without a byte of data, of which only padding may still come.
    fn end_of_empty_data(&mut self, head: Head) -> Frame<'static> {
        let n_padding = head.length.saturating_sub(1);
        self.place = if n_padding > 0 { Place::Skipped(n_padding) } else { NEXT };
        let is_last = head.has(frame::END_STREAM);
        Frame::Data { stream: head.stream, bytes: &[], n_padding: head.length, is_last, is_empty: true }
    }

    /// A frame whose payload is there: `whole`, or what was gathered of it.
    fn whole<'a>(&'a mut self, head: Head, whole: Option<&'a [u8]>) -> Result<Frame<'a>, Reason> {
        let Self { payload, block, block_of, head_began, most_block, .. } = self;
        let payload = whole.unwrap_or(payload);
        if matches!(head.kind, frame::HEADERS | frame::CONTINUATION) {
            let part = if head.kind == frame::HEADERS { fields_of(head, payload)? } else { payload };
            if block.len() + part.len() > *most_block {
                return Err(Reason::ENHANCE_YOUR_CALM);
            }
            let is_whole = head.has(frame::END_HEADERS);
            let (stream, is_last) = block_of.unwrap_or((head.stream, head.has(frame::END_STREAM)));
            if !is_whole {
                *block_of = Some((stream, is_last));
                block.extend_from_slice(part);
                return Ok(if part.is_empty() { Frame::Nothing } else { Frame::Part });
            }
            *head_began = None;
            if block_of.take().is_none() {
                return Ok(Frame::Fields { stream, block: part, is_last });
            }
            block.extend_from_slice(part);
            return Ok(Frame::Fields { stream, block, is_last });
        }
        let word = |at: usize| match payload.get(at..at + 4) {
            Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
            _ => 0,
        };
        Ok(match head.kind {
            frame::RST_STREAM => Frame::Reset { stream: head.stream, reason: Reason(word(0)) },
            frame::SETTINGS if head.has(frame::ACK) => Frame::SettingsTaken,
            frame::SETTINGS => Frame::Settings(payload),
            frame::PING => {
                let mut opaque = [0; 8];
                opaque.copy_from_slice(payload);
                if head.has(frame::ACK) { Frame::Pong(opaque) } else { Frame::Ping(opaque) }
            }
            frame::GOAWAY => Frame::GoAway { last_stream: word(0) & frame::MOST },
            frame::WINDOW_UPDATE => Frame::WindowUpdate { stream: head.stream, by: word(0) & frame::MOST },
            _ => Frame::Nothing,
        })
    }

    /// Gives memory back that nobody needs between two frames.
    pub(super) fn settle(&mut self) {
        if matches!(self.place, Place::Head(_, 0)) {
            self.payload = Vec::new();
            if self.block_of.is_none() {
                self.block = Vec::new();
            }
        }
    }
}

/// At most so many bytes of those that are there.
fn take<'a>(bytes: &mut &'a [u8], n_bytes: usize) -> &'a [u8] {
    let (part, rest) = bytes.split_at(n_bytes.min(bytes.len()));
    *bytes = rest;
    part
}

/// Bytes of padding as flow control counts them, with the one that says how many there are.
fn padding(head: Head, n_padding: usize) -> usize {
    n_padding + usize::from(head.has(frame::PADDED))
}

/// The fields in the payload of HEADERS (RFC 9113 §6.2).
fn fields_of(head: Head, payload: &[u8]) -> Result<&[u8], Reason> {
    let (n_padding, rest) = match (head.has(frame::PADDED), payload) {
        (false, rest) => (0, rest),
        (true, [n_padding, rest @ ..]) => (usize::from(*n_padding), rest),
        (true, []) => return Err(Reason::FRAME_SIZE_ERROR),
    };
    let rest =
        if head.has(frame::WITH_PRIORITY) { rest.get(5..).ok_or(Reason::FRAME_SIZE_ERROR)? } else { rest };
    let n_bytes = rest.len().checked_sub(n_padding).ok_or(Reason::PROTOCOL_ERROR)?;
    Ok(&rest[..n_bytes])
}

#[cfg(test)]
mod tests;
