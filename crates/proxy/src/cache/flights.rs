//! Requests of a core that ask the same at the same time: one asks a target, and the others wait for what it brings.
//!
//! Nobody waits long for what may never come: not for a body that its first client reads slowly, not for a target that hangs, and not
//! where an answer of late was none to be kept; there everybody asks for himself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What a core asks for at the moment. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flights(Rc<RefCell<Core>>);

#[derive(Debug, Default)]
struct Core {
    under_way: HashMap<u64, Rc<Flight>>,
    n_waiting: usize,
    /// Questions whose answers were not to be kept, each at the place of its number, and until when that is believed.
    vain: Vec<Option<(u64, Instant)>>,
}

/// A question that is asked.
#[derive(Debug)]
struct Flight {
    state: Cell<State>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    /// The answer has begun, and is kept when it has come to its end.
    Begun,
    /// It is kept.
    Kept,
    /// Nobody can have it but who asked.
    Vain,
    /// Who asked has gone.
    Left,
}

/// What becomes of a question.
#[derive(Debug)]
pub(super) enum Joined {
    /// It is asked, for all who come meanwhile.
    Leads(Lead),
    /// It was asked already, and what came of it may be there now.
    Waited,
    /// It is asked for itself.
    Alone,
}

/// Asking a question for all who have it too, for as long as this lives.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Flights,
    number: u64,
    flight: Rc<Flight>,
}

/// So long one waits at most for others, as nginx does (`proxy_cache_lock_timeout`); and so long for the rest of an answer that has begun.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_FOR_BODY: Duration = Duration::from_secs(1);

/// So many requests of a core wait for others; further ones ask for themselves.
const MOST_WAITING: usize = 4096;

/// Questions that are known to be vain, at most, and for how long.
const MOST_VAIN: usize = 1024;
const VAIN_FOR: Duration = Duration::from_secs(10);

// === impl Flights ===

impl Flights {
    /// Has a question with this number asked, or waits while another request asks it.
    pub(super) async fn join(&self, number: u64, now: Instant) -> Joined {
        let due = now + PATIENCE;
        loop {
            let flight = match self.begin(number, now) {
                Begun::Waits(flight) => flight,
                Begun::Leads(lead) => return Joined::Leads(lead),
                Begun::Alone => return Joined::Alone,
            };
            let waiting = Waiting::begin(self);
            let state = flight.end(due).await;
            drop(waiting);
            match state {
                State::Kept => return Joined::Waited,
                // Another one has to ask, this one perhaps.
                State::Left => {}
                State::Asked | State::Begun | State::Vain => {
                    // Who comes later waits for it no longer.
                    self.0.borrow_mut().end(number, &flight);
                    return Joined::Alone;
                }
            }
        }
    }

    /// Has a question with this number asked, unless it is already, or was in vain of late.
    pub(super) fn lead(&self, number: u64, now: Instant) -> Option<Lead> {
        match self.begin(number, now) {
            Begun::Leads(lead) => Some(lead),
            Begun::Waits(_) | Begun::Alone => None,
        }
    }

    /// Takes in that what a question brought did not answer another one that waited for it.
    pub(super) fn is_vain(&self, number: u64, now: Instant) {
        self.0.borrow_mut().remember_as_vain(number, now);
    }

    fn begin(&self, number: u64, now: Instant) -> Begun {
        let mut core = self.0.borrow_mut();
        if core.is_vain(number, now) {
            return Begun::Alone;
        }
        match core.under_way.get(&number) {
            Some(_) if core.n_waiting >= MOST_WAITING => Begun::Alone,
            Some(flight) => Begun::Waits(Rc::clone(flight)),
            None => {
                let flight = Rc::new(Flight { state: Cell::new(State::Asked), changed: Notify::new() });
                core.under_way.insert(number, Rc::clone(&flight));
                Begun::Leads(Lead { flights: self.clone(), number, flight })
            }
        }
    }
}

/// How a question begins.
enum Begun {
    Leads(Lead),
    Waits(Rc<Flight>),
    Alone,
}

// === impl Core ===

impl Core {
    fn is_vain(&self, number: u64, now: Instant) -> bool {
        let known = self.vain.get(place(number)).copied().flatten();
        known.is_some_and(|(vain, until)| vain == number && now < until)
    }

    fn remember_as_vain(&mut self, number: u64, now: Instant) {
        self.vain.resize(MOST_VAIN, None);
        self.vain[place(number)] = Some((number, now + VAIN_FOR));
    }

    fn end(&mut self, number: u64, flight: &Rc<Flight>) {
        if self.under_way.get(&number).is_some_and(|known| Rc::ptr_eq(known, flight)) {
            self.under_way.remove(&number);
        }
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % MOST_VAIN as u64).unwrap_or_default()
}

