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
}

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
        Ok(Self { key: Arc::new(key), names })
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
