//! Frames that wait for the socket.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Bytes that wait. Holds no memory while there are none.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    start: usize,
    written: u64,
    needs_flush: bool,
}

thread_local! {
    /// The buffer that was emptied last, for whoever writes next.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were written and still take room.
const MOST_BEHIND: usize = 64 * 1024;

/// A buffer that has grown beyond this is not kept.
const MOST_SPARE: usize = 256 * 1024;

impl Output {
    /// Where the next frame is appended.
    pub(super) fn frames(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = SPARE.take();
        }
        // A connection that is never quite done must not keep all that it ever wrote.
        if self.start > MOST_BEHIND {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        &mut self.bytes
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Bytes that were ever written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes all that waits.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.waiting() > 0 {
            let n_bytes = ready!(Pin::new(&mut *socket).poll_write(cx, &self.bytes[self.start..]))?;
            if n_bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.start += n_bytes;
            self.written += n_bytes as u64;
            self.needs_flush = true;
        }
        if self.bytes.capacity() > 0 {
            let mut bytes = std::mem::take(&mut self.bytes);
            self.start = 0;
            bytes.clear();
            if bytes.capacity() <= MOST_SPARE {
                SPARE.set(bytes);
            }
        }
        if self.needs_flush {
            ready!(Pin::new(socket).poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }
}
