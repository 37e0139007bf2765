//! A certificate and the private key that belongs to it.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::{TlsError, provider};

/// A certificate with its chain, and the private key that belongs to it.
#[derive(Clone)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    names: Arc<[String]>,
    /// How others call it.
    pub(super) label: Arc<str>,
    /// Whether it is shown to those only who speak `acme-tls/1`.
    pub(super) is_challenge: bool,
}

/// What an identity is called that has no name.
const NO_LABEL: &str = "-";

/// Certificates by the names that others have for them.
pub type KeyRing = HashMap<String, Identity>;

// === impl Identity ===

impl Identity {
    /// Reads a certificate, followed by those between it and its authority, and its private key.
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(TlsError::Certificate)?;
        let Some(first) = chain.first() else {
            return Err(TlsError::Certificate(rustls::pki_types::pem::Error::NoItemsFound));
        };
        let names = names(first);
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(TlsError::Key)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Unusable)?;
        Ok(Self { key: Arc::new(key), names, label: NO_LABEL.into(), is_challenge: false })
    }

    /// Reads a certificate that answers an authority about a host, and its private key (RFC 8737 §3). Nobody else is shown it.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn challenge_from_pem(host: &str, certificate: &str, key: &str) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(TlsError::Key)?;
        let key = provider().key_provider.load_private_key(key).map_err(TlsError::Unusable)?;
        // That both belong together is not looked at: what makes it an answer is critical, and known to authorities only.
        let names = Arc::from([host.to_ascii_lowercase()]);
        Ok(Self {
            key: Arc::new(CertifiedKey::new(chain, key)),
            names,
            label: NO_LABEL.into(),
            is_challenge: true,
        })
    }

    /// The same, under a name that those hear who ask which certificate a client was shown.
    #[must_use]
    pub fn labelled(mut self, label: &str) -> Self {
        self.label = label.into();
        self
    }

    /// The names that the certificate proves, in lower case; one with `*` for its first label proves all that are one label
    /// longer.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

fn names(certificate: &CertificateDer<'_>) -> Arc<[String]> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Arc::default() };
    certificate.valid_dns_names().map(str::to_ascii_lowercase).collect()
}
