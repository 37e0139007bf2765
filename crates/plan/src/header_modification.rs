//! Header fields that the attributes of a listener name ("HTTP header modification", ALB user guide).

use crate::attributes::{self, Attributes};
use crate::{ClientAuthentication, Listener};

/// The fields that are put into every answer, with the attributes that have their values.
pub const ANSWER_FIELDS: [(&str, &str); 10] = [
    (
        "access-control-allow-credentials",
        "routing.http.response.access_control_allow_credentials.header_value",
    ),
    ("access-control-allow-headers", "routing.http.response.access_control_allow_headers.header_value"),
    ("access-control-allow-methods", "routing.http.response.access_control_allow_methods.header_value"),
    ("access-control-allow-origin", "routing.http.response.access_control_allow_origin.header_value"),
    ("access-control-expose-headers", "routing.http.response.access_control_expose_headers.header_value"),
    ("access-control-max-age", "routing.http.response.access_control_max_age.header_value"),
    ("content-security-policy", "routing.http.response.content_security_policy.header_value"),
    ("strict-transport-security", "routing.http.response.strict_transport_security.header_value"),
    ("x-content-type-options", "routing.http.response.x_content_type_options.header_value"),
    ("x-frame-options", "routing.http.response.x_frame_options.header_value"),
];

/// What targets are told of a client and its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFact {
    /// The version of TLS.
    TlsVersion,
    /// The cipher suite.
    CipherSuite,
    /// The group of the key exchange.
    KeyExchange,
    /// The certificate with its chain.
    CertificateChain,
    /// The certificate alone.
    CertificateLeaf,
    /// The number of the certificate.
    SerialNumber,
    /// Who signed it.
    Issuer,
    /// Whom it is about.
    Subject,
    /// When it holds.
    Validity,
}

/// A fact, the field that tells it, and the attribute that gives that another name.
pub struct ClientField {
    /// What is told.
    pub fact: ClientFact,
    /// The name of the field.
    pub name: &'static str,
    /// The attribute that renames it; the newest of AWS's fields has none.
    pub attribute: Option<&'static str>,
}

/// The fields that begin so are a load balancer's to give, whatever a client sends.
pub const CLIENT_FIELD_FAMILIES: [&str; 2] = ["x-amzn-tls-", "x-amzn-mtls-"];

/// All facts.
pub const CLIENT_FIELDS: [ClientField; 9] = {
    use ClientFact as F;
    const fn field(fact: F, name: &'static str, attribute: &'static str) -> ClientField {
        ClientField { fact, name, attribute: Some(attribute) }
    }
    [
        field(F::TlsVersion, "x-amzn-tls-version", "routing.http.request.x_amzn_tls_version.header_name"),
        field(
            F::CipherSuite,
            "x-amzn-tls-cipher-suite",
            "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        ),
        ClientField { fact: F::KeyExchange, name: "x-amzn-tls-kx", attribute: None },
        field(
            F::CertificateChain,
            "x-amzn-mtls-clientcert",
            "routing.http.request.x_amzn_mtls_clientcert.header_name",
        ),
        field(
            F::CertificateLeaf,
            "x-amzn-mtls-clientcert-leaf",
            "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
        ),
        field(
            F::SerialNumber,
            "x-amzn-mtls-clientcert-serial-number",
            "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        ),
        field(
            F::Issuer,
            "x-amzn-mtls-clientcert-issuer",
            "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
        ),
        field(
            F::Subject,
            "x-amzn-mtls-clientcert-subject",
            "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        ),
        field(
            F::Validity,
            "x-amzn-mtls-clientcert-validity",
            "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        ),
    ]
};

// === impl ClientFact ===

impl ClientFact {
    /// Whether targets are told it, by the attributes of a load balancer and what a listener asks of its clients.
    #[must_use]
    pub fn is_told(self, load_balancer: &Attributes, listener: &Listener) -> bool {
        let clients = listener.client_authentication.as_ref();
        listener.protocol.is_tls()
            && match self {
                Self::TlsVersion | Self::CipherSuite => load_balancer.is_on(attributes::TLS_FIELDS),
                Self::KeyExchange => load_balancer.is_on(attributes::TLS_KEY_EXCHANGE_FIELD),
                Self::CertificateChain => clients == Some(&ClientAuthentication::Passthrough),
                _ => clients.is_some_and(|clients| clients.verification().is_some()),
            }
    }
}

/// Names that carry framing, routing or identity: no attribute may give a fact one of them.
const TAKEN: [&str; 17] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-amzn-trace-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

/// The longest name that a field may be given.
pub(crate) const NAME_LIMIT: usize = 64;
/// The longest value.
pub(crate) const VALUE_LIMIT: usize = 4096;

/// Whether a field may be given this name.
pub(crate) fn is_field_name(name: &str) -> bool {
    let plain = name.replace('_', "-").to_ascii_lowercase();
    is_name(name) && !TAKEN.contains(&plain.as_str())
}

/// Whether it is a name, of whatever field.
pub(crate) fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=NAME_LIMIT).contains(&name.len()) && name.bytes().all(is_token)
}

/// Whether a field may have this value (RFC 9110 §5.5, without what is obsolete).
pub(crate) fn is_field_value(value: &str) -> bool {
    value.len() <= VALUE_LIMIT && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Whether browsers understand this as `X-Frame-Options` (RFC 7034 §2.1).
pub(crate) fn is_frame_option(value: &str) -> bool {
    let from = value.strip_prefix("ALLOW-FROM ").is_some_and(|from| !from.trim().is_empty());
    matches!(value, "DENY" | "SAMEORIGIN") || (from && is_field_value(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{Scope, find};

    #[test]
    fn every_attribute_that_is_named_here_is_one() {
        let of_answers = ANSWER_FIELDS.iter().map(|(_, attribute)| *attribute);
        for key in of_answers.chain(CLIENT_FIELDS.iter().filter_map(|field| field.attribute)) {
            let attribute = find(Scope::ApplicationListener, key);
            assert!(attribute.is_some_and(|attribute| attribute.acts), "{key}");
        }
    }

    #[test]
    fn names_that_mean_something_else_are_not_given_away() {
        for good in ["x-amzn-tls-version", "Client_Serial", "a"] {
            assert!(is_field_name(good), "{good}");
        }
        for bad in ["", "Host", "X_Forwarded_For", "transfer-encoding", "a b", "a:b", "ä", &"a".repeat(65)] {
            assert!(!is_field_name(bad), "{bad}");
        }
    }

    #[test]
    fn every_fact_is_of_a_family_that_clients_cannot_send() {
        for field in CLIENT_FIELDS {
            assert!(
                CLIENT_FIELD_FAMILIES.iter().any(|family| field.name.starts_with(family)),
                "{}",
                field.name
            );
        }
    }
}
