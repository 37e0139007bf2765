//! Message bodies: nothing, bytes that are there, or bytes that are still to come.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::{Fields, NoRoom};

/// The body of a request or a response.
#[derive(Default)]
pub enum Body {
    /// No bytes.
    #[default]
    Empty,
    /// All bytes.
    Full(Bytes),
    /// Bytes that come in pieces.
    Stream(Box<dyn BodyStream>),
}

/// A source of body bytes.
pub trait BodyStream {
    /// The next piece; `None` after the last one.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>>;

    /// How many bytes are still to come, when that is known.
    fn remaining(&self) -> Option<u64>;

    /// The fields that came behind the last piece, if any did (RFC 9110 §6.5). Whoever sends them does so only where the
    /// protocol has a place for them.
    fn take_trailers(&mut self) -> Option<Fields> {
        None
    }

    /// All bytes, where they are there already. What stands behind them stays.
    fn take_whole(&mut self) -> Option<Bytes> {
        None
    }
}

/// Why a body did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The sender closed the connection before the end.
    #[error("the sender closed the connection before the body was complete")]
    Closed,
    /// Nothing came for too long.
    #[error("the body stalled")]
    TimedOut,
    /// The bytes are not a body.
    #[error("the body is malformed: {0}")]
    Malformed(&'static str),
}

/// Why a body could not be collected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// It is longer than allowed.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It did not come to its end.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Too many others are being collected.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl Body {
    /// The next piece; `None` after the last one.
    ///
    /// # Errors
    /// When the rest cannot come any more.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The next piece, as [`Body::chunk`], for those who poll.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
            }
            Self::Stream(stream) => stream.poll_chunk(cx),
        }
    }

    /// Takes in what is there already, without waiting: a body that turns out to be whole, or to be none, is known to be
    /// so before anything is done with it.
    ///
    /// # Errors
    /// When what is there is not the beginning of a body.
    pub fn begin(&mut self) -> impl Future<Output = Result<(), BodyError>> {
        self.take_in(BEGUN_BYTES, false)
    }

    /// Waits for the end of the body, as long as no more than about `limit` bytes have come. A longer one goes on as a stream.
    ///
    /// # Errors
    /// When what came is not the beginning of a body, or nothing comes any more.
    pub fn gather(&mut self, limit: usize) -> impl Future<Output = Result<(), BodyError>> {
        self.take_in(limit, true)
    }

    fn take_in(&mut self, limit: usize, waits: bool) -> impl Future<Output = Result<(), BodyError>> {
        let mut begun = BytesMut::new();
        poll_fn(move |cx| {
            let Self::Stream(stream) = self else { return Poll::Ready(Ok(())) };
            while begun.len() < limit {
                match stream.poll_chunk(cx) {
                    Poll::Ready(Some(Ok(chunk))) if begun.is_empty() => begun = chunk.into(),
                    Poll::Ready(Some(Ok(chunk))) => begun.extend_from_slice(&chunk),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => {
                        let bytes = std::mem::take(&mut begun).freeze();
                        *self = match stream.take_trailers() {
                            Some(trailers) => Self::with_trailers(bytes, trailers),
                            None => bytes.into(),
                        };
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Pending if waits => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            if !begun.is_empty()
                && let Self::Stream(rest) = std::mem::take(self)
            {
                let begun = std::mem::take(&mut begun).freeze();
                *self = Self::Stream(Box::new(Begun { begun, rest }));
            }
            Poll::Ready(Ok(()))
        })
    }

    /// The trailer fields, once the last piece has been taken.
    pub fn take_trailers(&mut self) -> Option<Fields> {
        match self {
            Self::Empty | Self::Full(_) => None,
            Self::Stream(stream) => stream.take_trailers(),
        }
    }

    /// Bytes with trailer fields behind them.
    #[must_use]
    pub fn with_trailers(bytes: Bytes, trailers: Fields) -> Self {
        Self::Stream(Box::new(Trailed { bytes, trailers: Some(trailers) }))
    }

    /// How many bytes are still to come, when that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.remaining(),
        }
    }

    /// Waits for all bytes, at most `limit` of them.
    ///
    /// # Errors
    /// A body longer than `limit`, as soon as that is known, and one that does not come to its end.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, CollectError> {
        let too_large = CollectError::TooLarge { limit };
        if self.remaining().is_some_and(|remaining| remaining > limit as u64) {
            return Err(too_large);
        }
        if let Self::Full(bytes) = self {
            return Ok(bytes);
        }
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await {
            let chunk = chunk?;
            if all.len() + chunk.len() > limit {
                return Err(too_large);
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

/// As much of a body is taken in at its beginning before it is passed on.
const BEGUN_BYTES: usize = 16 * 1024;

/// A body whose first piece was read already.
struct Begun {
    begun: Bytes,
    rest: Box<dyn BodyStream>,
}

impl BodyStream for Begun {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match std::mem::take(&mut self.begun) {
            begun if begun.is_empty() => self.rest.poll_chunk(cx),
            begun => Poll::Ready(Some(Ok(begun))),
        }
    }

    fn remaining(&self) -> Option<u64> {
        self.rest.remaining().map(|rest| rest + self.begun.len() as u64)
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.rest.take_trailers()
    }
}

/// All bytes, and the fields behind them.
struct Trailed {
    bytes: Bytes,
    trailers: Option<Fields>,
}

impl BodyStream for Trailed {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
    }

    /// Not told: what has a length has no place for trailers in HTTP/1.1.
    fn remaining(&self) -> Option<u64> {
        None
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }

    fn take_whole(&mut self) -> Option<Bytes> {
        Some(std::mem::take(&mut self.bytes))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.len()),
            Self::Stream(stream) => write!(f, "Stream({:?} bytes to come)", stream.remaining()),
        }
    }
}
