//! Passing bytes between a client and a target, once nobody here has to understand them any more.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use net::{Place, Stay};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use crate::silence::Talk;

/// Bytes that one read may bring.
const COPY_BYTES: usize = 16 * 1024;

thread_local! {
    /// Where reads land. One for all flows of a thread, so that a flow that waits holds no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; COPY_BYTES].into_boxed_slice());
}

/// How long neither side of a flow may say anything once its listener has gone.
const QUIET: Duration = Duration::from_secs(1);

/// Bytes that were passed on.
#[derive(Default)]
pub(crate) struct Carried {
    /// From the client to the target.
    pub(crate) up: Cell<u64>,
    /// From the target to the client.
    pub(crate) down: Cell<u64>,
    /// The target, where it is expected to answer what the client says.
    pub(crate) talk: Option<Talk>,
}

impl Carried {
    fn count_up(&self, n_bytes: u64) {
        self.up.set(self.up.get() + n_bytes);
        if let Some(talk) = &self.talk {
            talk.client_said();
        }
    }

    fn count_down(&self, n_bytes: u64) {
        self.down.set(self.down.get() + n_bytes);
        if let Some(talk) = &self.talk {
            talk.target_said();
        }
    }
}

/// Copies until both sides have closed, one side fails, or neither has said anything for `idle_timeout`. A flow whose
/// listener has gone ends at its next pause.
pub(crate) async fn relay(
    (client_reads, client_writes): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (target_reads, target_writes): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    carried: &Carried,
    idle_timeout: Duration,
    stay: Stay,
) {
    let Stay { mut drain, place } = stay;
    place.idle();
    let last_byte = Cell::new(Instant::now());
    let up = copy(client_reads, target_writes, &last_byte, &place, |n_bytes| carried.count_up(n_bytes));
    let down = copy(target_reads, client_writes, &last_byte, &place, |n_bytes| carried.count_down(n_bytes));
    let silent_for = async |patience: Duration| {
        while last_byte.get().elapsed() < patience {
            tokio::time::sleep_until(last_byte.get() + patience).await;
        }
    };
    let forgotten = async {
        drain.draining().await;
        silent_for(QUIET).await;
    };
    tokio::select! {
        _ = async { tokio::try_join!(up, down) } => {}
        () = silent_for(idle_timeout) => {}
        () = forgotten => {}
        // Others need the place more than a flow on which nobody has spoken for longest.
        () = poll_fn(|cx| place.poll_needed(cx)) => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    last_byte: &Cell<Instant>,
    place: &Place,
    count: impl Fn(u64),
) -> std::io::Result<()> {
    loop {
        let (n_bytes, rest) = pass_on(&mut from, &mut to).await?;
        if n_bytes == 0 {
            return to.shutdown().await;
        }
        last_byte.set(Instant::now());
        place.idle();
        to.write_all(&rest).await?;
        // TLS may keep the last record until it is flushed.
        to.flush().await?;
        count(n_bytes as u64);
    }
}

/// Reads once and writes what the other side takes at once. Returns how many bytes came, and which of them are left.
async fn pass_on(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<(usize, Vec<u8>)> {
    poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *from).poll_read(cx, &mut read))?;
            let bytes = read.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok((0, Vec::new())));
            }
            let n_written = match Pin::new(&mut *to).poll_write(cx, bytes) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            Poll::Ready(Ok((bytes.len(), bytes[n_written..].to_vec())))
        })
    })
    .await
}
