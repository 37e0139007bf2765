//! Bodies that go over HTTP/2, as fast as the other side takes them.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;

use crate::deadline::Deadline;
use crate::h2::messages;
use crate::h2::progress::Progress;
use crate::{Body, BodyError, Fields};

/// A body on its way.
pub(super) struct Sending {
    pub(super) stream: SendStream<Bytes>,
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
    pub(super) fn new(stream: SendStream<Bytes>, patience: Duration) -> Self {
        Self { stream, deadline: Deadline::new(patience), patience }
    }

    /// Sends all of it, with its trailers.
    pub(super) async fn send(&mut self, mut body: Body, progress: &Progress) -> Result<(), Unsent> {
        loop {
            let piece = poll_fn(|cx| match body.poll_chunk(cx) {
                Poll::Ready(piece) => Poll::Ready(Ok(piece)),
                Poll::Pending => self.stream.poll_reset(cx).map(|_| Err(Unsent::Left)),
            });
            match piece.await? {
                Some(Ok(bytes)) => {
                    let is_last = matches!(body, Body::Empty);
                    self.send_bytes(bytes, is_last, progress).await?;
                    if is_last {
                        return Ok(());
                    }
                }
                Some(Err(BodyError::TimedOut)) if progress.is_answered.get() => {}
                Some(Err(error)) => return Err(Unsent::Body(error)),
                None => return self.finish(body.take_trailers(), progress),
            }
        }
    }

    async fn send_bytes(
        &mut self,
        mut bytes: Bytes,
        is_last: bool,
        progress: &Progress,
    ) -> Result<(), Unsent> {
        while !bytes.is_empty() {
            self.stream.reserve_capacity(bytes.len());
            self.deadline.set(self.patience);
            let room = poll_fn(|cx| self.poll_room(cx)).await?;
            let part = bytes.split_to(room.min(bytes.len()));
            let n_bytes = part.len() as u64;
            let is_end = is_last && bytes.is_empty();
            self.stream.send_data(part, is_end).map_err(|_| Unsent::Left)?;
            progress.add(n_bytes);
        }
        Ok(())
    }

    /// How many bytes the other side takes.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Unsent>> {
        loop {
            match self.stream.capacity() {
                0 => match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Unsent::Left)),
                    Poll::Pending => {
                        ready!(self.deadline.poll(cx));
                        return Poll::Ready(Err(Unsent::Stalled));
                    }
                },
                room => return Poll::Ready(Ok(room)),
            }
        }
    }

    fn finish(&mut self, trailers: Option<Fields>, progress: &Progress) -> Result<(), Unsent> {
        let finished = match trailers {
            Some(trailers) => {
                let n_bytes = trailers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
                progress.add(n_bytes as u64);
                self.stream.send_trailers(messages::header_map(&trailers))
            }
            None => self.stream.send_data(Bytes::new(), true),
        };
        finished.map_err(|_| Unsent::Left)
    }
}
