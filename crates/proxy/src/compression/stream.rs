//! A body that is compressed while it comes.

use std::task::{Context, Poll};

use net::{Body, BodyError, BodyStream, Bytes, BytesMut, Fields};

use super::encoder::Encoder;

/// So many bytes wait at most until they are a segment.
pub(crate) const MOST_WAITING: usize = 64 * 1024;

/// A body that is compressed segment by segment. Where nothing more has come yet, what has come goes out: nobody waits for bytes
/// that somebody else is still to think of.
pub(super) struct Compressed {
    source: Body,
    encoder: Encoder,
    /// What has come and is not compressed yet.
    waiting: BytesMut,
    /// The rest of a piece that is longer than a segment.
    rest: Bytes,
    has_ended: bool,
}

impl Compressed {
    pub(super) fn new(source: Body, encoder: Encoder) -> Self {
        let (waiting, rest) = (BytesMut::new(), Bytes::new());
        Self { source, encoder, waiting, rest, has_ended: false }
    }

    /// Takes a part of a piece in. Returns whether there is a whole segment now.
    fn take_in(&mut self, mut piece: Bytes) -> bool {
        let room = MOST_WAITING - self.waiting.len();
        self.rest = if piece.len() > room { piece.split_off(room) } else { Bytes::new() };
        if self.waiting.is_empty() {
            self.waiting = piece.into();
        } else {
            self.waiting.extend_from_slice(&piece);
        }
        self.waiting.len() == MOST_WAITING
    }

    fn segment(&mut self) -> Vec<u8> {
        self.encoder.segment(std::mem::take(&mut self.waiting).freeze())
    }
}

impl BodyStream for Compressed {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        loop {
            let piece = match std::mem::take(&mut self.rest) {
                rest if rest.is_empty() => self.source.poll_chunk(cx),
                rest => Poll::Ready(Some(Ok(rest))),
            };
            match piece {
                Poll::Ready(Some(Ok(piece))) => {
                    if self.take_in(piece) {
                        return Poll::Ready(Some(Ok(self.segment().into())));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.has_ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    self.has_ended = true;
                    let mut last = if self.waiting.is_empty() { Vec::new() } else { self.segment() };
                    last.extend_from_slice(&self.encoder.end());
                    return Poll::Ready(Some(Ok(last.into())));
                }
                Poll::Pending if self.waiting.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Some(Ok(self.segment().into()))),
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        None
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.source.take_trailers()
    }
}

/// The body of an answer to HEAD whose length nobody knows before it is compressed.
pub(super) struct NoBytes;

impl BodyStream for NoBytes {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        Poll::Ready(None)
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;
    use std::task::Waker;

    use plan::Coding;

    use super::super::encoder::tests::read;
    use super::*;

    /// Pieces that come one by one; where there is none, it is waited for.
    #[derive(Clone, Default)]
    struct Pieces(Rc<RefCell<VecDeque<Piece>>>);

    /// The end is none.
    type Piece = Option<Result<Bytes, BodyError>>;

    impl BodyStream for Pieces {
        fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
            self.0.borrow_mut().pop_front().map_or(Poll::Pending, Poll::Ready)
        }

        fn remaining(&self) -> Option<u64> {
            None
        }

        fn take_trailers(&mut self) -> Option<Fields> {
            let mut trailers = Fields::new();
            trailers.push("x-sum", "1");
            Some(trailers)
        }
    }

    fn poll(body: &mut Compressed) -> Poll<Option<Result<Bytes, BodyError>>> {
        body.poll_chunk(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_has_come_goes_out_before_the_rest_is_there() {
        for coding in Coding::ALL {
            let pieces = Pieces::default();
            let mut body = Compressed::new(Body::Stream(Box::new(pieces.clone())), Encoder::new(coding));
            assert!(poll(&mut body).is_pending());
            let mut all = Vec::new();
            for text in ["one ", "two ", "three"] {
                pieces.0.borrow_mut().push_back(Some(Ok(text.into())));
                let Poll::Ready(Some(Ok(piece))) = poll(&mut body) else { panic!("{text} is held back") };
                all.extend_from_slice(&piece);
                assert!(poll(&mut body).is_pending());
            }
            pieces.0.borrow_mut().push_back(None);
            let Poll::Ready(Some(Ok(piece))) = poll(&mut body) else { panic!("the end is held back") };
            all.extend_from_slice(&piece);
            assert!(matches!(poll(&mut body), Poll::Ready(None)));
            assert_eq!(read(coding, &all), b"one two three");
            assert_eq!(body.take_trailers().unwrap().text("x-sum"), Some("1"));
        }
    }

    #[test]
    fn long_pieces_are_cut_and_short_ones_joined() {
        let text: Vec<u8> = (0..500_000_u32).map(|place| (place % 251) as u8).collect();
        for coding in Coding::ALL {
            for n_bytes in [1000, 70_000, 500_000] {
                let pieces = Pieces::default();
                let all = text.chunks(n_bytes).map(|piece| Some(Ok(Bytes::copy_from_slice(piece))));
                pieces.0.borrow_mut().extend(all.chain([None]));
                let mut body = Compressed::new(Body::Stream(Box::new(pieces)), Encoder::new(coding));
                let (mut compressed, mut n_pieces) = (Vec::new(), 0);
                while let Poll::Ready(Some(piece)) = poll(&mut body) {
                    compressed.extend_from_slice(&piece.unwrap());
                    n_pieces += 1;
                    assert!(body.waiting.len() <= MOST_WAITING);
                }
                assert_eq!(n_pieces, 500_000_usize.div_ceil(MOST_WAITING), "{n_bytes}");
                assert_eq!(read(coding, &compressed), text);
            }
        }
    }

    #[test]
    fn a_body_that_breaks_off_does_not_end_well() {
        let pieces = Pieces::default();
        pieces.0.borrow_mut().extend([Some(Ok("one".into())), Some(Err(BodyError::Closed))]);
        let mut body = Compressed::new(Body::Stream(Box::new(pieces)), Encoder::new(Coding::Gzip));
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(BodyError::Closed)))));
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
    }
}
