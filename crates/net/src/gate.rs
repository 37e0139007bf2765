//! Who is let in: so many connections in all, so many connections and requests of one client, and none that takes the last
//! descriptors.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Limits, Rejection, descriptors, stay};

/// Counts the connections of all listeners that share it. A clone is another handle to the same. By default it is one for
/// ourselves, which may have the last descriptors.
#[derive(Clone, Default)]
pub struct Gate(Arc<Counts>);

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    /// Those who are here of the clients that are counted. Taken when a connection comes or goes, never within one.
    of_clients: Mutex<HashMap<IpAddr, OfClient>>,
    /// Whether it leaves the last descriptors to others.
    is_public: bool,
    /// Who a client is; a stranger where nobody says.
    knows: Option<Box<dyn Fn(IpAddr) -> Neighbour + Send + Sync>>,
}

/// What one client has here.
#[derive(Default)]
struct OfClient {
    n_connections: usize,
    /// Requests that are not done with, which its connections share.
    n_requests: Arc<AtomicUsize>,
}

/// What is known of a client by its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// Nothing.
    Stranger,
    /// A proxy, behind which many look like one: its connections are not counted as those of one client.
    Proxy,
    /// A proxy that says of each connection for whom it speaks, in a header of the PROXY protocol, and is not listened to
    /// when it does not.
    Announcer,
}

/// A connection that was let in, counted for as long as this lives.
pub(crate) struct Permit {
    gate: Gate,
    client: Option<Counted>,
}

/// A client whose connections and requests are counted.
struct Counted {
    network: IpAddr,
    n_requests: Arc<AtomicUsize>,
}

/// A request, counted as one of its client's for as long as this lives.
pub(crate) struct Asking(Option<Arc<AtomicUsize>>);

/// What became of those at the gate who were not simply let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowding {
    /// A connection was not let in, for one of [`Crowding::REFUSALS`].
    Refused(&'static str),
    /// So many that had been idle for longest were asked to leave, so that others find room.
    Shed(usize),
}

impl Crowding {
    /// Why connections are not let in.
    pub const REFUSALS: [&str; 5] =
        [TOO_MANY, TOO_MANY_CONNECTIONS_OF_CLIENT, NO_DESCRIPTORS, UNANNOUNCED, NOT_ALLOWED];
}

/// Connections that are asked to leave at a time.
pub(crate) const SHED: usize = 16;

impl Gate {
    /// A gate for the public, some of whom it knows.
    pub fn knowing(knows: impl Fn(IpAddr) -> Neighbour + Send + Sync + 'static) -> Self {
        Self(Arc::new(Counts { is_public: true, knows: Some(Box::new(knows)), ..Counts::default() }))
    }

    /// Whether a connection from there has to say for whom it is.
    pub(crate) fn is_announcer(&self, client: IpAddr) -> bool {
        self.neighbour(client) == Neighbour::Announcer
    }

    /// Connections that are open.
    #[must_use]
    pub fn n_open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// Whether from there comes a proxy that is trusted in what it says of requests.
    #[must_use]
    pub fn is_proxy(&self, client: IpAddr) -> bool {
        self.neighbour(client) == Neighbour::Proxy
    }

    /// Lets a client in, or not. `told` hears what that took.
    pub(crate) fn admit(
        &self,
        client: IpAddr,
        socket: &impl AsRawFd,
        limits: &Limits,
        told: impl Fn(Crowding),
    ) -> Option<Permit> {
        let is_full = self.n_open() >= limits.connections;
        let is_short = self.0.is_public && self.is_short(socket, limits);
        if is_full || is_short {
            let n_shed = stay::make_room(SHED);
            if n_shed == 0 {
                told(Crowding::Refused(if is_full { TOO_MANY } else { NO_DESCRIPTORS }));
                return None;
            }
            told(Crowding::Shed(n_shed));
        }
        let mut permit = self.permit();
        permit.count_for(client, limits, told).then_some(permit)
    }

    /// Whether descriptors run short: so many clients are here that others could have none, or those took nearly all.
    fn is_short(&self, socket: &impl AsRawFd, limits: &Limits) -> bool {
        let all = descriptors::limit();
        let reserved = (limits.reserved_descriptors as u64).min(all / 4);
        self.n_open() as u64 >= all - reserved || descriptors::BY_CLIENTS.has(socket)
    }

    /// A permit that is not asked for at the gate.
    #[cfg(test)]
    pub(crate) fn permit_for_us(&self) -> Permit {
        self.permit()
    }

    fn permit(&self) -> Permit {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Permit { gate: self.clone(), client: None }
    }

    fn neighbour(&self, client: IpAddr) -> Neighbour {
        self.0.knows.as_ref().map_or(Neighbour::Stranger, |knows| knows(client.to_canonical()))
    }

