//! A body that is kept while it goes out to the client.

use std::task::{Context, Poll};

use net::{Body, BodyError, BodyStream, Budget, Bytes, BytesMut, Fields, Grant};

use super::store::{Asking, Stored};

/// Passes a body on, and keeps a copy. Only one that came to its end is kept.
pub(super) struct Filling {
    source: Body,
    filled: Option<Box<Filled>>,
    trailers: Option<Fields>,
}

/// What has come so far, and where it goes when all of it has.
struct Filled {
    asking: Asking,
    stored: Stored,
    bytes: BytesMut,
    budget: Budget,
    grants: Vec<Grant>,
    n_granted: usize,
}

/// Memory that is asked for at first. Each time that it is not enough, it is twice as much.
const FIRST_BYTES: usize = 64 * 1024;

impl Filling {
    /// `stored` is the answer without its body.
    pub(super) fn new(source: Body, asking: Asking, stored: Stored, budget: Budget) -> Self {
        asking.begins();
        let (bytes, grants) = (BytesMut::new(), Vec::new());
        let filled = Filled { asking, stored, bytes, budget, grants, n_granted: 0 };
        Self { source, filled: Some(Box::new(filled)), trailers: None }
    }

    /// Keeps what has come, if it is all.
    fn finish(&mut self) {
        let Some(filled) = self.filled.take() else { return };
        self.trailers = self.source.take_trailers();
        let Filled { asking, stored, bytes, .. } = *filled;
        // What stands behind a body has no place in a cache.
        match self.trailers {
            None => _ = asking.keep(Stored { body: Bytes::copy_from_slice(&bytes), ..stored }),
            Some(_) => asking.is_vain(),
        }
    }
}

impl Filled {
    /// Takes a piece in. Returns whether there is room for it.
    fn take_in(&mut self, piece: &Bytes) -> bool {
        let n_bytes = self.bytes.len() + piece.len();
        if n_bytes > self.asking.cache().settings.object {
            return false;
        }
        if n_bytes > self.n_granted {
            let more = (n_bytes - self.n_granted).max(self.n_granted).max(FIRST_BYTES);
            let Some(grant) = self.budget.take(more) else { return false };
            self.grants.push(grant);
            self.n_granted += more;
        }
        self.bytes.extend_from_slice(piece);
        true
    }
}

impl BodyStream for Filling {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let piece = self.source.poll_chunk(cx);
        match &piece {
            Poll::Ready(Some(Ok(bytes))) => {
                if let Some(filled) = self.filled.take_if(|filled| !filled.take_in(bytes)) {
                    filled.asking.is_vain();
                }
                if self.source.remaining() == Some(0) {
                    self.finish();
                }
            }
            Poll::Ready(Some(Err(_))) => {
                if let Some(filled) = self.filled.take() {
                    filled.asking.is_vain();
                }
            }
            Poll::Ready(None) => self.finish(),
            Poll::Pending => {}
        }
        piece
    }

    fn remaining(&self) -> Option<u64> {
        self.source.remaining()
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take().or_else(|| self.source.take_trailers())
    }
}
