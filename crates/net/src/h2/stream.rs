//! One request and its answer (RFC 9113 §5).

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use bytes::Bytes;

use super::messages::ResponseHead;
use super::reason::Reason;
use super::turns::Turn;
use crate::Fields;

/// What is known of a stream by those who ask, those who answer, and the connection.
pub(super) struct Stream {
    pub(super) id: u32,
    /// Bytes of the body that came and that nobody has taken yet.
    pub(super) received: RefCell<Vec<u8>>,
    /// Bytes of the body that are to come, where that was told.
    pub(super) length_left: Cell<Option<u64>>,
    /// Whether the other side has sent all.
    pub(super) has_received_end: Cell<bool>,
    pub(super) trailers: RefCell<Option<Fields>>,
    /// Bytes of names, values and bodies that came, and that went.
    pub(super) n_received: Cell<u64>,
    pub(super) n_sent: Cell<u64>,
    /// Whether the answer has begun. Then the rest of the request may come as the two of them please: how long both may be silent
    /// is for whoever listens to the answer to tell.
    pub(super) is_answered: Cell<bool>,
    /// Whether its answer has no body, whatever the head says.
    pub(super) is_of_head: Cell<bool>,
    /// The head of the answer, where we have asked, until it is taken, and whether it has come.
    pub(super) has_answer: Cell<bool>,
    pub(super) answer: RefCell<Option<ResponseHead>>,
    /// How many bytes the other side may send.
    pub(super) window: Cell<u32>,
    /// How many bytes were taken that the other side has not been told of.
    pub(super) credit: Cell<u32>,
    /// How many bytes we may send.
    pub(super) send_window: Cell<i64>,
    pub(super) has_sent_end: Cell<bool>,
    pub(super) turn: Cell<Turn>,
    /// Why it has ended before both sides had sent all.
    pub(super) over: Cell<Option<Over>>,
    pub(super) reader: Slot,
    pub(super) writer: Slot,
}

/// Why a stream ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The other side took it back, or refused it.
    Reset(Reason),
    /// The other side broke the rules, and was told so.
    Broken(Reason),
    /// The other side said that it has not looked at it (RFC 9113 §6.8).
    NotProcessed,
    /// The connection ended.
    Disconnected,
    /// The other side broke the rules of the connection.
    ConnectionBroken,
}

/// Who waits for something.
#[derive(Default)]
pub(super) struct Slot(RefCell<Option<Waker>>);

// === impl Stream ===

impl Stream {
    /// A stream on which the other side may send `window` bytes, and we `send_window`.
    pub(super) fn new(id: u32, window: u32, send_window: i64) -> Self {
        Self {
            id,
            received: RefCell::default(),
            length_left: Cell::new(None),
            has_received_end: Cell::new(false),
            trailers: RefCell::default(),
            n_received: Cell::new(0),
            n_sent: Cell::new(0),
            is_answered: Cell::new(false),
            is_of_head: Cell::new(false),
            has_answer: Cell::new(false),
            answer: RefCell::default(),
            window: Cell::new(window),
            credit: Cell::new(0),
            send_window: Cell::new(send_window),
            has_sent_end: Cell::new(false),
            turn: Cell::default(),
            over: Cell::new(None),
            reader: Slot::default(),
            writer: Slot::default(),
        }
    }

    /// Whether nothing more is to come and to go.
    pub(super) fn is_done(&self) -> bool {
        self.over.get().is_some() || (self.has_received_end.get() && self.has_sent_end.get())
    }

    /// Takes bytes of the body in.
    ///
    /// # Errors
    /// When there are more than were told.
    pub(super) fn receive(&self, bytes: &[u8]) -> Result<(), Reason> {
        if let Some(left) = self.length_left.get() {
            let left = left.checked_sub(bytes.len() as u64).ok_or(Reason::PROTOCOL_ERROR)?;
            self.length_left.set(Some(left));
        }
        self.received.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    /// Takes in that there is no more to come.
    ///
    /// # Errors
    /// When there should be.
    pub(super) fn receive_end(&self) -> Result<(), Reason> {
        if self.length_left.get().unwrap_or(0) > 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        self.has_received_end.set(true);
        Ok(())
    }

    /// Counts bytes that went.
    pub(super) fn count_sent(&self, n_bytes: usize) {
        self.n_sent.set(self.n_sent.get() + n_bytes as u64);
    }

    /// The bytes that nobody has taken yet.
    pub(super) fn take_received(&self) -> Bytes {
        std::mem::take(&mut *self.received.borrow_mut()).into()
    }

    pub(super) fn wake(&self) {
        self.reader.wake();
        self.writer.wake();
    }
}

// === impl Slot ===

impl Slot {
    pub(super) fn wait(&self, cx: &mut Context<'_>) {
        let mut slot = self.0.borrow_mut();
        match &mut *slot {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    pub(super) fn wake(&self) {
        // What a waker does is not ours: the slot is free before.
        let waiting = self.0.borrow_mut().take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}
