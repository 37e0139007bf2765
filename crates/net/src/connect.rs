//! Connecting to servers: the socket, and TLS inside it where that is wanted.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::Stream;
use crate::tls::ClientTls;

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
    let stream = match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(problem)) => return Err(ConnectError::Refused { address, problem }),
        Err(_) => return Err(ConnectError::TimedOut { address }),
    };
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
    let opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.open(stream, address.ip(), protocol)).await;
    opened
        .unwrap_or_else(|late| Err(late.into()))
        .map_err(|problem| ConnectError::Handshake { address, problem })
}

// === impl ConnectError ===

impl ConnectError {
    /// The same news for somebody else who waited for the same connection.
    #[must_use]
    pub fn for_another(&self) -> Self {
        let again = |problem: &io::Error| io::Error::new(problem.kind(), problem.to_string());
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
