//! Fields of HTTP/2 as everybody else knows requests and responses. What would not be one in HTTP/1.1 either is
//! none here (RFC 9113 §8.2, §8.3, §10.3).

use http::{Method, StatusCode, Version};

use crate::fields::{is_field_content, is_token};
use crate::h1::framing::parse_length;
use crate::h1::head;
use crate::message::is_of_grpc;
use crate::rejection::Rejection;
use crate::trailers::may_trail;
use crate::{Fields, Limits, Target};

/// A request's head, as far as everybody must agree on it.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) fields: Fields,
    /// How long the body is, where that is told.
    pub(crate) length: Option<u64>,
    /// Bytes of names and values.
    pub(super) n_bytes: u64,
}

/// A request's head on its way from its fields.
pub(crate) struct RequestFields {
    method: Option<Method>,
    target: Option<String>,
    has_scheme: bool,
    has_authority: bool,
    /// Whether a field has come that is no pseudo-field: then none of those may follow.
    has_begun: bool,
    fields: Fields,
    /// The crumbs of `Cookie`, which is one field in HTTP/1.1 (RFC 9113 §8.2.3).
    cookies: Vec<u8>,
    size: Size,
    most_target_bytes: usize,
    is_grpc: bool,
    refused: Option<Rejection>,
}

/// A response's head.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) status: StatusCode,
    pub(super) fields: Fields,
    pub(super) length: Option<u64>,
}

/// A response's head on its way from its fields.
pub(super) struct ResponseFields {
    status: Option<StatusCode>,
    fields: Fields,
    size: Size,
    is_malformed: bool,
}

/// Trailers on their way.
pub(super) struct TrailerFields {
    fields: Fields,
    size: Size,
    is_malformed: bool,
}

/// How much has come of fields, and how much may.
struct Size {
    n_bytes: usize,
    n_fields: usize,
    most_bytes: usize,
    most_fields: usize,
    most_field_bytes: usize,
}

// === impl Size ===

impl Size {
    fn of(limits: &Limits) -> Self {
        Self {
            n_bytes: 0,
            n_fields: 0,
            most_bytes: limits.head_bytes,
            most_fields: limits.head_fields,
            most_field_bytes: limits.field_bytes,
        }
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        self.n_bytes += name.len() + value.len();
        self.n_fields += 1;
    }

    /// As HTTP/1.1 counts them, with colon, space and line end; RFC 9113 §6.5.2 would count more.
    fn has_too_many_bytes(&self) -> bool {
        self.n_bytes + self.n_fields * ": \r\n".len() > self.most_bytes
    }
}

// === impl RequestFields ===

