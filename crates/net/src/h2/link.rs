//! The state of a connection that its driver and the streams on it share: what both sides may send, what waits for the socket, and
//! which streams there are. It does no input and output; [`super::transport`] does.

mod receiving;
mod state;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use self::state::{
    Ending, FIRST_WINDOW, LAST, MOST_WAITING, Side, State, TABLE_BYTES, THERE, Theirs, narrowed,
};
pub(super) use self::state::{Opened, Windows};
use super::frame;
use super::hpack::{Decoder, Encoder};
use super::meter::Meter;
use super::output::Output;
use super::reader::Reader;
use super::reason::Reason;
use super::stream::{Over, Slot, Stream};
use super::turns::Turns;
use crate::{Limits, clock};

/// One connection.
pub(super) struct Link {
    state: RefCell<State>,
    /// Who moves its bytes.
    pub(super) driver: Slot,
    /// When bytes came last,
    pub(super) last_read: Cell<Instant>,
    /// and when bytes of a body went last, for which there is room only as far as the other side takes them.
    last_taken: Cell<Instant>,
}

// === impl Link ===

impl Link {
    /// A client's connection.
    pub(super) fn of_client(limits: &Rc<Limits>, ours: Windows) -> Self {
        let settings = [
            (frame::MAX_CONCURRENT_STREAMS, narrowed(limits.http2_streams)),
            (frame::INITIAL_WINDOW_SIZE, ours.stream),
            (frame::MAX_HEADER_LIST_SIZE, narrowed(limits.head_bytes)),
        ];
        let reader = Reader::of_client(BLOCKS * limits.head_bytes);
        Self::new(Side::Server { opened: Vec::new() }, limits, reader, ours, &settings)
    }

    /// A connection to a server.
    pub(super) fn of_server(limits: &Rc<Limits>, ours: Windows) -> Self {
        let settings = [
            (frame::ENABLE_PUSH, 0),
            (frame::INITIAL_WINDOW_SIZE, ours.stream),
            (frame::MAX_HEADER_LIST_SIZE, narrowed(limits.head_bytes)),
        ];
        let reader = Reader::of_server(BLOCKS * limits.head_bytes);
        Self::new(Side::Client { waiting: VecDeque::new() }, limits, reader, ours, &settings)
    }

    fn new(side: Side, limits: &Rc<Limits>, reader: Reader, ours: Windows, settings: &[(u16, u32)]) -> Self {
        let now = clock::recently();
        let mut out = Output::default();
        if matches!(side, Side::Client { .. }) {
            out.frames().extend_from_slice(super::PREFACE);
        }
        frame::push_settings(out.frames(), settings);
        frame::push_window_update(out.frames(), 0, ours.connection.saturating_sub(FIRST_WINDOW).max(1));
        let state = State {
            side,
            limits: Rc::clone(limits),
            reader,
            decoder: Decoder::new(TABLE_BYTES),
            encoder: Encoder::new(),
            meter: Meter::new(limits.http2_idle_frames, limits.http2_resets, now),
            out,
            streams: BTreeMap::new(),
            last_stream: 0,
            turns: Turns::default(),
            ours,
            theirs: Theirs {
                stream_window: i64::from(FIRST_WINDOW),
                connection_window: i64::from(FIRST_WINDOW),
                most_streams: usize::MAX,
            },
            has_settings: false,
            is_heard: false,
            ending: Ending::Not,
            is_over: false,
        };
        Self {
            state: RefCell::new(state),
            driver: Slot::default(),
            last_read: Cell::new(now),
            last_taken: Cell::new(now),
        }
    }

    /// Takes in what was read.
    ///
    /// # Errors
    /// What breaks the connection.
    pub(super) fn receive(&self, bytes: &[u8]) -> Result<(), Reason> {
        self.last_read.set(clock::recently());
        self.state.borrow_mut().receive(bytes)
    }

    /// The requests that came since this was asked last.
    pub(super) fn take_opened(&self) -> Vec<Opened> {
        match &mut self.state.borrow_mut().side {
            Side::Server { opened } => std::mem::take(opened),
            Side::Client { .. } => Vec::new(),
        }
    }

    /// Whether so much waits for the socket that no more is read: what was asked for is to go first.
    pub(super) fn is_clogged(&self) -> bool {
        self.state.borrow().out.waiting() > 2 * MOST_WAITING
    }

