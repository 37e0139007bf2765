//! Network Load Balancer listeners: connections are passed through, byte for byte.

use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::rc::Rc;

use net::{Connection, DrainWatch, HandshakeFailure, LiveLimits, Stay, Stream, TlsSession};
use plan::Replay;
use tokio::io::split;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;

use crate::attempt::CONNECT_TIMEOUT;
use crate::group::{WhenFew, Wish};
use crate::listener::ListenerSlot;
use crate::logs::{Lines, TlsFlow};
use crate::names::ListenerNames;
use crate::relay::{Carried, relay};
use crate::silence::Talk;
use crate::target::InFlight;

/// Serves one listening socket.
pub(crate) async fn serve(
    socket: TcpListener,
    slot: Rc<ListenerSlot>,
    limits: LiveLimits,
    drain: DrainWatch,
) -> std::io::Result<()> {
    let admit = {
        let slot = Rc::clone(&slot);
        move |peer: SocketAddr| slot.admits(peer.ip())
    };
    let told = {
        let slot = Rc::clone(&slot);
        move |crowding| slot.current().metrics.count_crowding(crowding)
    };
    net::accept(socket, limits, drain, admit, told, move |stream, connection, stay| {
        pass(stream, connection, Rc::clone(&slot), stay)
    })
    .await
}

/// Passes one connection through to a target. A target that does not answer is passed over.
async fn pass(client: TcpStream, connection: Connection, slot: Rc<ListenerSlot>, mut stay: Stay) {
    let open = slot.current().metrics.open_connection();
    let accepted_at = net::recently();
    let (client, session) = match &slot.tls {
        None => (Stream::from(client), None),
        Some(tls) => match stay.while_opening(Box::pin(tls.current().open(client))).await {
            Some(Ok((stream, session))) => (stream, Some(session)),
            None => {
                return debug!(peer = %connection.peer, "a client had to go before its handshake was done");
            }
            Some(Err(error)) => {
                slot.current().metrics.count_handshake_failure(HandshakeFailure::of(&error));
                return debug!(peer = %connection.peer, %error, "no TLS handshake");
            }
        },
    };
    // From here on a target is sought.
    stay.place.busy();
    let listener = slot.current();
    let Some(group) = listener.default_group(connection.peer.ip()) else { return };
    let mut tried = Vec::new();
    let (server, target) = loop {
        let from = Some(connection.peer.ip());
        let wish = Wish { tried: &tried, when_few: WhenFew::All, client: from, ..Wish::default() };
        let Some(target) = group.choose(&wish, &listener.worker.random) else {
            debug!(peer = %connection.peer, "no target takes a connection");
            return;
        };
        let (speech, address) = (&target.speech, target.shared.address());
        let opening =
            speech.open_stream(address, Some(&connection), client.agreed_protocol(), CONNECT_TIMEOUT);
        // In a place of its own, which a flow does without once it is open.
        match Box::pin(opening).await {
            Ok(server) => break (server, target),
            // That says nothing of the target.
            Err(error) if error.is_ours() => return debug!(peer = %connection.peer, %error, "no connection"),
            Err(error) => {
                group.group.metrics.count_unopened(&error);
                debug!(%error, "a target is passed over");
            }
        }
        target.shared.report_unreachable();
        tried.push(target.shared.address());
    };
    let bytes = listener.metrics.bytes();
    let in_flight = InFlight::begin(&target.shared, listener.worker.index);
    let cuts = target.shared.cuts();
    let idle_timeout = listener.snapshot.settings.idle_timeout;
    // Of others nobody knows what is spoken with them.
    let answers_what_it_is_asked = group.group.replay == Replay::Everything;
    // The plan of the moment of arrival is not kept: a flow may outlive many.
    let told = listener.worker.lines.clone().zip(session).map(|(lines, session)| Told {
        lines,
        names: Rc::clone(&listener.names),
        connection,
        session,
        accepted_at,
        target_protocol: server.agreed_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
    });
    drop(listener);
    let talk = answers_what_it_is_asked.then(|| Talk::with(&target));
    let carried = Carried { talk, ..Carried::default() };
    // The two halves of a plain socket are there without more.
    match (client, server) {
        (Stream::Plain(mut client), Stream::Plain(mut server)) => {
            if is_cut(pin!(relay(client.split(), server.split(), &carried, idle_timeout, stay)), cuts).await {
                reset(&client);
                reset(&server);
            }
        }
        (client, Stream::Plain(mut server)) => {
            if is_cut(pin!(relay(split(client), server.split(), &carried, idle_timeout, stay)), cuts).await {
                reset(&server);
            }
        }
        (Stream::Plain(mut client), server) => {
            if is_cut(pin!(relay(client.split(), split(server), &carried, idle_timeout, stay)), cuts).await {
                reset(&client);
            }
        }
        (client, server) => {
            is_cut(pin!(relay(split(client), split(server), &carried, idle_timeout, stay)), cuts).await;
        }
    }
    drop((in_flight, open));
    bytes.inc_by(carried.up.get() + carried.down.get());
    if let Some(told) = told {
        told.tell(&carried);
    }
}

/// Whether a flow was cut, because its target is not to have it any more, before it ended by itself.
async fn is_cut(flow: Pin<&mut impl Future<Output = ()>>, mut cuts: watch::Receiver<u32>) -> bool {
    tokio::select! {
        () = flow => false,
        Ok(()) = cuts.changed() => true,
    }
}

/// Has a connection end with a reset, as of one that has gone.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        debug!(%error, "a connection ends as others do");
    }
}

/// What is told of a connection of TLS when it has ended.
struct Told {
    lines: Rc<Lines>,
    names: Rc<ListenerNames>,
    connection: Connection,
    session: Rc<TlsSession>,
    accepted_at: Instant,
    target_protocol: Option<String>,
}

// === impl Told ===

impl Told {
    fn tell(&self, carried: &Carried) {
        let flow = TlsFlow {
            client: self.connection.peer,
            local: self.connection.local,
            took: net::recently().saturating_duration_since(self.accepted_at),
            session: &self.session,
            received: carried.up.get(),
            sent: carried.down.get(),
            target_protocol: self.target_protocol.as_deref(),
        };
        self.lines.add_flow(&self.names, &flow);
    }
}
