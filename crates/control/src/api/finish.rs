//! What is done with every answer last: indented, or turned into YAML or protobuf where that is asked for, compressed where it is long, and
//! given its number for the audit.

use std::io::Write as _;
use std::ops::RangeInclusive;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use serde_json::Value;

use super::form::{Encoding, Form, PROTOBUF};
use super::parameters::Parameters;
use super::{Body, protobuf};
use crate::store::{Reason, Status, metadata};

/// How long an answer is that is worth compressing. A longer one would hold up everybody else while it is compressed.
const LONG: RangeInclusive<usize> = 128 * 1024..=4 << 20;

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// How long the number of a request may be that a client gives.
const AUDIT_ID_LENGTH: usize = 64;

/// Clients in front of which people sit, who read JSON.
const READERS: &[&str] = &["curl", "Wget", "Mozilla/5.0"];

/// Gives an answer its last form.
pub(super) fn finish(request: &Request<Bytes>, mut answer: Response<Body>) -> Response<Body> {
    let fields = request.headers();
    let parameters = Parameters::parse(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let mut status = answer.status();
    if let Some(json) = as_json(&answer) {
        let form = Form::accepted(text(fields, &header::ACCEPT), &parameters);
        let other = match form.map_or(Encoding::Json, |form| form.encoding) {
            Encoding::Json => None,
            Encoding::Yaml => as_yaml(json).map(|yaml| ("application/yaml", yaml.into_bytes())),
            Encoding::Protobuf => Some((PROTOBUF, as_protobuf(json, &mut status))),
        };
        if let Some((media_type, bytes)) = other {
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
            *answer.body_mut() = Body::Full(bytes.into());
            *answer.status_mut() = status;
        } else if is_read_by_people(fields, &parameters) {
            let indented = indented(json);
            *answer.body_mut() = Body::Full(indented.into());
        }
    }
    compress(fields, &mut answer);
    let given = fields.get(&AUDIT_ID).filter(|given| given.len() <= AUDIT_ID_LENGTH).cloned();
    let made = || HeaderValue::from_str(&metadata::new_uid()).ok();
    if let Some(id) = given.or_else(made) {
        answer.headers_mut().insert(AUDIT_ID, id);
    }
    answer
}

fn text<'a>(fields: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    fields.get(name)?.to_str().ok()
}

/// The body of an answer that is JSON, and is there as a whole.
fn as_json(answer: &Response<Body>) -> Option<&Bytes> {
    let media_type = text(answer.headers(), &header::CONTENT_TYPE)?;
    match answer.body() {
        Body::Full(bytes) if media_type.starts_with("application/json") && !is_compressed(answer) => {
            Some(bytes)
        }
        _ => None,
    }
}

/// Whether an answer came compressed already, as documents that are kept do.
fn is_compressed(answer: &Response<Body>) -> bool {
    answer.headers().contains_key(header::CONTENT_ENCODING)
}

fn as_yaml(json: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(json).ok()?;
    serde_saphyr::to_string(&value).ok()
}

/// An answer in protobuf; what has none is refused.
fn as_protobuf(json: &[u8], status: &mut StatusCode) -> Vec<u8> {
    let value: Value = serde_json::from_slice(json).unwrap_or_default();
    protobuf::encode(&value).unwrap_or_else(|| {
        let message = "only the following media types are accepted: application/json, application/yaml";
        let refusal = Status::new(Reason::NotAcceptable, message);
        *status = StatusCode::NOT_ACCEPTABLE;
        protobuf::encode(&refusal.to_value()).unwrap_or_default()
    })
}

fn is_read_by_people(fields: &HeaderMap, parameters: &Parameters) -> bool {
    parameters.switch("pretty").unwrap_or_else(|| {
        let agent = text(fields, &header::USER_AGENT).unwrap_or_default();
        READERS.iter().any(|reader| agent.starts_with(reader))
    })
}

/// JSON with line breaks, two spaces for each level. The order of fields stays, so it is done with the text.
fn indented(json: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(json.len() * 2);
    let (mut level, mut is_text, mut is_escaped) = (0_usize, false, false);
    let new_line = |text: &mut Vec<u8>, level: usize| {
        text.push(b'\n');
        text.resize(text.len() + 2 * level, b' ');
    };
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if is_text {
            text.push(byte);
            is_text = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'{' | b'[' => {
                text.push(byte);
                if let Some(end) = bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    text.push(end);
                } else {
                    level += 1;
                    new_line(&mut text, level);
                }
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                new_line(&mut text, level);
                text.push(byte);
            }
            b',' => {
                text.push(byte);
                new_line(&mut text, level);
            }
            b':' => text.extend_from_slice(b": "),
            other => {
                is_text = other == b'"';
                text.push(other);
            }
        }
    }
    text
}

fn compress(fields: &HeaderMap, answer: &mut Response<Body>) {
    let accepted = text(fields, &header::ACCEPT_ENCODING).unwrap_or_default();
    let is_wanted = accepted.split(',').any(|coding| coding.trim() == "gzip");
    let Body::Full(bytes) = answer.body() else { return };
    if !is_wanted || !LONG.contains(&bytes.len()) || is_compressed(answer) {
        return;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    let Ok(compressed) = encoder.write_all(bytes).and_then(|()| encoder.finish()) else { return };
    *answer.body_mut() = Body::Full(compressed.into());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_json_says_the_same() {
        for json in [r#"{"a":[1,{"b":[]},{}],"c":"x,\"{\\","d":null}"#, "[]", "1", r#""{:,""#] {
            let value: Value = serde_json::from_str(json).unwrap();
            let expected = serde_json::to_string_pretty(&value).unwrap();
            assert_eq!(String::from_utf8(indented(json.as_bytes())).unwrap(), expected);
        }
    }
}
