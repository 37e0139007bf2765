//! The two halves of an upgraded connection: what comes in, decoded, and what goes out, in order.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::spdy;
use super::websocket::{self, Message};

/// Says something to the client. All clones speak on the same connection.
#[derive(Debug, Clone)]
pub(super) struct Outlet {
    frames: mpsc::Sender<Bytes>,
    is_websocket: bool,
}

/// Hears what the client says in messages of WebSocket.
pub(super) struct Messages<S> {
    reader: ReadHalf<S>,
    decoder: websocket::Decoder,
    outlet: Outlet,
}

/// Hears what the client says in frames of SPDY.
pub(super) struct Frames<S> {
    source: Source<S>,
    decoder: spdy::Decoder,
    outlet: Outlet,
}

enum Source<S> {
    Bytes(ReadHalf<S>),
    Messages(Messages<S>),
}

/// Nobody hears us any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Frames that may wait to be written.
const WAITING_FRAMES: usize = 16;
/// Bytes that one read may bring.
const READ_BYTES: usize = 16 << 10;
/// How long a client may take to hear the last words, and to close.
const LINGER: Duration = Duration::from_secs(2);

/// Runs a conversation on a connection of WebSocket, and closes the connection after it.
pub(super) async fn over_messages<S: AsyncRead + AsyncWrite>(
    stream: S,
    converse: impl AsyncFnOnce(&mut Messages<S>, Outlet),
) {
    let (reader, writer) = tokio::io::split(stream);
    let (frames, waiting) = mpsc::channel(WAITING_FRAMES);
    let outlet = Outlet { frames, is_websocket: true };
    let mut messages = Messages { reader, decoder: websocket::Decoder::default(), outlet: outlet.clone() };
    let talking = async move {
        converse(&mut messages, outlet).await;
        let _ = messages.outlet.frames.send(websocket::close()).await;
        messages.reader
    };
    finish(talking, writer, waiting).await;
}

/// Runs a conversation on a connection of SPDY, and closes the connection after it.
pub(super) async fn over_frames<S: AsyncRead + AsyncWrite>(
    stream: S,
    is_in_websocket: bool,
    converse: impl AsyncFnOnce(&mut Frames<S>, Outlet),
) {
    let (reader, writer) = tokio::io::split(stream);
    let (frames, waiting) = mpsc::channel(WAITING_FRAMES);
    let outlet = Outlet { frames, is_websocket: is_in_websocket };
    let source = if is_in_websocket {
        Source::Messages(Messages { reader, decoder: websocket::Decoder::default(), outlet: outlet.clone() })
    } else {
        Source::Bytes(reader)
    };
    let mut heard = Frames { source, decoder: spdy::Decoder::default(), outlet: outlet.clone() };
    let talking = async move {
        converse(&mut heard, outlet).await;
        if is_in_websocket {
            let _ = heard.outlet.frames.send(websocket::close()).await;
        }
        match heard.source {
            Source::Bytes(reader) => reader,
            Source::Messages(messages) => messages.reader,
        }
    };
    finish(talking, writer, waiting).await;
}

/// Writes what a conversation says. After it, the client gets a moment to hear the end before the connection closes: bytes
/// of its own that nobody reads would have the system throw away what it has not read yet.
async fn finish<S: AsyncRead + AsyncWrite>(
    talking: impl Future<Output = ReadHalf<S>>,
    mut writer: WriteHalf<S>,
    mut waiting: mpsc::Receiver<Bytes>,
) {
    let writing = async move {
        while let Some(frame) = waiting.recv().await {
            if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
                // Those who have something to say notice that the channel is closed.
                return;
            }
        }
        let _ = writer.shutdown().await;
    };
    tokio::pin!(writing);
    tokio::pin!(talking);
    let mut is_written = false;
    let mut reader = loop {
        tokio::select! {
            reader = &mut talking => break reader,
            () = &mut writing, if !is_written => is_written = true,
        }
    };
    let _ = timeout(LINGER, async {
        let reading = async {
            let mut dropped = vec![0; READ_BYTES];
            while let Ok(1..) = reader.read(&mut dropped).await {}
        };
        if is_written {
            return;
        }
        tokio::join!(reading, writing);
    })
    .await;
}

// === impl Outlet ===

impl Outlet {
    /// Says bytes on a channel of WebSocket.
    pub(super) async fn channel(&self, channel: u8, bytes: &[u8]) -> Result<(), Gone> {
        self.frames.send(websocket::binary(&[&[channel], bytes])).await.map_err(|_| Gone)
    }

    /// Says a frame of SPDY.
    pub(super) async fn frame(&self, frame: Bytes) -> Result<(), Gone> {
        let frame = if self.is_websocket { websocket::binary(&[&frame]) } else { frame };
        self.frames.send(frame).await.map_err(|_| Gone)
    }

    /// Waits until nobody hears us any more.
    pub(super) async fn closed(&self) {
        self.frames.closed().await;
    }
}

// === impl Messages ===

impl<S: AsyncRead> Messages<S> {
    /// The next message; `None` when the client says nothing more, or nothing that can be understood. Dropping the future
    /// loses nothing.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.decoder.next() {
                Ok(Some(Message::Data(bytes))) => return Some(bytes),
                Ok(Some(Message::Ping(payload))) => {
                    // One that finds no room is not answered; a client asks again.
                    let _ = self.outlet.frames.try_send(websocket::pong(&payload));
                    continue;
                }
                Ok(Some(Message::Close)) => return None,
                Ok(None) => {}
                Err(violation) => {
                    debug!(%violation, "a client speaks no WebSocket");
                    let _ = self.outlet.frames.try_send(websocket::close_for(violation));
                    return None;
                }
            }
            let mut bytes = [0; READ_BYTES];
            match self.reader.read(&mut bytes).await {
                Ok(n_bytes @ 1..) => self.decoder.extend(&bytes[..n_bytes]),
                Ok(0) | Err(_) => return None,
            }
        }
    }
}

// === impl Frames ===

impl<S: AsyncRead> Frames<S> {
    /// The next frame; `None` when the client says nothing more, or nothing that can be understood. Dropping the future
    /// loses nothing.
    pub(super) async fn next(&mut self) -> Option<spdy::Frame> {
        loop {
            match self.decoder.next() {
                Ok(Some(spdy::Frame::Ping { id })) => {
                    let pong = spdy::pong(id);
                    let pong = if self.outlet.is_websocket { websocket::binary(&[&pong]) } else { pong };
                    let _ = self.outlet.frames.try_send(pong);
                    continue;
                }
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(violation) => {
                    debug!(%violation, "a client speaks no SPDY");
                    return None;
                }
            }
            match &mut self.source {
                Source::Messages(messages) => self.decoder.extend(&messages.next().await?),
                Source::Bytes(reader) => {
                    let mut bytes = [0; READ_BYTES];
                    match reader.read(&mut bytes).await {
                        Ok(n_bytes @ 1..) => self.decoder.extend(&bytes[..n_bytes]),
                        Ok(0) | Err(_) => return None,
                    }
                }
            }
        }
    }
}
