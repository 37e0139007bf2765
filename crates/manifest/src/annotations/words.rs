//! Words that annotations and classes both take.

use plan::{IpAddressType, Protocol, Scheme, TargetType};

use super::Problem;
use super::values::one_of;

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
