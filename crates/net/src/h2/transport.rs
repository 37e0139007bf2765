//! Moving the bytes of a connection between its socket and its [`Link`].

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::link::Link;
use super::reason::Reason;
use crate::{clock, scratch};

/// Why no more bytes are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The other side closed the connection, or the system lost it.
    Closed,
    /// The other side broke its rules.
    Broken(Reason),
}

/// Reads in a row, before others have their turn.
const MOST_READS: usize = 16;

/// Reads what there is and writes what waits. Pending until there is more to be done; `taken_in` is called after each read.
pub(super) fn poll_move<S: AsyncRead + AsyncWrite + Unpin>(
    link: &Link,
    socket: &mut S,
    cx: &mut Context<'_>,
    mut taken_in: impl FnMut(),
) -> Poll<Ended> {
    link.driver.wait(cx);
    if let Poll::Ready(Err(_)) = poll_write(link, socket, cx) {
        return Poll::Ready(Ended::Closed);
    }
    let mut n_reads = 0;
    while !link.is_clogged() {
        if n_reads == MOST_READS {
            cx.waker().wake_by_ref();
            break;
        }
        n_reads += 1;
        let read = scratch::with(|scratch| {
            let mut read = ReadBuf::new(scratch);
            Pin::new(&mut *socket).poll_read(cx, &mut read).map(|done| {
                clock::refresh();
                match (done, read.filled()) {
                    (Err(_), _) | (Ok(()), []) => Err(Ended::Closed),
                    (Ok(()), bytes) => link.receive(bytes).map_err(Ended::Broken),
                }
            })
        });
        match read {
            Poll::Ready(Ok(())) => taken_in(),
            Poll::Ready(Err(ended)) => return Poll::Ready(ended),
            Poll::Pending => break,
        }
    }
    match poll_write(link, socket, cx) {
        Poll::Ready(Err(_)) => Poll::Ready(Ended::Closed),
        _ => Poll::Pending,
    }
}

fn poll_write<S: AsyncWrite + Unpin>(
    link: &Link,
    socket: &mut S,
    cx: &mut Context<'_>,
) -> Poll<std::io::Result<()>> {
    link.with_output(|output| output.poll_write(socket, cx))
}

/// How long the last frames of a connection may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Writes what still waits, and says that nothing will follow.
pub(super) async fn close<S: AsyncWrite + Unpin>(link: &Link, socket: &mut S) {
    let closing = async {
        std::future::poll_fn(|cx| poll_write(link, socket, cx)).await?;
        std::future::poll_fn(|cx| Pin::new(&mut *socket).poll_shutdown(cx)).await
    };
    let _ = tokio::time::timeout(LAST_WORDS, closing).await;
}
