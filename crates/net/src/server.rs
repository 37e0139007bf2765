//! Accepting connections and giving each to a driver.

use std::any::Any;
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use tokio::net::TcpStream;
use tracing::{debug, warn};

use crate::announced;
use crate::gate::{Crowding, Gate, NOT_ALLOWED, SHED, UNANNOUNCED};
use crate::h1::io::Io;
use crate::h1::server::Next;
use crate::proxy_protocol::Header;
use crate::stay::{self, Place, Stay};
use crate::tls::server::Opening;
use crate::{
    Connection, Drain, DrainWatch, Handler, HandshakeFailure, Limits, LiveTls, Request, Response, Stream,
    TlsOffer, Upgrade, Upgraded, clock, descriptors, h1, h2,
};

/// Limits that may change while a listener is open, each new connection gets those of its time, and the gate at which its
/// connections are counted.
#[derive(Debug, Clone)]
pub struct LiveLimits {
    limits: Rc<RefCell<Rc<Limits>>>,
    gate: Gate,
}

impl LiveLimits {
    /// Limits of a listener whose connections are counted with those of all others at this gate.
    #[must_use]
    pub fn new(limits: Limits, gate: Gate) -> Self {
        Self { limits: Rc::new(RefCell::new(Rc::new(limits))), gate }
    }

    fn current(&self) -> Rc<Limits> {
        Rc::clone(&self.limits.borrow())
    }

    /// Changes the limits of connections to come.
    pub fn set(&self, limits: Limits) {
        *self.limits.borrow_mut() = Rc::new(limits);
    }
}

impl From<Limits> for LiveLimits {
    fn from(limits: Limits) -> Self {
        Self::new(limits, Gate::default())
    }
}

/// Serves HTTP on a listening socket until `drain` says to end. Must run on a [`tokio::task::LocalSet`].
///
/// Connections that are open then finish the request they are at; it returns when the last one has.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: H,
    limits: impl Into<LiveLimits>,
    drain: DrainWatch,
) -> std::io::Result<()> {
    serve_either(listener, None, handler, limits.into(), drain).await
}

/// Serves HTTP inside TLS on a listening socket, as [`serve`] does without. A client that speaks without TLS is told so.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn serve_tls<H: Handler>(
    listener: TcpListener,
    tls: impl Into<LiveTls>,
    handler: H,
    limits: impl Into<LiveLimits>,
    drain: DrainWatch,
) -> std::io::Result<()> {
    serve_either(listener, Some(tls.into()), handler, limits.into(), drain).await
}

async fn serve_either<H: Handler>(
    listener: TcpListener,
    tls: Option<LiveTls>,
    handler: H,
    limits: LiveLimits,
    drain: DrainWatch,
) -> std::io::Result<()> {
    let (doorman, teller) = (handler.clone(), handler.clone());
    let (admit, told) = (move |peer| doorman.admits(peer), move |crowding| teller.crowded(crowding));
    accept(listener, limits.clone(), drain, admit, told, move |stream, connection, stay| {
        let (handler, limits) = (handler.clone(), limits.current());
        let mut client = Client { connection, handler, limits, stay };
        let tls = tls.clone();
        async move {
            let stream = match tls {
                None => Stream::from(stream),
                // In a place of its own, which a connection does without once it is open.
                Some(tls) => match Box::pin(open_tls(tls.current(), stream, client)).await {
                    Some((stream, its_client)) => {
                        client = its_client;
                        stream
                    }
                    None => return,
                },
            };
            let io = Rc::new(Io::new(stream, client.limits.idle_timeout));
            if let Some((upgrade, upgraded, _open)) = speak(io, &mut client).await {
                upgrade.run(upgraded.with_stay(client.stay)).await;
            }
        }
    })
    .await
}

/// Who has connected, what answers it, and for how long.
pub(crate) struct Client<H> {
    pub(crate) connection: Connection,
    pub(crate) handler: H,
    pub(crate) limits: Rc<Limits>,
    pub(crate) stay: Stay,
}