    fn is_exempt(&self, client: IpAddr) -> bool {
        client.to_canonical().is_loopback() || self.neighbour(client) != Neighbour::Stranger
    }
}

// === impl Permit ===

impl Permit {
    /// Counts the connection as one of this client, unless it has too many.
    pub(crate) fn count_for(&mut self, client: IpAddr, limits: &Limits, told: impl Fn(Crowding)) -> bool {
        if self.gate.is_exempt(client) {
            return true;
        }
        let network = network_of(client);
        let mut of_clients = self.gate.0.of_clients.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = of_clients.entry(network).or_default();
        if of_client.n_connections >= limits.client_connections {
            told(Crowding::Refused(TOO_MANY_CONNECTIONS_OF_CLIENT));
            return false;
        }
        of_client.n_connections += 1;
        self.client = Some(Counted { network, n_requests: Arc::clone(&of_client.n_requests) });
        true
    }

    /// Counts a request as one of this client's, unless it has too many that are not done with. Each may hold a connection to a
    /// target, so nobody may have more than a part of all descriptors in this way.
    pub(crate) fn ask(&self, limits: &Limits) -> Result<Asking, Rejection> {
        let Some(Counted { n_requests, .. }) = &self.client else { return Ok(Asking(None)) };
        let most = descriptors::limit() / REQUESTS_PART;
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(limits.client_requests);
        let asking = Asking(Some(Arc::clone(n_requests)));
        if n_requests.fetch_add(1, Ordering::Relaxed) < most {
            Ok(asking)
        } else {
            Err(Rejection::TOO_MANY_REQUESTS_OF_CLIENT)
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(n_requests) = &self.0 {
            n_requests.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The part of all descriptors that the requests of one client may need at most: a quarter.
const REQUESTS_PART: u64 = 4;

const TOO_MANY: &str = "too-many";
const TOO_MANY_CONNECTIONS_OF_CLIENT: &str = "too-many-connections-of-client";
const NO_DESCRIPTORS: &str = "no-descriptors";
pub(crate) const UNANNOUNCED: &str = "unannounced";
pub(crate) const NOT_ALLOWED: &str = "not-allowed";

/// The addresses that count as one client: one of IPv4, and the /64 that one subscriber of IPv6 has at least (RFC 6177).
#[must_use]
pub fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip @ IpAddr::V4(_) => ip,
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.0.open.fetch_sub(1, Ordering::Relaxed);
        let Some(Counted { network, .. }) = self.client else { return };
        let mut of_clients = self.gate.0.of_clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut of_client) = of_clients.entry(network) {
            of_client.get_mut().n_connections -= 1;
            if of_client.get().n_connections == 0 {
                of_client.remove();
            }
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("open", &self.n_open()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_counted_by_address_and_network_and_some_are_not() {
        let gate = Gate::knowing(|client| match client == IpAddr::from([10, 0, 0, 9]) {
            true => Neighbour::Proxy,
            false => Neighbour::Stranger,
        });
        let limits = Limits { client_connections: 2, ..Limits::default() };
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let admit = |client: &str| gate.admit(client.parse().unwrap(), &socket, &limits, drop);
        for (first, second) in [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.2", "::ffff:10.0.0.2"),
            ("2001:db8::1", "2001:db8::ffff:0:0:1"),
        ] {
            let (one, two) = (admit(first).unwrap(), admit(second).unwrap());
            assert!(admit(first).is_none() && admit(second).is_none(), "{first}");
            drop(one);
            let three = admit(second).unwrap();
            assert!(admit(first).is_none());
            drop((two, three));
        }
        let limits = Limits { client_requests: 3, ..limits };
        let [one, two] = ["10.0.0.1", "10.0.0.1"].map(|client| admit(client).unwrap());
        let other = admit("10.0.0.2").unwrap();
        let mut asking: Vec<_> = [&one, &two, &one].map(|permit| permit.ask(&limits).ok().unwrap()).into();
        assert!(one.ask(&limits).is_err() && two.ask(&limits).is_err() && other.ask(&limits).is_ok());
        asking.pop();
        assert!(two.ask(&limits).is_ok(), "a request that is done with counts no more");
        drop((one, two, other));
        for exempt in ["127.0.0.1", "127.77.0.2", "::1", "10.0.0.9"] {
            let many: Vec<_> = (0..9).map(|_| admit(exempt).unwrap()).collect();
            assert_eq!((gate.n_open(), many.len()), (9, 9));
            let asking: Vec<_> = (0..9).map(|_| many[0].ask(&limits).ok().unwrap()).collect();
            assert_eq!(asking.len(), 9);
        }
        assert_eq!(gate.n_open(), 0);
        assert!(gate.0.of_clients.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
