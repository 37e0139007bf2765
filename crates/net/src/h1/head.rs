//! Message heads: finding where one ends, and reading it.

use std::mem::MaybeUninit;

use http::{Method, StatusCode, Version};

use crate::fields::{Entry, is_plain_name};
use crate::h1::framing::{Framing, FramingError};
use crate::rejection::Rejection;
use crate::{Fields, Limits, Target};

/// A request's head, as far as everybody must agree on it.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
}

/// A response's head.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    /// What the fields declare; the request's method and the status may overrule it.
    pub(crate) framing: Option<Framing>,
    pub(crate) keep_alive: bool,
}

/// Looks for the end of a head, over several reads, without looking at a byte twice.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    /// Bytes looked at so far.
    scanned: usize,
    /// Where the current line begins.
    line_start: usize,
    /// Bytes of the first line, once all of it is there.
    first_line: Option<usize>,
}

impl HeadScan {
    /// The length of the head, empty line included, once all of it is there.
    pub(crate) fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Rejection> {
        while let Some(offset) = memchr::memchr(b'\n', &bytes[self.scanned..]) {
            let line_feed = self.scanned + offset;
            let line = &bytes[self.line_start..line_feed];
            let Some(line) = line.strip_suffix(b"\r") else { return Err(Rejection::BARE_LINE_FEED) };
            let is_first_line = self.line_start == 0;
            self.scanned = line_feed + 1;
            self.line_start = self.scanned;
            self.first_line.get_or_insert(line.len());
            if line.is_empty() {
                return if is_first_line {
                    Err(Rejection::EMPTY_REQUEST_LINE)
                } else {
                    Ok(Some(self.scanned))
                };
            }
        }
        self.scanned = bytes.len();
        Ok(None)
    }

    /// Bytes of the request line, as far as it has come.
    pub(crate) fn request_line(&self) -> usize {
        self.first_line.unwrap_or(self.scanned)
    }
}

/// The most fields that any caller may allow.
pub(crate) const MAX_FIELDS: usize = 128;

/// Reads a complete request head.
pub(crate) fn parse_request(head: &[u8], limits: &Limits) -> Result<RequestHead, Rejection> {
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let slots = &mut slots[..limits.head_fields.min(MAX_FIELDS)];
    match request.parse_with_uninit_headers(head, slots) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Rejection::MALFORMED_HEAD),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Rejection::TOO_MANY_FIELDS);
        }
        Err(httparse::Error::Version) => {
            return Err(Rejection::UNKNOWN_VERSION);
        }
        Err(_) => return Err(Rejection::MALFORMED_HEAD),
    }
    let is_long = |field: &httparse::Header<'_>| field.name.len() + field.value.len() > limits.field_bytes;
    if request.headers.iter().any(is_long) {
        return Err(Rejection::FIELD_TOO_LONG);
    }
    let version = if request.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let method = request.method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    let method = method.ok_or(Rejection::MALFORMED_METHOD)?;
    let mut fields = copy_fields(head, request.headers);
    let target = read_target(request.path.unwrap_or_default(), &method, version, &mut fields)?;
    check_host(&fields, version)?;
    let framing = Framing::declared(&fields, version == Version::HTTP_10).map_err(refuse_framing)?;
    let options = ConnectionOptions::of(&fields);
    Ok(RequestHead {
        keep_alive: options.keep_alive(version),
        expects_continue: version == Version::HTTP_11 && expects_continue(&fields)?,
        framing: framing.unwrap_or(Framing::Length(0)),
        method,
        target,
        version,
        fields,
    })
}

/// Reads a complete response head. The error is a reason for the log.
pub(crate) fn parse_response(head: &[u8]) -> Result<ResponseHead, &'static str> {
    let mut slots = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    match parser.parse_response_with_uninit_headers(&mut response, head, &mut slots) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) | Err(_) => return Err("malformed response head"),
    }
    let status =
        response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("malformed status code")?;
    let version = if response.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let fields = copy_fields(head, response.headers);
    let framing =
        Framing::declared(&fields, version == Version::HTTP_10).map_err(|_| "unclear response framing")?;
    let keep_alive = ConnectionOptions::of(&fields).keep_alive(version);
    Ok(ResponseHead { status, fields, framing, keep_alive })
}

