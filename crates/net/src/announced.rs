//! Reading what a trusted proxy tells of its client, before anything else is read from a connection.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::proxy_protocol::{self, Header, HeaderError, LONGEST};

/// Why a connection that should begin with a header does not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unannounced {
    #[error(transparent)]
    Malformed(#[from] HeaderError),
    #[error("the proxy did not say in time for whom it speaks")]
    TimedOut,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header, and nothing behind it.
pub(crate) async fn read(stream: &mut TcpStream, patience: Duration) -> Result<Header, Unannounced> {
    let reading = async {
        let mut header = Vec::new();
        let mut scratch = [0; LONGEST];
        loop {
            let n_there = stream.peek(&mut scratch).await?;
            if n_there == 0 {
                return Err(Unannounced::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            let n_before = header.len();
            header.extend_from_slice(&scratch[..n_there]);
            // As long as there is too little, all of it belongs to the header.
            let parsed = proxy_protocol::parse(&header)?;
            let end = parsed.map_or(header.len(), |(_, length)| length);
            header.truncate(end);
            stream.read_exact(&mut header[n_before..]).await?;
            if let Some((header, _)) = parsed {
                return Ok(header);
            }
        }
    };
    tokio::time::timeout(patience, reading).await.unwrap_or(Err(Unannounced::TimedOut))
}