impl RequestFields {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            method: None,
            target: None,
            has_scheme: false,
            has_authority: false,
            has_begun: false,
            fields: Fields::with_capacity(16, 768),
            cookies: Vec::new(),
            size: Size::of(limits),
            most_target_bytes: limits.request_line_bytes,
            is_grpc: false,
            refused: None,
        }
    }

    /// Takes the next field in.
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size.add(name, value);
        self.is_grpc |= name == b"content-type" && is_of_grpc(value);
        if self.refused.is_none()
            && let Err(refused) = self.take(name, value)
        {
            self.refused = Some(refused);
        }
    }

    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Rejection> {
        if self.size.has_too_many_bytes() {
            return Err(Rejection::HEAD_TOO_LONG);
        }
        if let [b':', pseudo @ ..] = name {
            return self.take_pseudo(pseudo, value);
        }
        self.has_begun = true;
        if name.len() + value.len() > self.size.most_field_bytes {
            return Err(Rejection::FIELD_TOO_LONG);
        }
        if self.fields.len() >= self.size.most_fields {
            return Err(Rejection::TOO_MANY_FIELDS);
        }
        check_field(name, value).map_err(|Malformed| Rejection::MALFORMED_HEAD)?;
        match name {
            b"host" if self.has_authority => {
                // Two names for where a request goes are two requests.
                let is_same = self.fields.get("host") == Some(value);
                return if is_same { Ok(()) } else { Err(Rejection::SEVERAL_HOSTS) };
            }
            b"cookie" => {
                if !self.cookies.is_empty() {
                    self.cookies.extend_from_slice(b"; ");
                }
                self.cookies.extend_from_slice(value);
                return Ok(());
            }
            // A client that waits for permission has flow control for that.
            b"expect" if value.eq_ignore_ascii_case(b"100-continue") => return Ok(()),
            b"expect" => return Err(Rejection::UNKNOWN_EXPECTATION),
            b"te" if !value.trim_ascii().eq_ignore_ascii_case(b"trailers") => {
                return Err(Rejection::MALFORMED_HEAD);
            }
            _ => {}
        }
        self.fields.push_checked(name, value.trim_ascii());
        Ok(())
    }

    fn take_pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Rejection> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        match name {
            _ if self.has_begun => return Err(Rejection::MALFORMED_HEAD),
            b"method" if self.method.is_none() => {
                let method = Method::from_bytes(value).map_err(|_| Rejection::MALFORMED_METHOD)?;
                if method == Method::CONNECT {
                    return Err(Rejection::CONNECT_NOT_SERVED);
                }
                self.method = Some(method);
            }
            b"path" if self.target.is_none() => {
                let is_path = text.starts_with('/') || text == "*";
                if !is_path || !head::is_visible(text) {
                    return Err(Rejection::MALFORMED_TARGET);
                }
                if value.len() > self.most_target_bytes {
                    return Err(Rejection::REQUEST_LINE_TOO_LONG);
                }
                self.target = Some(text.to_owned());
            }
            b"scheme" if !self.has_scheme && is_scheme(value) => self.has_scheme = true,
            b"authority" if !self.has_authority => {
                if !value.iter().all(|byte| is_field_content(*byte)) {
                    return Err(Rejection::MALFORMED_HOST);
                }
                self.has_authority = true;
                self.fields.push_checked(b"host", value);
            }
            b"authority" => return Err(Rejection::SEVERAL_HOSTS),
            _ => return Err(Rejection::MALFORMED_HEAD),
        }
        Ok(())
    }

    /// Whether they are those of a call of gRPC.
    pub(crate) fn are_of_grpc(&self) -> bool {
        self.is_grpc
    }

    /// The head, when all fields are there.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn finish(self) -> Result<RequestHead, Rejection> {
        let Self { method, target, has_scheme, mut fields, cookies, size, refused, .. } = self;
        if let Some(refused) = refused {
            return Err(refused);
        }
        let (Some(method), Some(target), true) = (method, target, has_scheme) else {
            return Err(Rejection::MALFORMED_HEAD);
        };
        if target == "*" && method != Method::OPTIONS {
            return Err(Rejection::MALFORMED_TARGET);
        }
        if cookies.len() > size.most_field_bytes {
            return Err(Rejection::FIELD_TOO_LONG);
        }
        if !cookies.is_empty() {
            fields.push_checked(b"cookie", &cookies);
        }
        head::check_host(&fields, Version::HTTP_2)?;
        let length = length_of(&fields).map_err(|Malformed| Rejection::MALFORMED_CONTENT_LENGTH)?;
        let target = Target::new(target);
        Ok(RequestHead { method, target, fields, length, n_bytes: size.n_bytes as u64 })
    }
}

// === impl ResponseFields ===

impl ResponseFields {
    pub(super) fn new(limits: &Limits) -> Self {
        let fields = Fields::with_capacity(12, 512);
        Self { status: None, fields, size: Size::of(limits), is_malformed: false }
    }

    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size.add(name, value);
        if self.size.has_too_many_bytes() {
            self.is_malformed = true;
        } else if name == b":status" && self.status.is_none() && self.fields.is_empty() {
            self.status = StatusCode::from_bytes(value).ok();
            self.is_malformed |= self.status.is_none();
        } else if check_field(name, value).is_ok() {
            self.fields.push_checked(name, value.trim_ascii());
        } else {
            self.is_malformed = true;
        }
    }

    pub(super) fn finish(self) -> Result<ResponseHead, Malformed> {
        let Self { status: Some(status), fields, is_malformed: false, .. } = self else {
            return Err(Malformed);
        };
        let length = length_of(&fields)?;
        Ok(ResponseHead { status, fields, length })
    }
}

