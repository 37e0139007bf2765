//! The stream under HTTP/2, with an eye on its frames: those that cost us work and the other side nothing are counted, and
//! one that sends too many of them is not read any further.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::PREFACE;
use crate::{Limits, clock};

/// A client that takes an answer says so with a WINDOW_UPDATE now and then; one for so few bytes is no more than that.
const BYTES_PER_WINDOW_UPDATE: u64 = 64;

/// The time over which frames are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Kinds of frames that carry fields (RFC 9113 §6.2, §6.10), and the flag of the last of them.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;

/// Bytes before the payload of a frame (RFC 9113 §4.1).
const FRAME_HEAD: usize = 9;

/// A stream whose frames are counted.
pub(super) struct Metered<S> {
    stream: S,
    place: Place,
    meter: Rc<Meter>,
}

/// What was counted of a connection.
#[derive(Debug)]
pub(super) struct Meter {
    most_idle_frames: u32,
    /// Nothing where they are not counted.
    most_resets: Option<u32>,
    last_read: Cell<Instant>,
    has_frames: Cell<bool>,
    /// When the head began that has not come whole.
    head_began: Cell<Option<Instant>>,
    window_began: Cell<Instant>,
    n_idle_frames: Cell<u32>,
    n_resets: Cell<u32>,
    n_window_updates: Cell<u64>,
    /// Bytes that were ever written.
    written: Cell<u64>,
}

/// Where in a frame the next byte belongs.
enum Place {
    /// In what stands before the first frame; how many bytes are to come.
    Preface(usize),
    /// In the head of a frame, of which so many bytes are there.
    Head([u8; FRAME_HEAD], usize),
    /// In the payload: how many bytes are to come, and whether a head ends with them.
    Payload(usize, bool),
}

/// Before the first byte of a frame.
const NEXT_FRAME: Place = Place::Head([0; FRAME_HEAD], 0);

// === impl Meter ===

impl Meter {
    /// When bytes came last.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read.get()
    }

    /// Whether a frame has come.
    pub(super) fn has_frames(&self) -> bool {
        self.has_frames.get()
    }

    /// When the fields began to come that are not there yet, if there are any.
    pub(super) fn head_began(&self) -> Option<Instant> {
        self.head_began.get()
    }

    /// Whether the other side has sent more than anybody needs.
    pub(super) fn is_flooded(&self) -> bool {
        let window_updates = u64::from(self.most_idle_frames) + self.written.get() / BYTES_PER_WINDOW_UPDATE;
        self.n_idle_frames.get() > self.most_idle_frames
            || self.most_resets.is_some_and(|most| self.n_resets.get() > most)
            || self.n_window_updates.get() > window_updates
    }

    /// Counts a frame by its head. Returns what comes next.
    fn begin_frame(&self, head: &[u8; FRAME_HEAD]) -> Place {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        self.count(head, length);
        let ends_head = matches!(head[3], HEADERS | CONTINUATION) && head[4] & END_HEADERS != 0;
        if length == 0 { self.end_frame(ends_head) } else { Place::Payload(length, ends_head) }
    }

    /// Returns what comes after a frame, with which a head may have ended.
    fn end_frame(&self, ends_head: bool) -> Place {
        if ends_head {
            self.head_began.set(None);
        }
        NEXT_FRAME
    }

    /// Counts a frame by its head.
    fn count(&self, head: &[u8; FRAME_HEAD], length: usize) {
        const DATA: u8 = 0;
        const RST_STREAM: u8 = 3;
        const WINDOW_UPDATE: u8 = 8;
        const END_STREAM_OR_HEADERS: u8 = 0x1 | END_HEADERS;
        let (kind, flags) = (head[3], head[4]);
        self.has_frames.set(true);
        if kind == HEADERS {
            self.head_began.set(Some(self.last_read.get()));
        }
        let is_empty = length == 0 && flags & END_STREAM_OR_HEADERS == 0;
        let counter = match kind {
            RST_STREAM => &self.n_resets,
            DATA | CONTINUATION if !is_empty => return,
            HEADERS => return,
            WINDOW_UPDATE => return self.n_window_updates.set(self.n_window_updates.get() + 1),
            _ => &self.n_idle_frames,
        };
        if self.last_read.get().saturating_duration_since(self.window_began.get()) > WINDOW {
            self.window_began.set(self.last_read.get());
            self.n_idle_frames.set(0);
            self.n_resets.set(0);
        }
        counter.set(counter.get().saturating_add(1));
    }
}

