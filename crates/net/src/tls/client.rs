//! The client's side of a handshake.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::believing::believing_all;
use super::{HTTP1, HTTP2, TlsError, provider};
use crate::Stream;
use crate::socket::Socket;

/// Whom a client believes.
#[derive(Clone)]
pub struct Authorities {
    config: Arc<ClientConfig>,
}

/// How a client speaks TLS with one kind of servers. All clones, on whatever core, resume each other's sessions.
#[derive(Clone)]
pub struct ClientTls {
    /// What the server has to prove; nothing where it need not prove anything.
    name: Option<ServerName<'static>>,
    /// One for each thing that is spoken inside, so that no connection makes one of its own.
    for_bytes: Arc<ClientConfig>,
    for_http1: Arc<ClientConfig>,
    for_http2: Arc<ClientConfig>,
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
        Ok(Self { config: Arc::new(config.with_webpki_verifier(verifier).with_no_client_auth()) })
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// Speaks with servers that prove this name to one of the authorities.
    ///
    /// # Errors
    /// When no server can have that name.
    pub fn verifying(name: &str, authorities: &Authorities) -> Result<Self, TlsError> {
        let name =
            ServerName::try_from(name.to_owned()).map_err(|error| TlsError::Name(error.to_string()))?;
        Ok(Self::new(Some(name), &authorities.config))
    }

    /// Speaks with whatever server answers, whatever it shows: what is said is hidden from those who only listen. No name
    /// is asked for, so that one connection serves all hosts.
    #[must_use]
    pub fn unverified() -> Self {
        static SHARED: LazyLock<ClientTls> =
            LazyLock::new(|| ClientTls::new(None, &Arc::new(believing_all())));
        SHARED.clone()
    }

    fn new(name: Option<ServerName<'static>>, config: &Arc<ClientConfig>) -> Self {
        let speaking = |protocol: &[u8]| {
            // What a session is resumed from is shared by the copies.
            let mut config = ClientConfig::clone(config);
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Self {
            name,
            for_bytes: Arc::clone(config),
            for_http1: speaking(HTTP1.as_bytes()),
            for_http2: speaking(HTTP2),
        }
    }

    /// The client's side of a handshake. A server may leave open what is spoken inside, whatever it is offered.
    pub(crate) async fn open(
        &self,
        stream: TcpStream,
        address: IpAddr,
        protocol: Option<&[u8]>,
    ) -> io::Result<Stream> {
        let config = match protocol {
            None => Arc::clone(&self.for_bytes),
            Some(HTTP2) => Arc::clone(&self.for_http2),
            Some(protocol) if protocol == HTTP1.as_bytes() => Arc::clone(&self.for_http1),
            Some(other) => {
                let mut config = ClientConfig::clone(&self.for_bytes);
                config.alpn_protocols = vec![other.to_vec()];
                Arc::new(config)
            }
        };
        let name = self.name.clone().unwrap_or(ServerName::IpAddress(address.into()));
        let stream = TlsConnector::from(config).connect(name, Socket(stream)).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Certificates, Identity, ServerTls, TlsOffer, TlsSettings};
    use rustls::HandshakeKind;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn sessions_are_resumed_whatever_is_spoken_inside() {
        let made = rcgen::generate_simple_self_signed(["somebody.else".to_owned()]).unwrap();
        let identity = Identity::from_pem(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap();
        let server = ServerTls::new(&Certificates::new(&[identity]), &TlsSettings::default()).unwrap();
        let server = TlsOffer::from(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async || {
            let mut stream = server.open(listener.accept().await.unwrap().0).await.unwrap().0;
            stream.write_all(b"x").await.unwrap();
            stream.flush().await.unwrap();
            let Stream::Tls(stream) = stream else { panic!("it is plain") };
            stream.get_ref().1.handshake_kind()
        };
        let ask = async |protocol: Option<&[u8]>| {
            let stream = TcpStream::connect(address).await.unwrap();
            let mut stream = ClientTls::unverified().open(stream, address.ip(), protocol).await.unwrap();
            // What a session is resumed with comes behind the handshake.
            stream.read_exact(&mut [0]).await.unwrap();
        };
        let mut kinds = Vec::new();
        for protocol in [None, Some(HTTP2), Some(HTTP1.as_bytes())] {
            let (kind, ()) = tokio::join!(serve(), ask(protocol));
            kinds.push(kind);
        }
        assert_ne!(kinds[0], Some(HandshakeKind::Resumed));
        assert_eq!(kinds[1..], [Some(HandshakeKind::Resumed); 2]);
    }
}
