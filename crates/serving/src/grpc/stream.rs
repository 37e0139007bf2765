//! `ModelStreamInfer` as MLServer has it: questions come one after another in one call, and each is answered by the same
//! message as in `ModelInfer`, in the same order.
//!
//! Triton has a method of the same name whose answers are wrapped in another message. Nothing in a call says which of the
//! two a client means, so its streams are not understood here; what Triton streams for, answers in parts, no model here has.
//!
//! The call ends with the first question that has no answer, whose fault is its status.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::Incoming;
use net::{Bytes, BytesMut};
use tracing::debug;

use super::{Opened, frame, methods, trailers};
use crate::ServerHandler;
use crate::fault::{Cause, Fault};

/// The answers of a stream, as far as they are there.
pub(super) type Answers = Channel<Bytes, Infallible>;

/// Answers that may wait for a client to take them. No question is read before.
const MOST_WAITING: usize = 1;

/// Answers the questions of a call for as long as they come. Must be called on a [`tokio::task::LocalSet`].
pub(super) fn answer(handler: ServerHandler, opened: Opened, patience: Duration) -> Answers {
    let (mut sender, answers) = Channel::new(MOST_WAITING);
    tokio::task::spawn_local(async move {
        let ended = converse(&handler, opened, patience, &mut sender).await;
        if sender.send_trailers(trailers(ended.as_ref().err())).await.is_err() {
            debug!("a client has left its stream");
        }
    });
    answers
}

/// Answers question after question, until there is none or the client takes no more answers.
async fn converse(
    handler: &ServerHandler,
    opened: Opened,
    patience: Duration,
    answers: &mut Sender<Bytes, Infallible>,
) -> Result<(), Fault> {
    let Opened { method, encoding, body } = opened;
    let mut questions = Questions { body, collected: BytesMut::new(), limit: handler.body_limit(), patience };
    while let Some((is_compressed, bytes)) = questions.next().await? {
        let message = super::plain(handler, encoding, is_compressed, bytes).await?;
        let reply = methods::call(handler, method, message).await?;
        if answers.send_data(frame::write(&reply.body)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The questions of a call, as they come.
struct Questions {
    body: Incoming,
    /// What came of the next ones.
    collected: BytesMut,
    limit: usize,
    /// How long nothing may come.
    patience: Duration,
}

impl Questions {
    /// The next message, and whether it is compressed; `None` when there are no more.
    async fn next(&mut self) -> Result<Option<(bool, Bytes)>, Fault> {
        loop {
            if let Some(message) = frame::take(&mut self.collected, self.limit)? {
                return Ok(Some(message));
            }
            let part = tokio::time::timeout(self.patience, self.body.frame()).await.map_err(|_| {
                Fault::new(
                    Cause::Unavailable,
                    format!("the stream ends, for nothing came for {:?}", self.patience),
                )
            })?;
            match part {
                Some(Ok(part)) => {
                    if let Some(bytes) = part.data_ref() {
                        self.collected.extend_from_slice(bytes);
                    }
                }
                Some(Err(error)) => return Err(super::unfinished(&error)),
                None if self.collected.is_empty() => return Ok(None),
                None => return Err(super::unfinished(&"the stream ends within it")),
            }
        }
    }
}
