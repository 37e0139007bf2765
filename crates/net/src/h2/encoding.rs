//! Writing the fields of requests and responses as HTTP/2 has them. What belongs to a connection of HTTP/1.1 stays behind (RFC 9113
//! §8.2.2).

use http::Version;

use super::hpack::Encoder;
use super::messages::is_of_connection;
use crate::h1::head;
use crate::{Fields, Outgoing, Response, clock};

/// Writes the head of a response, with this length where one is told. What belongs to a connection of HTTP/1.1 stays behind
/// (RFC 9113 §8.2.2). Returns how many bytes its names and values have.
pub(super) fn encode_response(
    encoder: &mut Encoder,
    into: &mut Vec<u8>,
    response: &Response,
    length: Option<u64>,
) -> usize {
    encoder.begin(into);
    encoder.status(response.status.as_u16(), into);
    let (mut n_bytes, mut has_date) = (0, false);
    for (name, value) in response.fields.iter() {
        if stays_behind(name) {
            continue;
        }
        has_date |= name.eq_ignore_ascii_case(b"date");
        n_bytes += name.len() + value.len();
        encoder.field(name, value, into);
    }
    if !has_date {
        clock::with_http_date(|date| {
            n_bytes += "date".len() + date.len();
            encoder.field(b"date", date.as_bytes(), into);
        });
    }
    n_bytes + length.map_or(0, |length| encode_length(encoder, into, length))
}

/// Writes the head of a request, with `Host` in its new place (RFC 9113 §8.3.1). That trailers are taken is said of every request:
/// servers of gRPC look for it ("gRPC over HTTP2"). The request has a host: [`is_sayable`].
pub(super) fn encode_request(
    encoder: &mut Encoder,
    into: &mut Vec<u8>,
    request: &Outgoing<'_>,
    is_tls: bool,
) {
    encoder.begin(into);
    encoder.field(b":method", request.method.as_str().as_bytes(), into);
    encoder.field(b":scheme", if is_tls { b"https" } else { b"http" }, into);
    encoder.field(b":authority", request.fields.get("host").unwrap_or_default(), into);
    encoder.field(b":path", request.target.as_bytes(), into);
    for (name, value) in request.fields.iter() {
        let is_said = name.eq_ignore_ascii_case(b"host") || name.eq_ignore_ascii_case(b"te");
        if !is_said && !stays_behind(name) {
            encoder.field(name, value, into);
        }
    }
    encoder.field(b"te", b"trailers", into);
    if let Some(length @ 1..) = request.body.remaining() {
        encode_length(encoder, into, length);
    }
}

/// Whether HTTP/2 has a way to say a request.
pub(super) fn is_sayable(request: &Outgoing<'_>) -> bool {
    let is_path = request.target.starts_with('/') || request.target == "*";
    is_path && head::check_host(request.fields, Version::HTTP_2).is_ok()
}

/// Writes trailers. Returns how many bytes their names and values have.
pub(super) fn encode_trailers(encoder: &mut Encoder, into: &mut Vec<u8>, trailers: &Fields) -> usize {
    encoder.begin(into);
    let mut n_bytes = 0;
    for (name, value) in trailers.iter().filter(|(name, _)| !stays_behind(name)) {
        n_bytes += name.len() + value.len();
        encoder.field(name, value, into);
    }
    n_bytes
}

fn encode_length(encoder: &mut Encoder, into: &mut Vec<u8>, length: u64) -> usize {
    let text = length.to_string();
    encoder.field(b"content-length", text.as_bytes(), into);
    "content-length".len() + text.len()
}

/// Fields of HTTP/1.1's framing and connection, in any case. Only of a body that has a length, and of the answer to HEAD, is a
/// length told, by whoever knows it.
fn stays_behind(name: &[u8]) -> bool {
    const LONGEST: usize = "transfer-encoding".len();
    if !matches!(name.len(), 7 | 10 | 14 | 16 | LONGEST) {
        return false;
    }
    let mut lower = [0; LONGEST];
    let lower = &mut lower[..name.len()];
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    is_of_connection(lower) || lower == b"content-length"
}

#[cfg(test)]
mod tests {
    use super::super::hpack::Decoder;
    use super::super::messages::ResponseFields;
    use super::*;
    use crate::Limits;
    use http::StatusCode;

    #[test]
    fn what_belongs_to_a_connection_stays_behind() {
        let response = Response::new(StatusCode::OK)
            .with_field("connection", "close")
            .with_field("transfer-encoding", "chunked")
            .with_field("content-length", "7")
            .with_field("X-A", "1");
        let mut block = Vec::new();
        let n_bytes = encode_response(&mut Encoder::new(), &mut block, &response, None);
        let mut decoder = Decoder::new(4096);
        let mut fields = ResponseFields::new(&Limits::default());
        decoder.decode(&block, |name, value| fields.field(name, value)).unwrap();
        let head = fields.finish().unwrap();
        let mut names: Vec<&[u8]> = head.fields.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!((head.status.as_u16(), names), (200, vec![b"date".as_slice(), b"x-a"]));
        assert_eq!(n_bytes, "x-a1date".len() + "Sun, 06 Nov 1994 08:49:37 GMT".len());
    }
}
