//! What stands behind one listening address: one listener, or those of several load balancers that share it. Handshakes are
//! told apart by the name that is asked for, requests by their host.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use net::{Connection, Gate, Limits, LiveLimits, LiveTls, Request, TlsOffer};
use plan::{normalise_host, sharing};

use crate::listener::ListenerSlot;

/// The listeners behind an address. There is always one at least.
pub(crate) struct Door {
    slots: RefCell<Rc<[Rc<ListenerSlot>]>>,
    pub(crate) limits: LiveLimits,
    /// Where TLS ends behind it.
    pub(crate) tls: Option<LiveTls>,
}

// === impl Door ===

impl Door {
    pub(crate) fn new(slots: Rc<[Rc<ListenerSlot>]>, gate: Gate) -> Self {
        let limits = LiveLimits::new(limits(&slots), gate);
        let tls = offer(&slots).map(LiveTls::from);
        Self { slots: RefCell::new(slots), limits, tls }
    }

    /// Puts the listeners of another plan behind it.
    pub(crate) fn set(&self, slots: Rc<[Rc<ListenerSlot>]>) {
        self.limits.set(limits(&slots));
        if let (Some(live), Some(offer)) = (&self.tls, offer(&slots)) {
            live.set(offer);
        }
        self.slots.replace(slots);
    }

    /// The listener of a request.
    pub(crate) fn of_request(&self, request: &Request) -> Rc<ListenerSlot> {
        let slots = self.slots.borrow();
        match &slots[..] {
            [only] => Rc::clone(only),
            several => Rc::clone(of_host(several, &normalise_host(request.authority()))),
        }
    }

    /// The listener of a connection, as far as that can be told before a request has come.
    pub(crate) fn of_connection(&self, connection: &Connection) -> Rc<ListenerSlot> {
        let slots = self.slots.borrow();
        let name = connection.tls.as_ref().and_then(|session| session.server_name());
        Rc::clone(of_host(&slots, name.unwrap_or_default()))
    }

    /// The listener that hears of connections of which nothing is known.
    pub(crate) fn first(&self) -> Rc<ListenerSlot> {
        Rc::clone(&self.slots.borrow()[0])
    }

    /// Whether a client is let in. Listeners that share an address let in the same.
    pub(crate) fn admits(&self, peer: IpAddr) -> bool {
        self.slots.borrow()[0].admits(peer)
    }
}

fn of_host<'a>(slots: &'a [Rc<ListenerSlot>], host: &str) -> &'a Rc<ListenerSlot> {
    if slots.len() == 1 {
        return &slots[0];
    }
    let listeners: Vec<_> = slots.iter().map(|slot| slot.current()).collect();
    let index = sharing::index_of(listeners.iter().map(|listener| &listener.snapshot.claims), host);
    &slots[index]
}

/// The longest that any of them allows: whose a connection is may change with each request.
fn limits(slots: &[Rc<ListenerSlot>]) -> Limits {
    let mut all = slots.iter().map(|slot| slot.current().limits());
    let first = all.next().unwrap_or_default();
    all.fold(first, |limits, other| Limits {
        idle_timeout: limits.idle_timeout.max(other.idle_timeout),
        max_age: limits.max_age.max(other.max_age),
        ..limits
    })
}

fn offer(slots: &Rc<[Rc<ListenerSlot>]>) -> Option<TlsOffer> {
    let server = |slot: &Rc<ListenerSlot>| slot.current().snapshot.tls.as_ref().map(|tls| tls.server.clone());
    let first = server(&slots[0])?;
    if slots.len() == 1 {
        return Some(TlsOffer::One(first));
    }
    let slots = Rc::clone(slots);
    let by_name = move |name: Option<&str>| {
        server(of_host(&slots, name.unwrap_or_default())).unwrap_or_else(|| first.clone())
    };
    Some(TlsOffer::ByName(Rc::new(by_name)))
}