/// Copies the head once and keeps where each field stands in the copy.
fn copy_fields(head: &[u8], headers: &[httparse::Header<'_>]) -> Fields {
    let offset = |part: &[u8]| part.as_ptr() as usize - head.as_ptr() as usize;
    let mut entries = Vec::with_capacity(headers.len() + 6);
    for header in headers {
        let value = header.value.trim_ascii();
        let value_start = if value.is_empty() { 0 } else { offset(value) };
        entries.push(Entry::new(offset(header.name.as_bytes()), header.name.len(), value_start, value.len()));
    }
    let mut block = Vec::with_capacity(head.len() + 256);
    block.extend_from_slice(head);
    Fields::from_parsed(block, entries)
}

/// Reads the request target (RFC 9112 §3.2). The host of an absolute one takes the place of `Host`.
fn read_target(
    target: &str,
    method: &Method,
    version: Version,
    fields: &mut Fields,
) -> Result<Target, Rejection> {
    if !is_visible(target) {
        return Err(Rejection::MALFORMED_TARGET);
    }
    if *method == Method::CONNECT {
        return Err(Rejection::CONNECT_NOT_SERVED);
    }
    if target.starts_with('/') || (target == "*" && *method == Method::OPTIONS) {
        return Ok(Target::new(target));
    }
    let absolute = target
        .split_once("://")
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
    let Some((_, rest)) = absolute else { return Err(Rejection::MALFORMED_TARGET) };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err(Rejection::MALFORMED_TARGET);
    }
    // HTTP/1.1 has to have the field all the same, so it is looked at before it is replaced.
    check_host(fields, version)?;
    fields.set("host", authority);
    Ok(Target::new(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }))
}

/// Whether a target has only bytes that a URL has, and no fragment.
pub(crate) fn is_visible(target: &str) -> bool {
    target.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'#')
}

/// Exactly one `Host` from HTTP/1.1 on, at most one in HTTP/1.0, and nothing in it that a host cannot have (RFC 9112 §3.2).
pub(crate) fn check_host(fields: &Fields, version: Version) -> Result<(), Rejection> {
    let mut hosts = fields.all("host");
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (None, _) => Err(Rejection::NO_HOST),
        (Some(_), Some(_)) => Err(Rejection::SEVERAL_HOSTS),
        // Without a name it would lead to whatever a server takes for its default.
        (Some(host), None) if is_authority(host) => Ok(()),
        (Some(_), None) => Err(Rejection::MALFORMED_HOST),
    }
}

/// A host that is not empty, with or without a port, and without user information (RFC 3986 §3.2.2, §3.2.3).
fn is_authority(authority: &[u8]) -> bool {
    let (is_host, port) = match authority.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = memchr::memchr(b']', rest) else { return false };
            let is_address = |byte: &u8| byte.is_ascii_alphanumeric() || b":.-_~".contains(byte);
            (end > 0 && rest[..end].iter().all(is_address), &rest[end + 1..])
        }
        None => {
            let end = memchr::memchr(b':', authority).unwrap_or(authority.len());
            (is_name(&authority[..end]), &authority[end..])
        }
    };
    let is_port = match port.split_first() {
        None => true,
        Some((colon, digits)) => *colon == b':' && digits.iter().all(u8::is_ascii_digit),
    };
    is_host && is_port
}

/// A registered name: what is encoded in it is, and is no NUL.
fn is_name(name: &[u8]) -> bool {
    let is_encoded = |at: usize| {
        name.get(at + 1..at + 3).is_some_and(|hex| hex != b"00" && hex.iter().all(u8::is_ascii_hexdigit))
    };
    let is_fine = |(at, byte): (usize, &u8)| is_plain_name(&[*byte]) || (*byte == b'%' && is_encoded(at));
    !name.is_empty() && (is_plain_name(name) || name.iter().enumerate().all(is_fine))
}

fn expects_continue(fields: &Fields) -> Result<bool, Rejection> {
    match fields.get("expect") {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Rejection::UNKNOWN_EXPECTATION),
    }
}

fn refuse_framing(error: FramingError) -> Rejection {
    match error {
        FramingError::ContentLength => Rejection::MALFORMED_CONTENT_LENGTH,
        FramingError::Both => Rejection::BOTH_FRAMINGS,
        FramingError::TransferEncoding => Rejection::MALFORMED_TRANSFER_ENCODING,
        FramingError::UnknownCoding => Rejection::UNKNOWN_TRANSFER_ENCODING,
    }
}

/// The options of `Connection` that matter for the connection itself (RFC 9112 §9.3).
#[derive(Debug, Clone, Copy, Default)]
struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
}

impl ConnectionOptions {
    fn of(fields: &Fields) -> Self {
        let mut options = Self::default();
        for value in fields.all("connection") {
            for option in value.split(|byte| *byte == b',') {
                options.close |= option.trim_ascii().eq_ignore_ascii_case(b"close");
                options.keep_alive |= option.trim_ascii().eq_ignore_ascii_case(b"keep-alive");
            }
        }
        options
    }

    fn keep_alive(self, version: Version) -> bool {
        !self.close && (version == Version::HTTP_11 || self.keep_alive)
    }
}

#[cfg(test)]
mod tests;
