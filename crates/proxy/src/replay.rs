//! Request bodies that can be sent again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use net::{Body, BodyError, BodyStream, Budget, Bytes, Fields, Grant};
use prometheus_client::metrics::counter::Counter;

use crate::header_modification::ClientFields;
use crate::headers;

/// How much of bodies may be kept.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    /// Bytes of one body.
    pub(crate) most: usize,
    /// Bytes of all.
    pub(crate) budget: Budget,
    /// Counts bodies that there was no memory for.
    pub(crate) unkept: Counter,
}

/// So much of a recording is kept without asking for memory: calls of gRPC are short and many.
const SMALL: usize = 16 * 1024;

/// A request body that can be sent again, if it is small enough to be kept.
pub(crate) enum Replayable {
    /// All of it is there, in memory that was asked for if it is much.
    Kept(Bytes, #[expect(dead_code, reason = "given back with the body")] Option<Grant>),
    /// What came of it so far is kept, and goes out as it comes.
    Recorded(Rc<RefCell<Recording>>),
    /// It goes out once.
    Once(Cell<Option<Body>>),
}

/// When a body goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Buffering {
    /// A short one is waited for, so that its length can be told; one that does not say how long it is only where it may be
    /// sent again.
    Whole {
        /// Whether it may.
        may_be_sent_again: bool,
    },
    /// As it comes: it may be one side of a talk.
    AsItComes,
}

// === impl Replayable ===

impl Replayable {
    /// Takes a body, and keeps it if it is short, while there is memory for it.
    pub(crate) async fn prepare(
        body: &mut Body,
        buffering: Buffering,
        keeping: &Keeping,
        told: Option<&Arc<ClientFields>>,
    ) -> Result<Self, BodyError> {
        if let Body::Empty | Body::Full(_) = body {
            return Ok(Self::of(std::mem::take(body), None));
        }
        let wanted = match (buffering, body.remaining()) {
            (Buffering::AsItComes, _) => {
                let recording = Recording::new(std::mem::take(body), keeping, told.cloned());
                return Ok(Self::Recorded(Rc::new(RefCell::new(recording))));
            }
            (Buffering::Whole { .. }, Some(length)) => usize::try_from(length).ok(),
            (Buffering::Whole { may_be_sent_again }, None) => may_be_sent_again.then_some(keeping.most),
        };
        let mut grant =
            wanted.filter(|wanted| *wanted <= keeping.most).and_then(|wanted| keeping.room(wanted));
        // One that does not come keeps no target waiting.
        let is_enough = if grant.is_some() { keeping.most + 1 } else { 1 };
        body.gather(is_enough).await?;
        // The length of a body can be told, or what stands behind it.
        if let Body::Stream(stream) = body
            && let Some(bytes) = stream.take_whole()
        {
            *body = bytes.into();
        }
        if let (Some(grant), Body::Empty | Body::Full(_)) = (&mut grant, &*body) {
            grant.shrink_to(
                body.remaining().and_then(|length| usize::try_from(length).ok()).unwrap_or_default(),
            );
        }
        Ok(Self::of(std::mem::take(body), grant))
    }

    fn of(body: Body, grant: Option<Grant>) -> Self {
        match body {
            Body::Empty => Self::Kept(Bytes::new(), None),
            Body::Full(bytes) => Self::Kept(bytes, grant),
            Body::Stream(_) => Self::Once(Cell::new(Some(body))),
        }
    }

    /// Whether it can be sent as often as it takes.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Kept(..) => true,
            Self::Recorded(recording) => recording.borrow().kept.is_some(),
            Self::Once(_) => false,
        }
    }

    /// Whether all of it is there and kept, so that whoever gets it waits for nobody else.
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Self::Kept(..) => true,
            Self::Recorded(recording) => {
                let recording = recording.borrow();
                recording.has_ended && recording.kept.is_some()
            }
            Self::Once(_) => false,
        }
    }

    /// The body for the next attempt; `None` when it is gone.
    pub(crate) fn next(&self) -> Option<Body> {
        match self {
            Self::Kept(bytes, _) => Some(bytes.clone().into()),
            Self::Recorded(recording) => recording.borrow().kept.is_some().then(|| {
                let recording = Rc::clone(recording);
                Body::Stream(Box::new(Playback { recording, next: 0 }))
            }),
            Self::Once(body) => body.take(),
        }
    }

    /// The same once more, in memory that is asked for anew; `None` where not all of it is there, or there is no memory left.
    pub(crate) fn copy(&self, keeping: &Keeping) -> Option<Self> {
        let bytes = match self {
            Self::Kept(bytes, _) => bytes.clone(),
            Self::Recorded(recording) => recording.borrow().whole()?,
            Self::Once(_) => return None,
        };
        let grant = if bytes.len() > SMALL { Some(keeping.room(bytes.len())?) } else { None };
        Some(Self::Kept(bytes, grant))
    }

    /// Forgets what was kept: there will be no other attempt.
    pub(crate) fn settle(self) {
        if let Self::Recorded(recording) = self {
            recording.borrow_mut().forget();
        }
    }
}

