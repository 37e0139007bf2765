//! What is answered, in a form that may come from any thread.

use net::{Bytes, Response, StatusCode};

use crate::json::write::Writer;

/// A response with a whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// What the body is; empty when there is none.
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Further header fields.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// How many numbers of the body stand as `null`, because JSON has no way to write them.
    pub(crate) n_nulls: usize,
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const BYTES: &str = "application/octet-stream";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

impl Reply {
    /// A reply with a body.
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, body: body.into(), fields: Vec::new(), n_nulls: 0 }
    }

    /// A reply without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::new(status, "", Bytes::new())
    }

    /// A reply of JSON.
    pub(crate) fn json(status: StatusCode, json: Writer) -> Self {
        let n_nulls = json.n_nulls();
        Self { n_nulls, ..Self::new(status, JSON, json.into_bytes()) }
    }

    /// The same reply with a further header field.
    pub(crate) fn with_field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The response to send.
    pub(crate) fn into_response(self) -> Response {
        let mut response = match self.content_type {
            "" => Response::new(self.status),
            content_type => Response::with_body(self.status, content_type, self.body),
        };
        for (name, value) in &self.fields {
            response.fields.push(name, value);
        }
        response
    }
}