// === impl TrailerFields ===

impl TrailerFields {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { fields: Fields::new(), size: Size::of(limits), is_malformed: false }
    }

    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size.add(name, value);
        if self.size.has_too_many_bytes() || check_field(name, value).is_err() {
            self.is_malformed = true;
        } else if !self.is_malformed && may_trail(name) {
            self.fields.push_checked(name, value.trim_ascii());
        }
    }

    pub(super) fn finish(self) -> Result<Fields, Malformed> {
        if self.is_malformed { Err(Malformed) } else { Ok(self.fields) }
    }
}

/// A scheme (RFC 3986 §3.1).
fn is_scheme(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(is_part)
}

/// What came is no message (RFC 9113 §8.1.1).
#[derive(Debug)]
pub(super) struct Malformed;

/// Whether a field that is no pseudo-field may be there: its name in lower case, nothing in it that no field has, and nothing that
/// means a connection (RFC 9113 §8.2.1, §8.2.2).
fn check_field(name: &[u8], value: &[u8]) -> Result<(), Malformed> {
    let is_name = !name.is_empty() && name.iter().all(|byte| LOWER_TOKEN[usize::from(*byte)]);
    let is_value = value.iter().all(|byte| is_field_content(*byte));
    if is_name && is_value && !is_of_connection(name) { Ok(()) } else { Err(Malformed) }
}

/// Bytes that may stand in the name of a field.
const LOWER_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "it is less than 256")]
        let this = byte as u8;
        table[byte] = is_token(this) && !this.is_ascii_uppercase();
        byte += 1;
    }
    table
};

