//! Who may load and unload models: whoever reaches the admin address, and no web page that a browser shows.
//!
//! On every other port the answer is no, and where to ask instead.

use std::net::{IpAddr, SocketAddr};

use net::Fields;

use crate::fault::{Cause, Fault, quoted};

/// The admin address of a server, when it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AdminAddress(pub(crate) SocketAddr);

/// Whether a request may change the models, where there is such an address. `is_admin` when it came over it.
pub(crate) fn check(
    address: Option<&AdminAddress>,
    is_admin: bool,
    fields: Option<&Fields>,
) -> Result<(), Fault> {
    let Some(address) = address else {
        return Err(Fault::new(Cause::Forbidden, "models are not loaded and unloaded by clients here")
            .with_help("a server with an admin address does it there"));
    };
    if !is_admin {
        let problem = "models are not loaded and unloaded on this port";
        let help = format!("ask the admin address over HTTP, http://{}", address.0);
        return Err(Fault::new(Cause::Forbidden, problem).with_help(help));
    }
    fields.map_or(Ok(()), |fields| address.check_browser(fields))
}

impl AdminAddress {
    /// Refuses what a browser sends for a page of somebody else: one that says where it is from, or one whose name was
    /// made to lead to this machine (DNS rebinding).
    fn check_browser(self, fields: &Fields) -> Result<(), Fault> {
        let host = fields.text("host").unwrap_or_default();
        let foreign = fields.text("origin").filter(|&origin| {
            let origin = origin.split_once("://").map_or(origin, |(_, authority)| authority);
            !origin.eq_ignore_ascii_case(host)
        });
        let rebound = Some(host).filter(|host| self.0.ip().is_loopback() && !is_loopback(host));
        if let Some(page) = foreign.or(rebound) {
            let problem = format!("models are not loaded and unloaded for pages of {}", quoted(page));
            return Err(Fault::new(Cause::Forbidden, problem));
        }
        Ok(())
    }
}

/// Whether a host, with or without a port, is a name of this machine that no name server can give to another.
fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || literal.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_others_are_refused() {
        let check = |address: &str, host: &str, origin: Option<&str>| {
            let mut fields = Fields::new();
            fields.push("host", host);
            origin.into_iter().for_each(|origin| fields.push("origin", origin));
            AdminAddress(address.parse().unwrap()).check_browser(&fields).is_ok()
        };
        let here = "127.0.0.1:8081";
        for host in ["127.0.0.1:8081", "localhost:8081", "LOCALHOST", "[::1]:8081", "127.78.0.3"] {
            assert!(check(here, host, None), "{host}");
        }
        for host in ["evil.example:8081", "localhost.evil.example", "", "10.0.0.1"] {
            assert!(!check(here, host, None), "{host}");
        }
        assert!(check(here, here, Some("http://127.0.0.1:8081")));
        assert!(!check(here, here, Some("http://evil.example")));
        assert!(!check(here, here, Some("null")));
        // Whoever opens it to others has names of his own for it.
        assert!(check("10.0.0.1:8081", "iris-admin.models.svc:8081", None));
        assert!(!check("10.0.0.1:8081", "iris-admin.models.svc:8081", Some("http://evil.example")));
    }
}
