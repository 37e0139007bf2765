//! Connecting to servers: the socket, and TLS inside it where that is wanted.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::socket::spare_congestion_control;
use crate::tls::ClientTls;
use crate::{Stream, descriptors, make_room};

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server, or the network, said no.
    #[error("cannot connect to {address}: {problem}")]
    Refused {
        /// The server.
        address: SocketAddr,
        /// What the system said.
        problem: io::Error,
    },
    /// Nobody answered in time.
    #[error("{address} did not accept a connection in time")]
    TimedOut {
        /// The server.
        address: SocketAddr,
    },
    /// It took the connection, and no TLS came about: it is not who it should be, speaks another language, or was silent.
    #[error("cannot open TLS with {address}: {problem}")]
    Handshake {
        /// The server.
        address: SocketAddr,
        /// What went wrong.
        problem: io::Error,
    },
    /// HTTP/2 was to be spoken, and it does not begin as HTTP/2 does.
    #[error("{address} speaks no HTTP/2: {problem}")]
    NoHttp2 {
        /// The server.
        address: SocketAddr,
        /// What went wrong.
        problem: io::Error,
    },
}

/// How long a handshake may take once the server has accepted the connection ("HTTP 502", ALB user guide).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections of clients that make room for one to a server, when descriptors run short.
const MADE_ROOM: usize = 4;

/// How long such a connection may take to end.
const ROOM_PATIENCE: Duration = Duration::from_millis(20);

/// How often a descriptor is looked for: half a second. Clients that wait at the doors of all cores may take what was freed.
const ROOM_TRIES: usize = 25;

/// Opens a connection, inside TLS if some is given. `protocol` is what will be spoken inside (RFC 7301); where there is none,
/// the server is not told.
///
/// # Errors
/// When the server refuses it, does not accept it within `timeout`, or TLS does not come about.
pub async fn connect(
    address: SocketAddr,
    tls: Option<&ClientTls>,
    protocol: Option<&[u8]>,
    timeout: Duration,
) -> Result<Stream, ConnectError> {
    connect_saying(&[], address, tls, protocol, timeout).await
}

/// Opens a connection that begins with these few bytes, before TLS does.
///
/// # Errors
/// See [`connect`].
pub async fn connect_saying(
    first: &[u8],
    address: SocketAddr,
    tls: Option<&ClientTls>,
    protocol: Option<&[u8]>,
    timeout: Duration,
) -> Result<Stream, ConnectError> {
    let mut stream = match tokio::time::timeout(timeout, open_socket(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(problem)) => return Err(ConnectError::Refused { address, problem }),
        Err(_) => return Err(ConnectError::TimedOut { address }),
    };
    let _ = stream.set_nodelay(true);
    if !first.is_empty()
        && let Err(problem) = stream.write_all(first).await
    {
        return Err(ConnectError::Refused { address, problem });
    }
    let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
    let opened =
        tokio::time::timeout(timeout.max(HANDSHAKE_TIMEOUT), tls.open(stream, address.ip(), protocol)).await;
    opened
        .unwrap_or_else(|late| Err(late.into()))
        .map_err(|problem| ConnectError::Handshake { address, problem })
}

/// Opens a socket. When there is no descriptor for it, clients of this thread that are idle make room.
async fn open_socket(address: SocketAddr) -> io::Result<TcpStream> {
    for _ in 1..ROOM_TRIES {
        match try_socket(address).await {
            Err(error) if descriptors::are_used_up(&error) => {
                make_room(MADE_ROOM);
                tokio::time::sleep(ROOM_PATIENCE).await;
            }
            opened => return opened,
        }
    }
    try_socket(address).await
}

async fn try_socket(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if descriptors::BY_SERVERS.has(&socket) {
        return Err(descriptors::used_up());
    }
    spare_congestion_control(&socket, address.ip());
    socket.connect(address).await
}

// === impl ConnectError ===

impl ConnectError {
    /// Whether it says nothing of the server, for there was no descriptor to reach it with.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if descriptors::are_used_up(problem))
    }

    /// The same news for somebody else who waited for the same connection.
    #[must_use]
    pub fn for_another(&self) -> Self {
        let again = |problem: &io::Error| match problem.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(problem.kind(), problem.to_string()),
        };
        match self {
            Self::Refused { address, problem } => {
                Self::Refused { address: *address, problem: again(problem) }
            }
            Self::TimedOut { address } => Self::TimedOut { address: *address },
            Self::Handshake { address, problem } => {
                Self::Handshake { address: *address, problem: again(problem) }
            }
            Self::NoHttp2 { address, problem } => {
                Self::NoHttp2 { address: *address, problem: again(problem) }
            }
        }
    }
}
