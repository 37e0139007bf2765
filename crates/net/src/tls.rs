//! TLS on both sides: what a server proves its name with, and whom a client believes.
//!
//! Handshakes have a deadline and are done before anybody sees the connection. Everything uses one provider of
//! cryptography, `aws-lc-rs`. Types that hold a private key have no `Debug`.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::Stream;

/// A certificate with its chain, and the private key that belongs to it.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

/// The certificate that a server shows. All clones are the same one; connections to come see what replaces it.
#[derive(Clone)]
pub struct Certificates {
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

/// Whom a client believes.
#[derive(Clone)]
pub struct Authorities {
    connector: TlsConnector,
}

/// Why a certificate, a key or an authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text holds no certificate, or a damaged one.
    #[error("no certificate in PEM form can be read: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    /// The text holds no private key, or a damaged one.
    #[error("no private key in PEM form can be read: {0}")]
    Key(rustls::pki_types::pem::Error),
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("the certificate cannot be used: {0}")]
    Unusable(rustls::Error),
    /// The certificate of an authority is none.
    #[error("the authority cannot be used: {0}")]
    Authority(String),
}

/// How long a handshake may take.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is spoken inside TLS (RFC 7301).
const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// The first byte of a handshake record (RFC 8446 §5.1). No method of HTTP begins with it.
const HANDSHAKE_RECORD: u8 = 22;

/// The server's side, as rustls asks it.
struct Current(RwLock<Arc<CertifiedKey>>);

// === impl Identity ===

impl Identity {
    /// Reads a certificate, followed by those between it and its authority, and its private key.
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::Certificate(rustls::pki_types::pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(TlsError::Key)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Unusable)?;
        Ok(Self(Arc::new(key)))
    }
}

// === impl Certificates ===

impl Certificates {
    /// Shows one certificate to every client, whatever name it asks for.
    ///
    /// # Errors
    /// When the provider of cryptography has nothing in common with TLS 1.2 and 1.3.
    pub fn new(identity: Identity) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(identity.0)));
        let config = ServerConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions().map_err(TlsError::Unusable)?;
        let mut config = config.with_no_client_auth().with_cert_resolver(Arc::clone(&current) as Arc<_>);
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(Self { current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Shows another certificate from now on.
    pub fn replace(&self, identity: Identity) {
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = identity.0;
    }

    /// The server's side of a handshake.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Opening> {
        tokio::time::timeout(HANDSHAKE_TIMEOUT, async {
            if !begins_with_handshake(&stream).await? {
                return Ok(Opening::NoTls(stream));
            }
            let stream = self.acceptor.accept(stream).await?;
            Ok(Opening::Tls(Stream::Tls(Box::new(stream.into()))))
        })
        .await?
    }
}

/// What a client began with.
pub(crate) enum Opening {
    /// TLS, which is open now.
    Tls(Stream),
    /// Something else, none of which has been read.
    NoTls(TcpStream),
}

async fn begins_with_handshake(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0] == HANDSHAKE_RECORD),
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

// === impl Authorities ===

impl Authorities {
    /// Believes servers whose certificate one of these authorities has signed, and no others.
    ///
    /// # Errors
    /// When the text holds no certificate of an authority.
    pub fn from_pem(certificates: &str) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(certificates.as_bytes()) {
            let certificate = certificate.map_err(TlsError::Certificate)?;
            roots.add(certificate).map_err(|error| TlsError::Authority(error.to_string()))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let verifier = verifier.map_err(|error| TlsError::Authority(error.to_string()))?;
        let config = ClientConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions().map_err(TlsError::Unusable)?;
        let mut config = config.with_webpki_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// The client's side of a handshake with a server that has to prove this name.
    pub(crate) async fn connect(&self, stream: TcpStream, name: &str) -> io::Result<Stream> {
        let name = ServerName::try_from(name.to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = self.connector.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
