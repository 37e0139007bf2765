//! An exchange as two CloudEvents, in the words of KServe's logger (`pkg/logger/worker.go`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use net::Bytes;

use super::{LogMode, one_line};
use crate::content::{Content, PARQUET};
use crate::json::write::{Dialect, Writer};

/// A question that was answered.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) version: Option<String>,
    pub(super) asked_at: Timestamp,
    pub(super) content: Content,
    pub(super) question: Bytes,
    pub(super) answered_at: Timestamp,
    pub(super) answer_type: &'static str,
    pub(super) answer: Bytes,
}

/// One of its two events.
#[derive(Debug)]
pub(super) struct Event<'a> {
    kind: &'static str,
    exchange: &'a Exchange,
    time: Timestamp,
    /// What `datacontenttype` says.
    pub(super) content_type: &'static str,
    pub(super) data: &'a Bytes,
}

const REQUEST: &str = "org.kubeflow.serving.inference.request";
const RESPONSE: &str = "org.kubeflow.serving.inference.response";

/// What messages of gRPC are called where no gRPC is around them.
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

// === impl Exchange ===

impl Exchange {
    /// What came in, and what went out, or the one of them that is wanted.
    pub(super) fn events(&self, mode: LogMode) -> impl Iterator<Item = Event<'_>> {
        let is_message = self.content == Content::Message;
        let asked_type = match self.content {
            Content::Json => JSON,
            Content::Csv => "text/csv",
            Content::Parquet => PARQUET,
            Content::JsonThenBytes { .. } => "application/octet-stream",
            Content::Message => PROTOBUF,
        };
        let event = |kind, time, content_type, data| Event { kind, exchange: self, time, content_type, data };
        let answered_type = if is_message { PROTOBUF } else { self.answer_type };
        let request = event(REQUEST, self.asked_at, asked_type, &self.question);
        let response = event(RESPONSE, self.answered_at, answered_type, &self.answer);
        let request = (mode != LogMode::Response).then_some(request);
        request.into_iter().chain((mode != LogMode::Request).then_some(response))
    }
}

// === impl Event ===

impl Event<'_> {
    /// Its attributes but for `specversion` and `datacontenttype`.
    fn attributes(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Exchange { id, model, version, .. } = self.exchange;
        let version = version.as_ref().map(|version| ("modelversion", version.clone()));
        let attributes = [
            ("id", id.clone()),
            ("source", format!("/v2/models/{}", percent_encoded(model, |byte| byte != b'/'))),
            ("type", self.kind.to_owned()),
            ("time", self.time.to_string()),
            ("inferenceservicename", model.clone()),
            ("component", "predictor".to_owned()),
        ];
        attributes.into_iter().chain(version)
    }

    /// The event in structured mode (CloudEvents JSON Event Format 1.0 §2, §3.1), in one line.
    pub(super) fn to_line(&self) -> Vec<u8> {
        let mut json = Writer::new(Dialect::Compact, 512 + 2 * self.data.len());
        json.raw("{\"specversion\":\"1.0\"");
        for (name, value) in self.attributes() {
            json.raw(",").text(name).raw(":").text(&value);
        }
        json.raw(",\"datacontenttype\":").text(self.content_type);
        let line = if self.content_type == JSON { one_line(self.data) } else { None };
        let text = std::str::from_utf8(self.data).ok().filter(|_| self.content_type.starts_with("text/"));
        match (line, text) {
            (Some(line), _) => json.raw(",\"data\":").raw(&line),
            (None, Some(text)) => json.raw(",\"data\":").text(text),
            // Bytes, and JSON that only Python reads, with its NaN.
            (None, None) => json.raw(",\"data_base64\":").text(&STANDARD.encode(self.data)),
        };
        json.raw("}\n");
        json.into_bytes()
    }

    /// The header fields of the event in binary mode (CloudEvents HTTP Protocol Binding 1.0 §3.1).
    pub(super) fn fields(&self) -> impl Iterator<Item = (String, String)> {
        let attributes =
            self.attributes().map(|(name, value)| (format!("ce-{name}"), percent_encoded(&value, |_| true)));
        [("content-type", self.content_type), ("ce-specversion", "1.0")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .chain(attributes)
    }
}

