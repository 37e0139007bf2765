//! Network Load Balancer listeners for datagrams: what comes from one client goes to one target, for as long as either of
//! them speaks ("UDP listeners", NLB user guide).
//!
//! Nothing is queued here: a datagram that a socket does not take at once is dropped, as the network would. Each core has its
//! own socket and its own flows; the system sends what one client sends to the same one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::time::Duration;

use net::{DrainWatch, descriptors};
use plan::health::TargetState;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::debug;

use crate::group::{WhenFew, Wish};
use crate::listener::{ListenerSlot, WorkerListener};
use crate::metrics::OpenConnection;
use crate::pool::WorkerTarget;
use crate::target::InFlight;

/// The longest datagram there is.
const DATAGRAM: usize = 64 * 1024;

/// Datagrams that are taken before others have their turn.
const BATCH: usize = 64;

/// Flows that make room at a time when there are too many: those that have been silent for longest.
const SHED: usize = 16;

/// How long answers that are on their way are waited for once the listener has gone.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

thread_local! {
    /// Where answers land. One for all flows of a thread.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; DATAGRAM].into_boxed_slice());
}

/// The flows of one socket.
struct Flows {
    socket: Rc<UdpSocket>,
    slot: Rc<ListenerSlot>,
    idle_timeout: Duration,
    most: usize,
    by_client: RefCell<HashMap<SocketAddr, Rc<Flow>>>,
}

/// What passes between one client and one target.
struct Flow {
    client: SocketAddr,
    target: Rc<WorkerTarget>,
    /// Connected to the target.
    socket: UdpSocket,
    last_datagram: Cell<Instant>,
    /// The task that passes answers back.
    answering: RefCell<Option<AbortHandle>>,
    _in_flight: InFlight,
    _open: OpenConnection,
}

