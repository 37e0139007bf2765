//! The client's side of a handshake.

use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{HTTP1, TlsError, provider};
use crate::Stream;

/// Whom a client believes.
#[derive(Clone)]
pub struct Authorities {
    connector: TlsConnector,
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
        config.alpn_protocols = vec![HTTP1.into()];
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
