//! Requests and responses of HTTP/2 as everybody else knows them, and the other way.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};

use crate::clock;
use crate::fields::is_field_content;
use crate::h1::head;
use crate::rejection::Rejection;
use crate::{Fields, Limits, Outgoing, Response, Target};

/// A request's head, as far as everybody must agree on it.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) fields: Fields,
    /// How long the body is, where that is told. The `h2` crate holds senders to it.
    pub(crate) length: Option<u64>,
    /// Bytes of names and values.
    pub(super) n_bytes: u64,
}

/// Takes a request's head over, or refuses what would not be one in HTTP/1.1 either (RFC 9113 §8.3, §10.3).
pub(crate) fn request_head(request: http::request::Parts, limits: &Limits) -> Result<RequestHead, Rejection> {
    if request.method == Method::CONNECT {
        return Err(Rejection::CONNECT_NOT_SERVED);
    }
    if request.headers.len() > limits.head_fields {
        return Err(Rejection::TOO_MANY_FIELDS);
    }
    let target = match request.uri.path_and_query() {
        Some(target) => target.as_str(),
        None => return Err(Rejection::MALFORMED_TARGET),
    };
    let is_asterisk = target == "*" && request.method == Method::OPTIONS;
    if !(target.starts_with('/') || is_asterisk) || !head::is_visible(target) {
        return Err(Rejection::MALFORMED_TARGET);
    }
    let mut fields = Fields::with_capacity(request.headers.len() + 6, 512);
    if let Some(authority) = request.uri.authority() {
        // Two names for where a request goes are two requests.
        if request.headers.get_all("host").iter().any(|host| host.as_bytes() != authority.as_str().as_bytes())
        {
            return Err(Rejection::SEVERAL_HOSTS);
        }
        fields.push("host", authority.as_str());
    }
    let mut cookies: Vec<&[u8]> = Vec::new();
    for (name, value) in &request.headers {
        let value = value.as_bytes();
        if !value.iter().all(|byte| is_field_content(*byte)) {
            return Err(Rejection::MALFORMED_HEAD);
        }
        match name.as_str() {
            "host" if request.uri.authority().is_some() => {}
            // One field in HTTP/1.1, which may come in crumbs here (RFC 9113 §8.2.3).
            "cookie" => cookies.push(value),
            // A client that waits for permission has flow control for that.
            "expect" if value.eq_ignore_ascii_case(b"100-continue") => {}
            "expect" => return Err(Rejection::UNKNOWN_EXPECTATION),
            // Nothing there means a connection, whatever the field says (RFC 9113 §8.2.2).
            name if CONNECTION_FIELDS.contains(&name) => return Err(Rejection::MALFORMED_HEAD),
            name => fields.push(name, value.trim_ascii()),
        }
    }
    if !cookies.is_empty() {
        fields.push("cookie", cookies.join(b"; ".as_slice()));
    }
    head::check_host(&fields, Version::HTTP_2)?;
    let length = fields.text("content-length").map(str::parse::<u64>);
    let length = length.transpose().map_err(|_| Rejection::MALFORMED_CONTENT_LENGTH)?;
    let n_bytes = fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() + target.len();
    let target = Target::new(target);
    Ok(RequestHead { method: request.method, target, fields, length, n_bytes: n_bytes as u64 })
}

/// The head of a request to a server, with `Host` in its new place (RFC 9113 §8.3.1); `None` where there is no way to say it.
/// That trailers are taken is said of every request: servers of gRPC look for it ("gRPC over HTTP2").
pub(super) fn outgoing_head(request: &Outgoing<'_>, is_tls: bool) -> Option<http::Request<()>> {
    let uri = http::Uri::builder()
        .scheme(if is_tls { "https" } else { "http" })
        .authority(request.fields.get("host")?)
        .path_and_query(request.target)
        .build();
    let mut head = http::Request::new(());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri.ok()?;
    *head.version_mut() = Version::HTTP_2;
    let mut headers = header_map(request.fields);
    headers.remove("host");
    headers.remove("content-length");
    headers.insert("te", HeaderValue::from_static("trailers"));
    if let Some(length @ 1..) = request.body.remaining() {
        headers.insert("content-length", length.into());
    }
    *head.headers_mut() = headers;
    Some(head)
}

