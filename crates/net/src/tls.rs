//! TLS on both sides: what a server proves its names with, and whom a client believes.
//!
//! Handshakes have a deadline and are done before anybody sees the connection. Everything uses one provider of
//! cryptography, `aws-lc-rs`. Types that hold a private key have no `Debug`.

mod believing;
mod certificates;
mod client;
mod client_authentication;
mod client_certificate;
mod distinguished_name;
mod failure;
mod identity;
mod peek;
pub(crate) mod server;
mod session;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use certificates::Certificates;
pub use client::{Authorities, ClientTls};
pub use client_authentication::{ClientAuthentication, ClientTrust};
pub use client_certificate::{ClientCertificate, ClientCertificateFacts};
pub use failure::HandshakeFailure;
pub use identity::{Identity, KeyRing};
pub use peek::{Shown, shown_by};
pub use server::{LiveTls, ServerTls, TlsOffer, TlsSettings, TlsVersion};
pub use session::TlsSession;

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
    /// A list of certificates that hold no more is none.
    #[error("no list of revoked certificates in PEM form can be read: {0}")]
    Revocations(rustls::pki_types::pem::Error),
    /// What a server is to prove is no name.
    #[error("no server can have this name: {0}")]
    Name(String),
    /// Of what is wanted nothing is spoken here.
    #[error("no TLS can be spoken with these settings: {0}")]
    Settings(rustls::Error),
}

/// What is spoken inside TLS (RFC 7301).
pub(crate) const HTTP1: &str = "http/1.1";

/// What an authority speaks that looks for an answer (RFC 8737 §6.2). Nothing is said inside.
pub const ACME_TLS: &str = "acme-tls/1";

/// The same, of HTTP/2 (RFC 9113 §3.2).
pub(crate) const HTTP2: &[u8] = b"h2";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
