//! Which clients a server asks for a certificate, and which of these it believes.
//!
//! Nothing is resumed where clients are asked: what a ticket says of a client was checked against the authorities of its time.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::TlsError;

/// Whether clients are asked who they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientAuthentication {
    /// They are not.
    #[default]
    Off,
    /// They are, and whatever they show, or that they show nothing, is left to somebody else to judge.
    Asked,
    /// No handshake comes about without a certificate that one of these authorities has signed.
    Verified(ClientTrust),
}

/// Which clients are believed.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientTrust {
    /// What it is called by those who ask which one vouched for a client.
    pub name: Arc<str>,
    /// Certificates of the authorities, in PEM form.
    pub authorities: Arc<str>,
    /// Their lists of certificates that hold no more, in PEM form. One whose authority has no list holds.
    pub revocations: Arc<str>,
    /// Whether certificates do that have ended.
    pub ignores_expiry: bool,
    /// Whether clients are told the names of the authorities.
    pub advertises_authorities: bool,
}

// === impl ClientAuthentication ===

impl ClientAuthentication {
    /// Whether a client that was asked so needs not be asked in another way. What is in a trust may have changed since.
    #[must_use]
    pub fn is_enough_for(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (_, Self::Off) | (Self::Asked | Self::Verified(_), Self::Asked) => true,
            (Self::Verified(trust), Self::Verified(wanted)) => trust.name == wanted.name,
            (Self::Off | Self::Asked, Self::Verified(_)) | (Self::Off, Self::Asked) => false,
        }
    }

    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        match self {
            Self::Off => Ok(WebPkiClientVerifier::no_client_auth()),
            Self::Asked => Ok(Arc::new(TakesAll { provider: Arc::clone(provider) })),
            Self::Verified(trust) => trust.verifier(provider),
        }
    }
}

// === impl ClientTrust ===

impl ClientTrust {
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authorities.as_bytes()) {
            let certificate = certificate.map_err(TlsError::Certificate)?;
            roots.add(certificate).map_err(|error| TlsError::Authority(error.to_string()))?;
        }
        let revocations = CertificateRevocationListDer::pem_slice_iter(self.revocations.as_bytes());
        let revocations = revocations.collect::<Result<Vec<_>, _>>().map_err(TlsError::Revocations)?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let mut builder = builder.with_crls(revocations).allow_unknown_revocation_status();
        if !self.advertises_authorities {
            builder = builder.clear_root_hint_subjects();
        }
        let inner = builder.build().map_err(|error| TlsError::Authority(error.to_string()))?;
        Ok(if self.ignores_expiry { Arc::new(IgnoresExpiry { inner }) } else { inner })
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTrust")
            .field("name", &self.name)
            .field("ignores_expiry", &self.ignores_expiry)
            .field("advertises_authorities", &self.advertises_authorities)
            .finish_non_exhaustive()
    }
}

/// Believes what another one believes, or would have believed when the certificate still held.
#[derive(Debug)]
struct IgnoresExpiry {
    inner: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for IgnoresExpiry {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(certificate, chain, now);
        match verified {
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            )) => match last_moment_of(certificate).filter(|last| last.as_secs() < now.as_secs()) {
                Some(last) => self.inner.verify_client_cert(certificate, chain, last),
                None => verified,
            },
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The last second in which a certificate held.
fn last_moment_of(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
}

/// Bytes of a certificate and its chain that nobody has vouched for: all of it is kept, and told with every request.
const CHAIN_LIMIT: usize = 16 << 10;

/// Takes any certificate of whoever holds its key.
#[derive(Debug)]
struct TakesAll {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for TakesAll {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let n_bytes = certificate.len() + chain.iter().map(|certificate| certificate.len()).sum::<usize>();
        match n_bytes {
            ..=CHAIN_LIMIT => Ok(ClientCertVerified::assertion()),
            _ => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