// === impl Flight ===

impl Flight {
    fn becomes(&self, state: State) {
        self.state.set(state);
        self.changed.notify_waiters();
    }

    /// Waits for what becomes of it, as long as there is sense in that.
    async fn end(&self, mut due: Instant) -> State {
        loop {
            let changed = self.changed.notified();
            match self.state.get() {
                State::Asked => {}
                State::Begun => due = due.min(Instant::now() + PATIENCE_FOR_BODY),
                state => return state,
            }
            if tokio::time::timeout_at(due, changed).await.is_err() {
                return self.state.get();
            }
        }
    }
}

/// One that waits.
struct Waiting<'a>(&'a Flights);

impl<'a> Waiting<'a> {
    fn begin(flights: &'a Flights) -> Self {
        flights.0.borrow_mut().n_waiting += 1;
        Self(flights)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.borrow_mut().n_waiting -= 1;
    }
}

// === impl Lead ===

impl Lead {
    /// The answer has begun. Whether it comes to its end is not known yet.
    pub(super) fn begins(&self) {
        self.flight.becomes(State::Begun);
    }

    /// The answer is there for those who wait.
    pub(super) fn is_kept(&self) {
        self.flight.becomes(State::Kept);
    }

    /// The answer is for nobody else.
    pub(super) fn is_vain(&self) {
        self.flights.0.borrow_mut().remember_as_vain(self.number, net::recently());
        self.flight.becomes(State::Vain);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.0.borrow_mut().end(self.number, &self.flight);
        if matches!(self.flight.state.get(), State::Asked | State::Begun) {
            self.flight.becomes(State::Left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Begins to ask, with nobody before.
    async fn lead(flights: &Flights) -> Lead {
        match flights.join(1, Instant::now()).await {
            Joined::Leads(lead) => lead,
            other => panic!("{other:?}"),
        }
    }

    /// What becomes of one that comes second, and after how many milliseconds.
    fn second(flights: &Flights) -> tokio::task::JoinHandle<(&'static str, u128)> {
        let flights = flights.clone();
        tokio::task::spawn_local(async move {
            let began = Instant::now();
            let told = match flights.join(1, began).await {
                Joined::Leads(_) => "leads",
                Joined::Waited => "waited",
                Joined::Alone => "alone",
            };
            (told, began.elapsed().as_millis())
        })
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        tokio::task::LocalSet::new().block_on(&runtime.unwrap(), test);
    }

    async fn milliseconds(n: u64) {
        tokio::time::sleep(Duration::from_millis(n)).await;
    }

    #[test]
    fn one_asks_and_the_others_wait_as_long_as_there_is_sense_in_it() {
        run(async {
            let flights = Flights::default();
            let first = lead(&flights).await;
            let (one, two) = (second(&flights), second(&flights));
            milliseconds(100).await;
            first.is_kept();
            drop(first);
            assert_eq!((one.await.unwrap(), two.await.unwrap()), (("waited", 100), ("waited", 100)));
            // A body that comes slowly is not waited for.
            let first = lead(&flights).await;
            let one = second(&flights);
            milliseconds(100).await;
            first.begins();
            assert_eq!(one.await.unwrap(), ("alone", 1100));
            drop(first);
            // Nor is a target that hangs, and who comes then asks anew.
            let first = lead(&flights).await;
            let one = second(&flights);
            assert_eq!(one.await.unwrap(), ("alone", 5000));
            let again = lead(&flights).await;
            drop(first);
            let one = second(&flights);
            milliseconds(1).await;
            // When the first leaves the next one asks.
            drop(again);
            assert_eq!(one.await.unwrap(), ("leads", 1));
            let core = flights.0.borrow();
            assert!(core.under_way.is_empty() && core.n_waiting == 0);
        });
    }

    #[test]
    fn what_nobody_else_can_have_is_not_waited_for_again_for_a_while() {
        run(async {
            let flights = Flights::default();
            let first = lead(&flights).await;
            let one = second(&flights);
            milliseconds(100).await;
            first.is_vain();
            assert_eq!(one.await.unwrap(), ("alone", 100));
            drop(first);
            assert_eq!(second(&flights).await.unwrap(), ("alone", 0));
            milliseconds(10_000).await;
            drop(lead(&flights).await);
        });
    }

    #[test]
    fn who_gives_up_waiting_is_counted_no_more() {
        run(async {
            let flights = Flights::default();
            let _first = lead(&flights).await;
            let one = second(&flights);
            milliseconds(1).await;
            assert_eq!(flights.0.borrow().n_waiting, 1);
            one.abort();
            assert!(one.await.is_err());
            assert_eq!(flights.0.borrow().n_waiting, 0);
        });
    }
}
