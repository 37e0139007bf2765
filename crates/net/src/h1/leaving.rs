//! Noticing that a client has left while it waits for its answer.
//!
//! A client that has closed its sending side may still read ("half-closed", RFC 9112 §9.6) or have gone for good: both look
//! the same from here until something is sent. So the answer goes on. When it takes its time, one interim response tells
//! which it is: who reads skips it (RFC 9110 §15.2), and who is gone resets the connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::h1::io::Io;
use crate::{Limits, clock};

/// Time between two looks at a connection that is half closed.
const LOOK: Duration = Duration::from_millis(200);

/// Waits for the answer, or for the client to go away: then nobody needs the answer any more. `may_ask` says that an interim
/// response may be sent.
pub(crate) async fn until_client_leaves<T>(
    io: &Io,
    limits: &Limits,
    may_ask: bool,
    mut answer: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let mut half_closed = None;
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        // While the body is on its way, whoever reads it notices the end.
        if !io.body.borrow().is_done() {
            return Poll::Pending;
        }
        while half_closed.is_none() && io.buffer.borrow().unread().len() < limits.head_bytes {
            match io.poll_fill(cx) {
                Poll::Ready(Ok(0)) => half_closed = Some(HalfClosed::new(io, limits.idle_timeout, may_ask)),
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => break,
            }
        }
        match &mut half_closed {
            Some(half_closed) => half_closed.poll_gone(io, cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// A connection whose client will send no more.
struct HalfClosed {
    look: Deadline,
    may_ask: bool,
    /// How long nothing may go to the client.
    patience: Duration,
    until: Instant,
    sent: u64,
}

impl HalfClosed {
    fn new(io: &Io, patience: Duration, may_ask: bool) -> Self {
        let until = clock::recently() + patience;
        Self { look: Deadline::new(LOOK), may_ask, patience, until, sent: io.sent() }
    }

    /// Ready once the client has gone, or has had nothing for so long that it might as well.
    fn poll_gone(&mut self, io: &Io, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.look.poll(cx));
            let now = clock::recently();
            if io.sent() != self.sent {
                (self.sent, self.until) = (io.sent(), now + self.patience);
            }
            if io.has_failed() || now >= self.until {
                return Poll::Ready(());
            }
            if std::mem::take(&mut self.may_ask) {
                io.write_continue();
            }
            self.look.set(LOOK);
        }
    }
}
