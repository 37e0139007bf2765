//! How long a connection may stay: until a drain, or until its place is needed and it has been idle for longest.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::gate::{Asking, Permit};
use crate::server::LAST_HANDSHAKE;
use crate::{Crowding, DrainWatch, Limits, Rejection, clock};

/// A connection's leave to be here. It is counted as open for as long as this lives.
pub struct Stay {
    /// Says when it is time to end.
    pub drain: DrainWatch,
    /// Says when the place is needed.
    pub place: Place,
}

/// A connection among those of this thread.
pub struct Place {
    number: u64,
    seat: Rc<Seat>,
    permit: Permit,
}

/// What is known of one connection.
#[derive(Debug, Default)]
struct Seat {
    /// Since when nobody would miss it; nothing while it is at something.
    idle_since: Cell<Option<Instant>>,
    is_needed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

thread_local! {
    /// The connections of this thread, and the number of the next.
    static SEATS: RefCell<(u64, BTreeMap<u64, Rc<Seat>>)> = const { RefCell::new((0, BTreeMap::new())) };
}

// === impl Stay ===

impl Stay {
    /// Waits for what has to come before anything can be asked, say a handshake; nothing when the connection has to go
    /// before. Whoever has not come that far is as idle as one who says nothing.
    pub async fn while_opening<T>(&mut self, opening: impl Future<Output = T>) -> Option<T> {
        let Self { drain, place } = self;
        tokio::select! {
            biased;
            opened = opening => Some(opened),
            () = drain.draining_for(LAST_HANDSHAKE) => None,
            () = poll_fn(|cx| place.poll_needed(cx)) => None,
        }
    }
}

// === impl Place ===

impl Place {
    pub(crate) fn new(permit: Permit) -> Self {
        let seat = Rc::new(Seat::default());
        seat.idle_since.set(Some(clock::recently()));
        let number = SEATS.with_borrow_mut(|(next, seats)| {
            *next += 1;
            seats.insert(*next, Rc::clone(&seat));
            *next
        });
        Self { number, seat, permit }
    }

    /// Counts the connection as one of the client that a proxy speaks for, unless it has too many.
    pub(crate) fn count_for(&mut self, client: IpAddr, limits: &Limits, told: impl Fn(Crowding)) -> bool {
        self.permit.count_for(client, limits, told)
    }

    /// Counts a request of the connection, unless its client has too many at a time.
    pub(crate) fn ask(&self, limits: &Limits) -> Result<Asking, Rejection> {
        self.permit.ask(limits)
    }

    /// Says that the connection waits for its client, and may go if its place is needed.
    pub fn idle(&self) {
        self.seat.idle_since.set(Some(clock::recently()));
    }

    /// Says that the connection is at something.
    pub fn busy(&self) {
        self.seat.idle_since.set(None);
    }

    /// Ready once an idle connection is asked to leave.
    pub fn poll_needed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.seat.is_needed.get() {
            return Poll::Ready(());
        }
        let mut waker = self.seat.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // At the very end of a thread there is nobody to tell.
        let _ = SEATS.try_with(|seats| seats.borrow_mut().1.remove(&self.number));
    }
}

/// Wakes all connections of this thread that wait in their places: it is time to look whether a drain has begun.
pub(crate) fn wake_all() {
    let waiting: Vec<Waker> =
        SEATS.with_borrow(|(_, seats)| seats.values().filter_map(|seat| seat.waker.take()).collect());
    waiting.into_iter().for_each(Waker::wake);
}

/// Asks those connections of this thread to leave that have been idle for longest, but not more than so many. Returns how many
/// there were.
pub fn make_room(most: usize) -> usize {
    let mut idle: Vec<(Instant, Rc<Seat>)> = SEATS.with_borrow(|(_, seats)| {
        let may_go = seats.values().filter(|seat| !seat.is_needed.get());
        may_go.filter_map(|seat| Some((seat.idle_since.get()?, Rc::clone(seat)))).collect()
    });
    if idle.len() > most {
        idle.select_nth_unstable_by_key(most, |(since, _)| *since);
        idle.truncate(most);
    }
    for (_, seat) in &idle {
        seat.is_needed.set(true);
        if let Some(waker) = seat.waker.take() {
            waker.wake();
        }
    }
    idle.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Gate;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn who_has_been_idle_for_longest_goes_first() {
        let gate = Gate::default();
        let places: Vec<Place> = (0..6).map(|_| Place::new(gate.permit_for_us())).collect();
        for (index, place) in places.iter().enumerate() {
            tokio::time::advance(Duration::from_secs(1)).await;
            clock::refresh();
            if index == 1 { place.busy() } else { place.idle() }
        }
        places[0].idle();
        assert_eq!(make_room(2), 2);
        let gone = || -> Vec<usize> {
            let cx = &mut Context::from_waker(Waker::noop());
            (0..6).filter(|index| places[*index].poll_needed(cx).is_ready()).collect()
        };
        assert_eq!(gone(), [2, 3]);
        assert_eq!(make_room(9), 3, "whoever is at something stays");
        assert_eq!(gone(), [0, 2, 3, 4, 5]);
        drop(places);
        assert_eq!(make_room(9), 0);
    }
}
