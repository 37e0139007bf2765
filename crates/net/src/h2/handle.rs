//! A stream in the hands of the one who answers or asks on it.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::link::Link;
use super::reason::Reason;
use super::stream::{Over, Stream};

/// A stream that ends, on both sides, when this is dropped.
pub(super) struct Handle {
    pub(super) link: Rc<Link>,
    pub(super) stream: Rc<Stream>,
}

impl Handle {
    /// Ready once the other side, or the connection, has ended it early.
    pub(super) fn poll_over(&self, cx: &mut Context<'_>) -> Poll<Over> {
        match self.stream.over.get() {
            Some(over) => Poll::Ready(over),
            None => {
                self.stream.writer.wait(cx);
                Poll::Pending
            }
        }
    }

    pub(super) fn reset(&self, reason: Reason) {
        self.link.reset(&self.stream, reason);
    }
}

impl Drop for Handle {
    /// Whoever has said all wants no more of what the other side is saying, which is no failure (RFC 9113 §8.1).
    fn drop(&mut self) {
        let reason = if self.stream.has_sent_end.get() { Reason::NO_ERROR } else { Reason::CANCEL };
        self.reset(reason);
    }
}