    /// What waits for the socket.
    pub(super) fn with_output<T>(&self, f: impl FnOnce(&mut Output) -> T) -> T {
        let state = &mut *self.state.borrow_mut();
        let done = f(&mut state.out);
        state.next_round();
        done
    }

    /// How long the other side has neither sent nor taken anything.
    pub(super) fn silent_for(&self) -> Duration {
        clock::recently().saturating_duration_since(self.last_read.get().max(self.last_taken.get()))
    }

    pub(super) fn n_streams(&self) -> usize {
        self.state.borrow().streams.len()
    }

    /// Whether the other side has said how it wants to be spoken to, which is the first it says (RFC 9113 §3.4).
    pub(super) fn has_settings(&self) -> bool {
        self.state.borrow().has_settings
    }

    /// When the fields began to come that are not there yet, if there are any.
    pub(super) fn head_began(&self) -> Option<Instant> {
        self.state.borrow().reader.head_began()
    }

    /// Whether it is over: nothing is on it, and nothing more will be.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.state.borrow();
        matches!(state.ending, Ending::Behind(_)) && state.streams.is_empty()
    }

    /// Asks whether anybody is there.
    pub(super) fn ping(&self) {
        frame::push_ping(self.state.borrow_mut().out.frames(), false, THERE);
        self.driver.wake();
    }

    /// Says that there will be no more requests. Those that are on their way are still taken (RFC 9113 §6.8).
    pub(super) fn say_end(&self) {
        let state = &mut *self.state.borrow_mut();
        if state.ending == Ending::Not {
            state.ending = Ending::Said;
            frame::push_goaway(state.out.frames(), frame::MOST, Reason::NO_ERROR);
            frame::push_ping(state.out.frames(), false, LAST);
        }
        self.driver.wake();
    }

    /// Says which request was the last.
    pub(super) fn end(&self) {
        self.state.borrow_mut().end();
        self.driver.wake();
    }

    /// Ends it at once, says why, and tells all who are on it.
    pub(super) fn fail(&self, reason: Reason, over: Over) {
        let state = &mut *self.state.borrow_mut();
        if !state.is_over {
            // What was behind the last one stays behind it (RFC 9113 §6.8), and a server opens no streams here.
            let last = match (&state.side, state.ending) {
                (Side::Client { .. }, _) => 0,
                (_, Ending::Behind(last)) => last,
                _ => state.last_stream,
            };
            frame::push_goaway(state.out.frames(), last, reason);
        }
        state.close(over);
        self.driver.wake();
    }

    /// Tells all who are on it that it is over.
    pub(super) fn close(&self) {
        self.state.borrow_mut().close(Over::Disconnected);
        self.driver.wake();
    }

    /// Whether the other side takes new requests.
    pub(super) fn takes_more(&self) -> bool {
        let state = self.state.borrow();
        !state.is_over && state.ending == Ending::Not && state.last_stream < frame::MOST - 2
    }

    /// How many streams the other side allows at a time.
    pub(super) fn most_streams(&self) -> usize {
        self.state.borrow().theirs.most_streams
    }

    /// Opens a stream, once there is room for one: what is sent on it begins with fields that `encode` writes. Nothing when there
    /// will be none. `slot` is where the one who asks waits.
    pub(super) fn poll_open(
        &self,
        cx: &mut Context<'_>,
        slot: &Rc<Slot>,
        most: usize,
        is_whole: bool,
        encode: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) -> Poll<Option<Rc<Stream>>> {
        if !self.takes_more() {
            return Poll::Ready(None);
        }
        let state = &mut *self.state.borrow_mut();
        let Side::Client { waiting } = &mut state.side else { return Poll::Ready(None) };
        let place = waiting.iter().position(|waiting| Rc::ptr_eq(waiting, slot));
        let has_room = state.streams.len() < state.theirs.most_streams.min(most);
        if !has_room || place.unwrap_or(waiting.len()) > 0 {
            slot.wait(cx);
            if place.is_none() {
                waiting.push_back(Rc::clone(slot));
            }
            return Poll::Pending;
        }
        if place.is_some() {
            waiting.pop_front();
        }
        let id = if state.last_stream == 0 { 1 } else { state.last_stream + 2 };
        state.last_stream = id;
        let stream = Rc::new(Stream::new(id, state.ours.stream, state.theirs.stream_window));
        state.streams.insert(id, Rc::clone(&stream));
        let State { out, encoder, .. } = state;
        frame::push_fields(out.frames(), id, is_whole, frame::MOST_PAYLOAD, |into| encode(encoder, into));
        self.has_sent(state, &stream, is_whole);
        state.next_opening();
        Poll::Ready(Some(stream))
    }

    /// Takes back the wish for a stream.
    pub(super) fn forget(&self, slot: &Rc<Slot>) {
        let state = &mut *self.state.borrow_mut();
        if let Side::Client { waiting } = &mut state.side {
            waiting.retain(|waiting| !Rc::ptr_eq(waiting, slot));
        }
        state.next_opening();
    }

    /// Sends fields, with which the stream may end on our side. `encode` writes them.
    pub(super) fn send_fields<T>(
        &self,
        stream: &Stream,
        is_last: bool,
        encode: impl FnOnce(&mut Encoder, &mut Vec<u8>) -> T,
    ) -> Option<T> {
        if stream.over.get().is_some() {
            return None;
        }
        let state = &mut *self.state.borrow_mut();
        let State { out, encoder, .. } = state;
        let mut done = None;
        frame::push_fields(out.frames(), stream.id, is_last, frame::MOST_PAYLOAD, |into| {
            done = Some(encode(encoder, into));
        });
        self.has_sent(state, stream, is_last);
        done
    }

    /// How many bytes of a body may be sent now, at least 1 and no more than fit into a frame. Streams take turns. The error is that
    /// the stream is over.
    pub(super) fn poll_room(&self, stream: &Stream, cx: &mut Context<'_>) -> Poll<Result<usize, Over>> {
        if let Some(over) = stream.over.get() {
            return Poll::Ready(Err(over));
        }
        let state = &mut *self.state.borrow_mut();
        if stream.send_window.get() > 0 {
            let left = state.turns.left(stream);
            if state.has_room() && left > 0 {
                let window = stream.send_window.get().min(state.theirs.connection_window);
                let window = usize::try_from(window).unwrap_or(1);
                return Poll::Ready(Ok(window.min(left).clamp(1, frame::MOST_PAYLOAD)));
            }
            state.turns.wait(stream);
            if state.has_room() {
                // It had its share; the driver begins the next round.
                self.driver.wake();
            }
        }
        stream.writer.wait(cx);
        Poll::Pending
    }

    /// Sends bytes of a body, for which there is room.
    pub(super) fn send_data(&self, stream: &Stream, bytes: &[u8], is_last: bool) {
        let state = &mut *self.state.borrow_mut();
        let n_bytes = bytes.len() as i64;
        state.theirs.connection_window -= n_bytes;
        stream.send_window.set(stream.send_window.get() - n_bytes);
        frame::push_data(state.out.frames(), stream.id, bytes, is_last);
        state.turns.take(stream, bytes.len());
        self.last_taken.set(clock::recently());
        self.has_sent(state, stream, is_last);
    }

    /// Notes that a message got on, which may be its end, and has it moved.
    fn has_sent(&self, state: &mut State, stream: &Stream, is_last: bool) {
        state.meter.progress(clock::recently());
        if is_last {
            stream.has_sent_end.set(true);
            state.forget_done(stream);
        }
        self.driver.wake();
    }

    /// Takes the bytes that came on a stream: then the other side may send as many more.
    pub(super) fn take_received(&self, stream: &Stream) -> Bytes {
        let bytes = stream.take_received();
        if self.state.borrow_mut().has_taken(stream, bytes.len()) {
            self.driver.wake();
        }
        bytes
    }

    /// Ends a stream on both sides, whatever was still to come.
    pub(super) fn reset(&self, stream: &Stream, reason: Reason) {
        let state = &mut *self.state.borrow_mut();
        let unread = stream.take_received();
        state.has_taken(stream, unread.len());
        if !stream.is_done() {
            state.reset(stream.id, reason);
        }
        self.driver.wake();
    }
}

/// A head that is too long is read on up to so many times its limit, so that its sender can be told.
const BLOCKS: usize = 4;

#[cfg(test)]
mod tests;
