//! Why no handshake came about, in a few words that metrics can count by.

use std::io;

use rustls::{AlertDescription, PeerIncompatible};

use super::server::NO_TLS;

/// Why no handshake came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandshakeFailure {
    /// The client speaks something else.
    NotTls,
    /// What the client sent is no TLS, or damaged.
    Malformed,
    /// It took too long.
    TimedOut,
    /// The client left.
    ClientLeft,
    /// The client does not believe the certificate, or cannot check it.
    CertificateRefused,
    /// The client has no certificate to show where it has to.
    ClientCertificateMissing,
    /// The client's certificate is not believed.
    ClientCertificateRefused,
    /// There is no certificate to show.
    NoCertificate,
    /// No version of TLS is spoken by both sides.
    NoSharedVersion,
    /// No cipher suite, group or signature is.
    NoSharedCipher,
    /// Nothing is that is to be spoken inside (RFC 7301).
    NoSharedProtocol,
    /// Something else.
    Other,
}

impl HandshakeFailure {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NotTls,
        Self::Malformed,
        Self::TimedOut,
        Self::ClientLeft,
        Self::CertificateRefused,
        Self::ClientCertificateMissing,
        Self::ClientCertificateRefused,
        Self::NoCertificate,
        Self::NoSharedVersion,
        Self::NoSharedCipher,
        Self::NoSharedProtocol,
        Self::Other,
    ];

    /// As metrics have it, for example `timed-out`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTls => "not-tls",
            Self::Malformed => "malformed",
            Self::TimedOut => "timed-out",
            Self::ClientLeft => "client-left",
            Self::CertificateRefused => "certificate-refused",
            Self::ClientCertificateMissing => "client-certificate-missing",
            Self::ClientCertificateRefused => "client-certificate-refused",
            Self::NoCertificate => "no-certificate",
            Self::NoSharedVersion => "no-shared-version",
            Self::NoSharedCipher => "no-shared-cipher",
            Self::NoSharedProtocol => "no-shared-protocol",
            Self::Other => "other",
        }
    }

    /// What an error of a handshake comes down to.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => return Self::TimedOut,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                return Self::ClientLeft;
            }
            _ => {}
        }
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return if error.to_string() == NO_TLS { Self::NotTls } else { Self::Other };
        };
        match error {
            rustls::Error::InvalidMessage(_) | rustls::Error::DecryptError => Self::Malformed,
            rustls::Error::InappropriateMessage { .. }
            | rustls::Error::InappropriateHandshakeMessage { .. }
            | rustls::Error::PeerMisbehaved(_)
            | rustls::Error::PeerSentOversizedRecord => Self::Malformed,
            rustls::Error::NoCertificatesPresented => Self::ClientCertificateMissing,
            rustls::Error::InvalidCertificate(_) | rustls::Error::InvalidCertRevocationList(_) => {
                Self::ClientCertificateRefused
            }
            rustls::Error::NoApplicationProtocol => Self::NoSharedProtocol,
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert),
            rustls::Error::PeerIncompatible(why) => Self::of_incompatible(why),
            rustls::Error::General(why) if why.contains("no server certificate chain") => Self::NoCertificate,
            _ => Self::Other,
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA => Self::CertificateRefused,
            AlertDescription::UserCanceled | AlertDescription::CloseNotify => Self::ClientLeft,
            AlertDescription::ProtocolVersion => Self::NoSharedVersion,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                Self::NoSharedCipher
            }
            _ => Self::Other,
        }
    }

    fn of_incompatible(why: &PeerIncompatible) -> Self {
        match why {
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled => Self::NoSharedVersion,
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::NoEcPointFormatsInCommon
            | PeerIncompatible::NamedGroupsExtensionRequired
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired => Self::NoSharedCipher,
            _ => Self::Other,
        }
    }
}