/// A text of visible letters (§3.1.3.2): what is none, `"` and `%` are escaped, and what `keep` does not keep.
fn percent_encoded(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'"' && byte != b'%' && keep(byte) => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn exchange(content: Content, question: &'static str) -> Exchange {
        let time: Timestamp = "2024-01-01T12:00:00.5Z".parse().unwrap();
        Exchange {
            id: "7".to_owned(),
            model: "ä b".to_owned(),
            version: Some("v1".to_owned()),
            asked_at: time,
            content,
            question: Bytes::from_static(question.as_bytes()),
            answered_at: time,
            answer_type: JSON,
            answer: Bytes::from_static(b"{\"predictions\": [1]}"),
        }
    }

    #[test]
    fn an_exchange_is_two_lines() {
        let exchange = exchange(Content::Json, "{\n  \"instances\": [[1, \"a b\"]]\n}");
        let lines: Vec<u8> = exchange.events(LogMode::All).flat_map(|event| event.to_line()).collect();
        expect![[r#"
            {"specversion":"1.0","id":"7","source":"/v2/models/%C3%A4%20b","type":"org.kubeflow.serving.inference.request","time":"2024-01-01T12:00:00.5Z","inferenceservicename":"ä b","component":"predictor","modelversion":"v1","datacontenttype":"application/json","data":{"instances":[[1,"a b"]]}}
            {"specversion":"1.0","id":"7","source":"/v2/models/%C3%A4%20b","type":"org.kubeflow.serving.inference.response","time":"2024-01-01T12:00:00.5Z","inferenceservicename":"ä b","component":"predictor","modelversion":"v1","datacontenttype":"application/json","data":{"predictions":[1]}}
        "#]]
        .assert_eq(std::str::from_utf8(&lines).unwrap());
    }

    #[test]
    fn what_is_no_json_is_text_or_bytes() {
        let line = |content: Content, question: &'static str| {
            let exchange = exchange(content, question);
            let line =
                String::from_utf8(exchange.events(LogMode::Request).next().unwrap().to_line()).unwrap();
            line.split("\"datacontenttype\":").nth(1).unwrap().trim_end().to_owned()
        };
        assert_eq!(line(Content::Csv, "a,b\n1,2\n"), r#""text/csv","data":"a,b\n1,2\n"}"#);
        assert_eq!(line(Content::Json, "[NaN]"), r#""application/json","data_base64":"W05hTl0="}"#);
        assert_eq!(line(Content::Message, "x"), r#""application/x-protobuf","data_base64":"eA=="}"#);
    }

    #[test]
    fn in_binary_mode_attributes_are_fields() {
        let exchange = exchange(Content::Json, "{}");
        let event = exchange.events(LogMode::All).next().unwrap();
        let fields: Vec<_> = event.fields().collect();
        let text =
            |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(text("ce-type"), Some(REQUEST));
        assert_eq!(text("ce-inferenceservicename"), Some("%C3%A4%20b"));
        assert_eq!(text("ce-id"), Some("7"));
        assert_eq!(text("content-type"), Some(JSON));
    }

    #[test]
    fn one_of_both_may_be_wanted() {
        let exchange = exchange(Content::Json, "{}");
        let kinds = |mode| exchange.events(mode).map(|event| event.kind).collect::<Vec<_>>();
        assert_eq!(kinds(LogMode::All), [REQUEST, RESPONSE]);
        assert_eq!(kinds(LogMode::Request), [REQUEST]);
        assert_eq!(kinds(LogMode::Response), [RESPONSE]);
    }
}
