//! What is let in: who asks for a name that is ours, and shows a token.

use http::{HeaderMap, Uri, header};

use super::Settings;
use crate::store::{Reason, Status};

/// Names of this machine that no name server can make point elsewhere, or here.
const LOOPBACK: &[&str] = &["127.0.0.1", "[::1]", "localhost"];

/// Checks the `Host` of a request.
///
/// A page that a browser has loaded from elsewhere may have its own name resolved to this machine (DNS rebinding). Its
/// requests arrive here, but with its name.
pub(super) fn check_host(uri: &Uri, headers: &HeaderMap, settings: &Settings) -> Result<(), Status> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(http::uri::Authority::as_str).or(host).unwrap_or_default();
    let name = without_port(host);
    let mut ours = LOOPBACK.iter().copied().chain(settings.hosts.iter().map(String::as_str));
    if ours.any(|ours| ours.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(Status::new(Reason::Forbidden, format!("`{name}` is not a name under which this API is served")))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The bearer token of a request.
pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok()).and_then(bearer)
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// Compares in a time that does not tell where the difference is.
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            token: "secret".to_owned(),
            hosts: vec!["forebay.internal".to_owned()],
            ..Settings::default()
        }
    }

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn only_names_that_are_ours_are_answered() {
        let check =
            |host: &str| check_host(&Uri::from_static("/api"), &with(header::HOST, host), &settings());
        for ours in ["127.0.0.1", "127.0.0.1:7443", "LOCALHOST:1", "[::1]", "[::1]:7443", "forebay.internal"]
        {
            assert!(check(ours).is_ok(), "{ours}");
        }
        for other in
            ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:7443.evil.example", "", "[::1", "10.0.0.1"]
        {
            assert_eq!(check(other).unwrap_err().reason, Reason::Forbidden, "{other}");
        }
        let absolute = Uri::from_static("http://evil.example/api");
        assert!(check_host(&absolute, &with(header::HOST, "localhost"), &settings()).is_err());
    }

    #[test]
    fn only_bearers_have_a_token() {
        let token = |given: &str| bearer_token(&with(header::AUTHORIZATION, given)).map(ToOwned::to_owned);
        assert_eq!(token("Bearer secret").as_deref(), Some("secret"));
        assert_eq!(token("bearer secret").as_deref(), Some("secret"));
        for wrong in ["Bearer", "Basic Zm9yZWJheTpzZWNyZXQ=", "Digest secret", "secret"] {
            assert_eq!(token(wrong), None, "{wrong}");
        }
        assert!(
            is_same(b"secret", b"secret") && !is_same(b"secret", b"secreT") && !is_same(b"secre", b"secret")
        );
    }
}