/// Serves one socket until `drain` says to end.
pub(crate) async fn serve(
    socket: std::net::UdpSocket,
    slot: Rc<ListenerSlot>,
    mut drain: DrainWatch,
) -> io::Result<()> {
    let socket = Rc::new(UdpSocket::from_std(socket)?);
    let limits = slot.current().worker.limits;
    let flows = Rc::new(Flows {
        socket: Rc::clone(&socket),
        slot,
        idle_timeout: limits.udp_idle_timeout,
        most: limits.udp_flows,
        by_client: RefCell::default(),
    });
    let mut datagram = vec![0; DATAGRAM];
    loop {
        tokio::select! {
            biased;
            () = drain.draining() => break,
            readable = socket.readable() => readable?,
        }
        for _ in 0..BATCH {
            match socket.try_recv_from(&mut datagram) {
                Ok((n_bytes, client)) => flows.pass_on(client, &datagram[..n_bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Somebody to whom an answer went has gone, which is no news of the socket.
                Err(error) => debug!(%error, "a datagram was not received"),
            }
        }
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(LAST_ANSWERS).await;
    Ok(())
}

// === impl Flows ===

impl Flows {
    /// Passes a client's datagram on to its target, and finds it one if it has none.
    fn pass_on(self: &Rc<Self>, client: SocketAddr, datagram: &[u8]) {
        let listener = self.slot.current();
        if !self.slot.admits(client.ip()) {
            return listener.metrics.count_dropped(NOT_ALLOWED);
        }
        let known = self.by_client.borrow().get(&client).cloned();
        if let Some(flow) = known.filter(|flow| stays(flow, &listener)) {
            match flow.send(datagram) {
                Ok(()) => return listener.metrics.count_datagram_up(datagram.len()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return listener.metrics.count_dropped(FULL);
                }
                // The target, or its machine, said of an earlier one that nobody is there.
                Err(error) => debug!(%client, %error, "a target takes no datagrams"),
            }
        }
        let before = self.take(client);
        let tried: Vec<SocketAddr> = before.iter().map(|flow| flow.target.shared.address()).collect();
        match self.open(&listener, client, &tried, datagram) {
            Ok(()) => listener.metrics.count_datagram_up(datagram.len()),
            Err(reason) => listener.metrics.count_dropped(reason),
        }
    }

    /// Gives a client a target, another than those tried before if there is one, and the target its first datagram. The error
    /// says why it has none.
    fn open(
        self: &Rc<Self>,
        listener: &Rc<WorkerListener>,
        client: SocketAddr,
        tried: &[SocketAddr],
        datagram: &[u8],
    ) -> Result<(), &'static str> {
        let group = listener.default_group(client.ip()).ok_or(NO_TARGETS)?;
        let random = &listener.worker.random;
        let any = Wish { when_few: WhenFew::All, client: Some(client.ip()), ..Wish::default() };
        let another = group.choose(&Wish { tried, ..any }, random);
        let target = another.or_else(|| group.choose(&any, random));
        let target = target.ok_or(NO_TARGETS)?;
        if self.by_client.borrow().len() >= self.most {
            self.make_room();
        }
        let address = target.shared.address();
        let socket = connected_to(address, datagram).or_else(|error| {
            if !descriptors::are_used_up(&error) {
                return Err(error);
            }
            self.make_room();
            connected_to(address, datagram)
        });
        let socket = socket.map_err(|error| {
            debug!(%client, %error, "no socket for a flow");
            if descriptors::are_used_up(&error) { NO_DESCRIPTORS } else { UNREACHABLE }
        })?;
        let flow = Rc::new(Flow {
            client,
            socket,
            last_datagram: Cell::new(net::recently()),
            answering: RefCell::new(None),
            _in_flight: InFlight::begin(&target.shared, listener.worker.index),
            _open: listener.metrics.open_connection(),
            target,
        });
        let answering = tokio::task::spawn_local(answer(Rc::clone(&flow), Rc::downgrade(self)));
        flow.answering.replace(Some(answering.abort_handle()));
        self.by_client.borrow_mut().insert(client, flow);
        Ok(())
    }

    /// Ends the flow of a client.
    fn take(&self, client: SocketAddr) -> Option<Rc<Flow>> {
        let flow = self.by_client.borrow_mut().remove(&client);
        flow.inspect(|flow| flow.end())
    }

    /// Ends the flows that have been silent for longest.
    fn make_room(&self) {
        let mut flows: Vec<(Instant, SocketAddr)> = {
            let by_client = self.by_client.borrow();
            by_client.values().map(|flow| (flow.last_datagram.get(), flow.client)).collect()
        };
        if flows.len() > SHED {
            flows.select_nth_unstable(SHED);
            flows.truncate(SHED);
        }
        for (_, client) in flows {
            self.take(client);
        }
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        self.by_client.borrow().values().for_each(|flow| flow.end());
    }
}

/// Whether a client stays with its target: it is well, or no other is. One that was deregistered keeps its clients where their
/// flows are not to be cut, for as long as either speaks.
fn stays(flow: &Flow, listener: &WorkerListener) -> bool {
    let is_another_well = || {
        let group = listener.default_group(flow.client.ip());
        group.is_some_and(|group| group.choose(&Wish::default(), &listener.worker.random).is_some())
    };
    match flow.target.shared.state() {
        TargetState::Healthy => true,
        TargetState::Draining => {
            let group = listener.group(&flow.target.shared.key.target_group);
            group.is_some_and(|group| !group.group.settings.cuts_deregistered)
        }
        _ => !is_another_well(),
    }
}

/// Why datagrams are dropped.
const NOT_ALLOWED: &str = "not-allowed";
const NO_TARGETS: &str = "no-targets";
const NO_DESCRIPTORS: &str = "no-descriptors";
const UNREACHABLE: &str = "unreachable";
const FULL: &str = "full";

// === impl Flow ===

impl Flow {
    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.last_datagram.set(net::recently());
        self.socket.try_send(datagram).map(drop)
    }

    fn end(&self) {
        if let Some(answering) = self.answering.take() {
            answering.abort();
        }
    }
}

/// Passes answers back until neither side has spoken for long enough, or the target has gone.
async fn answer(flow: Rc<Flow>, flows: Weak<Flows>) {
    let Some(idle_timeout) = flows.upgrade().map(|flows| flows.idle_timeout) else { return };
    loop {
        let silent_until = flow.last_datagram.get() + idle_timeout;
        let is_readable = tokio::time::timeout_at(silent_until, flow.socket.readable()).await;
        let Some(flows) = flows.upgrade() else { return };
        let goes_on = match is_readable {
            Ok(Ok(())) => pass_back(&flow, &flows),
            Ok(Err(_)) => false,
            Err(_) => flow.last_datagram.get() + idle_timeout > Instant::now(),
        };
        if !goes_on {
            flows.by_client.borrow_mut().remove(&flow.client);
            return;
        }
    }
}

/// Passes back what is there. Returns whether there may be more.
fn pass_back(flow: &Flow, flows: &Flows) -> bool {
    let metrics = flows.slot.current();
    SCRATCH.with_borrow_mut(|scratch| {
        for _ in 0..BATCH {
            match flow.socket.try_recv(scratch) {
                Ok(n_bytes) => {
                    flow.last_datagram.set(net::recently());
                    match flows.socket.try_send_to(&scratch[..n_bytes], flow.client) {
                        Ok(_) => metrics.metrics.count_datagram_down(n_bytes),
                        Err(_) => metrics.metrics.count_dropped(FULL),
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                // Nobody is there any more: the client's next datagram finds another target.
                Err(error) => {
                    debug!(client = %flow.client, %error, "a target takes no datagrams");
                    return false;
                }
            }
        }
        true
    })
}

/// A socket for what passes between a client and this target, which has sent its first datagram: the runtime learns only
/// later that it takes some.
fn connected_to(target: SocketAddr, datagram: &[u8]) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(target)?;
    socket.set_nonblocking(true)?;
    socket.send(datagram)?;
    UdpSocket::from_std(socket)
}
