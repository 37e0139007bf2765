//! Answers, and the one place that turns a refusal into a status code.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::Body;
use crate::store::{Reason, Status};

/// A value as JSON.
pub(super) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    json_text(status, value.to_string())
}

/// JSON that is text already.
pub(super) fn json_text(status: StatusCode, mut text: String) -> Response<Body> {
    text.push('\n');
    with_type(status, "application/json", Body::Full(text.into()))
}

/// Text.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    with_type(status, "text/plain; charset=utf-8", Body::Full(text.into()))
}

/// Any body.
pub(super) fn with_type(status: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A refusal.
pub(super) fn refusal(status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.reason.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_text(code, status.to_json());
    if matches!(status.reason, Reason::TooManyRequests | Reason::ServiceUnavailable | Reason::Timeout) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
