//! Whose turn it is where not all streams of a connection can send what they have.
//!
//! Room is given out in rounds, one each time the socket or the other side has taken bytes. Whoever waits is woken, those first who
//! had nothing in the last round, and each may send its share. Nobody can hold a place: who is woken and does not come, because
//! whoever would send is waiting for something else, is simply not there in that round.

use std::cell::Cell;

use super::frame::MOST_PAYLOAD;
use super::stream::Stream;

/// Streams that wait.
#[derive(Debug)]
pub(super) struct Turns {
    round: u64,
    /// Bytes that each may send in this round.
    share: usize,
    /// Who had nothing in this round,
    unserved: Vec<u32>,
    /// and who had some and has more.
    served: Vec<u32>,
}

/// What a stream had in the round in which it was last at it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turn {
    /// From 1.
    round: u64,
    n_bytes: usize,
    waits: bool,
}

impl Default for Turns {
    fn default() -> Self {
        Self { round: 1, share: usize::MAX, unserved: Vec::new(), served: Vec::new() }
    }
}

impl Turns {
    fn of(&self, turn: &Cell<Turn>) -> Turn {
        let last = turn.get();
        if last.round == self.round { last } else { Turn { round: self.round, ..Turn::default() } }
    }

    /// Bytes that a stream may still send in this round.
    pub(super) fn left(&self, stream: &Stream) -> usize {
        self.share.saturating_sub(self.of(&stream.turn).n_bytes)
    }

    /// Takes bytes off the share that a stream has of this round.
    pub(super) fn take(&self, stream: &Stream, n_bytes: usize) {
        let turn = self.of(&stream.turn);
        stream.turn.set(Turn { n_bytes: turn.n_bytes.saturating_add(n_bytes), ..turn });
    }

    /// Has a stream wait for the next round.
    pub(super) fn wait(&mut self, stream: &Stream) {
        let turn = self.of(&stream.turn);
        if !turn.waits {
            stream.turn.set(Turn { waits: true, ..turn });
            if turn.n_bytes > 0 { self.served.push(stream.id) } else { self.unserved.push(stream.id) }
        }
    }

    /// Forgets a stream that has ended.
    pub(super) fn forget(&mut self, stream: &Stream) {
        if self.of(&stream.turn).waits {
            self.unserved.retain(|id| *id != stream.id);
            self.served.retain(|id| *id != stream.id);
        }
    }

    /// Begins a round in which there is room for so many bytes. Returns those who waited for it, in their order.
    pub(super) fn next_round(&mut self, room: usize) -> Vec<u32> {
        let mut waiting = std::mem::take(&mut self.unserved);
        waiting.append(&mut self.served);
        if !waiting.is_empty() {
            self.round += 1;
            self.share =
                if waiting.len() > 1 { (room / waiting.len()).max(MOST_PAYLOAD) } else { usize::MAX };
        }
        waiting
    }
}
