//! What is kept, as an answer to a client and as a question to a target.

use std::time::Duration;

use net::{Fields, Request, Response, StatusCode};

use super::policy::is_known_to_client;
use super::store::Stored;

impl Stored {
    /// Makes a request ask only whether the answer is still good (RFC 9111 §4.3.1), if that can be asked. Returns the fields of the
    /// client.
    pub(super) fn ask_whether_modified(&self, request: &mut Request) -> Option<Fields> {
        let tag = self.fields.get("etag");
        let modified = self.fields.get("last-modified");
        if tag.is_none() && modified.is_none() {
            return None;
        }
        let client = request.fields.clone();
        request.fields.remove("if-none-match");
        request.fields.remove("if-modified-since");
        if let Some(tag) = tag {
            request.fields.push("if-none-match", tag);
        }
        if let Some(modified) = modified {
            request.fields.push("if-modified-since", modified);
        }
        Some(client)
    }

    /// The answer for a client that sent these fields: that it has it already, or all of it.
    pub(super) fn answer(&self, client: &Fields, now: Duration, told: &str) -> Response {
        let is_known = self.status == StatusCode::OK && is_known_to_client(client, &self.fields);
        let mut answer = Response::new(if is_known { StatusCode::NOT_MODIFIED } else { self.status });
        answer.fields = self.fields.clone();
        if is_known {
            // It is about what the client has, of which that is known.
            answer
                .fields
                .retain(|name, _| !OF_CONTENT.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes())));
        } else {
            answer.body = self.body.clone().into();
        }
        answer.fields.set("age", self.freshness.age(now).as_secs().to_string());
        answer.fields.push("cache-status", told);
        answer
    }
}

/// Fields of content, which an answer without any has not.
const OF_CONTENT: [&str; 4] = ["content-encoding", "content-language", "content-length", "content-type"];