// === impl Keeping ===

impl Keeping {
    /// Memory for so many bytes, if it is left.
    fn room(&self, n_bytes: usize) -> Option<Grant> {
        let grant = self.budget.take(n_bytes);
        if grant.is_none() {
            self.unkept.inc();
        }
        grant
    }
}

/// A body and what came of it.
pub(crate) struct Recording {
    body: Body,
    /// The pieces so far; `None` once they are too many to keep.
    kept: Option<Vec<Bytes>>,
    /// Memory that they take, and what was granted of it.
    n_kept_bytes: usize,
    n_granted: usize,
    grants: Vec<Grant>,
    keeping: Keeping,
    has_ended: bool,
    trailers: Option<Fields>,
    /// What the target is told of the client, which no trailer may say otherwise.
    told: Option<Arc<ClientFields>>,
}

impl Recording {
    fn new(body: Body, keeping: &Keeping, told: Option<Arc<ClientFields>>) -> Self {
        Self {
            body,
            kept: Some(Vec::new()),
            n_kept_bytes: 0,
            n_granted: SMALL,
            grants: Vec::new(),
            keeping: keeping.clone(),
            has_ended: false,
            trailers: None,
            told,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.body.poll_chunk(cx));
        match &piece {
            Some(Ok(bytes)) => self.keep(bytes),
            Some(Err(_)) => {}
            None => {
                self.has_ended = true;
                self.trailers = self.body.take_trailers();
                if let Some(trailers) = &mut self.trailers {
                    headers::rewrite_trailers(trailers, self.told.as_deref());
                }
            }
        }
        Poll::Ready(piece)
    }

    fn keep(&mut self, bytes: &Bytes) {
        // Bodies may come byte by byte.
        self.n_kept_bytes += bytes.len() + size_of::<Bytes>();
        let has_room = self.kept.is_some() && self.n_kept_bytes <= self.keeping.most && self.has_room();
        match &mut self.kept {
            Some(kept) if has_room => kept.push(bytes.clone()),
            _ => self.forget(),
        }
    }

    /// Whether there is memory for what is kept. Each time that it is asked for, it is twice as much.
    fn has_room(&mut self) -> bool {
        if self.n_kept_bytes <= self.n_granted {
            return true;
        }
        let more = self.n_granted.max(self.n_kept_bytes - self.n_granted);
        self.n_granted += more;
        let grant = self.keeping.room(more);
        let has_room = grant.is_some();
        self.grants.extend(grant);
        has_room
    }

    /// All of the body, once it is there.
    fn whole(&self) -> Option<Bytes> {
        let kept = self.kept.as_ref().filter(|_| self.has_ended)?;
        Some(match kept.as_slice() {
            [all] => all.clone(),
            pieces => pieces.concat().into(),
        })
    }

    fn forget(&mut self) {
        self.kept = None;
        self.grants.clear();
    }
}

/// One attempt's reading of a recording: from its beginning, and then as it goes on.
struct Playback {
    recording: Rc<RefCell<Recording>>,
    next: usize,
}

