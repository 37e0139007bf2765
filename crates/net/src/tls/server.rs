//! The server's side of a handshake.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::{CipherSuite, NamedGroup, ServerConfig, SupportedProtocolVersion, version};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use super::certificates::noting_choice;
use super::{Certificates, ClientAuthentication, HTTP1, TlsError, TlsSession};
use crate::Stream;
use crate::socket::Socket;

/// How a server speaks TLS. All clones, on whatever core, resume each other's sessions.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    client_authentication: ClientAuthentication,
}

/// What a server is willing to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Versions.
    pub versions: Vec<TlsVersion>,
    /// Cipher suites by their number in IANA's registry; all that are safe where there are none.
    pub cipher_suites: Vec<u16>,
    /// Groups of the key exchange by their number in IANA's registry; all that are safe where there are none.
    pub groups: Vec<u16>,
    /// What is spoken inside, the best first (RFC 7301). Where there is nothing, clients are not told.
    pub protocols: Vec<&'static str>,
    /// Whether clients are asked who they are.
    pub client_authentication: ClientAuthentication,
}

/// How TLS is spoken with a client.
#[derive(Clone)]
pub enum TlsOffer {
    /// With all in the same way.
    One(ServerTls),
    /// As is chosen by the name that the client asks for, if it asks for one.
    ByName(Rc<ChooseByName>),
}

/// How a name leads to what is spoken.
type ChooseByName = dyn Fn(Option<&str>) -> ServerTls;

/// TLS that may change while a listener is open; each new connection gets that of its time.
#[derive(Debug, Clone)]
pub struct LiveTls(Rc<RefCell<TlsOffer>>);

/// A version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The first byte of a handshake record (RFC 8446 §5.1). No method of HTTP begins with it.
const HANDSHAKE_RECORD: u8 = 22;

// === impl LiveTls ===

impl LiveTls {
    /// Changes the TLS of connections to come.
    pub fn set(&self, offer: impl Into<TlsOffer>) {
        self.0.replace(offer.into());
    }

    /// TLS as it is now.
    #[must_use]
    pub fn current(&self) -> TlsOffer {
        self.0.borrow().clone()
    }
}

impl<T: Into<TlsOffer>> From<T> for LiveTls {
    fn from(offer: T) -> Self {
        Self(Rc::new(RefCell::new(offer.into())))
    }
}

// === impl TlsOffer ===

impl TlsOffer {
    /// The server's side of a handshake, for what is spoken inside is not HTTP.
    ///
    /// # Errors
    /// When no handshake comes about.
    pub async fn open(&self, stream: TcpStream) -> io::Result<(Stream, Rc<TlsSession>)> {
        match self.accept(stream).await? {
            Opening::Tls(stream, session) => Ok((stream, session)),
            Opening::NoTls(_) => Err(io::Error::new(io::ErrorKind::InvalidData, NO_TLS)),
        }
    }

    /// The server's side of a handshake.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Opening> {
        tokio::time::timeout(HANDSHAKE_TIMEOUT, async {
            if !begins_with_handshake(&stream).await? {
                return Ok(Opening::NoTls(stream));
            }
            let began = Instant::now();
            let handshake = noting_choice(async {
                match self {
                    Self::One(tls) => {
                        io::Result::Ok((tls.clone(), tls.acceptor.accept(Socket(stream)).await?))
                    }
                    Self::ByName(choose) => {
                        let begun = LazyConfigAcceptor::new(Acceptor::default(), Socket(stream)).await?;
                        let tls = choose(begun.client_hello().server_name());
                        let config = Arc::clone(tls.acceptor.config());
                        Ok((tls, begun.into_stream(config).await?))
                    }
                }
            });
            let (done, chosen) = handshake.await;
            let (tls, stream) = done?;
            let clients = &tls.client_authentication;
            let session = TlsSession::of(stream.get_ref().1, clients, chosen, began.elapsed());
            Ok(Opening::Tls(Stream::Tls(Box::new(stream.into())), Rc::new(session)))
        })
        .await?
    }
}

impl From<ServerTls> for TlsOffer {
    fn from(tls: ServerTls) -> Self {
        Self::One(tls)
    }
}

impl fmt::Debug for TlsOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsOffer")
    }
}

// === impl TlsSettings ===

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            versions: vec![TlsVersion::Tls12, TlsVersion::Tls13],
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            protocols: vec!["h2", HTTP1],
            client_authentication: ClientAuthentication::Off,
        }
    }
}

impl TlsSettings {
    fn provider(&self) -> CryptoProvider {
        let mut provider = aws_lc_rs::default_provider();
        if !self.cipher_suites.is_empty() {
            let is_wanted = |suite: CipherSuite| self.cipher_suites.contains(&suite.into());
            provider.cipher_suites.retain(|suite| is_wanted(suite.suite()));
        }
        if !self.groups.is_empty() {
            let is_wanted = |group: NamedGroup| self.groups.contains(&group.into());
            provider.kx_groups.retain(|group| is_wanted(group.name()));
        }
        provider
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let version = |version: &TlsVersion| match version {
            TlsVersion::Tls12 => &version::TLS12,
            TlsVersion::Tls13 => &version::TLS13,
        };
        self.versions.iter().map(version).collect()
    }
}

// === impl ServerTls ===

impl ServerTls {
    /// Shows these certificates, and what replaces them, and speaks as the settings say.
    ///
    /// # Errors
    /// When nothing that the settings want is spoken here.
    pub fn new(certificates: &Certificates, settings: &TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(settings.provider());
        let clients = settings.client_authentication.verifier(&provider)?;
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_protocol_versions(&settings.versions()).map_err(TlsError::Settings)?;
        let config = config.with_client_cert_verifier(clients);
        let mut config = config.with_cert_resolver(Arc::new(certificates.clone()));
        config.alpn_protocols = settings.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        if settings.client_authentication == ClientAuthentication::Off {
            // Its keys are made anew every few hours, and nobody keeps the old ones.
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Settings)?;
            config.send_tls13_tickets = 1;
        } else {
            // Whoever resumed would not be asked again, whatever has become of the authorities meanwhile.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let client_authentication = settings.client_authentication.clone();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), client_authentication })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// What a client began with.
pub(crate) enum Opening {
    /// TLS, which is open now, and what it came to.
    Tls(Stream, Rc<TlsSession>),
    /// Something else, none of which has been read.
    NoTls(TcpStream),
}

/// What is said of a client that speaks something else.
pub(super) const NO_TLS: &str = "the client speaks no TLS";

async fn begins_with_handshake(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0] == HANDSHAKE_RECORD),
    }
}
