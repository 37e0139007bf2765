//! What a handshake came to: what is spoken, and with whom.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::SupportedKxGroup;
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};

use super::{ClientAuthentication, ClientCertificate};

/// What the handshake of a client's connection came to.
#[derive(Debug)]
pub struct TlsSession {
    version: Option<ProtocolVersion>,
    cipher_suite: Option<CipherSuite>,
    group: Option<NamedGroup>,
    server_name: Option<Box<str>>,
    /// How the certificate is called that was shown, unless none was because the session goes on.
    chosen: Option<Arc<str>>,
    is_resumed: bool,
    protocol: Option<Box<str>>,
    handshake_time: Duration,
    /// Apart, because most sessions have none.
    client_certificate: Option<Box<ClientCertificate>>,
    client_authentication: ClientAuthentication,
}

// === impl TlsSession ===

impl TlsSession {
    pub(super) fn of(
        connection: &ServerConnection,
        clients: &ClientAuthentication,
        chosen: Option<Arc<str>>,
        handshake_time: Duration,
    ) -> Self {
        Self {
            chosen,
            is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            protocol: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into()),
            handshake_time,
            version: connection.protocol_version(),
            cipher_suite: connection.negotiated_cipher_suite().map(|suite| suite.suite()),
            group: connection.negotiated_key_exchange_group().map(SupportedKxGroup::name),
            server_name: connection.server_name().map(Into::into),
            client_certificate: connection.peer_certificates().and_then(ClientCertificate::new).map(Box::new),
            client_authentication: clients.clone(),
        }
    }

    /// For example `TLSv1.3`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        match self.version {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        }
    }

    /// The cipher suite by its name in OpenSSL, for example `ECDHE-RSA-AES128-GCM-SHA256`.
    #[must_use]
    pub fn cipher_suite(&self) -> &'static str {
        match self.cipher_suite {
            Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => "TLS_AES_128_GCM_SHA256",
            Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => "TLS_AES_256_GCM_SHA384",
            Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => "TLS_CHACHA20_POLY1305_SHA256",
            Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256) => "ECDHE-ECDSA-AES128-GCM-SHA256",
            Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384) => "ECDHE-ECDSA-AES256-GCM-SHA384",
            Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256) => {
                "ECDHE-ECDSA-CHACHA20-POLY1305"
            }
            Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) => "ECDHE-RSA-AES128-GCM-SHA256",
            Some(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) => "ECDHE-RSA-AES256-GCM-SHA384",
            Some(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256) => "ECDHE-RSA-CHACHA20-POLY1305",
            _ => "-",
        }
    }

    /// The group of the key exchange by its name in IANA's registry, for example `X25519MLKEM768`.
    #[must_use]
    pub fn key_exchange(&self) -> &'static str {
        match self.group {
            Some(NamedGroup::secp256r1) => "secp256r1",
            Some(NamedGroup::secp384r1) => "secp384r1",
            Some(NamedGroup::secp521r1) => "secp521r1",
            Some(NamedGroup::X25519) => "x25519",
            Some(NamedGroup::secp256r1MLKEM768) => "SecP256r1MLKEM768",
            Some(NamedGroup::X25519MLKEM768) => "X25519MLKEM768",
            _ => "-",
        }
    }

    /// The name that the client asked for, in lower case.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// How the certificate is called that the client was shown, `session-reused` where it needed none ("Access log entries", ALB
    /// user guide), and `-` where nobody has a name for it.
    #[must_use]
    pub fn chosen_certificate(&self) -> &str {
        if self.is_resumed { "session-reused" } else { self.chosen.as_deref().unwrap_or("-") }
    }

    /// What both sides agreed to speak inside, if they did (RFC 7301).
    #[must_use]
    pub fn agreed_protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// How long the handshake took.
    #[must_use]
    pub fn handshake_time(&self) -> Duration {
        self.handshake_time
    }

    /// Whether the client was asked who it is, and who had to vouch for it then.
    #[must_use]
    pub fn client_authentication(&self) -> &ClientAuthentication {
        &self.client_authentication
    }

    /// What the client showed, where it was asked for a certificate and has one.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.client_certificate.as_deref()
    }
}
