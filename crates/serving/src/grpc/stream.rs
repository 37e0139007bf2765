//! `ModelStreamInfer` as MLServer has it: questions come one after another in one call, and each is answered by the same
//! message as in `ModelInfer`, in the same order.
//!
//! Triton has a method of the same name whose answers are wrapped in another message. Nothing in a call says which of the
//! two a client means, so its streams are not understood here; what Triton streams for, answers in parts, no model here has.
//!
//! The call ends with the first question that has no answer, whose fault is its status.

use std::task::{Context, Poll};

use net::{Body, BodyError, BodyStream, Bytes, BytesMut, Fields, Hoard, NoRoom};
use tokio::sync::mpsc;
use tracing::debug;

use super::{Opened, frame, methods, trailers};
use crate::fault::{Cause, Fault};
use crate::handler::ServerHandler;

/// The answers of a stream, as far as they are there.
pub(super) struct Answers {
    parts: mpsc::Receiver<Part>,
    trailers: Option<Fields>,
}

/// What follows in a stream of answers.
enum Part {
    Answer(Bytes),
    /// The end.
    Trailers(Fields),
}

/// Answers that may wait for a client to take them. No question is read before.
const MOST_WAITING: usize = 1;

/// Answers the questions of a call for as long as they come. Must be called on a [`tokio::task::LocalSet`].
pub(super) fn answer(handler: ServerHandler, opened: Opened) -> Answers {
    let (sender, parts) = mpsc::channel(MOST_WAITING);
    tokio::task::spawn_local(async move {
        let ended = converse(&handler, opened, &sender).await;
        if sender.send(Part::Trailers(trailers(ended.as_ref().err()))).await.is_err() {
            debug!("a client has left its stream");
        }
    });
    Answers { parts, trailers: None }
}

impl BodyStream for Answers {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.trailers.is_some() {
            return Poll::Ready(None);
        }
        self.parts.poll_recv(cx).map(|part| match part {
            Some(Part::Answer(bytes)) => Some(Ok(bytes)),
            Some(Part::Trailers(trailers)) => {
                self.trailers = Some(trailers);
                None
            }
            None => Some(Err(BodyError::Closed)),
        })
    }

    fn remaining(&self) -> Option<u64> {
        None
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }
}

/// Answers question after question, until there is none or the client takes no more answers.
async fn converse(
    handler: &ServerHandler,
    opened: Opened,
    answers: &mpsc::Sender<Part>,
) -> Result<(), Fault> {
    let Opened { method, encoding, body } = opened;
    let (limit, hoard) = (handler.body_limit(), handler.hoard());
    let mut questions = Questions { body, collected: BytesMut::new(), limit, hoard };
    loop {
        let next = tokio::select! {
            next = questions.next() => next?,
            () = answers.closed() => return Ok(()),
        };
        let Some((is_compressed, bytes)) = next else { return Ok(()) };
        let hoard = &mut questions.hoard;
        let message = super::plain(handler, encoding, is_compressed, bytes, hoard).await?;
        let reply = methods::call(handler, method, message).await?;
        questions.hoard = handler.hoard();
        if answers.send(Part::Answer(frame::write(&reply.body))).await.is_err() {
            return Ok(());
        }
    }
}

/// The questions of a call, as they come.
struct Questions {
    body: Body,
    /// What came of the next ones.
    collected: BytesMut,
    limit: usize,
    /// Holds what came, until its answer is there.
    hoard: Hoard,
}

impl Questions {
    /// The next message, and whether it is compressed; `None` when there are no more.
    async fn next(&mut self) -> Result<Option<(bool, Bytes)>, Fault> {
        loop {
            if let Some(message) = frame::take(&mut self.collected, self.limit)? {
                return Ok(Some(message));
            }
            match self.body.chunk().await {
                Some(Ok(bytes)) => {
                    self.collected.extend_from_slice(&bytes);
                    self.hoard.hold(self.collected.len()).await.map_err(|NoRoom| Fault::crowded())?;
                }
                Some(Err(BodyError::TimedOut)) => {
                    let problem = "the stream ends, for nothing came for too long";
                    return Err(Fault::new(Cause::Unavailable, problem));
                }
                Some(Err(error)) => return Err(super::unfinished(&error)),
                None if self.collected.is_empty() => return Ok(None),
                None => return Err(super::unfinished(&"the stream ends within it")),
            }
        }
    }
}
