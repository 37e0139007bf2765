//! What a body is, by its header fields.

use net::Fields;

use crate::Settings;
use crate::fault::{Cause, Fault, quoted};

/// Says where the JSON of a body ends and its bytes begin.
pub(crate) const JSON_LENGTH: &str = "inference-header-content-length";

/// The media type of Parquet files, as it is registered.
pub(crate) const PARQUET: &str = "application/vnd.apache.parquet";

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    Csv,
    Parquet,
    /// JSON of so many bytes, and then the data of tensors.
    JsonThenBytes {
        json_length: usize,
    },
    /// A message of gRPC, which only its own methods get.
    Message,
}

impl Content {
    /// What a request says its body is.
    ///
    /// # Errors
    /// When it is nothing that is read here.
    pub(crate) fn of(fields: &Fields, settings: &Settings) -> Result<Self, Fault> {
        if let Some(length) = fields.text(JSON_LENGTH) {
            return Self::json_then_bytes(length);
        }
        let content_type = fields.text("content-type").unwrap_or_default();
        let mut parts = content_type.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        let is_unsaid = media_type.is_empty() || is("application/x-www-form-urlencoded");
        let content = if is("application/json") || (is_unsaid && !settings.strict_content_type) {
            Self::Json
        } else if is("text/csv") {
            Self::Csv
        } else if is(PARQUET) || is("application/x-parquet") {
            Self::Parquet
        } else {
            let problem = match media_type {
                "" => "the request says nothing of the type of its body".to_owned(),
                _ => format!("the content type {} is not read here", quoted(media_type)),
            };
            return Err(
                Fault::new(Cause::ContentType, problem).with_help("send `content-type: application/json`")
            );
        };
        let charsets = parts
            .filter_map(|parameter| parameter.split_once('='))
            .filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        let is_utf8 = |charset: &str| {
            let charset = charset.trim_matches('"');
            ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
        };
        for (_, charset) in charsets {
            if !is_utf8(charset) {
                let problem = format!("the charset {} is not read here", quoted(charset));
                return Err(Fault::new(Cause::ContentType, problem).with_help("send UTF-8"));
            }
        }
        Ok(content)
    }

    /// A body of which a header field says how long its JSON is. Clients then say nothing of its type, or any.
    fn json_then_bytes(length: &str) -> Result<Self, Fault> {
        let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
        let json_length = length.parse().ok().filter(|_| is_number);
        json_length.map(|json_length| Self::JsonThenBytes { json_length }).ok_or_else(|| {
            let problem = format!("`{JSON_LENGTH}`: expected a number of bytes, got {}", quoted(length));
            Fault::new(Cause::Format, problem)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: Option<&str>, is_strict: bool, expected: Result<Content, &str>) {
        let mut fields = Fields::new();
        if let Some(content_type) = content_type {
            fields.push("content-type", content_type);
        }
        let settings = Settings { strict_content_type: is_strict, ..Settings::default() };
        let got = Content::of(&fields, &settings).map_err(|fault| fault.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_body_is_json_unless_it_says_otherwise() {
        check(Some("application/json"), true, Ok(Content::Json));
        check(Some("Application/JSON; charset=\"UTF-8\""), true, Ok(Content::Json));
        check(Some("text/csv"), true, Ok(Content::Csv));
        check(Some("application/vnd.apache.parquet"), true, Ok(Content::Parquet));
        check(None, false, Ok(Content::Json));
        check(
            Some("application/json; charset=latin-1"),
            false,
            Err("the charset `latin-1` is not read here; send UTF-8"),
        );
        check(
            Some("text/plain"),
            false,
            Err("the content type `text/plain` is not read here; send `content-type: application/json`"),
        );
    }

    #[test]
    fn acc_s0_63_what_curl_sends_by_itself_is_json_unless_that_is_forbidden() {
        check(Some("application/x-www-form-urlencoded"), false, Ok(Content::Json));
        check(
            Some("application/x-www-form-urlencoded"),
            true,
            Err("the content type `application/x-www-form-urlencoded` is not read here; \
                 send `content-type: application/json`"),
        );
        check(
            None,
            true,
            Err("the request says nothing of the type of its body; send `content-type: application/json`"),
        );
    }
}
