//! What is spoken with the targets of a group, made ready: the one place that opens connections to them.

use std::net::SocketAddr;
use std::time::Duration;

use net::{
    Authorities, ClientConnection, ClientTls, ConnectError, Connection, Http2Connection, Stream,
    proxy_protocol,
};
use plan::{ProtocolVersion, Spoken, TargetTls, TargetTrust};
use tracing::warn;

/// What is spoken, and what TLS is opened with.
#[derive(Debug, Clone)]
pub(crate) struct Speech {
    spoken: Spoken,
    /// Whether connections begin with a header of the PROXY protocol ("Proxy protocol", NLB user guide).
    announces: bool,
    tls: Option<Secured>,
}

/// TLS with targets.
#[derive(Debug, Clone)]
enum Secured {
    By(ClientTls),
    /// It is wanted and there is no way to open it. Then nothing is sent at all.
    Impossible(String),
}

/// A connection that a request can be sent over.
pub(crate) enum Link {
    /// One that carries one request at a time, and is given back when it can carry the next.
    Http1(ClientConnection),
    /// One that carries many, and stays what it is: no request can make it go over to another protocol.
    Http2(Http2Connection),
}

// === impl Speech ===

impl Speech {
    /// Makes ready what is spoken. Sessions of `before` are resumed where it is the same.
    pub(crate) fn new(spoken: Spoken, announces: bool, before: Option<&Self>) -> Self {
        let is_same = |before: &&Self| before.spoken == spoken && before.announces == announces;
        if let Some(before) = before.filter(is_same) {
            return before.clone();
        }
        let tls = spoken.tls.as_ref().map(|tls| match tls {
            TargetTls::Unverified => Secured::By(ClientTls::unverified()),
            TargetTls::Verified(trust) => Secured::of(trust),
        });
        Self { spoken, announces, tls }
    }

    /// Whether connections carry many requests.
    pub(crate) fn is_http2(&self) -> bool {
        self.spoken.version.is_some_and(ProtocolVersion::is_http2)
    }

    /// The version of HTTP that is spoken, where it is HTTP.
    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        self.spoken.version
    }

    /// Opens a connection for requests.
    pub(crate) async fn open(&self, address: SocketAddr, timeout: Duration) -> Result<Link, ConnectError> {
        Ok(match self.is_http2() {
            true => Link::Http2(self.open_http2(address, timeout).await?),
            false if self.announces => {
                let stream = self.open_stream(address, None, None, timeout).await?;
                Link::Http1(ClientConnection::over(stream, timeout))
            }
            false => Link::Http1(ClientConnection::open_in(address, self.tls(address)?, timeout).await?),
        })
    }

    /// Opens a connection that many requests share.
    pub(crate) async fn open_http2(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Http2Connection, ConnectError> {
        Http2Connection::open(address, self.tls(address)?, timeout).await
    }

    /// Opens a connection for bytes. `client` is whom they are passed on for, and `protocol` what they are, where that is
    /// known.
    pub(crate) async fn open_stream(
        &self,
        address: SocketAddr,
        client: Option<&Connection>,
        protocol: Option<&[u8]>,
        timeout: Duration,
    ) -> Result<Stream, ConnectError> {
        let first = match (self.announces, client) {
            (false, _) => Vec::new(),
            (true, None) => proxy_protocol::write_local(),
            (true, Some(client)) => proxy_protocol::write(client.peer, client.local),
        };
        net::connect_saying(&first, address, self.tls(address)?, protocol, timeout).await
    }

    fn tls(&self, address: SocketAddr) -> Result<Option<&ClientTls>, ConnectError> {
        match &self.tls {
            None => Ok(None),
            Some(Secured::By(tls)) => Ok(Some(tls)),
            Some(Secured::Impossible(problem)) => {
                Err(ConnectError::Handshake { address, problem: std::io::Error::other(problem.clone()) })
            }
        }
    }
}

impl PartialEq for Speech {
    fn eq(&self, other: &Self) -> bool {
        self.spoken == other.spoken && self.announces == other.announces
    }
}

// === impl Secured ===

impl Secured {
    fn of(trust: &TargetTrust) -> Self {
        let authorities = Authorities::from_pem(&trust.authorities);
        match authorities.and_then(|authorities| ClientTls::verifying(&trust.name, &authorities)) {
            Ok(tls) => Self::By(tls),
            Err(error) => {
                warn!(name = trust.name, %error, "targets cannot prove who they are");
                Self::Impossible(error.to_string())
            }
        }
    }
}
