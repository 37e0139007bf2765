//! Addresses that traffic is sent to.

use std::net::IpAddr;

use serde_json::Value;

use super::{Violation, each};

/// Finds every address that traffic may not be sent to.
pub(super) fn check(places: &[&str], object: &Value, found: &mut Vec<Violation>) {
    for path in places {
        each(object, "", path, &mut |field, address| {
            let parsed = address.as_str().and_then(|address| address.parse().ok());
            let problem = parsed.and_then(problem_of_address);
            found.extend(problem.map(|why| Violation::invalid(field, address, why)));
        });
    }
}

/// Why traffic may not be sent to an address (`ValidateNonSpecialIP` of Kubernetes, which refuses loopback too).
fn problem_of_address(address: IpAddr) -> Option<&'static str> {
    let (is_link_local, is_link_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if address.is_unspecified() {
        Some("may not be unspecified")
    } else if is_link_local {
        Some(
            "may not be in the link-local range (169.254.0.0/16, fe80::/10), where a cloud keeps its credentials",
        )
    } else if is_link_local_multicast {
        Some("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    } else {
        None
    }
}