fn narrowed(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

// === impl Metered ===

impl<S> Metered<S> {
    /// A client's stream.
    pub(super) fn of_client(stream: S, limits: &Limits) -> (Self, Rc<Meter>) {
        let most_resets = Some(narrowed(limits.http2_resets));
        Self::new(stream, Place::Preface(PREFACE.len()), narrowed(limits.http2_idle_frames), most_resets)
    }

    /// A server's stream, which begins with a frame. That it takes requests back costs it more than us.
    pub(super) fn of_server(stream: S) -> (Self, Rc<Meter>) {
        let most_idle_frames = narrowed(Limits::default().http2_idle_frames);
        Self::new(stream, NEXT_FRAME, most_idle_frames, None)
    }

    fn new(stream: S, place: Place, most_idle_frames: u32, most_resets: Option<u32>) -> (Self, Rc<Meter>) {
        let now = clock::recently();
        let meter = Rc::new(Meter {
            last_read: Cell::new(now),
            has_frames: Cell::new(false),
            head_began: Cell::new(None),
            window_began: Cell::new(now),
            n_idle_frames: Cell::new(0),
            n_resets: Cell::new(0),
            n_window_updates: Cell::new(0),
            written: Cell::new(0),
            most_idle_frames,
            most_resets,
        });
        (Self { stream, place, meter: Rc::clone(&meter) }, meter)
    }

    fn look_at(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (n_bytes, next) = match &mut self.place {
                Place::Preface(to_come) => {
                    let n_bytes = bytes.len().min(*to_come);
                    *to_come -= n_bytes;
                    (n_bytes, (*to_come == 0).then_some(NEXT_FRAME))
                }
                Place::Payload(to_come, ends_head) => {
                    let n_bytes = bytes.len().min(*to_come);
                    *to_come -= n_bytes;
                    (n_bytes, (*to_come == 0).then(|| self.meter.end_frame(*ends_head)))
                }
                Place::Head(head, there) => {
                    let n_bytes = bytes.len().min(FRAME_HEAD - *there);
                    head[*there..*there + n_bytes].copy_from_slice(&bytes[..n_bytes]);
                    *there += n_bytes;
                    (n_bytes, (*there == FRAME_HEAD).then(|| self.meter.begin_frame(head)))
                }
            };
            if let Some(next) = next {
                self.place = next;
            }
            bytes = &bytes[n_bytes..];
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.meter.is_flooded() {
            // Whoever drives the connection ends it.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        this.meter.last_read.set(clock::refresh());
        this.look_at(&into.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n_bytes = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.meter.written.set(this.meter.written.get() + n_bytes as u64);
        Poll::Ready(Ok(n_bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n_bytes = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, buffers))?;
        this.meter.written.set(this.meter.written.get() + n_bytes as u64);
        Poll::Ready(Ok(n_bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// Counts however the bytes are cut.
    fn counted(frames: &[Vec<u8>], piece: usize) -> (u32, u32) {
        let (mut metered, meter) = Metered::of_client((), &Limits::default());
        let bytes = [PREFACE, &frames.concat()].concat();
        bytes.chunks(piece).for_each(|piece| metered.look_at(piece));
        (meter.n_idle_frames.get(), meter.n_resets.get())
    }

    #[test]
    fn frames_that_ask_for_nothing_are_counted_however_they_are_cut() {
        let frames = [
            frame(4, 0, &[]),
            frame(1, 4, b"head"),
            frame(0, 0, b"data"),
            frame(6, 0, b"12345678"),
            frame(0, 0, b""),
            frame(0, 1, b""),
            frame(3, 0, b"1234"),
            frame(8, 0, b"1234"),
            frame(0xfa, 0, b"unknown"),
        ];
        for piece in 1..40 {
            assert_eq!(counted(&frames, piece), (4, 1), "pieces of {piece}");
        }
    }

    #[test]
    fn a_head_that_has_not_come_whole_is_known_however_it_is_cut() {
        let (whole, begun, more, rest) =
            (frame(1, 4, b"head"), frame(1, 0, b"he"), frame(9, 0, b""), frame(9, 4, b"ad"));
        let cut = &whole[..whole.len() - 1];
        for (frames, is_awaited) in [
            (vec![whole.as_slice()], false),
            (vec![&whole, cut], true),
            (vec![&begun], true),
            (vec![&begun, &more], true),
            (vec![&begun, &more, &rest], false),
            (vec![&frame(1, 5, b"")], false),
            (vec![&whole, &frame(0, 4, b"data")[..10]], false),
        ] {
            for piece in 1..20 {
                let (mut metered, meter) = Metered::of_client((), &Limits::default());
                let bytes = [PREFACE, &frames.concat()].concat();
                bytes.chunks(piece).for_each(|piece| metered.look_at(piece));
                assert_eq!(meter.head_began().is_some(), is_awaited, "{frames:?} in pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn a_flood_is_not_read_any_further() {
        use tokio::io::AsyncReadExt as _;
        let pings = vec![frame(6, 0, b"12345678"); 5_000].concat();
        let bytes = [PREFACE, &pings].concat();
        let (mut metered, meter) = Metered::of_client(bytes.as_slice(), &Limits::default());
        let mut buffer = [0; 256];
        let mut n_read = 0;
        while !meter.is_flooded() {
            n_read += metered.read(&mut buffer).await.unwrap();
        }
        assert!(n_read < 20_000, "{n_read}");
    }
}
