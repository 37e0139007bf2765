//! Words that annotations and classes both take.

use plan::{IpAddressType, Protocol, ProtocolVersion, Scheme, TargetType, TlsPolicy};

use super::Problem;
use super::values::one_of;
use crate::codes;

pub(crate) fn scheme(text: &str) -> Result<Scheme, Problem> {
    one_of(text, &[("internal", Scheme::Internal), ("internet-facing", Scheme::InternetFacing)])
}

pub(crate) fn ip_address_type(text: &str) -> Result<IpAddressType, Problem> {
    let types = [
        ("ipv4", IpAddressType::Ipv4),
        ("dualstack", IpAddressType::Dualstack),
        ("dualstack-without-public-ipv4", IpAddressType::DualstackWithoutPublicIpv4),
    ];
    one_of(text, &types)
}

pub(crate) fn target_type(text: &str) -> Result<TargetType, Problem> {
    one_of(text, &[("instance", TargetType::Instance), ("ip", TargetType::Ip)])
}

pub(crate) fn http_protocol(text: &str) -> Result<Protocol, Problem> {
    one_of(text, &[("HTTP", Protocol::Http), ("HTTPS", Protocol::Https)])
}

/// What is spoken with targets. Whoever writes something near it is told what was meant, and never something with less TLS.
pub(crate) fn backend_protocol(key: &str, text: &str) -> Result<Protocol, Problem> {
    http_protocol(text).map_err(|problem| {
        let meant = match text.trim().to_ascii_uppercase().as_str() {
            "HTTP" => format!("{key}: HTTP"),
            "HTTPS" | "SSL" | "TLS" => format!("{key}: HTTPS"),
            "GRPC" | "H2C" | "HTTP2" | "HTTP/2" | "H2" => {
                let version = if text.trim().eq_ignore_ascii_case("grpc") { "GRPC" } else { "HTTP2" };
                format!("{key}-version: {version}, beside {key}: HTTP, or HTTPS where the targets speak TLS")
            }
            "GRPCS" => format!("{key}: HTTPS with {key}-version: GRPC"),
            _ => format!("{key}: HTTP, or HTTPS where the targets speak TLS"),
        };
        problem.suggest(meant)
    })
}

/// Which HTTP is spoken with targets.
pub(crate) fn backend_protocol_version(key: &str, text: &str) -> Result<ProtocolVersion, Problem> {
    const VERSIONS: [(&str, ProtocolVersion); 3] = [
        ("HTTP1", ProtocolVersion::Http1),
        ("HTTP2", ProtocolVersion::Http2),
        ("GRPC", ProtocolVersion::Grpc),
    ];
    one_of(text, &VERSIONS).map_err(|problem| {
        let meant = match text.trim().to_ascii_uppercase().as_str() {
            "HTTP1" | "HTTP1.1" | "HTTP/1.1" | "HTTP/1" => "HTTP1",
            "HTTP2" | "HTTP/2" | "H2" | "H2C" => "HTTP2",
            "GRPC" | "GRPCS" => "GRPC",
            _ => return problem.suggest(format!("{key}: HTTP1, HTTP2 or GRPC: what the targets speak")),
        };
        problem.suggest(format!("{key}: {meant}"))
    })
}

/// A security policy that AWS has.
pub(crate) fn ssl_policy(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    if TlsPolicy::named(name).is_some() {
        return Ok(name.to_owned());
    }
    let message = format!("there is no security policy `{name}`: AWS refuses it");
    Err(Problem::new(&codes::SSL_POLICY_UNKNOWN, message).suggest(TlsPolicy::meant_by(name)))
}