/// Opens TLS with a client. Nothing comes of one that does not speak it, which is told so.
async fn open_tls<H: Handler>(
    tls: TlsOffer,
    stream: TcpStream,
    mut client: Client<H>,
) -> Option<(Stream, Client<H>)> {
    let Client { connection, handler, stay, .. } = &mut client;
    let Some(opening) = stay.while_opening(Box::pin(tls.accept(stream))).await else {
        debug!(peer = %connection.peer, "a client had to go before its handshake was done");
        return None;
    };
    clock::refresh();
    match opening {
        Ok(Opening::Tls(stream, session)) => {
            connection.tls = Some(session);
            Some((stream, client))
        }
        Ok(Opening::NoTls(stream)) => {
            handler.handshake_failed(HandshakeFailure::NotTls, connection);
            let Client { connection, handler, limits, stay } = client;
            let handler = WithoutTls { reworded: Rc::new(move |answer| handler.without_tls(answer)) };
            let io = Rc::new(Io::new(stream.into(), limits.idle_timeout));
            speak(io, &mut Client { connection, handler, limits, stay }).await;
            None
        }
        Err(error) => {
            handler.handshake_failed(HandshakeFailure::of(&error), connection);
            debug!(peer = %connection.peer, %error, "no TLS handshake");
            None
        }
    }
}

/// Speaks with one client in the version of HTTP that it speaks: the one that both sides agreed on (RFC 7301), or else
/// HTTP/2 where the first bytes say so (RFC 9113 §3.3), or else HTTP/1.1. Returns the connection if it is to go over to
/// something else, and what the handler wants to be dropped when it has ended.
async fn speak<H: Handler>(
    io: Rc<Io>,
    client: &mut Client<H>,
) -> Option<(Upgrade, Box<Upgraded>, Box<dyn Any>)> {
    let open = client.handler.connection_opened(&client.connection);
    let next = match io.agreed_on_http2() {
        true => Next::Http2,
        false => h1::server::converse(&io, client).await,
    };
    let upgraded = || Rc::try_unwrap(io).ok().map(Upgraded::new);
    match next {
        Next::Request | Next::Nothing => None,
        Next::Http2 => {
            Box::pin(h2::server::drive(upgraded()?, client)).await;
            None
        }
        Next::Other(upgrade, before) => {
            let upgraded = upgraded()?.after(before.received, before.sent);
            let open: Box<dyn Any> = Box::new(open);
            Some((upgrade, Box::new(upgraded), open))
        }
    }
}

/// Answers whoever speaks HTTP where TLS is spoken. Nothing of a body is read. One for all handlers, so that what drives a
/// connection is not there twice for each.
#[derive(Clone)]
struct WithoutTls {
    reworded: Rc<dyn Fn(Response) -> Response>,
}

impl Handler for WithoutTls {
    async fn handle(&self, _: Request) -> Response {
        const TEXT: &str = "this port speaks https: ask it again with https:// in front\n";
        let mut response = Response::with_body(StatusCode::BAD_REQUEST, "text/plain", TEXT);
        response.close = true;
        (self.reworded)(response)
    }
}

