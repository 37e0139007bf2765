//! Bodies that come over HTTP/2.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};

use crate::deadline::Deadline;
use crate::h2::messages;
use crate::h2::progress::Progress;
use crate::pace::Pace;
use crate::trailers::may_trail;
use crate::{BodyError, BodyStream, Fields};

/// A body that is read as it comes, and no faster than somebody wants it: what is not taken is not asked for.
pub(super) struct Incoming {
    stream: Rc<RefCell<RecvStream>>,
    remaining: Option<u64>,
    trailers: Option<Fields>,
    patience: Duration,
    deadline: Deadline,
    is_waiting: bool,
    /// How fast it has to come until it is answered, if that matters.
    pub(super) pace: Option<Pace>,
    progress: Rc<Progress>,
}

impl Incoming {
    /// A body of `length` bytes, where that is told, whose sender may be silent for as long as `patience` lasts.
    pub(super) fn new(
        stream: Rc<RefCell<RecvStream>>,
        length: Option<u64>,
        patience: Duration,
        progress: Rc<Progress>,
    ) -> Self {
        Self {
            stream,
            remaining: length,
            trailers: None,
            patience,
            deadline: Deadline::new(patience),
            is_waiting: false,
            pace: None,
            progress,
        }
    }

    /// Begins to wait anew: the sender has a reason to be silent.
    pub(super) fn be_patient(&mut self) {
        self.is_waiting = false;
    }
}

impl BodyStream for Incoming {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut stream = self.stream.borrow_mut();
        let piece = match stream.poll_data(cx) {
            Poll::Ready(None) => match stream.poll_trailers(cx) {
                Poll::Ready(Ok(trailers)) => {
                    self.trailers = trailers.map(|trailers| messages::fields_of(&trailers));
                    if let Some(trailers) = &mut self.trailers {
                        trailers.retain(|name, _| may_trail(name));
                    }
                    return Poll::Ready(None);
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(Some(piece)) => Poll::Ready(piece),
            Poll::Pending => Poll::Pending,
        };
        match piece {
            Poll::Ready(Ok(bytes)) => {
                self.is_waiting = false;
                let n_bytes = bytes.len() as u64;
                self.progress.add(n_bytes);
                if self.pace.as_mut().is_some_and(|pace| pace.came(bytes.len())) {
                    return Poll::Ready(Some(Err(BodyError::TimedOut)));
                }
                self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(n_bytes));
                let _ = stream.flow_control().release_capacity(bytes.len());
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(match error.reason() {
                Some(Reason::PROTOCOL_ERROR) => {
                    BodyError::Malformed("it is not as long as `content-length` says")
                }
                _ => BodyError::Closed,
            }))),
            Poll::Pending => {
                if !std::mem::replace(&mut self.is_waiting, true) {
                    let pace = self.pace.as_mut().filter(|_| !self.progress.is_answered.get());
                    self.deadline.set(pace.map_or(self.patience, |pace| pace.wait().min(self.patience)));
                }
                // Whoever has more patience asks again.
                self.deadline.poll(cx).map(|()| {
                    self.is_waiting = false;
                    Some(Err(BodyError::TimedOut))
                })
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}
