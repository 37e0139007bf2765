//! Bodies that come over HTTP/2.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::link::Link;
use super::reason::Reason;
use super::stream::{Over, Stream};
use crate::deadline::Deadline;
use crate::pace::Pace;
use crate::{BodyError, BodyStream, Fields};

/// A body that is read as it comes, and no faster than somebody wants it: what is not taken is not asked for.
pub(super) struct Incoming {
    link: Rc<Link>,
    stream: Rc<Stream>,
    remaining: Option<u64>,
    patience: Duration,
    deadline: Deadline,
    is_waiting: bool,
    /// How fast it has to come until it is answered, if that matters.
    pub(super) pace: Option<Pace>,
}

impl Incoming {
    /// A body of `length` bytes, where that is told, whose sender may be silent for as long as `patience` lasts.
    pub(super) fn new(link: Rc<Link>, stream: Rc<Stream>, length: Option<u64>, patience: Duration) -> Self {
        let deadline = Deadline::new(patience);
        Self { link, stream, remaining: length, patience, deadline, is_waiting: false, pace: None }
    }

    /// Begins to wait anew: the sender has a reason to be silent.
    pub(super) fn be_patient(&mut self) {
        self.is_waiting = false;
    }
}

impl BodyStream for Incoming {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let bytes = self.link.take_received(&self.stream);
        if !bytes.is_empty() {
            self.is_waiting = false;
            let n_bytes = bytes.len() as u64;
            self.stream.n_received.set(self.stream.n_received.get() + n_bytes);
            if self.pace.as_mut().is_some_and(|pace| pace.came(bytes.len())) {
                return Poll::Ready(Some(Err(BodyError::TimedOut)));
            }
            self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(n_bytes));
            return Poll::Ready(Some(Ok(bytes)));
        }
        if self.stream.has_received_end.get() {
            return Poll::Ready(None);
        }
        if let Some(over) = self.stream.over.get() {
            return Poll::Ready(Some(Err(match over {
                Over::Broken(Reason::PROTOCOL_ERROR) => {
                    BodyError::Malformed("it is not as long as `content-length` says")
                }
                _ => BodyError::Closed,
            })));
        }
        self.stream.reader.wait(cx);
        if !std::mem::replace(&mut self.is_waiting, true) {
            let pace = self.pace.as_mut().filter(|_| !self.stream.is_answered.get());
            self.deadline.set(pace.map_or(self.patience, |pace| pace.wait().min(self.patience)));
        }
        // Whoever has more patience asks again.
        self.deadline.poll(cx).map(|()| {
            self.is_waiting = false;
            Some(Err(BodyError::TimedOut))
        })
    }

    fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.stream.trailers.take()
    }
}