/// Accepts connections until `drain` says to end, and gives each that `admit` and the gate let in a task of its own, with its
/// leave to stay. `told` hears of those that find no room. It returns when the last one has ended.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub async fn accept<F: Future<Output = ()> + 'static>(
    listener: TcpListener,
    limits: impl Into<LiveLimits>,
    mut drain: DrainWatch,
    admit: impl Fn(SocketAddr) -> bool + 'static,
    told: impl Fn(Crowding) + 'static,
    drive: impl Fn(TcpStream, Connection, Stay) -> F + 'static,
) -> std::io::Result<()> {
    let limits = limits.into();
    let door = Rc::new(Door { admit, told, drive });
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (connections, watch) = Drain::new();
    let mut is_ending = false;
    loop {
        let accepted = if is_ending {
            // Whom the system let in before the end is not turned away.
            let Some(accepted) = accept_at_once(&listener).await else { break };
            accepted
        } else {
            tokio::select! {
                biased;
                () = drain.draining() => {
                    is_ending = true;
                    continue;
                }
                accepted = listener.accept() => accepted,
            }
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(_) if is_ending => break,
            Err(error) => {
                // Out of descriptors, or a client that left at once: neither is worth more than a pause.
                if descriptors::are_used_up(&error) {
                    (door.told)(Crowding::Shed(stay::make_room(SHED)));
                }
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let is_announcer = limits.gate.is_announcer(peer.ip());
        let told = |crowding| door.tell(peer, crowding);
        if !is_announcer && !(door.admit)(peer) {
            told(Crowding::Refused(NOT_ALLOWED));
            continue;
        }
        let Some(permit) = limits.gate.admit(peer.ip(), &stream, &limits.current(), told) else { continue };
        let Ok(local) = stream.local_addr() else { continue };
        // Its deadlines count from here, however long nothing was heard before.
        clock::refresh();
        let _ = stream.set_nodelay(true);
        let stay = Stay { drain: watch.clone(), place: Place::new(permit) };
        let connection = Connection { peer, local, tls: None };
        if is_announcer {
            let (door, limits) = (Rc::clone(&door), limits.current());
            let opening = async move { door.open_announced(stream, connection, stay, &limits).await };
            tokio::task::spawn_local(opening);
        } else {
            tokio::task::spawn_local((door.drive)(stream, connection, stay));
        }
    }
    drop((listener, watch));
    connections.begin();
    stay::wake_all();
    connections.finish_all().await;
    Ok(())
}

/// What happens to connections that come.
struct Door<A, T, D> {
    admit: A,
    told: T,
    drive: D,
}

impl<A, T, D, F> Door<A, T, D>
where
    A: Fn(SocketAddr) -> bool,
    T: Fn(Crowding),
    D: Fn(TcpStream, Connection, Stay) -> F,
    F: Future<Output = ()>,
{
    /// Says who was not let in, and who had to make room.
    fn tell(&self, peer: SocketAddr, crowding: Crowding) {
        if let Crowding::Refused(reason) = crowding {
            debug!(%peer, reason, "connection refused");
        }
        (self.told)(crowding);
    }

    /// Lets the client in that a proxy speaks for. Who it is, and not the proxy, is asked for at the door.
    async fn open_announced(
        &self,
        mut stream: TcpStream,
        connection: Connection,
        mut stay: Stay,
        limits: &Limits,
    ) {
        let proxy = connection.peer;
        // In a place of its own, as what TLS needs.
        let reading = Box::pin(announced::read(&mut stream, limits.head_timeout));
        let peer = match stay.while_opening(reading).await {
            None => return debug!(%proxy, "a proxy had to go before it said for whom it speaks"),
            Some(Ok(Header::Client { client, .. })) => client,
            Some(Ok(Header::Local)) => proxy,
            Some(Err(error)) => {
                debug!(%proxy, %error, "a proxy does not say for whom it speaks");
                return self.tell(proxy, Crowding::Refused(UNANNOUNCED));
            }
        };
        clock::refresh();
        if !(self.admit)(peer) {
            self.tell(peer, Crowding::Refused(NOT_ALLOWED));
        } else if stay.place.count_for(peer.ip(), limits, |crowding| self.tell(peer, crowding)) {
            (self.drive)(stream, Connection { peer, ..connection }, stay).await;
        }
    }
}

/// The connection that has waited longest, if any waits.
async fn accept_at_once(
    listener: &tokio::net::TcpListener,
) -> Option<std::io::Result<(TcpStream, SocketAddr)>> {
    poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// How long whoever is opening a connection may take for it once it is time to end.
pub(crate) const LAST_HANDSHAKE: Duration = Duration::from_secs(1);

/// How long accepting rests after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