/// The head of a response. What belongs to a connection of HTTP/1.1 stays behind (RFC 9113 §8.2.2).
pub(super) fn response_head(response: &Response) -> http::Response<()> {
    let mut headers = header_map(&response.fields);
    if !headers.contains_key("date")
        && let Ok(date) = clock::with_http_date(HeaderValue::from_str)
    {
        headers.insert("date", date);
    }
    // Only of a body that has a length, and of the answer to HEAD, is a length told.
    headers.remove("content-length");
    let mut head = http::Response::new(());
    *head.status_mut() = response.status;
    *head.headers_mut() = headers;
    head
}

/// Fields, without those that mean a connection.
pub(super) fn header_map(fields: &Fields) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(fields.len() + 2);
    for (name, value) in fields.iter() {
        let name = HeaderName::from_bytes(name);
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) else { continue };
        if !CONNECTION_FIELDS.contains(&name.as_str()) {
            headers.append(name, value);
        }
    }
    headers
}

/// Fields that came, for example as trailers.
pub(super) fn fields_of(headers: &HeaderMap) -> Fields {
    let mut fields = Fields::with_capacity(headers.len(), 128);
    for (name, value) in headers {
        fields.push(name.as_str(), value.as_bytes());
    }
    fields
}

/// Fields that mean one connection of HTTP/1.1 (RFC 9113 §8.2.2).
const CONNECTION_FIELDS: &[&str] =
    &["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head_of(uri: &str, headers: &[(&str, &str)]) -> Result<RequestHead, &'static str> {
        let mut request = http::Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        request_head(parts, &Limits::default()).map_err(|rejection| rejection.reason)
    }

    #[test]
    fn the_authority_is_the_host() {
        let head = head_of("http://a.example:8080/x?y", &[("host", "a.example:8080"), ("x-a", "1")]).unwrap();
        assert_eq!(head.target.as_str(), "/x?y");
        assert_eq!(head.fields.all("host").collect::<Vec<_>>(), [b"a.example:8080"]);
        assert_eq!(head.fields.text("x-a"), Some("1"));
        let refused = head_of("http://a.example/", &[("host", "b.example")]);
        assert_eq!(refused.unwrap_err(), "several-hosts");
        assert_eq!(head_of("/", &[("host", "a"), ("host", "b")]).unwrap_err(), "several-hosts");
        assert_eq!(head_of("/", &[]).unwrap_err(), "no-host");
        assert_eq!(head_of("http://user@a/", &[]).unwrap_err(), "malformed-host");
    }

    proptest! {
        #[test]
        fn any_request_is_refused_or_is_one_in_http_1_1(
            authority in "[a-z.:@\\[\\]0-9 \r\n]{1,12}|a\\.example(:80)?",
            path in "/[ -~\r\n\t]{0,16}|/[a-z?%0-9]{0,9}|\\*|http://b/x",
            method in "GET|POST|OPTIONS|PUT|[A-Z \r\n]{1,6}",
            fields in prop::collection::vec((FIELD_NAMES, "[ -~\t\r\n]{0,12}|[0-9]{1,3}|chunked"), 0..6),
        ) {
            let mut parts = vec![authority, path, method];
            parts.extend(fields.into_iter().flat_map(|(name, value)| [name, value]));
            let bytes: Vec<u8> = parts.iter().flat_map(|part| [part.as_bytes(), b"\xff"].concat()).collect();
            crate::fuzzing::downgrade(&bytes);
        }
    }

    const FIELD_NAMES: &str = "content-length|transfer-encoding|connection|host|cookie|expect|te|upgrade|content_length|x-[a-z]{1,4}|[ -~]{1,6}";

    #[test]
    fn crumbs_of_cookies_become_one_field() {
        let head = head_of("http://a/", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]).unwrap();
        assert_eq!(head.fields.all("cookie").collect::<Vec<_>>(), [b"a=1; b=2"]);
    }

    #[test]
    fn what_belongs_to_a_connection_stays_behind() {
        let response = Response::new(http::StatusCode::OK)
            .with_field("connection", "close")
            .with_field("transfer-encoding", "chunked")
            .with_field("content-length", "7")
            .with_field("X-A", "1");
        let head = response_head(&response);
        let mut names: Vec<&str> = head.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["date", "x-a"]);
    }
}
