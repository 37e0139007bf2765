//! Bodies that go over HTTP/2, as fast as the other side takes them.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::encoding;
use super::link::Link;
use super::stream::Stream;
use crate::deadline::Deadline;
use crate::{Body, BodyError, Fields};

/// A body on its way.
pub(super) struct Sending {
    link: Rc<Link>,
    stream: Rc<Stream>,
    deadline: Deadline,
    patience: Duration,
}

/// Why a body did not go whole.
pub(super) enum Unsent {
    /// It did not come to its end itself.
    Body(BodyError),
    /// The other side has taken the stream back, or the connection has ended.
    Left,
    /// The other side took nothing for too long.
    Stalled,
}

// === impl Sending ===

impl Sending {
    /// A body for somebody who may take nothing for as long as `patience` lasts.
    pub(super) fn new(link: Rc<Link>, stream: Rc<Stream>, patience: Duration) -> Self {
        Self { link, stream, deadline: Deadline::new(patience), patience }
    }

    /// Sends all of it, with its trailers.
    pub(super) async fn send(&mut self, body: &mut Body) -> Result<(), Unsent> {
        loop {
            let piece = poll_fn(|cx| match body.poll_chunk(cx) {
                Poll::Ready(piece) => Poll::Ready(Ok(piece)),
                Poll::Pending if self.stream.over.get().is_some() => Poll::Ready(Err(Unsent::Left)),
                Poll::Pending => {
                    self.stream.writer.wait(cx);
                    Poll::Pending
                }
            });
            match piece.await? {
                Some(Ok(bytes)) => {
                    let is_last = matches!(body, Body::Empty);
                    self.send_bytes(&bytes, is_last).await?;
                    if is_last {
                        return Ok(());
                    }
                }
                Some(Err(BodyError::TimedOut)) if self.stream.is_answered.get() => {}
                Some(Err(error)) => return Err(Unsent::Body(error)),
                None => return self.finish(body.take_trailers()),
            }
        }
    }

    async fn send_bytes(&mut self, bytes: &Bytes, is_last: bool) -> Result<(), Unsent> {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            self.deadline.set(self.patience);
            let room = poll_fn(|cx| self.poll_room(cx)).await?;
            let (part, behind) = rest.split_at(room.min(rest.len()));
            self.link.send_data(&self.stream, part, is_last && behind.is_empty());
            self.stream.count_sent(part.len());
            rest = behind;
        }
        Ok(())
    }

    /// How many bytes the other side takes.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Unsent>> {
        match self.link.poll_room(&self.stream, cx) {
            Poll::Ready(room) => Poll::Ready(room.map_err(|_| Unsent::Left)),
            Poll::Pending => self.deadline.poll(cx).map(|()| Err(Unsent::Stalled)),
        }
    }

    fn finish(&mut self, trailers: Option<Fields>) -> Result<(), Unsent> {
        if self.stream.over.get().is_some() {
            return Err(Unsent::Left);
        }
        let Some(trailers) = trailers else {
            self.link.send_data(&self.stream, &[], true);
            return Ok(());
        };
        let sent = self.link.send_fields(&self.stream, true, |encoder, into| {
            encoding::encode_trailers(encoder, into, &trailers)
        });
        self.stream.count_sent(sent.ok_or(Unsent::Left)?);
        Ok(())
    }
}
