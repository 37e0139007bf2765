//! What a connection is at, and what follows from it.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::h2::frame;
use crate::h2::hpack::{Decoder, Encoder};
use crate::h2::messages::RequestHead;
use crate::h2::meter::Meter;
use crate::h2::output::Output;
use crate::h2::reader::Reader;
use crate::h2::reason::Reason;
use crate::h2::stream::{Over, Slot, Stream};
use crate::h2::turns::Turns;
use crate::{Limits, Rejection, clock};

/// What the two sides of [`super::Link`] know of each other.
pub(super) struct State {
    pub(super) side: Side,
    pub(super) limits: Rc<Limits>,
    pub(super) reader: Reader,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) meter: Meter,
    pub(super) out: Output,
    pub(super) streams: BTreeMap<u32, Rc<Stream>>,
    /// The highest stream that the side which asks has opened.
    pub(super) last_stream: u32,
    /// Streams that wait until the connection has room for bytes.
    pub(super) turns: Turns,
    pub(super) ours: Windows,
    pub(super) theirs: Theirs,
    /// Whether their first settings have come.
    pub(super) has_settings: bool,
    /// Whether they have taken in ours.
    pub(super) is_heard: bool,
    pub(super) ending: Ending,
    pub(super) is_over: bool,
}

/// Which side we are on.
pub(super) enum Side {
    /// We answer. These are the requests that came and that nobody has begun to answer.
    Server { opened: Vec<Opened> },
    /// We ask. These wait for a stream.
    Client { waiting: VecDeque<Rc<Slot>> },
}

/// A request that came.
pub(in crate::h2) struct Opened {
    pub(in crate::h2) stream: Rc<Stream>,
    pub(in crate::h2) head: Result<RequestHead, Rejection>,
    /// Whether it is a call of gRPC, whatever else is wrong with it.
    pub(in crate::h2) is_grpc: bool,
}

/// What the other side may send us.
#[derive(Debug, Clone, Copy)]
pub(in crate::h2) struct Windows {
    /// On each stream.
    pub(in crate::h2) stream: u32,
    /// On all of them.
    pub(in crate::h2) connection: u32,
    /// What is left of that,
    pub(super) left: u32,
    /// and what was taken that the other side has not been told of.
    credit: u32,
}

/// What the other side has told us.
pub(super) struct Theirs {
    pub(super) stream_window: i64,
    pub(super) connection_window: i64,
    pub(super) most_streams: usize,
}

/// How far a connection is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Not,
    /// It was said that it ends; what is on its way still counts.
    Said,
    /// Streams behind this one are not looked at any more.
    Behind(u32),
}

/// What a PING carries that asks whether anybody is there, and one that tells when everything sent before the end was announced
/// has come.
pub(super) const THERE: [u8; 8] = *b"forebay?";
pub(super) const LAST: [u8; 8] = *b"lastone?";

/// What both sides begin with (RFC 9113 §6.9.2).
pub(super) const FIRST_WINDOW: u32 = 65_535;

// === impl Windows ===

impl Windows {
    pub(in crate::h2) const fn new(stream: u32, connection: u32) -> Self {
        Self { stream, connection, left: connection, credit: 0 }
    }

    /// Takes in that bytes were taken. Returns by how much the window opens, once that is worth telling: as soon as what the other
    /// side may still send is little beside it. Bytes that nobody takes make it little, too.
    fn give_back(&mut self, n_bytes: u32) -> Option<u32> {
        self.credit += n_bytes;
        if self.credit < self.left / 2 {
            return None;
        }
        self.left += self.credit;
        Some(std::mem::take(&mut self.credit))
    }
}

// === impl State ===

impl State {
    /// A stream that nobody knows has been there before, or should not be spoken of (RFC 9113 §5.1).
    pub(super) fn check_began(&self, id: u32) -> Result<(), Reason> {
        if id % 2 == 1 && id <= self.last_stream { Ok(()) } else { Err(Reason::PROTOCOL_ERROR) }
    }

    /// Ends a stream whose rules the other side broke.
    pub(super) fn break_stream(&mut self, id: u32, reason: Reason) {
        self.meter.reset(clock::recently());
        if let Some(stream) = self.reset(id, reason) {
            stream.over.set(Some(Over::Broken(reason)));
            stream.wake();
        }
    }

    pub(super) fn reset(&mut self, id: u32, reason: Reason) -> Option<Rc<Stream>> {
        let stream = self.remove(id)?;
        stream.over.set(Some(Over::Reset(reason)));
        frame::push_reset(self.out.frames(), id, reason);
        self.meter.ended_here(clock::recently());
        Some(stream)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Rc<Stream>> {
        let removed = self.streams.remove(&id);
        if let Some(stream) = &removed {
            self.turns.forget(stream);
        }
        self.next_opening();
        removed
    }

    pub(super) fn forget_done(&mut self, stream: &Stream) {
        if stream.is_done() {
            self.meter.whole(clock::recently());
            self.remove(stream.id);
        }
    }

    /// Lets the other side send as many bytes more on a stream. Returns whether it is told so.
    pub(super) fn has_taken(&mut self, stream: &Stream, n_bytes: usize) -> bool {
        if n_bytes == 0 {
            return false;
        }
        let n_bytes = narrowed(n_bytes);
        let credit = stream.credit.get() + n_bytes;
        let is_told = credit >= self.ours.stream / 2 && !stream.has_received_end.get();
        if is_told {
            stream.window.set(stream.window.get() + credit);
            frame::push_window_update(self.out.frames(), stream.id, credit);
        }
        stream.credit.set(if is_told { 0 } else { credit });
        self.give_back(n_bytes) | is_told
    }

    pub(super) fn give_back(&mut self, n_bytes: u32) -> bool {
        let opened = self.ours.give_back(n_bytes);
        if let Some(by) = opened {
            frame::push_window_update(self.out.frames(), 0, by);
        }
        opened.is_some()
    }

    /// Whether the connection has room for bytes of a body.
    pub(super) fn has_room(&self) -> bool {
        self.theirs.connection_window > 0 && self.out.waiting() < MOST_WAITING
    }

    /// Wakes those who wait for room, if there is some.
    pub(super) fn next_round(&mut self) {
        if !self.has_room() {
            return;
        }
        for id in self.turns.next_round(MOST_WAITING) {
            if let Some(stream) = self.streams.get(&id) {
                stream.writer.wake();
            }
        }
    }

    /// Wakes the one who gets the next stream, or all when there will be none.
    pub(super) fn next_opening(&mut self) {
        let Side::Client { waiting } = &mut self.side else { return };
        if self.is_over || self.ending != Ending::Not {
            return waiting.drain(..).for_each(|slot| slot.wake());
        }
        if let Some(slot) = waiting.front() {
            slot.wake();
        }
    }

    pub(super) fn end(&mut self) {
        if !matches!(self.ending, Ending::Behind(_)) {
            self.ending = Ending::Behind(self.last_stream);
            frame::push_goaway(self.out.frames(), self.last_stream, Reason::NO_ERROR);
        }
    }

    pub(super) fn close(&mut self, over: Over) {
        self.is_over = true;
        for stream in std::mem::take(&mut self.streams).into_values() {
            stream.over.set(Some(over));
            stream.wake();
        }
        self.turns = Turns::default();
        self.next_opening();
    }
}

/// What our table of fields holds at most (RFC 9113 §6.5.2, the default).
pub(super) const TABLE_BYTES: usize = 4_096;

/// Bytes that may wait for the socket before bodies wait for their turn.
pub(super) const MOST_WAITING: usize = 64 * 1024;

pub(super) fn narrowed(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