impl BodyStream for Playback {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut recording = self.recording.borrow_mut();
        let kept = recording.kept.as_ref().and_then(|kept| kept.get(self.next)).cloned();
        let piece = match kept {
            Some(bytes) => Some(Ok(bytes)),
            None => ready!(recording.poll_next(cx)),
        };
        self.next += usize::from(matches!(piece, Some(Ok(_))));
        Poll::Ready(piece)
    }

    fn remaining(&self) -> Option<u64> {
        let recording = self.recording.borrow();
        let to_play = recording.kept.iter().flatten().skip(self.next).map(|bytes| bytes.len() as u64);
        recording.body.remaining().map(|to_come| to_come + to_play.sum::<u64>())
    }

    fn take_trailers(&mut self) -> Option<Fields> {
        self.recording.borrow().trailers.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::future::poll_fn;
    use std::task::Waker;

    /// Pieces that come one by one.
    struct Pieces(VecDeque<&'static [u8]>);

    impl BodyStream for Pieces {
        fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Bytes::from_static(piece))))
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

    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing here waits"),
        }
    }

    fn recorded(pieces: &[&'static [u8]]) -> Replayable {
        recorded_in(&Budget::new(2 << 20), pieces)
    }

    fn recorded_in(budget: &Budget, pieces: &[&'static [u8]]) -> Replayable {
        let mut body = Body::Stream(Box::new(Pieces(pieces.iter().copied().collect())));
        let keeping = Keeping { most: 1 << 20, budget: budget.clone(), unkept: Counter::default() };
        now(Replayable::prepare(&mut body, Buffering::AsItComes, &keeping, None)).unwrap()
    }

    #[test]
    fn what_there_is_no_memory_for_goes_out_once_and_small_bodies_need_none() {
        let budget = Budget::new(90 << 10);
        let play = |pieces: &[&'static [u8]]| {
            let body = recorded_in(&budget, pieces);
            let mut reading = body.next().unwrap();
            while now(poll_fn(|cx| reading.poll_chunk(cx))).is_some() {}
            body
        };
        let first = play(&[&[b'x'; 1 << 16]]);
        assert!(first.is_kept() && budget.used() >= 48 << 10);
        assert!(!play(&[&[b'x'; 1 << 16]]).is_kept());
        assert!(play(&[&[b'x'; 1 << 10]]).is_kept());
        first.settle();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_went_out_goes_out_again_and_the_rest_behind_it() {
        let body = recorded(&[b"one", b"two", b"three"]);
        let mut first = body.next().unwrap();
        assert_eq!(now(poll_fn(|cx| first.poll_chunk(cx))).unwrap().unwrap(), "one");
        drop(first);
        for _ in 0..2 {
            let mut again = body.next().unwrap();
            let mut all = Vec::new();
            while let Some(piece) = now(poll_fn(|cx| again.poll_chunk(cx))) {
                all.extend_from_slice(&piece.unwrap());
            }
            assert_eq!(all, b"onetwothree");
            assert_eq!(again.take_trailers().unwrap().text("x-sum"), Some("1"));
        }
    }

    #[test]
    fn a_copy_is_whole_and_has_memory_of_its_own() {
        let budget = Budget::new(300 << 10);
        let keeping = Keeping { most: 1 << 20, budget: budget.clone(), unkept: Counter::default() };
        let body = recorded_in(&budget, &[&[b'x'; 1 << 16], b"y"]);
        let mut reading = body.next().unwrap();
        assert!(now(poll_fn(|cx| reading.poll_chunk(cx))).is_some());
        assert!(body.copy(&keeping).is_none(), "the rest is still to come");
        while now(poll_fn(|cx| reading.poll_chunk(cx))).is_some() {}
        let used = budget.used();
        let copy = body.copy(&keeping).unwrap();
        assert_eq!(budget.used(), used + (65 << 10));
        body.settle();
        let mut copied = copy.next().unwrap();
        let bytes = now(poll_fn(|cx| copied.poll_chunk(cx))).unwrap().unwrap();
        assert_eq!((bytes.len(), bytes[65_536]), ((1 << 16) + 1, b'y'));
        let poor = Keeping { budget: Budget::new(1 << 10), ..keeping };
        assert!(copy.copy(&poor).is_none(), "no memory is left");
    }

    #[test]
    fn a_body_that_is_too_long_goes_out_once() {
        const PIECE: &[u8] = &[b'x'; 1 << 16];
        let body = recorded(&[PIECE; 17]);
        let mut first = body.next().unwrap();
        let mut n_bytes = 0;
        while let Some(piece) = now(poll_fn(|cx| first.poll_chunk(cx))) {
            n_bytes += piece.unwrap().len();
        }
        assert_eq!(n_bytes, 17 << 16);
        assert!(!body.is_kept() && body.next().is_none());
        let body = recorded(&[b"x".as_slice(); 1 << 16]);
        let mut reading = body.next().unwrap();
        while now(poll_fn(|cx| reading.poll_chunk(cx))).is_some() {}
        assert!(!body.is_kept(), "pieces of one byte take more memory than their bytes");
    }
}
