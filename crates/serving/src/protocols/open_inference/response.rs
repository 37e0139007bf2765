//! A response as it stands in JSON, with the bytes of tensors after it where they are wanted so.

use net::StatusCode;

use super::infer::{Answered, bytes_of};
use crate::Style;
use crate::call::Asked;
use crate::content::JSON_LENGTH;
use crate::id::new_id;
use crate::json::write::{Dialect, Writer};
use crate::model_set::Entry;
use crate::reply::{BYTES, Reply};

pub(super) fn write(entry: &Entry, asked: &Asked, answers: &[Answered<'_>]) -> Reply {
    let style = entry.style;
    let n_values: usize = answers.iter().map(|answer| answer.data.len()).sum();
    let mut binary = Vec::new();
    let mut json = Writer::new(Dialect::Compact, 256 + 20 * n_values);
    json.raw("{\"model_name\":").text(asked.name_of(entry)).raw(",\"model_version\":");
    match &entry.version {
        Some(version) => json.text(version),
        None => json.raw("null"),
    };
    json.raw(",\"id\":");
    match &asked.id {
        Some(id) => json.text(id),
        None => json.text(&new_id()),
    };
    json.raw(match style {
        Style::MlServer if entry.is_mlflow() => ",\"parameters\":{\"content_type\":\"np\"},\"outputs\":",
        Style::MlServer => ",\"parameters\":{},\"outputs\":",
        Style::KServe => ",\"parameters\":null,\"outputs\":",
    });
    json.list(answers, |json, answer| write_output(json, answer, style, &mut binary));
    json.raw("}");
    if !answers.iter().any(|answer| answer.is_binary) {
        return Reply::json(StatusCode::OK, json);
    }
    let n_nulls = json.n_nulls();
    let mut body = json.into_bytes();
    let json_length = body.len().to_string();
    body.append(&mut binary);
    let reply = Reply { n_nulls, ..Reply::new(StatusCode::OK, BYTES, body) };
    reply.with_field(JSON_LENGTH, json_length)
}

fn write_output(json: &mut Writer, answer: &Answered<'_>, style: Style, binary: &mut Vec<u8>) {
    json.raw("{\"name\":").text(answer.name).raw(",\"shape\":");
    json.list(&answer.shape, |json, length| _ = json.long(*length as i64));
    json.raw(",\"datatype\":").text(answer.datatype).raw(",\"parameters\":");
    let content_type = match style {
        Style::MlServer => "\"content_type\":\"np\"",
        Style::KServe => "",
    };
    if answer.is_binary {
        let mut bytes = bytes_of(answer.data);
        json.raw("{").raw(content_type).raw(if content_type.is_empty() { "" } else { "," });
        json.raw("\"binary_data_size\":").long(bytes.len() as i64).raw("}}");
        binary.append(&mut bytes);
        return;
    }
    match content_type {
        "" => json.raw("null"),
        content_type => json.raw("{").raw(content_type).raw("}"),
    };
    json.raw(",\"data\":").data(answer.data).raw("}");
}
