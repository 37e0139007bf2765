//! The part of a request that routing looks at.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

/// A borrowed view of one request: what rules may ask about, and nothing else.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method as sent; methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// The host without port and trailing dot, lower-cased; see [`normalise_host`].
    pub host: &'a str,
    /// The path as sent, not decoded, without the query.
    pub path: &'a str,
    /// The query without its `?`.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a dyn HeaderFields,
    /// The address the connection came from.
    pub peer: IpAddr,
}

/// Header fields, however the caller keeps them.
pub trait HeaderFields {
    /// Whether `test` accepts one of the values of the fields with this name (any case).
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// No header fields at all.
pub struct NoHeaders;

impl HeaderFields for NoHeaders {
    fn any(&self, _name: &str, _test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}

/// Pairs of name and value, for commands and tests.
impl HeaderFields for Vec<(String, String)> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.iter().any(|(field, value)| field.eq_ignore_ascii_case(name) && test(value.as_bytes()))
    }
}

impl<'a> RequestHead<'a> {
    /// A `GET` of an absolute `http` or `https` URL without header fields, for commands, docs and tests.
    #[must_use]
    pub fn get(url: &'a str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let path = if path.is_empty() { "/" } else { path };
        Self { method: "GET", host, path, query, headers: &NoHeaders, peer: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }
}

/// The host that rules compare with: no port, no trailing dot, lower case. IPv6 literals keep their brackets.
///
/// Routing, logs and caches all use this one form, so that they cannot disagree about which host was meant.
#[must_use]
pub fn normalise_host(authority: &str) -> Cow<'_, str> {
    let host = &authority[..end_of_host(authority)];
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Where the host of an authority ends: before the colon of its port, if it has one. Those of an IPv6 literal are within brackets.
#[must_use]
pub fn end_of_host(authority: &str) -> usize {
    let mut colon = None;
    for (at, byte) in authority.bytes().enumerate() {
        match byte {
            b':' => colon = colon.or(Some(at)),
            b']' => colon = None,
            _ => {}
        }
    }
    colon.unwrap_or(authority.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s3_57_host_loses_port_case_and_trailing_dot() {
        for (authority, host) in [
            ("API.Retail-Forecast.com:8080", "api.retail-forecast.com"),
            ("api.example.com.", "api.example.com"),
            ("api.example.com.:80", "api.example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(normalise_host(authority), host);
        }
    }

    #[test]
    fn a_url_without_path_asks_for_the_root() {
        let head = RequestHead::get("http://a.example.com:8080?v=1");
        assert_eq!((head.host, head.path, head.query), ("a.example.com", "/", Some("v=1")));
    }
}
