//! What is spoken with targets, and which requests can be said in it.

use crate::{Protocol, ProtocolVersion, TargetGroup};

/// What is spoken with the targets of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// The version of HTTP; `None` where bytes are passed.
    pub version: Option<ProtocolVersion>,
    /// TLS around it.
    pub tls: Option<TargetTls>,
}

/// TLS with targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetTls {
    /// Whatever certificate a target shows is good, as with load balancers of AWS.
    Unverified,
    /// Targets prove who they are.
    Verified(TargetTrust),
}

/// Whom to believe that it is a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTrust {
    /// The name that a target has to prove.
    pub name: String,
    /// Certificates of the authorities that may vouch for it, in PEM form.
    pub authorities: String,
}

/// What of a request decides whether it can be said to a target ("HTTP 464", ALB user guide).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Whether the client speaks HTTP/2.
    pub is_http2: bool,
    /// Whether it is a call of gRPC.
    pub is_grpc: bool,
    /// The method.
    pub method: &'a str,
}

// === impl TargetGroup ===

impl TargetGroup {
    /// What is spoken with its targets.
    #[must_use]
    pub fn spoken(&self) -> Spoken {
        Spoken { version: self.protocol_version, tls: self.tls_of(self.protocol) }
    }

    /// What is spoken with its targets to find out how they are.
    #[must_use]
    pub fn spoken_in_checks(&self) -> Spoken {
        let version = match self.health_check.protocol {
            Protocol::Http | Protocol::Https => self.protocol_version.or(Some(ProtocolVersion::Http1)),
            _ => None,
        };
        Spoken { version, tls: self.tls_of(self.health_check.protocol) }
    }

    fn tls_of(&self, protocol: Protocol) -> Option<TargetTls> {
        let tls = self.trust.clone().map_or(TargetTls::Unverified, TargetTls::Verified);
        protocol.is_tls().then_some(tls)
    }
}

// === impl ProtocolVersion ===

impl ProtocolVersion {
    /// Whether targets that are spoken with in this version can be asked this.
    #[must_use]
    pub fn can_say(self, asked: &Asked<'_>) -> bool {
        match self {
            // It has no place for the status that a call ends with.
            Self::Http1 => !asked.is_grpc,
            Self::Http2 => asked.is_http2,
            Self::Grpc => asked.is_http2 && asked.method == "POST",
        }
    }

    /// Whether it is HTTP/2 on the wire.
    #[must_use]
    pub fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_said_to_a_target_is_told_apart() {
        // Version of the client, whether it is gRPC, method; what HTTP1, HTTP2 and GRPC groups take.
        let cases = [
            ((false, false, "GET"), [true, false, false]),
            ((false, false, "POST"), [true, false, false]),
            ((true, false, "GET"), [true, true, false]),
            ((true, false, "POST"), [true, true, true]),
            ((true, true, "POST"), [false, true, true]),
            ((true, true, "GET"), [false, true, false]),
        ];
        for ((is_http2, is_grpc, method), expected) in cases {
            let asked = Asked { is_http2, is_grpc, method };
            let versions = [ProtocolVersion::Http1, ProtocolVersion::Http2, ProtocolVersion::Grpc];
            assert_eq!(versions.map(|version| version.can_say(&asked)), expected, "{asked:?}");
        }
    }
}