/// Whether a field, in lower case, means one connection of HTTP/1.1 (RFC 9113 §8.2.2).
pub(super) fn is_of_connection(name: &[u8]) -> bool {
    matches!(name, b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade")
}

/// The length that fields tell.
fn length_of(fields: &Fields) -> Result<Option<u64>, Malformed> {
    let mut lengths = fields.all("content-length");
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(length), None) => parse_length(length).map(Some).map_err(|_| Malformed),
        (Some(_), Some(_)) => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Field<'a> = (&'a str, &'a str);

    fn head_of(fields: &[Field<'_>]) -> Result<RequestHead, &'static str> {
        let mut head = RequestFields::new(&Limits::default());
        fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value.as_bytes()));
        head.finish().map_err(|rejection| rejection.reason)
    }

    fn get<'a>(fields: &[Field<'a>]) -> Vec<Field<'a>> {
        let pseudo =
            [(":method", "GET"), (":scheme", "http"), (":path", "/x?y"), (":authority", "a.example:8080")];
        pseudo.iter().chain(fields).copied().collect()
    }

    #[test]
    fn the_authority_is_the_host() {
        let head = head_of(&get(&[("host", "a.example:8080"), ("x-a", " 1 ")])).unwrap();
        assert_eq!((head.method, head.target.as_str()), (Method::GET, "/x?y"));
        assert_eq!(head.fields.all("host").collect::<Vec<_>>(), [b"a.example:8080"]);
        assert_eq!(head.fields.text("x-a"), Some("1"));
        let without = |fields: &[Field<'_>]| head_of(&[&get(&[])[..3], fields].concat());
        assert_eq!(without(&[("host", "a")]).unwrap().fields.text("host"), Some("a"));
        assert_eq!(without(&[("host", "a"), ("host", "b")]).unwrap_err(), "several-hosts");
        assert_eq!(without(&[]).unwrap_err(), "no-host");
        assert_eq!(without(&[(":authority", "user@a")]).unwrap_err(), "malformed-host");
    }

    #[test]
    fn what_is_no_request_in_http_1_1_is_none() {
        let cases: &[(&[Field<'_>], &str)] = &[
            (&[("host", "b.example")], "several-hosts"),
            (&[("x-a", "1\r\nhost: evil")], "malformed-head"),
            (&[("x-a", "\0")], "malformed-head"),
            (&[("x a", "1")], "malformed-head"),
            (&[("x:a", "1")], "malformed-head"),
            (&[("", "1")], "malformed-head"),
            (&[("X-Upper", "1")], "malformed-head"),
            (&[("content-length", "+5")], "malformed-content-length"),
            (&[("content-length", "5"), ("content-length", "5")], "malformed-content-length"),
            (&[("transfer-encoding", "chunked")], "malformed-head"),
            (&[("connection", "x-a")], "malformed-head"),
            (&[("te", "gzip")], "malformed-head"),
            (&[("expect", "200-maybe")], "unknown-expectation"),
            (&[(":authority", "b.example")], "several-hosts"),
            (&[(":path", "/")], "malformed-head"),
            (&[(":unknown", "1")], "malformed-head"),
            (&[("x-a", "1"), (":scheme", "http")], "malformed-head"),
            (&[("expect", "100-continue"), (":unknown", "")], "malformed-head"),
        ];
        for (fields, reason) in cases {
            assert_eq!(head_of(&get(fields)).unwrap_err(), *reason, "{fields:?}");
        }
        for (path, reason) in
            [("", "malformed-target"), ("*", "malformed-target"), ("/a b", "malformed-target")]
        {
            let mut fields = get(&[]);
            fields[2].1 = path;
            assert_eq!(head_of(&fields).unwrap_err(), reason, "{path:?}");
        }
        for (method, reason) in
            [("CONNECT", "connect-not-served"), ("GE T", "malformed-method"), ("", "malformed-method")]
        {
            let mut fields = get(&[]);
            fields[0].1 = method;
            assert_eq!(head_of(&fields).unwrap_err(), reason, "{method:?}");
        }
        assert_eq!(head_of(&get(&[])[1..]).unwrap_err(), "malformed-head", "no method");
        let long = "x".repeat(20_000);
        assert_eq!(head_of(&get(&[("x-a", &long)])).unwrap_err(), "head-too-long");
        assert_eq!(head_of(&get(&[("x-a", &long[..9_000])])).unwrap_err(), "field-too-long");
        let crumbs = [("cookie", &long[..5_000]), ("cookie", &long[..5_000])];
        assert_eq!(head_of(&get(&crumbs)).unwrap_err(), "field-too-long");
        let path = format!("/{}", &long[..9_000]);
        let mut with_path = get(&[]);
        with_path[2].1 = &path;
        assert_eq!(head_of(&with_path).unwrap_err(), "request-line-too-long");
        let many = vec![("x-a", "1"); 100];
        assert_eq!(head_of(&get(&many)).unwrap_err(), "too-many-fields");
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
        let head = head_of(&get(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")])).unwrap();
        assert_eq!(head.fields.all("cookie").collect::<Vec<_>>(), [b"a=1; b=2"]);
    }

    #[test]
    fn a_response_is_one_or_none() {
        let head_of = |fields: &[Field<'_>]| {
            let mut head = ResponseFields::new(&Limits::default());
            fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value.as_bytes()));
            head.finish().ok().map(|head| (head.status.as_u16(), head.length))
        };
        assert_eq!(head_of(&[(":status", "204"), ("content-length", "7")]), Some((204, Some(7))));
        for fields in [
            &[(":status", "20")][..],
            &[("x", "y")],
            &[("x", "y"), (":status", "200")],
            &[(":status", "200"), (":status", "200")],
            &[(":status", "200"), ("connection", "close")],
            &[(":status", "200"), ("x", "\n")],
            &[(":status", "200"), ("content-length", "1"), ("content-length", "2")],
        ] {
            assert_eq!(head_of(fields), None, "{fields:?}");
        }
    }
}
