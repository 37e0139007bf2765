//! Who a listener's clients have to be ("Mutual authentication with TLS", ALB user guide).

use std::fmt;
use std::sync::Arc;

/// What a listener asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Nothing.
    Off,
    /// A certificate, if they have one. Targets are shown it, and judge.
    Passthrough,
    /// A certificate that an authority of a trust store has signed.
    Verify(ClientVerification),
}

/// How certificates of clients are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientVerification {
    /// The trust store: its ARN, or the name that is written.
    pub trust_store: String,
    /// Whether certificates do that have ended.
    pub ignores_expiry: bool,
    /// Whether clients are told the names of the authorities; `None` when nobody said.
    pub advertises_authorities: Option<bool>,
    /// What is in the trust store. Nothing in a plan that is only printed.
    pub contents: TrustStore,
}

/// Whom to believe that it vouches for clients. All of it is public.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TrustStore {
    /// Where it is kept: `secret:<namespace>/<name>`, or an ARN.
    pub name: Arc<str>,
    /// Certificates of authorities, in PEM form.
    pub authorities: Arc<str>,
    /// Lists of certificates that hold no more, in PEM form.
    pub revocations: Arc<str>,
}

// === impl ClientAuthentication ===

impl ClientAuthentication {
    /// The mode as an annotation has it.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Passthrough => "passthrough",
            Self::Verify(_) => "verify",
        }
    }

    /// How certificates are checked, if they are.
    #[must_use]
    pub fn verification(&self) -> Option<&ClientVerification> {
        match self {
            Self::Verify(verification) => Some(verification),
            Self::Off | Self::Passthrough => None,
        }
    }
}

// === impl TrustStore ===

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (authorities, revocations) = (self.authorities.len(), self.revocations.len());
        write!(
            f,
            "TrustStore({}, {authorities} bytes of authorities, {revocations} of revocations)",
            self.name
        )
    }
}
